//! Where the iteration time goes, in parts that sum to it. The definitions and their reasons are
//! in the crate's documentation.

use motley_job::RankId;
use motley_scheduler::Traffic;
use motley_units::Time;
use serde::{Serialize, Serializer};

use crate::allot::allot;
use crate::{ComputeKind, Run};

/// Parts of the mean iteration time, mean over all ranks, in whole picoseconds: they sum to it
/// exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Breakdown {
    /// Kernels run, as long as they take by themselves.
    #[serde(rename = "compute_s", serialize_with = "seconds")]
    pub compute: Time,
    /// What kernels take longer because communication runs beside them.
    #[serde(rename = "overlap_slowdown_s", serialize_with = "seconds")]
    pub overlap_slowdown: Time,
    /// Waits while tensor-parallel data moves.
    #[serde(rename = "exposed_tensor_parallel_s", serialize_with = "seconds")]
    pub exposed_tensor_parallel: Time,
    /// Waits while keys, values or their gradients move inside context-parallel groups.
    #[serde(rename = "exposed_context_parallel_s", serialize_with = "seconds")]
    pub exposed_context_parallel: Time,
    /// Waits while tokens move to experts and back.
    #[serde(rename = "exposed_expert_parallel_s", serialize_with = "seconds")]
    pub exposed_expert_parallel: Time,
    /// Waits while activations or their gradients move between stages.
    #[serde(rename = "exposed_pipeline_parallel_s", serialize_with = "seconds")]
    pub exposed_pipeline_parallel: Time,
    /// Waits while gradients or parameters move between replicas, the tied embedding and the gradient
    /// norm included.
    #[serde(rename = "exposed_data_parallel_s", serialize_with = "seconds")]
    pub exposed_data_parallel: Time,
    /// Waits while something is copied to the host or back.
    #[serde(rename = "exposed_host_s", serialize_with = "seconds")]
    pub exposed_host: Time,
    /// Waits for the host to launch kernels.
    #[serde(rename = "host_launch_s", serialize_with = "seconds")]
    pub host_launch: Time,
    /// Dependency waits that the schedule has even if compute is balanced.
    #[serde(rename = "bubble_s", serialize_with = "seconds")]
    pub bubble: Time,
    /// Waits for slower peers.
    #[serde(rename = "straggler_wait_s", serialize_with = "seconds")]
    pub straggler_wait: Time,
    /// What the compute was.
    #[serde(rename = "compute")]
    pub computed: ComputeBreakdown,
}

/// Short names of the parts, in the order of [`Breakdown::parts`].
const NAMES: [&str; 11] = [
    "compute",
    "overlap slow-down",
    "exposed TP",
    "exposed CP",
    "exposed EP",
    "exposed PP",
    "exposed DP",
    "host copies",
    "host launches",
    "bubble",
    "stragglers",
];

/// Parts of [`Breakdown::compute`], which they sum to exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ComputeBreakdown {
    /// Forward passes.
    #[serde(rename = "forward_s", serialize_with = "seconds")]
    pub forward: Time,
    /// Backward passes.
    #[serde(rename = "backward_s", serialize_with = "seconds")]
    pub backward: Time,
    /// Forward work done again.
    #[serde(rename = "recompute_s", serialize_with = "seconds")]
    pub recompute: Time,
    /// Optimizer step and copies.
    #[serde(rename = "optimizer_and_copies_s", serialize_with = "seconds")]
    pub other: Time,
}

/// A time as its number of seconds.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(crate) fn seconds<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Sums over ranks and replays, in picoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    compute: [u128; ComputeKind::ALL.len()],
    slowed: u128,
    exposed: [u128; Traffic::ALL.len()],
    /// For launches by the host.
    launches: u128,
    /// At collectives of peers.
    members: u128,
    /// For other stages and pipelines, and for the iteration's end.
    dependency: u128,
}

impl Totals {
    fn add(&mut self, run: &Run) {
        for rank in (0..run.account.rank_count()).map(|rank| RankId(rank as u32)) {
            for kind in ComputeKind::ALL {
                self.compute[kind as usize] += picos(run.account.compute_of(rank, kind));
            }
            self.slowed += picos(run.account.slowed(rank));
            for class in Traffic::ALL {
                self.exposed[class as usize] += picos(run.account.exposed(rank, class));
                let waiting = picos(run.account.waiting(rank, class));
                if class == Traffic::Launches {
                    // Also while it launches what comes before.
                    self.launches += waiting;
                } else if waits_for_members(class) {
                    self.members += waiting;
                } else {
                    self.dependency += waiting;
                }
            }
            self.dependency += picos(run.outcome.end - run.account.finish_of(rank));
        }
    }
}

