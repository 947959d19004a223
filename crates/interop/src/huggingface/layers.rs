//! Layers as models list them, and the parts that architectures have in common.

use motley_workload::{
    Attention, Embedding, FeedForward, Head, LanguageHead, Layer, Mlp, Positions, Projections, Run,
    Stack, TokenEmbedding, Transformer,
};

use super::fields::Fields;

/// The longest pattern of layers that is looked for.
const LONGEST_PATTERN: usize = 12;

/// Layers as runs: a pattern that repeats becomes one run.
pub(super) fn runs(layers: &[Transformer]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < layers.len() {
        let repeats = |period: usize| {
            let pattern = layers.get(at..at + period).unwrap_or_default();
            let rest = layers[at..].chunks(period.max(1));
            rest.take_while(|chunk| *chunk == pattern).count()
        };
        // The shortest pattern that covers most.
        let (period, count) = (1..=LONGEST_PATTERN.min(layers.len() - at))
            .map(|period| (period, repeats(period)))
            .filter(|&(period, count)| period == 1 || count > 1)
            .max_by_key(|&(period, count)| (period * count, std::cmp::Reverse(period)))
            .unwrap_or((1, 1));
        let pattern = &layers[at..at + period];
        runs.push(Run {
            repeat: count as u32,
            layers: pattern.iter().cloned().map(Layer::Transformer).collect(),
        });
        at += period * count;
    }
    runs
}

/// A stack that has no name yet.
pub(super) fn stack(
    embedding: TokenEmbedding,
    layers: &[Transformer],
    head: LanguageHead,
) -> Stack {
    Stack {
        name: String::new(),
        embedding: Embedding::Tokens(embedding),
        layers: runs(layers),
        mtp_layers: 0,
        head: Head::Language(head),
    }
}

/// Causal attention with rotary positions, nothing special.
pub(super) fn attention(heads: u32, kv_heads: u32, head_dim: u32) -> Attention {
    Attention::new(heads, Projections::Grouped { kv_heads, head_dim }, Positions::Rotary)
}

/// One MLP for all tokens.
pub(super) fn dense(ffn: u32, gated: bool, bias: bool) -> FeedForward {
    FeedForward::Dense(Mlp { ffn, gated, bias })
}

/// The width of a head that a file leaves out.
pub(super) fn head_dim(fields: &mut Fields, hidden: u32, heads: u32) -> Option<u32> {
    let given = fields.optional_size("head_dim");
    let even = heads > 0 && hidden.is_multiple_of(heads);
    if given.is_none() && !even {
        fields.problem(
            "num_attention_heads",
            format!("{heads} heads do not share a width of {hidden}; give `head_dim`"),
        );
        return None;
    }
    given.or_else(|| hidden.checked_div(heads))
}

/// Which layers look at a window only, by `layer_types`; none if the file does not say.
pub(super) fn windowed(fields: &mut Fields, layers: u32) -> Option<Vec<bool>> {
    let types = fields.texts("layer_types");
    if types.is_empty() {
        return None;
    }
    if types.len() != layers as usize {
        fields.problem("layer_types", format!("{} types of {layers} layers", types.len()));
    }
    let mut windowed = Vec::with_capacity(types.len());
    for kind in types {
        match kind.as_str() {
            "full_attention" => windowed.push(false),
            "sliding_attention" => windowed.push(true),
            other => fields.problem("layer_types", format!("\"{other}\" is not modelled")),
        }
    }
    windowed.resize(layers as usize, false);
    Some(windowed)
}
