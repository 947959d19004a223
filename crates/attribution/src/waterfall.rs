//! From the simulated iteration down to the ideal one, part by part.

use motley::{Prepared, SimulateError};
use motley_engine::{Fold, Silent};
use motley_job::Job;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Serialize, Serializer};

use crate::balance::Balance;
use crate::counterfactual::even;
use crate::shapley::{self, Game};
use crate::{Picos, Switch, Switches, without};

/// What time is lost to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Kernels vary from run to run, and cards of one type from each other.
    Spread,
    /// A cause that jobs can be had without.
    Switch(Switch),
    /// The schedule leaves even the busiest card idle.
    Bubble,
    /// Cards of the busiest pipeline are less busy than the busiest card.
    StageImbalance,
    /// Other pipelines are less busy than the busiest.
    DataParallelStraggling,
    /// Cards are busy for longer than if work were spread by the speed of each type.
    ComputeHeterogeneity,
}

impl Part {
    /// All of them, in the order in which they are taken away.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Spread).chain(Switch::ALL.map(Self::Switch)).chain([
            Self::Bubble,
            Self::StageImbalance,
            Self::DataParallelStraggling,
            Self::ComputeHeterogeneity,
        ])
    }

    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Spread => "jitter_within_types",
            Self::Switch(Switch::Overlap) => "overlap_slowdown",
            Self::Switch(Switch::Launches) => "host_launch",
            Self::Switch(Switch::TensorParallel) => "exposed_tensor_parallel",
            Self::Switch(Switch::ContextParallel) => "exposed_context_parallel",
            Self::Switch(Switch::ExpertParallel) => "exposed_expert_parallel",
            Self::Switch(Switch::PipelineParallel) => "exposed_pipeline_parallel",
            Self::Switch(Switch::DataParallel) => "exposed_data_parallel",
            Self::Switch(Switch::HostCopies) => "exposed_host_copies",
            Self::Switch(Switch::Resharding) => "resharding",
            Self::Bubble => "bubble",
            Self::StageImbalance => "stage_imbalance",
            Self::DataParallelStraggling => "data_parallel_straggling",
            Self::ComputeHeterogeneity => "compute_heterogeneity",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spread => "jitter within types",
            Self::Switch(Switch::Overlap) => "overlap slow-down",
            Self::Switch(Switch::Launches) => "host launches",
            Self::Switch(Switch::TensorParallel) => "exposed TP",
            Self::Switch(Switch::ContextParallel) => "exposed CP",
            Self::Switch(Switch::ExpertParallel) => "exposed EP",
            Self::Switch(Switch::PipelineParallel) => "exposed PP",
            Self::Switch(Switch::DataParallel) => "exposed DP",
            Self::Switch(Switch::HostCopies) => "host copies",
            Self::Switch(Switch::Resharding) => "resharding",
            Self::Bubble => "bubble",
            Self::StageImbalance => "stage imbalance",
            Self::DataParallelStraggling => "DP straggling",
            Self::ComputeHeterogeneity => "heterogeneity",
        }
    }

    /// What it is held against: the iteration without it.
    pub fn baseline(self) -> &'static str {
        match self {
            Self::Spread => "kernels and cards as the mean of a type",
            Self::Switch(Switch::Overlap) => "communication takes no multiprocessors",
            Self::Switch(Switch::Launches) => "the host launches kernels in no time",
            Self::Switch(Switch::TensorParallel) => "tensor-parallel calls take no time",
            Self::Switch(Switch::ContextParallel) => "context-parallel calls take no time",
            Self::Switch(Switch::ExpertParallel) => "tokens reach experts in no time",
            Self::Switch(Switch::PipelineParallel) => "sends between stages take no time",
            Self::Switch(Switch::DataParallel) => "gradients, parameters move in no time",
            Self::Switch(Switch::HostCopies) => "copies to and from hosts take no time",
            Self::Switch(Switch::Resharding) => "gradients lie in the order of shards",
            Self::Bubble => "the busiest card is never idle",
            Self::StageImbalance => "the busiest pipeline's cards are even",
            Self::DataParallelStraggling => "all cards are as busy as their mean",
            Self::ComputeHeterogeneity => "work is spread by speed of card types",
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

/// How what several causes lose together is divided among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Causes are taken away one after the other: each counts for what is gained when all before it
    /// are gone.
    #[default]
    Ordered,
    /// Each cause counts for its mean gain over all orders: its Shapley value.
    Shapley,
}

/// A part of what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WaterfallPart {
    /// To what.
    pub part: Part,
    /// How much. Below zero where the iteration is longer without it.
    #[serde(rename = "loss_s")]
    pub loss: Picos,
    /// As a share of the iteration time.
    pub loss_ratio: f64,
    /// What it is held against.
    pub baseline: &'static str,
}

