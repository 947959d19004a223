//! The names of operations in timelines, and the communication streams that they run on.

use motley_job::{JobBuilder, NameId};

use crate::compute::Activity;

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
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Of compute, by chunk.
    chunks: Vec<ChunkNames>,
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

/// The names of compute in one model chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkNames {
    pub(super) forward: NameId,
    pub(super) recompute: NameId,
    pub(super) backward: NameId,
    pub(super) input_gradient: NameId,
    pub(super) weight_gradient: NameId,
}

impl Names {
    /// The names of a job whose stages have up to `chunks` model chunks.
    pub(super) fn new(job: &mut JobBuilder, chunks: u32) -> Self {
        let chunk = |chunk| {
            let mut name = |activity: Activity| job.name(&activity.name(chunk));
            ChunkNames {
                forward: name(Activity::Forward),
                recompute: name(Activity::Recompute),
                backward: name(Activity::Backward),
                weight_gradient: name(Activity::WeightGradient),
                input_gradient: name(Activity::InputGradient),
            }
        };
        Self {
            chunks: (0..chunks.max(1)).map(chunk).collect(),
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

    /// The names of compute in a model chunk.
    pub(super) fn chunk(&self, chunk: u32) -> ChunkNames {
        self.chunks[chunk as usize]
    }
}
