//! Models as files say what they are.

use motley_workload::{
    Attention, Description, Embedding, Experts, FeedForward, Head, LanguageHead, Layer, Mlp, Model,
    Norm, Positions, Preset, Projections, Run, Stack, TokenEmbedding, Transformer,
};

#[test]
fn runs_repeat_their_layers_in_order() {
    let model = Model::preset("gpt-oss-20b").unwrap();
    assert_eq!((model.layer_count(), model.kinds().len()), (24, 2));
    assert!((0..24).all(|layer| model.part(layer) == model.part(layer % 2)));
    assert_ne!(model.part(0), model.part(1));
    let model = Model::preset("deepseek-v3").unwrap();
    assert_eq!((model.layer_count(), model.kinds().len()), (61, 2));
    assert!((0..61).all(|layer| (model.part(layer) == model.part(0)) == (layer < 3)));
}

/// A description is what it says, however it is written.
#[test]
fn descriptions_survive_being_written() {
    for preset in Preset::all() {
        let written = preset.model.to_ron();
        assert_eq!(Description::from_ron(&written).as_ref(), Ok(&preset.model), "{written}");
    }
}

/// What a file leaves out is what a program leaves out.
#[test]
fn defaults_are_the_same_in_files_and_in_programs() {
    let written = r#"Stack(
        name: "mine",
        embedding: Tokens(vocab: 100, hidden: 64),
        layers: [(layers: [Transformer(
            attention: (heads: 4, projections: Grouped(kv_heads: 2, head_dim: 16), positions: Rotary),
            feed_forward: Experts(experts: 8, top_k: 2, expert: (ffn: 256)),
            norm: RmsNorm,
        )])],
        head: Language(norm: RmsNorm),
    )"#;
    let projections = Projections::Grouped { kv_heads: 2, head_dim: 16 };
    let attention = Attention::new(4, projections, Positions::Rotary);
    let experts = Experts::new(8, 2, Mlp { ffn: 256, gated: false, bias: false });
    let layer = Transformer::new(attention, FeedForward::Experts(experts), Norm::RmsNorm);
    let built = Stack {
        name: "mine".to_owned(),
        embedding: Embedding::Tokens(TokenEmbedding::new(100, 64)),
        layers: vec![Run { repeat: 1, layers: vec![Layer::Transformer(layer)] }],
        mtp_layers: 0,
        head: Head::Language(LanguageHead::new(Norm::RmsNorm, false)),
    };
    assert_eq!(Description::from_ron(written), Ok(Description::Stack(built)));
}

#[test]
fn slips_of_a_stack_are_named_with_their_place() {
    let check = |change: &dyn Fn(&mut Stack), expected: &[(&str, &str)]| {
        let Some(preset) = Preset::find("deepseek-v2") else { panic!() };
        let Description::Stack(mut stack) = preset.model.clone() else { panic!() };
        change(&mut stack);
        let found: Vec<(String, String)> = Description::Stack(stack)
            .build()
            .err()
            .unwrap_or_default()
            .iter()
            .map(|error| (error.path.to_string(), error.message.clone()))
            .collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((path, message), (place, part)) in found.iter().zip(expected) {
            assert!(path == place && message.contains(part), "{path}: {message}");
        }
    };
    let layer = |stack: &mut Stack, change: &dyn Fn(&mut Transformer)| {
        let Layer::Transformer(layer) = &mut stack.layers[1].layers[0] else { panic!() };
        change(layer);
    };
    let experts = |stack: &mut Stack, change: &dyn Fn(&mut Experts)| {
        layer(stack, &|layer| match &mut layer.feed_forward {
            FeedForward::Experts(bank) => change(bank),
            FeedForward::Dense(_) => panic!(),
        });
    };
    check(&|_| (), &[]);
    let place = "layers[1].layers[0].feed_forward";
    check(
        &|stack| experts(stack, &|bank| bank.top_k = 200),
        &[
            (&format!("{place}.top_k"), "200 of 160"),
            (&format!("{place}.top_k"), "60 experts of 3 groups"),
        ],
    );
    check(&|stack| stack.mtp_layers = 101, &[("mtp_layers", "above the limit of 100")]);
    check(
        &|stack| {
            stack.mtp_layers = 1;
            stack.layers.push(Run { repeat: 1, layers: vec![Layer::Convolutional(Vec::new())] });
        },
        &[("mtp_layers", "leave `mtp_layers` out")],
    );
    check(
        &|stack| experts(stack, &|bank| bank.experts = 161),
        &[(&format!("{place}.router.groups"), "161 experts do not form 8")],
    );
    check(
        &|stack| experts(stack, &|bank| bank.expert.ffn = 0),
        &[(&format!("{place}.expert.ffn"), "is 0")],
    );
    check(
        &|stack| layer(stack, &|layer| layer.attention.window = Some(0)),
        &[("layers[1].layers[0].attention.window", "is 0")],
    );
    check(
        &|stack| {
            layer(stack, &|layer| {
                layer.attention.positions = Positions::PartialRotary { dim: 999 }
            });
        },
        &[("layers[1].layers[0].attention.positions.dim", "999 elements of a head of 192")],
    );
    check(
        &|stack| {
            let Layer::Transformer(layer) = &mut stack.layers[0].layers[0] else { panic!() };
            layer.cross_attention = Some(Attention {
                projections: Projections::Grouped { kv_heads: 7, head_dim: 128 },
                ..layer.attention.clone()
            });
        },
        &[
            (
                "layers[0].layers[0].cross_attention.projections.kv_heads",
                "128 heads cannot share 7",
            ),
            ("layers[0].layers[0].cross_attention", "no encoder before it"),
        ],
    );
    check(&|stack| stack.layers.clear(), &[("layers", "no layer")]);
    check(
        &|stack| {
            stack.layers = vec![Run { repeat: 20_000, layers: stack.layers[0].layers.clone() }];
        },
        &[("layers[0].repeat", "above the limit"), ("layers", "20000 layers")],
    );
}
