//! Kinds of attention, and how parts of a layer are joined.

use motley_workload::{
    Attention, AttentionKernel, Model, Operator, Pass, Positions, Projections, Residual, Shard,
    Work, blocks, flops, model_flops,
};

use crate::common::{SEQUENCE, changed, close, kernel_flops, layer_flops, path, training};

/// Latent attention whose latent is as wide as the stream is multi-head attention and one more
/// square matrix; its core is the same.
#[test]
fn wide_latents_are_multi_head_attention() {
    let attention = |projections| {
        changed("qwen-2.5-7b", |layer| {
            layer.attention = Attention {
                heads: 28,
                projections,
                positions: Positions::Embedded,
                qkv_bias: false,
                ..layer.attention.clone()
            };
        })
    };
    let plain = attention(Projections::Grouped { kv_heads: 28, head_dim: 128 });
    let latent = attention(Projections::Latent {
        q_rank: None,
        kv_rank: 3584,
        nope_dim: 128,
        rope_dim: 0,
        v_dim: 128,
    });
    let square = 3584.0 * 3584.0;
    let norm = 3584.0;
    close(latent.parameters() - plain.parameters(), 28.0 * (square + norm), 1e-9, "parameters");
    let (training, shard) = (training(SEQUENCE), Shard::new(1, false, 1));
    for (pass, products) in [(Pass::Forward, 1.0), (Pass::Backward, 2.0)] {
        let of = |model| layer_flops(model, &training, pass, &shard);
        let more = products * 2.0 * f64::from(SEQUENCE) * square;
        close(of(&latent) - of(&plain), more, 1e-9, "kernels");
    }
    let core = |model: &Model| {
        let list = blocks(model, model.part(0), &training, &path(AttentionKernel::Flash), &shard);
        let flash = |op: &Operator| matches!(op.work, Work::FlashAttention(_));
        list[0].forward.iter().filter(|op| flash(op)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(core(&latent), core(&plain));
}

/// DeepSeek-V3's attention, by the widths of its paper.
#[test]
fn latent_attention_has_the_matrices_of_its_paper() {
    let model = Model::preset("deepseek-v3").unwrap();
    let (training, shard) = (training(SEQUENCE), Shard::new(1, false, 1));
    let s = f64::from(SEQUENCE);
    let (h, heads) = (7168.0, 128.0);
    let matrices = h * 1536.0
        + 1536.0 * heads * 192.0
        + h * (512.0 + 64.0)
        + 512.0 * heads * (128.0 + 128.0)
        + heads * 128.0 * h;
    let dense = 3.0 * h * 18_432.0;
    let core = 2.0 * s * s * heads * (192.0 + 128.0);
    let expected = 2.0 * s * (matrices + dense) + core;
    close(flops(&model, model.part(0), &training, Pass::Forward).0, expected, 1e-12, "forward");
    let kernel = AttentionKernel::Unfused;
    let found = kernel_flops(&model, model.part(0), &training, kernel, Pass::Forward, &shard);
    close(found, expected, 1e-12, "kernels");
    // Tensor ranks exchange the latents on the way in, the stream on the way out.
    let exchange = blocks(&model, model.part(0), &training, &path(kernel), &Shard::new(8, true, 1))
        [0]
    .exchange;
    close(exchange.gathered, s * (1536.0 + 512.0 + 64.0), 1e-12, "latents");
    close(exchange.reduced, s * h, 1e-12, "stream");
}

#[test]
fn windows_cut_attention_off() {
    let at = |window: Option<u32>, kernel| {
        let model = changed("qwen-2.5-7b", |layer| layer.attention.window = window);
        let (training, shard) = (training(4096), Shard::new(1, false, 1));
        let whole = 4.0 * 4096.0 * 4096.0 * 3584.0;
        let matrices = flops(&model, model.part(0), &training, Pass::Forward).0;
        let part = model.part(0);
        let found = kernel_flops(&model, part, &training, kernel, Pass::Forward, &shard);
        (found / whole, matrices / whole)
    };
    let (flash, unfused) = (AttentionKernel::Flash, AttentionKernel::Unfused);
    let (all, convention) = at(None, flash);
    // A window that is no window.
    assert_eq!(at(Some(4096), flash), (all, convention));
    // A query sees itself and 1023 others, the first ones fewer.
    let (windowed, in_convention) = at(Some(1024), flash);
    close(all - windowed, 0.5 - (0.25 - 0.5 / 16.0), 1e-9, "flash");
    close(convention - in_convention, 0.75, 1e-9, "convention");
    // Unfused attention multiplies what it masks.
    close(at(Some(1024), unfused).0, at(None, unfused).0, 0.0, "unfused");
}

/// Side by side, attention and feed-forward do the same products with half of the communication.
#[test]
fn parallel_parts_share_their_communication() {
    let arranged = |residual| changed("qwen-2.5-7b", |layer| layer.residual = residual);
    let sequential = arranged(Residual::Sequential);
    let parallel = arranged(Residual::Parallel { shared_norm: true });
    let (training, shard) = (training(SEQUENCE), Shard::new(4, true, 1));
    let of = |model: &Model| {
        blocks(model, model.part(0), &training, &path(AttentionKernel::Flash), &shard)
    };
    let (one_after_other, side_by_side) = (of(&sequential), of(&parallel));
    assert_eq!((one_after_other.len(), side_by_side.len()), (2, 1));
    assert_eq!(side_by_side[0].exchange, one_after_other[0].exchange);
    for pass in [Pass::Forward, Pass::Backward] {
        let of = |model| layer_flops(model, &training, pass, &shard);
        close(of(&parallel), of(&sequential), 1e-12, "products");
    }
    // One norm fewer in each layer.
    close(sequential.parameters() - parallel.parameters(), 28.0 * 3584.0, 1e-9, "norm");
}

/// T5 by the closed form of its two stacks, the target shorter than the source.
#[test]
fn decoders_attend_to_both_sequences() {
    let model = Model::preset("t5-large").unwrap();
    let mut training = training(SEQUENCE);
    training.target_length = Some(114);
    let (s, t, h, inner, ffn) = (512.0, 114.0, 1024.0, 1024.0, 4096.0);
    let own = |s: f64| 2.0 * s * 4.0 * h * inner + 4.0 * s * s * inner;
    let mlp = |s: f64| 2.0 * s * 2.0 * h * ffn;
    let cross = 2.0 * t * 2.0 * h * inner + 2.0 * s * 2.0 * h * inner + 4.0 * s * t * inner;
    let (encoder, decoder) = (own(s) + mlp(s), own(t) + cross + mlp(t));
    let head = 2.0 * t * h * 32_128.0;
    let expected = 3.0 * (24.0 * (encoder + decoder) + head);
    close(model_flops(&model, &training).0, expected, 1e-12, "convention");
    assert_eq!(model.target_entry(), Some(24));
    let shard = Shard::new(1, false, 3);
    let kernels: f64 = model
        .parts()
        .flat_map(|part| [Pass::Forward, Pass::Backward].map(|pass| (part, pass)))
        .map(|(part, pass)| {
            kernel_flops(&model, part, &training, AttentionKernel::Unfused, pass, &shard)
        })
        .sum();
    close(kernels, 3.0 * expected, 1e-12, "kernels");
    // No FlashAttention takes a learned bias: the decoder's attention to the encoder alone has it.
    let flash = |layer| {
        blocks(&model, model.part(layer), &training, &path(AttentionKernel::Flash), &shard)
            .iter()
            .flat_map(|block| &block.forward)
            .filter(|op| matches!(op.work, Work::FlashAttention(_)))
            .count()
    };
    assert_eq!((flash(0), flash(30)), (0, 1));
    // Between decoder layers both streams travel.
    close(model.before(11).elements(&training), s * h, 0.0, "encoder");
    close(model.before(31).elements(&training), (s + t) * h, 0.0, "decoder");
}
