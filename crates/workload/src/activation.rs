//! Activations that the forward pass keeps for the backward pass.
//!
//! Korthikanti et al. 2022 (arXiv 2205.05198), section 4, counts them for a GPT layer in 16 bits:
//! `s b h (34 + 5 a s / h)` bytes on one rank, `s b h (10 + 24 / t + 5 a s / (h t))` under tensor
//! parallelism `t` (equation 2), everything over `t` with sequence parallelism (equation 4), without
//! the score term under selective recomputation, `2 s b h` under full recomputation. Here the same
//! tensors are counted one by one, so that grouped queries, gates, other precisions, absent dropout
//! and FlashAttention follow.
//!
//! Where the backward pass is split, the input gradient lets go of all that the weight gradients do
//! not need: what stays are the inputs of the linear layers and the gradients of their outputs,
//! `32 s b h` bytes for a GPT layer in 16 bits (Qi et al. 2024, arXiv 2401.10241, Table 1).

use motley_units::Bytes;

use crate::{AttentionKernel, CardPath, Model, Recompute, Shard, Training};

/// Bytes that one layer keeps for one micro-batch on one rank.
pub fn layer_activation_bytes(
    model: &Model,
    training: &Training,
    path: &CardPath,
    recompute: Recompute,
    shard: &Shard,
) -> Bytes {
    let kept = Kept::new(model, training, *path, shard);
    Bytes(match recompute {
        Recompute::None => kept.stream + kept.split + kept.scores,
        Recompute::Selective => kept.stream + kept.split,
        Recompute::Full => kept.input,
    })
}

/// Bytes that the parts of a stage keep for one micro-batch on one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ActivationSizes {
    /// A layer, from its forward pass on.
    pub layer: Bytes,
    /// A layer whose input gradient has been computed and whose weight gradients have not. With
    /// sequence parallelism the gradients of the residual stream are kept as they were gathered;
    /// the inputs are gathered once more for the weight gradients.
    pub layer_deferred: Bytes,
    /// The embedding: token ids as 64-bit integers, dropout's mask.
    pub embedding: Bytes,
    /// The head: inputs of norm and logits product, probabilities in fp32.
    pub head: Bytes,
    /// The head whose weight gradients are still to be computed: input and gradient of the logits
    /// product, and of BERT's dense layer.
    pub head_deferred: Bytes,
}

impl ActivationSizes {
    /// The sizes on a rank that runs `path`.
    pub fn new(
        model: &Model,
        training: &Training,
        path: &CardPath,
        recompute: Recompute,
        shard: &Shard,
    ) -> Self {
        let ranks = f64::from(shard.tensor_parallel.max(1));
        let element = f64::from(path.precision.element_bytes());
        let tokens = f64::from(training.sequence_length) * f64::from(shard.micro_batch_size);
        let hidden = f64::from(model.hidden);
        let own = tokens * hidden / f64::from(shard.sequence_split());
        let logits = tokens * f64::from(model.vocab) / ranks;

        // Inputs of both first products as they are kept; inputs of both second products.
        let queries = model.query_width() as f64;
        let inputs = 2.0 * own + tokens * (queries + f64::from(model.ffn)) / ranks;
        // Gradients of query, key, value and of the MLP's up output; of both second products'
        // outputs, whole.
        let first = queries + (2 * model.kv_width() + model.mlp_up_width()) as f64;
        let gradients = tokens * first / ranks + 2.0 * tokens * hidden;

        // BERT's dense layer runs whole on every rank.
        let dense = if model.masked_language_head() { 2.0 * tokens * hidden } else { 0.0 };
        Self {
            layer: layer_activation_bytes(model, training, path, recompute, shard),
            layer_deferred: Bytes(element * (inputs + gradients)),
            embedding: Bytes(8.0 * tokens + if model.dropout { own } else { 0.0 }),
            head: Bytes(2.0 * element * own + 4.0 * logits),
            head_deferred: Bytes(element * (own + logits + dense)),
        }
    }
}

/// What a layer keeps, by how it is split.
pub(crate) struct Kept {
    /// The layer's input.
    pub(crate) input: f64,
    /// Outside the tensor-parallel regions: whole on every rank, or split along the sequence.
    stream: f64,
    /// Inside the tensor-parallel regions.
    split: f64,
    /// Attention scores: probabilities, dropout's mask and output.
    pub(crate) scores: f64,
    /// Elements of this rank's attention scores; zero for FlashAttention.
    pub(crate) score_count: f64,
    /// Elements of this rank's widest MLP activation.
    pub(crate) mlp_count: f64,
}

impl Kept {
    pub(crate) fn new(model: &Model, training: &Training, path: CardPath, shard: &Shard) -> Self {
        let ranks = f64::from(shard.tensor_parallel.max(1));
        let sequence = f64::from(training.sequence_length);
        let tokens = sequence * f64::from(shard.micro_batch_size);
        let own = tokens * f64::from(model.hidden) / f64::from(shard.sequence_split());
        let element = f64::from(path.precision.element_bytes());
        let mask = if model.dropout { 1.0 } else { 0.0 };

        // Inputs of both norms and of both first products, masks of both dropouts.
        let stream = (4.0 * element + 2.0 * mask) * own;
        // Query, key, value, the core's output; the MLP's up output and down input.
        let queries = model.query_width() as f64;
        let widths = 2.0 * queries
            + (2 * model.kv_width() + model.mlp_up_width()) as f64
            + f64::from(model.ffn);
        let heads = tokens * f64::from(model.heads) / ranks;
        let (statistics, score_count) = match path.attention {
            // The logarithm of the softmax's sum of each row, in fp32.
            AttentionKernel::Flash => (4.0 * heads, 0.0),
            AttentionKernel::Unfused => (0.0, heads * sequence),
        };
        let score_bytes = element + mask * (element + 1.0);
        Self {
            input: element * own,
            stream,
            split: element * tokens * widths / ranks + statistics,
            scores: score_bytes * score_count,
            score_count,
            mlp_count: tokens * model.mlp_up_width() as f64 / ranks,
        }
    }
}
