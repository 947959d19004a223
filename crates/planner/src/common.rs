//! What all plans of a search have in common: how stages work, not who does what.

use motley_scenario::{PlanChoice, Scenario};
use motley_scheduler::{ActivationSends, ContextParallel, GradientSync, Plan, Schedule, Zero};
use motley_workload::{Shard, sequence_limits, shard_limits};

/// Settings of a plan that the search leaves as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices of a software stack")]
pub(crate) struct Common {
    /// The order of passes.
    pub schedule: Schedule,
    /// See [`Plan::sequence_parallel`].
    pub sequence_parallel: bool,
    /// See [`Plan::overlap_weight_gradient`].
    pub overlap_weight_gradient: bool,
    /// See [`Plan::overlap_tensor`].
    pub overlap_tensor: bool,
    /// See [`Plan::scatter_gather`].
    pub scatter_gather: bool,
    /// See [`Plan::activation_sends`].
    pub activation_sends: ActivationSends,
    /// See [`Plan::gradient_sync`].
    pub gradient_sync: GradientSync,
}

impl Common {
    /// Those of the scenario's own plan; of `Auto` what a scenario has that leaves them out, with
    /// sequence parallelism where the model's sequences divide. Schedules of several model chunks
    /// give way to 1F1B.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let one_chunk = |schedule: Schedule| {
            let single = schedule.chunks() == Some(1) && !schedule.is_automatic();
            if single { schedule } else { Schedule::OneFOneB }
        };
        match &scenario.plan {
            PlanChoice::Uniform(plan) => Self {
                schedule: one_chunk(plan.schedule),
                sequence_parallel: plan.sequence_parallel,
                overlap_weight_gradient: plan.overlap_weight_gradient,
                overlap_tensor: plan.overlap_tensor,
                scatter_gather: plan.scatter_gather,
                activation_sends: plan.activation_sends,
                gradient_sync: plan.gradient_sync,
            },
            PlanChoice::Explicit(plan) => Self {
                schedule: one_chunk(plan.schedule),
                sequence_parallel: plan.sequence_parallel,
                overlap_weight_gradient: plan.overlap_weight_gradient,
                overlap_tensor: plan.overlap_tensor,
                scatter_gather: plan.scatter_gather,
                activation_sends: plan.activation_sends,
                gradient_sync: plan.gradient_sync,
            },
            PlanChoice::Auto => Self {
                schedule: Schedule::OneFOneB,
                sequence_parallel: splits_sequences(scenario),
                overlap_weight_gradient: true,
                overlap_tensor: false,
                scatter_gather: true,
                activation_sends: ActivationSends::AtOnce,
                gradient_sync: GradientSync::AtEnd,
            },
        }
    }

    /// A plan of these settings without pipelines.
    pub(crate) fn plan(&self, zero: Zero) -> Plan {
        Plan {
            pipelines: Vec::new(),
            schedule: self.schedule,
            sequence_parallel: self.sequence_parallel,
            overlap_weight_gradient: self.overlap_weight_gradient,
            overlap_tensor: self.overlap_tensor,
            scatter_gather: self.scatter_gather,
            activation_sends: self.activation_sends,
            gradient_sync: self.gradient_sync,
            zero,
        }
    }

    /// Micro-batches of which stage `stage` of `stages` keeps activations at once, of `all`.
    pub(crate) fn in_flight(&self, stage: u32, stages: u32, all: u32) -> u32 {
        match self.schedule {
            Schedule::OneFOneB => stages - stage,
            Schedule::GPipe => all,
            _ => stages,
        }
        .min(all.max(1))
    }
}

/// Tensor-parallel degrees, up to the cards of a node, that can split the model.
pub(crate) fn degrees(scenario: &Scenario, common: &Common, node_size: u32) -> Vec<u32> {
    let fits = |&tp: &u32| {
        let shard = Shard::new(tp, common.sequence_parallel, 1);
        shard_limits(&scenario.model, &shard).is_empty()
            && sequence_limits(&scenario.training, &shard).is_empty()
            && (tp == 1 || common.sequence_parallel || !has_experts(scenario))
    };
    (0..6).map(|power| 1 << power).filter(|tp| *tp <= node_size).filter(fits).collect()
}

/// Whether some layers have experts.
pub(crate) fn has_experts(scenario: &Scenario) -> bool {
    scenario.model.distinct_parts().any(|part| scenario.model.has_experts(part))
}

fn splits_sequences(scenario: &Scenario) -> bool {
    let tokens = scenario.training.sequence_length;
    scenario.model.tokens().is_some() && tokens.is_some_and(|tokens| tokens.is_multiple_of(8))
}

/// Whole sequences on every stage.
pub(crate) const CONTEXT: ContextParallel = ContextParallel::NONE;