/// Whether waiting before a transfer of this class is waiting for peers of the same role.
pub(crate) fn waits_for_members(class: Traffic) -> bool {
    match class {
        Traffic::TensorParallel
        | Traffic::ContextParallel
        | Traffic::ExpertParallel
        | Traffic::DataParallel
        | Traffic::Parameters => true,
        // Nobody else takes part in a rank's copies to and from its host.
        Traffic::Host
        | Traffic::PipelineParallel
        | Traffic::TiedEmbedding
        | Traffic::GradientNorm
        | Traffic::Launches => false,
    }
}

fn picos(time: Time) -> u128 {
    u128::from(time.as_picos())
}

impl Breakdown {
    /// The breakdown of `mean`, the mean iteration time of `runs`; `balanced` is the replay with
    /// [`crate::balanced_slowness`].
    pub(crate) fn new(mean: Time, runs: &[Run], balanced: Option<&Run>) -> Self {
        let mut totals = Totals::default();
        for run in runs {
            totals.add(run);
        }
        let bubble = balanced.map_or(totals.dependency, |run| {
            let mut alone = Totals::default();
            alone.add(run);
            totals.dependency.min(alone.dependency * runs.len() as u128)
        });
        let exposed = |class: Traffic| totals.exposed[class as usize];
        let parts = allot(
            mean.as_picos(),
            &[
                totals.compute.iter().sum(),
                totals.slowed,
                exposed(Traffic::TensorParallel),
                exposed(Traffic::ContextParallel),
                exposed(Traffic::ExpertParallel),
                exposed(Traffic::PipelineParallel),
                exposed(Traffic::DataParallel)
                    + exposed(Traffic::Parameters)
                    + exposed(Traffic::TiedEmbedding)
                    + exposed(Traffic::GradientNorm),
                exposed(Traffic::Host),
                exposed(Traffic::Launches) + totals.launches,
                bubble,
                totals.dependency - bubble + totals.members,
            ],
        );
        let part = |index: usize| Time::from_picos(parts[index]);
        let computed = allot(parts[0], &totals.compute);
        let kind = |kind: ComputeKind| Time::from_picos(computed[kind as usize]);
        Self {
            compute: part(0),
            overlap_slowdown: part(1),
            exposed_tensor_parallel: part(2),
            exposed_context_parallel: part(3),
            exposed_expert_parallel: part(4),
            exposed_pipeline_parallel: part(5),
            exposed_data_parallel: part(6),
            exposed_host: part(7),
            host_launch: part(8),
            bubble: part(9),
            straggler_wait: part(10),
            computed: ComputeBreakdown {
                forward: kind(ComputeKind::Forward),
                backward: kind(ComputeKind::Backward),
                recompute: kind(ComputeKind::Recompute),
                other: kind(ComputeKind::Other),
            },
        }
    }

    /// The parts, in the order of their fields.
    pub fn parts(&self) -> [Time; 11] {
        [
            self.compute,
            self.overlap_slowdown,
            self.exposed_tensor_parallel,
            self.exposed_context_parallel,
            self.exposed_expert_parallel,
            self.exposed_pipeline_parallel,
            self.exposed_data_parallel,
            self.exposed_host,
            self.host_launch,
            self.bubble,
            self.straggler_wait,
        ]
    }

    /// The parts, each as its share of the iteration time under a short name, the largest first.
    pub fn shares(&self) -> Vec<(&'static str, f64)> {
        let total = self.total();
        let mut shares: Vec<(&str, f64)> =
            NAMES.into_iter().zip(self.parts().map(|part| share(part, total))).collect();
        shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        shares
    }

    /// The iteration time.
    pub fn total(&self) -> Time {
        self.parts().into_iter().sum()
    }

    /// The share of the iteration time that the schedule's own dependency waits take.
    pub fn bubble_ratio(&self) -> f64 {
        share(self.bubble, self.total())
    }
}

/// A part of a whole; zero of nothing.
pub(crate) fn share(part: Time, whole: Time) -> f64 {
    if whole == Time::ZERO { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_whole_the_largest_first() {
        let time = Time::from_picos;
        let breakdown = Breakdown {
            compute: time(20),
            overlap_slowdown: time(5),
            exposed_tensor_parallel: time(0),
            exposed_context_parallel: time(0),
            exposed_expert_parallel: time(0),
            exposed_pipeline_parallel: time(10),
            exposed_data_parallel: time(60),
            exposed_host: time(0),
            host_launch: time(0),
            bubble: time(4),
            straggler_wait: time(1),
            computed: ComputeBreakdown {
                forward: time(7),
                backward: time(13),
                recompute: time(0),
                other: time(0),
            },
        };
        let expected = ["exposed DP", "compute", "exposed PP", "overlap slow-down", "bubble"];
        let found: Vec<&str> = breakdown.shares().iter().map(|(name, _)| *name).collect();
        assert_eq!(found[..5], expected);
        assert!((breakdown.shares()[0].1 - 0.6).abs() < 1e-12);
        let sum: f64 = breakdown.shares().iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
}
