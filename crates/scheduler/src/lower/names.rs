//! The names of operations in timelines, and the communication streams that they run on.

use motley_job::{JobBuilder, NameId};

use crate::lowered::compute;

/// The communication streams of a rank.
pub(super) mod streams {
    use motley_job::Stream;

    /// Tensor-parallel collectives that run beside compute.
    pub(crate) const TENSOR: Stream = Stream(0);
    /// Activations on their way to the next virtual stage.
    pub(crate) const FORWARD: Stream = Stream(1);
    /// Gradients on their way to the previous virtual stage.
    pub(crate) const BACKWARD: Stream = Stream(2);
    /// Gradients of replicas.
    pub(crate) const DATA: Stream = Stream(3);
    /// How many there are.
    pub(crate) const COUNT: u8 = 4;
}

/// The names of operations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) forward: NameId,
    pub(super) recompute: NameId,
    pub(super) backward: NameId,
    pub(super) weight_gradient: NameId,
    pub(super) optimizer: NameId,
    pub(super) reshard: NameId,
    pub(super) tensor_parallel: NameId,
    pub(super) send: NameId,
    pub(super) receive: NameId,
    pub(super) gather: NameId,
    pub(super) gradient: NameId,
    pub(super) embedding_gradient: NameId,
    pub(super) gradient_norm: NameId,
}

impl Names {
    pub(super) fn new(job: &mut JobBuilder) -> Self {
        Self {
            forward: job.name(compute::FORWARD),
            recompute: job.name(compute::RECOMPUTE),
            backward: job.name(compute::BACKWARD),
            weight_gradient: job.name(compute::WEIGHT_GRADIENT),
            optimizer: job.name("optimizer"),
            reshard: job.name("reshard gradients"),
            tensor_parallel: job.name("tensor-parallel collective"),
            send: job.name("send"),
            receive: job.name("receive"),
            gather: job.name("gather received activations"),
            gradient: job.name("gradient all-reduce"),
            embedding_gradient: job.name("tied embedding all-reduce"),
            gradient_norm: job.name("gradient norm"),
        }
    }
}
