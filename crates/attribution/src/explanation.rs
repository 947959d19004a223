//! The critical path in figures and words.

use std::collections::BTreeMap;

use motley::{Prepared, SimulateError};
use motley_engine::{Fold, Jitter};
use motley_job::{Job, Op, RankId};
use motley_scheduler::{Activity, Place, Traffic};
use serde::Serialize;

use crate::Picos;
use crate::counterfactual::even;
use crate::critical_path::{Kind, Piece, Recorded, critical_path};
use crate::recording::Recording;
use crate::sentences::sentences;

/// What the iteration's end waited for. Serialises to JSON; every number's name ends in its unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The question that the scenario asks.
    pub title: Option<String>,
    /// Every card holds what it needs. If not, times are those of cards with more memory.
    pub fits: bool,
    /// Time of the iteration whose path it is: the first.
    #[serde(rename = "iteration_time_s")]
    pub iteration: Picos,
    /// The path in words.
    pub sentences: Vec<String>,
    /// By stage, type of card and kind, the largest share first. Parts sum to the iteration time.
    pub shares: Vec<PathShare>,
    /// By type of card, the largest share first.
    pub card_types: Vec<PathCard>,
    /// How often the path goes over from one rank to another.
    pub hop_count: u64,
    /// What shares are of.
    pub baseline: &'static str,
}

/// A part of the path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathShare {
    /// The stage that did it or waited for it.
    pub stage_index: u32,
    /// The catalogue id of its card.
    pub card_id: String,
    /// What it is.
    pub kind: String,
    /// `compute`, `slow-down` or `transfer`.
    pub sort: &'static str,
    /// How much of the path.
    #[serde(rename = "path_s")]
    pub time: Picos,
    /// As a share of the iteration time.
    pub path_ratio: f64,
}

/// What a type of card has of the path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathCard {
    /// The catalogue id.
    pub card_id: String,
    /// The vendor's name for it.
    pub name: String,
    /// How much of the path its cards compute or wait for transfers.
    #[serde(rename = "path_s")]
    pub time: Picos,
    /// As a share of the iteration time.
    pub path_ratio: f64,
    /// Its share of the cards of the plan.
    pub card_ratio: f64,
}

const BASELINE: &str = "the first iteration as simulated, jitter and spread included";

const BASELINE_EVEN: &str =
    "the iteration without jitter and spread; with them it has too many steps to be kept";

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The scenario cannot be simulated.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// What happens in an iteration is too much to be kept.
    #[error(
        "an iteration has {steps} steps, more than the {most} that are kept to find the critical path; ask with fewer replicas"
    )]
    TooLong {
        /// Computations and waits of all ranks that have to be told apart.
        steps: u64,
        /// How many are kept.
        most: u64,
    },
}

/// Steps that are kept: 24 bytes each, so 2.4 GB.
const KEPT: u64 = 100_000_000;

/// What the end of the first iteration waited for. Where its ranks are too many to be told apart, that of
/// the iteration without jitter and spread.
///
/// # Errors
/// If that, too, is too much to be kept; else as [`Prepared::replay_altered`].
pub fn explain(prepared: &Prepared) -> Result<Explanation, ExplainError> {
    explain_within(prepared, KEPT)
}

fn explain_within(prepared: &Prepared, most: u64) -> Result<Explanation, ExplainError> {
    let fold = prepared.fold();
    let job = fold.map_or(&prepared.lowered.job, Fold::job);
    if steps(job) <= most {
        return Ok(path_of(prepared, (job, fold), prepared.jitter(), BASELINE)?);
    }
    let even = even(&prepared.lowered.job);
    let fold = Fold::of(&even);
    let job = fold.as_ref().map_or(&even, Fold::job);
    let steps = steps(job);
    if steps > most {
        return Err(ExplainError::TooLong { steps, most });
    }
    Ok(path_of(prepared, (job, fold.as_ref()), None, BASELINE_EVEN)?)
}

/// Computations and waits of all ranks, at most.
fn steps(job: &Job) -> u64 {
    let of_program = job.program_sums(|op| u64::from(!matches!(op, Op::Issue { .. })));
    job.ranks.iter().map(|rank| of_program[rank.program.0 as usize]).sum()
}

/// The critical path of a job of the scenario.
fn path_of(
    prepared: &Prepared,
    (job, fold): (&Job, Option<&Fold>),
    jitter: Option<Jitter>,
    baseline: &'static str,
) -> Result<Explanation, SimulateError> {
    let mut recording = Recording::new(job);
    let played = prepared.replay_altered(job, jitter, &mut recording)?;
    let pieces = critical_path(&Recorded {
        job,
        recording: &recording,
        starts: &played.starts,
        finish: &played.finish,
        end: played.end,
        iteration: played.iteration,
    });
    let iteration = Picos::from(played.iteration);
    let path = Path { prepared, job, places: places(prepared, fold), pieces };
    let shares = path.shares(iteration);
    let card_types = path.card_types(iteration);
    let sentences = sentences(&path, iteration, &shares, &card_types);
    Ok(Explanation {
        title: prepared.scenario.question.clone(),
        fits: prepared.out_of_memory().is_empty(),
        iteration,
        sentences,
        shares,
        card_types,
        hop_count: path.pieces.windows(2).filter(|pair| pair[0].rank != pair[1].rank).count()
            as u64,
        baseline,
    })
}

