//! What all plans of a search have in common: how stages work, not who does what.

use motley_scenario::{PlanChoice, Scenario};
use motley_scheduler::{ActivationSends, ContextParallel, GradientSync, Plan, Schedule, Zero};
use motley_workload::{Shard, sequence_limits, shard_limits};

/// Settings of a plan that the search leaves as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A plan of these settings without pipelines.
    plan: Plan,
}

impl Settings {
    /// Those of the scenario's own plan; of `Auto` what a scenario has that leaves them out, with
    /// sequence parallelism where the model's sequences divide. Schedules of several model chunks
    /// give way to 1F1B.
    pub fn of(scenario: &Scenario) -> Self {
        let mut plan = match &scenario.plan {
            PlanChoice::Uniform(plan) => plan.settings(),
            PlanChoice::Explicit(plan) => Plan { pipelines: Vec::new(), ..plan.clone() },
            PlanChoice::Auto => Plan {
                pipelines: Vec::new(),
                schedule: Schedule::OneFOneB,
                sequence_parallel: splits_sequences(scenario),
                overlap_weight_gradient: true,
                overlap_tensor: false,
                scatter_gather: true,
                activation_sends: ActivationSends::AtOnce,
                gradient_sync: GradientSync::AtEnd,
                zero: Zero::NONE,
            },
        };
        if plan.schedule.chunks() != Some(1) || plan.schedule.is_automatic() {
            plan.schedule = Schedule::OneFOneB;
        }
        Self { plan }
    }

    /// A plan of these settings without pipelines.
    pub(crate) fn plan(&self, zero: Zero) -> Plan {
        Plan { zero, ..self.plan.clone() }
    }

    /// See [`Plan::sequence_parallel`].
    pub(crate) fn sequence_parallel(&self) -> bool {
        self.plan.sequence_parallel
    }

    /// Micro-batches of which stage `stage` of `stages` keeps activations at once, of `all`.
    pub(crate) fn in_flight(&self, stage: u32, stages: u32, all: u32) -> u32 {
        match self.plan.schedule {
            Schedule::OneFOneB => stages - stage,
            Schedule::GPipe => all,
            _ => stages,
        }
        .min(all.max(1))
    }
}

/// Tensor-parallel degrees, up to the cards of a node, that can split the model.
pub(crate) fn degrees(scenario: &Scenario, settings: &Settings, node_size: u32) -> Vec<u32> {
    let fits = |&tp: &u32| {
        let shard = Shard::new(tp, settings.sequence_parallel(), 1);
        shard_limits(&scenario.model, &shard).is_empty()
            && sequence_limits(&scenario.training, &shard).is_empty()
            && (tp == 1 || settings.sequence_parallel() || !has_experts(scenario))
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
