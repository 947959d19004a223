//! The names of operations in timelines, and the communication streams that they run on.

use motley_job::{JobBuilder, NameId};
use motley_workload::ProcessGroup;

use crate::compute::{Activity, RESHARDING};

/// The communication streams of a rank.
pub(super) mod streams {
    use motley_job::Stream;
    use motley_workload::ProcessGroup;

    use crate::plan::{Offload, Plan};

    /// Tensor-parallel collectives that run beside compute.
    pub(crate) const TENSOR: Stream = Stream(0);
    /// Activations on their way to the next virtual stage.
    pub(crate) const FORWARD: Stream = Stream(1);
    /// Gradients on their way to the previous virtual stage.
    pub(crate) const BACKWARD: Stream = Stream(2);
    /// Gradients of replicas.
    pub(crate) const DATA: Stream = Stream(3);
    /// Collectives of other process groups that run beside compute: of context-parallel ones, of
    /// expert-parallel ones, and of those that split an expert.
    pub(crate) const CONTEXT: Stream = Stream(4);
    pub(crate) const EXPERT: Stream = Stream(5);
    pub(crate) const EXPERT_TENSOR: Stream = Stream(6);
    /// Parameters on their way to those who use them.
    pub(crate) const PARAMETERS: Stream = Stream(7);
    /// Copies to the host's memory, and back.
    pub(crate) const TO_HOST: Stream = Stream(8);
    pub(crate) const TO_CARD: Stream = Stream(9);
    /// What the host launches.
    pub(crate) const LAUNCHES: Stream = Stream(10);

    /// The stream of what a process group exchanges beside compute.
    pub(crate) fn of_group(group: ProcessGroup) -> Stream {
        match group {
            ProcessGroup::Tensor => TENSOR,
            ProcessGroup::Context => CONTEXT,
            ProcessGroup::Expert => EXPERT,
            ProcessGroup::ExpertTensor => EXPERT_TENSOR,
        }
    }

    /// How many a plan needs, but for launches: the first four, unless it has more to run side by side.
    pub(crate) fn count(plan: &Plan) -> u8 {
        let mut stages = plan.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
        if stages.clone().any(|stage| stage.offload != Offload::default()) {
            TO_CARD.0 + 1
        } else if plan.zero.stage() > 0 {
            PARAMETERS.0 + 1
        } else if stages.clone().any(|stage| !stage.keeps_tokens()) {
            EXPERT_TENSOR.0 + 1
        } else if stages.any(|stage| stage.context.degree > 1) {
            CONTEXT.0 + 1
        } else {
            DATA.0 + 1
        }
    }
}

/// The names of operations.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Of compute, by chunk.
    chunks: Vec<ChunkNames>,
    pub(super) optimizer: NameId,
    pub(super) reshard: NameId,
    tensor_parallel: NameId,
    context_parallel: NameId,
    expert_parallel: NameId,
    expert_tensor: NameId,
    pub(super) send: NameId,
    pub(super) receive: NameId,
    pub(super) gather: NameId,
    pub(super) gradient: NameId,
    pub(super) gradient_shard: NameId,
    pub(super) parameters: NameId,
    pub(super) to_host: NameId,
    pub(super) to_card: NameId,
    pub(super) host_optimizer: NameId,
    pub(super) launch: NameId,
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
            reshard: job.name(RESHARDING),
            tensor_parallel: job.name("tensor-parallel collective"),
            context_parallel: job.name("context-parallel exchange"),
            expert_parallel: job.name("expert-parallel exchange"),
            expert_tensor: job.name("expert-tensor collective"),
            send: job.name("send"),
            receive: job.name("receive"),
            gather: job.name("gather received activations"),
            gradient: job.name("gradient all-reduce"),
            gradient_shard: job.name("gradient reduce-scatter"),
            parameters: job.name("parameter all-gather"),
            to_host: job.name("copy to host"),
            to_card: job.name("copy to card"),
            host_optimizer: job.name("optimizer on host"),
            launch: job.name("launches by the host"),
            embedding_gradient: job.name("tied embedding all-reduce"),
            gradient_norm: job.name("gradient norm"),
        }
    }

    /// The name of what a process group exchanges.
    pub(super) fn group(&self, group: ProcessGroup) -> NameId {
        match group {
            ProcessGroup::Tensor => self.tensor_parallel,
            ProcessGroup::Context => self.context_parallel,
            ProcessGroup::Expert => self.expert_parallel,
            ProcessGroup::ExpertTensor => self.expert_tensor,
        }
    }

    /// The names of compute in a model chunk.
    pub(super) fn chunk(&self, chunk: u32) -> ChunkNames {
        self.chunks[chunk as usize]
    }
}
