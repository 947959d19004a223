//! Models that read images.

use motley_hardware::{Architecture, Catalog, Device};
use motley_workload::{
    AttentionKernel, ConvolutionPass, ConvolutionWork, Deferral, Description, Extent, KernelModel,
    Model, Operands, Operator, Part, Pass, Precision, Shard, Training, Work, card_path, flops,
    shard_limits,
};
use proptest::prelude::*;

use crate::common::{close, training, training_of};

/// Multiply-adds of a forward pass as torchvision counts them, in billions; for ResNet-50 as in its
/// paper what the paper says.
#[test]
fn images_cost_what_is_published() {
    for (name, billions, tolerance) in [
        ("resnet-50", 4.09, 0.002),
        ("resnet-101", 7.80, 0.002),
        ("resnet-152", 11.51, 0.002),
        ("resnet-50-v1", 3.8, 0.02),
        ("vgg-16", 15.47, 0.002),
        ("alexnet", 0.714, 0.002),
        ("inception-v3", 5.71, 0.002),
    ] {
        let model = Model::preset(name).unwrap();
        let training = training_of(&model, 1);
        let of = |pass| -> f64 {
            model.parts().map(|part| flops(&model, part, &training, pass).0).sum()
        };
        close(of(Pass::Forward), 2e9 * billions, tolerance, name);
        close(of(Pass::Backward), 2.0 * of(Pass::Forward), 1e-12, name);
    }
}

#[test]
fn maps_shrink_on_their_way() {
    for (name, before_head) in
        [("resnet-50", (2048, 7, 7)), ("inception-v3", (2048, 8, 8)), ("alexnet", (4096, 1, 1))]
    {
        let model = Model::preset(name).unwrap();
        let (channels, height, width) = before_head;
        let found = model.before(model.layer_count());
        assert_eq!(found, Extent::Image { channels, height, width }, "{name}");
    }
    // Where the strides lie does not change what comes out.
    let [paper, later] = ["resnet-50-v1", "resnet-50"].map(|name| Model::preset(name).unwrap());
    assert!((0..17).all(|layer| paper.before(layer) == later.before(layer)));
    assert_ne!(paper.part(3), paper.part(4), "the first layer of a stage halves the maps");
    assert_eq!(paper.part(2), paper.part(3));
}

#[test]
fn nothing_is_split_over_tensor_ranks() {
    let model = Model::preset("resnet-50").unwrap();
    assert_eq!(shard_limits(&model, &Shard::new(1, false, 8)), []);
    let errors = shard_limits(&model, &Shard::new(2, false, 8));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("reads images"));
}

fn card(id: &str) -> (&'static Device, &'static Architecture) {
    let device = Catalog::builtin().device(id).expect("in the catalogue");
    (device, Catalog::builtin().architecture(&device.architecture).expect("in the catalogue"))
}

fn seconds(id: &str, precision: Precision, work: Work) -> f64 {
    let (device, architecture) = card(id);
    let training = Training { precision, ..training(1) };
    let path = card_path(device, architecture, &training).expect("the card runs it");
    let operator =
        Operator { name: "kernel", work, operands: Operands::Stored, deferral: Deferral::None };
    KernelModel::new(device, architecture, path).time(&operator).0
}

/// 64 samples of maps of one size, whose number is kept.
fn convolution(channels: u32, size: u32, kernel: u32, pass: ConvolutionPass) -> ConvolutionWork {
    let maps = (channels, size, size);
    let (batch, kernel) = (64, (kernel, kernel));
    ConvolutionWork { batch, input: maps, output: maps, kernel, stride: 1, groups: 1, pass }
}

proptest! {
    /// A window of one pixel is a plain product of the pixels with a matrix.
    #[test]
    fn windows_of_one_pixel_are_products(size in 1_u32..60, channels in 1_u32..600) {
        let (pixels, channels_) = (64 * u64::from(size) * u64::from(size), u64::from(channels));
        for (pass, (m, n, k)) in [
            (ConvolutionPass::Forward, (pixels, channels_, channels_)),
            (ConvolutionPass::InputGradient, (pixels, channels_, channels_)),
            (ConvolutionPass::WeightGradient, (channels_, channels_, pixels)),
        ] {
            for (id, precision) in
                [("p100-sxm2", Precision::Fp32), ("v100-sxm2-16", Precision::Fp16)]
            {
                let work = Work::Convolution(convolution(channels, size, 1, pass));
                let product = Work::Gemm { m, n, k, batch: 1 };
                let (found, expected) = (seconds(id, precision, work), seconds(id, precision, product));
                prop_assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
            }
        }
    }
}