/// What lies between the ideal and the simulated iteration: the parts sum to the difference exactly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waterfall {
    /// The iteration time.
    #[serde(rename = "iteration_time_s")]
    pub simulated: Picos,
    /// The iteration time if all compute moved freely, each card at the efficiency of its type, and
    /// nothing were communicated.
    #[serde(rename = "ideal_time_s")]
    pub ideal: Picos,
    /// What the ideal is.
    pub ideal_baseline: &'static str,
    /// The iteration time without communication, launches and deviations.
    #[serde(rename = "compute_only_time_s")]
    pub compute_only: Picos,
    /// How parts are divided.
    pub order: Order,
    /// All parts, also those of nothing.
    pub parts: Vec<WaterfallPart>,
}

/// What `ideal_time_s` is.
const IDEAL: &str =
    "all compute spread by card speed over the cards of the plan, nothing communicated";

impl Waterfall {
    /// Of a prepared scenario that takes `simulated`; `nominal` is its job without deviations, which
    /// takes `even`.
    pub(crate) fn new(
        simulated: Picos,
        (prepared, nominal): (&Prepared, &Job),
        even: Picos,
        balance: &Balance,
        order: Order,
    ) -> Result<Self, SimulateError> {
        let present: Vec<Switch> =
            Switch::ALL.into_iter().filter(|switch| switch.is_in(nominal)).collect();
        let time = |off: Switches| {
            if off == Switches::NONE { Ok(even) } else { time_without(prepared, nominal, off) }
        };
        let (switched, compute_only) = match order {
            Order::Ordered => ordered(&present, even, time)?,
            Order::Shapley => {
                let game = Game::play(present.len(), |members| time(chosen(&present, members)))?;
                (shapley::values(&game), game.of_all())
            }
        };
        let loss = |part: Part| match part {
            Part::Spread => simulated - even,
            Part::Switch(switch) => present
                .iter()
                .position(|&known| known == switch)
                .map_or(Picos::default(), |position| switched[position]),
            Part::Bubble => compute_only - balance.busiest,
            Part::StageImbalance => balance.busiest - balance.busiest_pipeline,
            Part::DataParallelStraggling => balance.busiest_pipeline - balance.mean,
            Part::ComputeHeterogeneity => balance.mean - balance.ideal,
        };
        let part = |part: Part| {
            let loss = loss(part);
            let baseline = part.baseline();
            WaterfallPart { part, loss, loss_ratio: loss.share_of(simulated), baseline }
        };
        Ok(Self {
            simulated,
            ideal: balance.ideal,
            ideal_baseline: IDEAL,
            compute_only,
            order,
            parts: Part::all().map(part).collect(),
        })
    }

    /// What is lost in all.
    pub fn loss(&self) -> Picos {
        self.simulated - self.ideal
    }

    /// What is lost to a part.
    pub fn loss_of(&self, part: Part) -> Picos {
        let found = self.parts.iter().find(|row| row.part == part);
        found.map_or(Picos::default(), |row| row.loss)
    }
}

/// What each cause loses once all before it are gone, and what the iteration takes without any.
fn ordered(
    present: &[Switch],
    even: Picos,
    time: impl Fn(Switches) -> Result<Picos, SimulateError> + Send + Sync,
) -> Result<(Vec<Picos>, Picos), SimulateError> {
    let levels: Vec<Picos> = (1..=present.len())
        .into_par_iter()
        .map(|gone| time(present[..gone].iter().copied().collect()))
        .collect::<Result<_, SimulateError>>()?;
    let before = std::iter::once(even).chain(levels.iter().copied());
    let losses = before.zip(&levels).map(|(before, &after)| before - after).collect();
    Ok((losses, levels.last().copied().unwrap_or(even)))
}

/// The causes that a number's bits stand for.
fn chosen(present: &[Switch], members: usize) -> Switches {
    let member =
        |(position, &switch): (usize, &Switch)| (members & 1 << position != 0).then_some(switch);
    present.iter().enumerate().filter_map(member).collect()
}

fn time_without(prepared: &Prepared, job: &Job, off: Switches) -> Result<Picos, SimulateError> {
    let altered = prepared.replay_altered(&without(job, off), None, &mut Silent)?;
    Ok(altered.iteration.into())
}

/// The job in which every card is as fast as its type, with ranks that cannot be told apart taken as
/// one.
pub(crate) fn nominal(prepared: &Prepared) -> Job {
    let job = &prepared.lowered.job;
    if job.ranks.iter().all(|rank| rank.slowness.to_bits() == 1.0_f64.to_bits()) {
        // Jitter would tell ranks apart; here there is none.
        return match prepared.fold() {
            Some(fold) => fold.job().clone(),
            None => Fold::of(job).map_or_else(|| job.clone(), Fold::into_job),
        };
    }
    let even = even(job);
    Fold::of(&even).map_or(even, Fold::into_job)
}
