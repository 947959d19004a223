//! What a pipeline does in a replay, gathered into passes.

use std::collections::{BTreeMap, BTreeSet};

use motley_engine::Observer;
use motley_job::{RankId, Tag};
use motley_scheduler::schedule::{Pass, Turn, steps};
use motley_scheduler::{Activity, Lowered};
use motley_units::Time;

use super::{Block, Kind, Lane};

/// An observer that keeps what the first rank of each stage of a pipeline computes.
#[derive(Debug)]
pub struct Recording<'a> {
    lowered: &'a Lowered,
    /// By stage.
    ranks: Vec<RankId>,
    /// By name of an operation.
    activities: Vec<Option<(Activity, u32)>>,
    /// By stage, in order.
    runs: Vec<Vec<(Tag, Time, Time)>>,
}

impl<'a> Recording<'a> {
    /// Of a pipeline of a job; none if it has no such pipeline.
    pub fn new(lowered: &'a Lowered, pipeline: usize) -> Option<Self> {
        let ranks = first_ranks(lowered, pipeline)?;
        let names = lowered.job.names.iter();
        Some(Self {
            lowered,
            activities: names.map(|name| Activity::of_name(name)).collect(),
            runs: vec![Vec::new(); ranks.len()],
            ranks,
        })
    }

    /// How many model chunks its stages have.
    pub(super) fn chunks(&self) -> u32 {
        let orders = self.ranks.iter().map(|&rank| self.lowered.order(rank));
        let chunks = orders.flat_map(steps).map(|step| step.chunk + 1);
        chunks.max().unwrap_or(1)
    }

    /// The blocks of each stage, in seconds, and how long all stages compute together.
    pub(super) fn rows(&self) -> (Vec<Vec<Block>>, f64) {
        let mut busy = 0.0;
        let rows = self
            .ranks
            .iter()
            .zip(&self.runs)
            .map(|(&rank, runs)| {
                busy +=
                    runs.iter().map(|&(_, start, end)| (end - start).as_secs_f64()).sum::<f64>();
                self.row(self.lowered.order(rank), runs)
            })
            .collect();
        (rows, busy)
    }

    /// The blocks of one stage: from the first to the last operation of each pass.
    fn row(&self, order: &[Turn], runs: &[(Tag, Time, Time)]) -> Vec<Block> {
        // Weight gradients beside a whole backward pass are a part of it.
        let split: BTreeSet<(u32, u32)> = steps(order)
            .filter(|step| step.pass == Pass::InputGradient)
            .map(|step| (step.chunk, step.micro_batch))
            .collect();
        let mut lanes: BTreeMap<(Kind, u32, u32), Lane> = BTreeMap::new();
        for turn in order {
            if let Turn::Overlapped { forward, backward } = turn {
                for (step, lane) in [(forward, Lane::Upper), (backward, Lane::Lower)] {
                    lanes.insert((Kind::of(step.pass), step.chunk, step.micro_batch), lane);
                }
            }
        }
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: BTreeMap<(Kind, u32, u32), usize> = BTreeMap::new();
        for &(tag, start, end) in runs {
            let (start, end) = (start.as_secs_f64(), end.as_secs_f64());
            let Some((activity, chunk)) = self.activities[usize::from(tag.name.0)] else {
                let (micro_batch, lane) = (None, Lane::Whole);
                blocks.push(Block { kind: Kind::Other, micro_batch, chunk: 0, start, end, lane });
                continue;
            };
            let micro_batch = u32::from(tag.index);
            let kind = match activity {
                Activity::Forward => Kind::Forward,
                Activity::WeightGradient if split.contains(&(chunk, micro_batch)) => {
                    Kind::WeightGradient
                }
                _ if split.contains(&(chunk, micro_batch)) => Kind::InputGradient,
                _ => Kind::Backward,
            };
            let key = (kind, chunk, micro_batch);
            if let Some(&known) = open.get(&key) {
                blocks[known].end = end;
                continue;
            }
            open.insert(key, blocks.len());
            let lane = lanes.get(&key).copied().unwrap_or(Lane::Whole);
            let micro_batch = Some(micro_batch);
            blocks.push(Block { kind, micro_batch, chunk, start, end, lane });
        }
        blocks
    }
}

/// The first rank of each stage of a pipeline; none if there is no such pipeline.
pub(super) fn first_ranks(lowered: &Lowered, pipeline: usize) -> Option<Vec<RankId>> {
    let firsts = (0..).map(RankId).zip(&lowered.places);
    let firsts =
        firsts.filter(|(_, place)| place.pipeline as usize == pipeline && place.stage_rank == 0);
    let ranks: Vec<RankId> = firsts.map(|(rank, _)| rank).collect();
    (!ranks.is_empty()).then_some(ranks)
}

impl Observer for Recording<'_> {
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        if let Ok(stage) = self.ranks.binary_search(&rank) {
            self.runs[stage].push((tag, start, end));
        }
    }
}