/// CUDA cores filter windows of three pixels with fewer products; tensor cores do not, nor are other
/// windows or steps filtered so.
#[test]
fn small_windows_are_filtered_on_cuda_cores() {
    let passes =
        [ConvolutionPass::Forward, ConvolutionPass::InputGradient, ConvolutionPass::WeightGradient];
    for pass in passes {
        let gain = |id, precision, work: ConvolutionWork| {
            let window = u64::from(work.kernel.0 * work.kernel.1);
            let (pixels, channels) = (64 * 56 * 56, 256);
            let (m, n, k) = match pass {
                ConvolutionPass::WeightGradient => (channels, channels * window, pixels),
                _ => (pixels, channels, channels * window),
            };
            let product = Work::Gemm { m, n, k, batch: 1 };
            seconds(id, precision, product) / seconds(id, precision, Work::Convolution(work))
        };
        let three = convolution(256, 56, 3, pass);
        for id in ["p100-sxm2", "v100-sxm2-16"] {
            let found = gain(id, Precision::Fp32, three);
            assert!((1.5..2.3).contains(&found), "{id} {pass:?}: {found}");
        }
        for work in [convolution(256, 56, 5, pass), ConvolutionWork { stride: 2, ..three }] {
            let found = gain("p100-sxm2", Precision::Fp32, work);
            assert!((found - 1.0).abs() < 0.1, "{pass:?}: {found}");
        }
        let found = gain("v100-sxm2-16", Precision::Fp16, three);
        assert!((found - 1.0).abs() < 0.1, "{pass:?}: {found}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let check = |layers: &str, place: &str, part: &str| {
        let text = format!(
            "Stack(name: \"mine\", embedding: Images(height: 8, width: 8),
                layers: [(layers: [{layers}])], head: Classifier(classes: 10))"
        );
        let errors = Description::from_ron(&text).unwrap().build().err().unwrap_or_default();
        let found: Vec<(String, &String)> =
            errors.iter().map(|error| (error.path.to_string(), &error.message)).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == place && found[0].1.contains(part), "{found:?}");
    };
    let first = "layers[0].layers[0]";
    check(
        "Convolutional([Convolution(channels: 4, kernel: (9, 9), padding: Valid)])",
        &format!("{first}[0]"),
        "a window of 9 x 9 does not fit on maps of 8 x 8",
    );
    check(
        "Convolutional([MaxPool(kernel: 2, stride: 2), MaxPool(kernel: 5, stride: 1, padding: Valid)])",
        &format!("{first}[1]"),
        "a window of 5 x 5 does not fit on maps of 4 x 4",
    );
    check(
        "Convolutional([Branches(join: Sum, rows: [[], [Convolution(channels: 4, kernel: (1, 1))]])])",
        &format!("{first}[0]"),
        "branches of 3 x 8 x 8 and 4 x 8 x 8 cannot be joined",
    );
    check(
        "Convolutional([Convolution(channels: 4, kernel: (3, 3), groups: 2)])",
        &format!("{first}[0]"),
        "2 groups do not divide 3 and 4 maps",
    );
    check(
        "Convolutional([Branches(join: Sum, rows: [[Linear(outputs: 0)]])])",
        &format!("{first}[0].rows[0][0].outputs"),
        "is 0",
    );
    let tokens = "Stack(name: \"mine\", embedding: Tokens(vocab: 100, hidden: 8),
        layers: [(layers: [Convolutional([GlobalAveragePool])])],
        head: Language(norm: RmsNorm))";
    let errors = Description::from_ron(tokens).unwrap().build().err().unwrap_or_default();
    assert!(errors[0].message.contains("reads feature maps"), "{errors:?}");
}

#[test]
fn images_are_normalised_and_nothing_else_is_done_before_the_stack() {
    let model = Model::preset("vgg-16").unwrap();
    let path = crate::common::path(AttentionKernel::Unfused);
    let training = training_of(&model, 1);
    let shard = Shard::new(1, false, 4);
    let blocks = motley_workload::blocks(&model, Part::Embedding, &training, &path, &shard);
    let pixels = 4.0 * 3.0 * 224.0 * 224.0;
    close(blocks[0].forward[0].work.bytes(2).0, 3.0 * pixels, 1e-12, "bytes");
    assert!(blocks[0].backward.is_empty());
}
