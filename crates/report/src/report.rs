//! All that is concluded from replays, in one place: what the text shows, and more.

use motley_scheduler::Fidelity;
use serde::Serialize;
use thiserror::Error;

use crate::plan_summary::Classes;
use crate::{
    Breakdown, CardType, ClusterSummary, CollectiveTimesSummary, Comparison, Efficiency, Imbalance,
    IterationTime, JobSummary, KernelTimesSummary, LinkLoad, OutOfMemory, PlanSummary, Run,
    StageRow, Subject,
};

/// What replays of one job say. Serialises to the report's JSON; every number's name ends in its
/// unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The question.
    pub title: Option<String>,
    /// The machine.
    pub cluster: ClusterSummary,
    /// What is trained.
    pub job: JobSummary,
    /// Who runs what.
    pub plan: PlanSummary,
    /// Every card holds what it needs. If not, times and rates are those of cards with more
    /// memory.
    pub fits: bool,
    /// What does not fit, the worst shortage first.
    pub out_of_memory: Vec<OutOfMemory>,
    /// Iteration time.
    pub iteration_time: IterationTime,
    /// Throughput and utilisation.
    pub efficiency: Efficiency,
    /// Where the iteration time goes.
    pub breakdown: Breakdown,
    /// The share of the bubble in the iteration time.
    pub bubble_ratio: f64,
    /// What unequal compute costs; none without a balanced replay.
    pub imbalance: Option<Imbalance>,
    /// What an hour of all cards costs, idle ones included; none if the catalogue lacks a price.
    pub cost_per_hour_usd: Option<f64>,
    /// What training on a million tokens costs in cards.
    pub cost_per_million_tokens_usd: Option<f64>,
    /// What training on a million images costs in cards, where samples are images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_million_images_usd: Option<f64>,
    /// By type of card.
    pub card_types: Vec<CardType>,
    /// By stage.
    pub stages: Vec<StageRow>,
    /// The busiest sorts of links, busiest first.
    pub links: Vec<LinkLoad>,
    /// Published figures beside predicted ones.
    pub published: Vec<Comparison>,
    /// Whose kernel times were simulated.
    pub kernel_times: KernelTimesSummary,
    /// Whose times of collectives were simulated.
    pub collective_times: CollectiveTimesSummary,
    /// What the replays did.
    pub simulated: Simulated,
}

/// What the replays did, all iterations together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Simulated {
    /// Operations executed.
    pub operation_count: u64,
    /// Instances of communicators completed.
    pub instance_count: u64,
    /// How finely communication was simulated, if not as bundles: `pairwise`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<&'static str>,
}

/// Why there is nothing to report.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// No replay was given.
    #[error("a report needs at least one replay")]
    NoRuns,
    /// A replay is of another job.
    #[error("replay {run} has {found} ranks, the job has {expected}; report on replays of one job")]
    OtherJob {
        /// Which replay; the balanced one comes after all others.
        run: usize,
        /// Its ranks.
        found: usize,
        /// The job's ranks.
        expected: usize,
    },
}

impl Report {
    /// Concludes from `runs`, one for each iteration. `balanced` is a further replay, with
    /// [`crate::balanced_slowness`] and without jitter; without it the loss by unequal compute is
    /// unknown and all dependency waits count as bubble.
    ///
    /// # Errors
    /// If there is no run, or one of another job.
    pub fn new(
        subject: &Subject,
        runs: &[Run],
        balanced: Option<&Run>,
    ) -> Result<Self, ReportError> {
        let expected = subject.lowered.places.len();
        for (run, found) in
            runs.iter().chain(balanced).map(|run| run.account.rank_count()).enumerate()
        {
            if found != expected {
                return Err(ReportError::OtherJob { run, found, expected });
            }
        }
        let first = runs.first().ok_or(ReportError::NoRuns)?;
        let classes = Classes::new(subject);
        let iteration_time = IterationTime::new(runs);
        let efficiency = Efficiency::new(subject, iteration_time.mean);
        let breakdown = Breakdown::new(iteration_time.mean, runs, balanced);
        let card_types = CardType::list(subject, runs);
        let unlike_cards = card_types.iter().filter(|row| row.used_count > 0).count() > 1;
        let cost_per_hour = card_types.iter().map(|row| row.cost_per_hour_usd).sum::<Option<f64>>();
        let cost_per_million = |rate: Option<f64>| {
            let rate = rate.filter(|&rate| rate > 0.0)?;
            cost_per_hour.map(|cost| cost / 3600.0 / rate * 1e6)
        };
        let images = Some(efficiency.samples_per_s).filter(|_| efficiency.tokens_per_s.is_none());
        let out_of_memory = OutOfMemory::list(subject, &classes);
        let total = |count: fn(&Run) -> u64| runs.iter().map(count).sum();
        Ok(Self {
            title: subject.title.map(str::to_owned),
            cluster: ClusterSummary::new(subject.cluster),
            job: JobSummary::new(subject),
            plan: PlanSummary::new(subject, &classes),
            fits: out_of_memory.is_empty(),
            out_of_memory,
            breakdown,
            bubble_ratio: breakdown.bubble_ratio(),
            imbalance: balanced
                .map(|run| Imbalance::new(iteration_time.mean, run.outcome.end, unlike_cards)),
            cost_per_hour_usd: cost_per_hour,
            cost_per_million_tokens_usd: cost_per_million(efficiency.tokens_per_s),
            cost_per_million_images_usd: cost_per_million(images),
            card_types,
            stages: StageRow::list(subject, &classes, runs),
            links: LinkLoad::list(subject, &first.account, iteration_time.mean),
            published: subject
                .published
                .iter()
                .map(|published| Comparison::new(published, &iteration_time, &efficiency))
                .collect(),
            kernel_times: KernelTimesSummary::new(&subject.lowered.kernel_sources),
            collective_times: CollectiveTimesSummary::new(&subject.lowered.collective_sources),
            simulated: Simulated {
                operation_count: total(|run| run.outcome.operations),
                instance_count: total(|run| run.outcome.instances),
                fidelity: match subject.lowered.fidelity {
                    Fidelity::Bundled => None,
                    Fidelity::Pairwise => Some("pairwise"),
                },
            },
            iteration_time,
            efficiency,
        })
    }
}