/// By rank of the replayed job, where it sits: of several taken as one, where the first does.
fn places(prepared: &Prepared, fold: Option<&Fold>) -> Vec<Place> {
    let all = &prepared.lowered.places;
    let Some(fold) = fold else { return all.clone() };
    let mut places: Vec<Option<Place>> = vec![None; fold.job().ranks.len()];
    for (rank, &place) in (0..).map(RankId).zip(all) {
        places[fold.rank(rank).0 as usize].get_or_insert(place);
    }
    places.into_iter().flatten().collect()
}

pub(crate) struct Path<'a> {
    pub(crate) prepared: &'a Prepared<'a>,
    job: &'a Job,
    places: Vec<Place>,
    /// The last first.
    pub(crate) pieces: Vec<Piece>,
}

impl Path<'_> {
    pub(crate) fn place(&self, rank: RankId) -> Place {
        self.places[rank.0 as usize]
    }

    fn card(&self, rank: RankId) -> &str {
        &self.prepared.cluster.device(self.place(rank).gpu).id
    }

    pub(crate) fn kind(&self, kind: Kind) -> (&'static str, String) {
        match kind {
            Kind::Compute(name) => {
                let name = self.job.name(name);
                let whole = Activity::of_name(name).map(|(activity, _)| activity.name(0));
                ("compute", whole.unwrap_or_else(|| name.to_owned()))
            }
            Kind::SlowDown => ("slow-down", "overlap slow-down".to_owned()),
            Kind::Transfer(comm) => {
                let class = self.job.communicators[comm.0 as usize].class;
                match Traffic::ALL[usize::from(class)] {
                    Traffic::Launches => ("transfer", "launches by the host".to_owned()),
                    traffic => ("transfer", format!("{} transfer", traffic.name())),
                }
            }
        }
    }

    fn shares(&self, iteration: Picos) -> Vec<PathShare> {
        let mut sums: BTreeMap<(u32, &str, &'static str, String), Picos> = BTreeMap::new();
        for piece in &self.pieces {
            let (sort, kind) = self.kind(piece.kind);
            let key = (self.place(piece.rank).stage, self.card(piece.rank), sort, kind);
            *sums.entry(key).or_default() += piece.length.into();
        }
        let mut shares: Vec<PathShare> = sums
            .into_iter()
            .map(|((stage_index, card, sort, kind), time)| PathShare {
                stage_index,
                card_id: card.to_owned(),
                kind,
                sort,
                time,
                path_ratio: time.share_of(iteration),
            })
            .collect();
        shares.sort_by_key(|share| std::cmp::Reverse(share.time));
        shares
    }

    fn card_types(&self, iteration: Picos) -> Vec<PathCard> {
        let cluster = &self.prepared.cluster;
        let all = &self.prepared.lowered.places;
        let mut types: BTreeMap<&str, (&str, u32, Picos)> = BTreeMap::new();
        for place in all {
            let device = cluster.device(place.gpu);
            types.entry(&device.id).or_insert((&device.name, 0, Picos::default())).1 += 1;
        }
        for piece in &self.pieces {
            if let Some(row) = types.get_mut(self.card(piece.rank)) {
                row.2 += piece.length.into();
            }
        }
        let mut types: Vec<PathCard> = types
            .into_iter()
            .map(|(id, (name, cards, time))| PathCard {
                card_id: id.to_owned(),
                name: name.to_owned(),
                time,
                path_ratio: time.share_of(iteration),
                card_ratio: f64::from(cards) / all.len() as f64,
            })
            .collect();
        types.sort_by_key(|row| std::cmp::Reverse(row.time));
        types
    }
}

#[cfg(test)]
mod tests {
    use motley::{Scenario, load_text, prepare};

    use super::*;

    fn scenario(noise: &str) -> Scenario {
        let text = format!(
            r#"Scenario(
                cluster: (groups: [(design: "dgx-h100", count: 2)], fabric: (technology: InfiniBand)),
                model: Preset("gpt3-350m"),
                training: (global_batch: 16, sequence_length: 1024, precision: Bf16),
                plan: Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 1),
                {noise}
            )"#
        );
        load_text("test.ron", &text, &[]).expect("a scenario that is accepted")
    }

    #[test]
    fn what_is_too_much_to_be_kept_is_told_without_deviations() {
        let (noisy, calm) = (scenario("noise: (card_spread: 0.05)"), scenario(""));
        let [noisy, calm] = [&noisy, &calm].map(|it| prepare(it).expect("it can be lowered"));
        let all = steps(&noisy.lowered.job);
        let within = |prepared: &Prepared, most| explain_within(prepared, most);
        let whole = within(&noisy, all).expect("it is kept");
        let even = within(&noisy, all - 1).expect("all cards are one");
        let expected = within(&calm, all).expect("it is kept");
        assert_eq!((whole.baseline, even.baseline), (BASELINE, BASELINE_EVEN));
        assert_eq!((&even.shares, even.iteration), (&expected.shares, expected.iteration));
        assert!(whole.iteration > even.iteration);
        assert!(matches!(within(&noisy, 1), Err(ExplainError::TooLong { most: 1, .. })));
    }
}
