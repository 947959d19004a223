//! What replicas share out among themselves instead of keeping a copy each: ZeRO (Rajbhandari et al.
//! 2020, arXiv 1910.02054), Megatron-LM's distributed optimizer, FSDP (Zhao et al. 2023, arXiv
//! 2304.11277).
//!
//! | name elsewhere | here |
//! |---|---|
//! | Megatron-LM `--use-distributed-optimizer`, DeepSpeed stage 1 | [`Sharded::Optimizer`] |
//! | DeepSpeed stage 2 | [`Sharded::Gradients`] |
//! | DeepSpeed stage 3, FSDP `FULL_SHARD` | [`Sharded::Parameters`], resharded after the forward pass |
//! | FSDP `SHARD_GRAD_OP` | [`Sharded::Parameters`], not resharded |
//! | FSDP `HYBRID_SHARD`, MiCS, hpZ | any of these with [`Zero::group`] |

/// How the states of replicas are shared out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zero {
    /// What is cut into shards.
    pub sharded: Sharded,
    /// Ranks that share one copy: all that hold the same parameters, or so many at a time, which
    /// then average their shards with the other groups (hybrid sharding).
    pub group: Option<u32>,
    /// How much each takes.
    pub shares: Shares,
    /// What becomes of gradients that nobody shares out.
    pub reduction: Reduction,
}

/// What replicas that share out optimizer states, but not gradients, get of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Each the sums of its share: reduce-scatter.
    Scattered,
    /// All of them all sums: all-reduce. DeepSpeed's `BF16_Optimizer` under pipelines
    /// (`_bf16_reduce_grads`), its `"reduce_scatter": false`.
    Whole,
}

/// What is cut into shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharded {
    /// Nothing: every replica keeps all.
    Nothing,
    /// Optimizer states: gradients are reduce-scattered, new parameters gathered.
    Optimizer(ParameterGather),
    /// Gradients, too: each micro-batch's are reduce-scattered.
    Gradients(ParameterGather),
    /// Parameters, too: each layer's are gathered before it runs.
    Parameters {
        /// Layers that are gathered ahead of the one that runs.
        prefetch: u32,
        /// Parameters are let go after the forward pass and gathered again for the backward pass.
        reshard_after_forward: bool,
    },
}

/// When the parameters that the optimizer has changed are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterGather {
    /// After the optimizer step, before the next iteration.
    AtEnd,
    /// While the next iteration's first forward pass runs, each bucket before its first layer
    /// (Megatron-LM's `--overlap-param-gather`).
    Overlapped,
}

/// How much of a copy each rank takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// Equal shares.
    Equal,
    /// In proportion to the memory of the cards.
    Memory,
}

impl Zero {
    /// Every replica keeps all.
    pub const NONE: Self = Self {
        sharded: Sharded::Nothing,
        group: None,
        shares: Shares::Equal,
        reduction: Reduction::Scattered,
    };

    /// What is really cut: nothing among groups of one.
    pub fn in_effect(self) -> Sharded {
        if self.group == Some(1) { Sharded::Nothing } else { self.sharded }
    }

    /// DeepSpeed's number of the stage.
    pub fn stage(self) -> u32 {
        match self.in_effect() {
            Sharded::Nothing => 0,
            Sharded::Optimizer(_) => 1,
            Sharded::Gradients(_) => 2,
            Sharded::Parameters { .. } => 3,
        }
    }

    /// Whether gradients are reduced after every micro-batch instead of once.
    pub(crate) fn reduces_each_micro_batch(self) -> bool {
        self.stage() >= 2
    }
}
