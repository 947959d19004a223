//! How compute is spread over cards, by kernel times alone.

use std::collections::BTreeMap;

use motley::{Prepared, SimulateError};
use motley_job::Job;
use motley_topology::GpuId;
use motley_units::Time;
use serde::Serialize;

use crate::Picos;
use crate::counterfactual::computed;

/// How long cards compute, and how long they would if compute moved freely.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    /// The card that computes longest.
    pub(crate) busiest: Picos,
    /// The mean over the cards of the pipeline in which it is highest.
    pub(crate) busiest_pipeline: Picos,
    /// The mean over all cards.
    pub(crate) mean: Picos,
    /// All cards if work moved freely, each card at the efficiency of its type.
    pub(crate) ideal: Picos,
    pub(crate) pipelines: Vec<PipelineBalance>,
}

/// How compute is spread over pipelines that are alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineBalance {
    /// The first of them.
    pub pipeline_index: u32,
    /// How many follow one another.
    pub pipeline_count: u32,
    /// Cards of each.
    pub card_count: u32,
    /// Mean compute of its cards.
    #[serde(rename = "mean_compute_s")]
    pub mean: Picos,
    /// Compute of its busiest card.
    #[serde(rename = "max_compute_s")]
    pub max: Picos,
    /// 1 - mean / max.
    pub stage_imbalance_ratio: f64,
}

/// Compute of a number of cards.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    picos: u128,
    cards: u32,
    max: Time,
}

impl Sum {
    fn add(&mut self, time: Time) {
        self.picos += u128::from(time.as_picos());
        self.cards += 1;
        self.max = self.max.max(time);
    }

    /// Rounded to the nearest.
    fn mean(self) -> Picos {
        let cards = u128::from(self.cards.max(1));
        Picos(((self.picos + cards / 2) / cards) as i64)
    }
}

impl Balance {
    pub(crate) fn new(prepared: &Prepared) -> Result<Self, SimulateError> {
        let lowered = &prepared.lowered;
        let mut all = Sum::default();
        let mut by_pipeline: BTreeMap<u32, Sum> = BTreeMap::new();
        for (place, time) in lowered.places.iter().zip(by_rank(&lowered.job)) {
            all.add(time);
            by_pipeline.entry(place.pipeline).or_default().add(time);
        }
        let means = by_pipeline.values().map(|sum| sum.mean());
        Ok(Self {
            busiest: all.max.into(),
            busiest_pipeline: means.max().unwrap_or_default(),
            mean: all.mean(),
            ideal: ideal(prepared, all)?,
            pipelines: alike(&by_pipeline),
        })
    }
}

/// Compute of each rank in an iteration, by kernel times alone.
pub(crate) fn by_rank(job: &Job) -> impl Iterator<Item = Time> + '_ {
    let of_program = computed(job);
    job.ranks.iter().map(move |rank| of_program[rank.program.0 as usize])
}

/// What the whole iteration's work takes on one type of card.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// The catalogue id of the type.
    pub(crate) id: String,
    /// Cards of it in the plan.
    cards: u32,
    /// In picoseconds of one card, were there no other.
    pub(crate) card_seconds: u128,
}

/// By type of card in the plan, what the whole work takes on it: the compute of the same plan as if every
/// card were of the type.
pub(crate) fn work_by_type(prepared: &Prepared) -> Result<Vec<Work>, SimulateError> {
    let mut types: BTreeMap<&str, (GpuId, u32)> = BTreeMap::new();
    for place in &prepared.lowered.places {
        let device = prepared.cluster.device(place.gpu);
        types.entry(&device.id).or_insert((place.gpu, 0)).1 += 1;
    }
    let alone = types.len() == 1;
    let work = |(id, (gpu, cards)): (&str, (GpuId, u32))| {
        let sum = |job: &Job| by_rank(job).map(|time| u128::from(time.as_picos())).sum();
        let card_seconds =
            if alone { sum(&prepared.lowered.job) } else { sum(&prepared.lowered_as_if(gpu)?.job) };
        Ok(Work { id: id.to_owned(), cards, card_seconds })
    };
    types.into_iter().map(work).collect()
}

/// What the iteration's work takes if it moves freely: if all of it took W_k card-seconds on cards of
/// type k, n_k cards of each type are through with it after 1 / sum(n_k / W_k).
///
/// For W_k see [`work_by_type`]: a type counts with the
/// efficiency that it has on these operators, in these shapes, in its precision. On one type alone this is
/// the mean.
fn ideal(prepared: &Prepared, all: Sum) -> Result<Picos, SimulateError> {
    let works = work_by_type(prepared)?;
    if works.len() <= 1 || all.picos == 0 {
        return Ok(all.mean());
    }
    let rate: f64 = works.iter().map(|work| f64::from(work.cards) / work.card_seconds as f64).sum();
    Ok(Picos((1.0 / rate).round() as i64))
}

/// Pipelines that follow one another and do not differ are listed once.
fn alike(pipelines: &BTreeMap<u32, Sum>) -> Vec<PipelineBalance> {
    let mut list: Vec<PipelineBalance> = Vec::new();
    for (&pipeline_index, sum) in pipelines {
        let (mean, max) = (sum.mean(), Picos::from(sum.max));
        match list.last_mut() {
            Some(last) if (last.mean, last.max, last.card_count) == (mean, max, sum.cards) => {
                last.pipeline_count += 1;
            }
            _ => list.push(PipelineBalance {
                pipeline_index,
                pipeline_count: 1,
                card_count: sum.cards,
                mean,
                max,
                stage_imbalance_ratio: (max - mean).share_of(max),
            }),
        }
    }
    list
}
