//! Pictures of pipeline schedules: a row for each stage, a block for each pass.
//!
//! [`Drawing::planned`] draws the order of passes as the papers do, with every pass one unit of time
//! long and a whole backward pass two; [`Recording`] watches a replay, and
//! [`Drawing::simulated`] draws what really happened, to scale. [`Drawing::text`] and
//! [`Drawing::svg`] write the picture.

mod record;
mod svg;
mod text;

use motley_scheduler::schedule::{Costs, Order, Pass, Timeline, Turn, play};
use motley_scheduler::{Lowered, OptimizerStep, Plan};
use motley_units::Time;

use crate::text::number;

pub use record::Recording;
pub use text::TextLimits;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Forward,
    /// A whole backward pass.
    Backward,
    InputGradient,
    WeightGradient,
    /// The optimizer step and copies.
    Other,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Forward, Self::Backward, Self::InputGradient, Self::WeightGradient, Self::Other];

    fn of(pass: Pass) -> Self {
        match pass {
            Pass::Forward => Self::Forward,
            Pass::Backward => Self::Backward,
            Pass::InputGradient => Self::InputGradient,
            Pass::WeightGradient => Self::WeightGradient,
        }
    }

    /// As in the papers: the input gradient is B, and so is a whole backward pass.
    fn letter(self) -> char {
        match self {
            Self::Forward => 'F',
            Self::Backward | Self::InputGradient => 'B',
            Self::WeightGradient => 'W',
            Self::Other => 'O',
        }
    }
}

/// Which part of a row's height a block takes: passes that run together share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Whole,
    Upper,
    Lower,
}

/// Something that a stage did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// None for what belongs to no micro-batch.
    pub(crate) micro_batch: Option<u32>,
    pub(crate) chunk: u32,
    /// In units of the drawing.
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) lane: Lane,
}

/// A picture of one pipeline's schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    title: String,
    /// A stage each.
    rows: Vec<Vec<Block>>,
    chunks: u32,
    /// Seconds of a unit; none where units stand for themselves.
    unit_seconds: Option<f64>,
    /// Where the picture ends, in units.
    end: f64,
    /// How long an iteration is, in units: less than the picture where stages begin the next one
    /// before others are done with this.
    iteration: f64,
    /// The share of an iteration in which stages do nothing.
    bubble_ratio: f64,
    /// The order was made for other lengths of passes than the drawn ones.
    made_for_other_times: bool,
}

/// Picoseconds of a drawn unit in which schedules are played.
const UNIT: u64 = 1_000_000;

impl Drawing {
    /// The order of passes of a plan's pipeline, each pass one unit long, a whole backward pass two,
    /// transfers free.
    ///
    /// None if the plan has no such pipeline.
    pub fn planned(plan: &Plan, lowered: &Lowered, pipeline: usize) -> Option<Self> {
        let placement = plan.pipelines.get(pipeline)?.placement(plan.schedule);
        let ranks = record::first_ranks(lowered, pipeline)?;
        let orders: Vec<Order> = ranks.iter().map(|&rank| lowered.order(rank).to_vec()).collect();
        let parts = u64::from(placement.chunks()) / placement.routes().len() as u64;
        let whole_stage = [Time::from_picos(UNIT * parts); 3];
        let costs = Costs::uniform(&placement, whole_stage, 1.0, f64::INFINITY);
        let timeline = play(&orders, &placement, &costs).ok()?;
        let rolls = plan.schedule.optimizer_step() == OptimizerStep::PostValidation;
        let drawing = Self::played(plan.schedule.name(), &timeline, placement.chunks(), rolls);
        Some(Self { made_for_other_times: plan.schedule.is_automatic(), ..drawing })
    }

    fn played(name: &str, timeline: &Timeline, chunks: u32, rolls: bool) -> Self {
        let units = |time: Time| time.as_picos() as f64 / UNIT as f64;
        let rows: Vec<Vec<Block>> = timeline
            .stages
            .iter()
            .map(|turns| {
                let blocks = turns.iter().flat_map(|played| {
                    let lanes: &[Lane] = match played.turn {
                        Turn::Alone(_) => &[Lane::Whole],
                        Turn::Overlapped { .. } => &[Lane::Upper, Lane::Lower],
                    };
                    played.turn.steps().zip(lanes).map(|(step, &lane)| Block {
                        kind: Kind::of(step.pass),
                        micro_batch: Some(step.micro_batch),
                        chunk: step.chunk,
                        start: units(played.start),
                        end: units(played.end),
                        lane,
                    })
                });
                blocks.collect()
            })
            .collect();
        let busy: f64 = (0..rows.len()).map(|stage| units(timeline.busy(stage))).sum();
        let time = if rolls { timeline.longest_span() } else { timeline.makespan() };
        Self {
            title: format!("{name}, each pass one unit of time, a whole backward pass two"),
            end: units(timeline.makespan()),
            iteration: units(time),
            bubble_ratio: bubble(busy, rows.len(), units(time)),
            rows,
            chunks,
            unit_seconds: None,
            made_for_other_times: false,
        }
    }

    /// What a recorded replay did, to scale. `iteration` is the time of an iteration.
    pub fn simulated(recording: &Recording<'_>, plan: &Plan, iteration: Time) -> Self {
        let (rows, busy) = recording.rows();
        // A unit is the shortest of the usual passes, so that it has room for its name.
        let passes = || rows.iter().flatten().filter(|block| block.micro_batch.is_some());
        let mut lengths: Vec<f64> = passes().map(|block| block.end - block.start).collect();
        lengths.sort_by(f64::total_cmp);
        let unit = lengths.get(lengths.len() / 20).copied().filter(|&u| u > 0.0).unwrap_or(1.0);
        let first =
            rows.iter().flatten().map(|block| block.start).fold(f64::INFINITY, f64::min).min(1e300);
        let scaled: Vec<Vec<Block>> = rows
            .iter()
            .map(|row| {
                let scale = |block: &Block| Block {
                    start: (block.start - first) / unit,
                    end: (block.end - first) / unit,
                    ..*block
                };
                row.iter().map(scale).collect()
            })
            .collect();
        let end = scaled.iter().flatten().map(|block| block.end).fold(0.0, f64::max);
        Self {
            title: format!("{}, as simulated", plan.schedule.name()),
            iteration: iteration.as_secs_f64() / unit,
            bubble_ratio: bubble(busy, rows.len(), iteration.as_secs_f64()),
            chunks: recording.chunks(),
            rows: scaled,
            unit_seconds: Some(unit),
            made_for_other_times: false,
            end,
        }
    }

    /// What the blocks that occur are called, and what that means. Two kinds of backward passes
    /// share a letter.
    fn legend(&self) -> Vec<(Kind, String)> {
        let occurs = |kind: Kind| self.rows.iter().flatten().any(|block| block.kind == kind);
        let meaning = |kind: Kind| match kind {
            Kind::Forward => "forward",
            Kind::Backward if occurs(Kind::InputGradient) => "backward, whole or without W",
            Kind::Backward => "backward",
            Kind::InputGradient => "backward, input gradient",
            Kind::WeightGradient => "backward, weight gradients",
            Kind::Other => "optimizer step",
        };
        let twice = |kind: Kind| kind == Kind::InputGradient && occurs(Kind::Backward);
        Kind::ALL
            .into_iter()
            .filter(|&kind| occurs(kind) && !twice(kind))
            .map(|kind| (kind, format!("{} {}", kind.letter(), meaning(kind))))
            .collect()
    }

    /// What an iteration's time is spent on without computing.
    fn summary(&self) -> String {
        let ratio = number::percent(self.bubble_ratio);
        match self.unit_seconds {
            None => {
                let units = self.iteration.ceil();
                let bubble = format!("bubble {ratio} of an iteration of {units} units");
                if self.made_for_other_times {
                    format!("{bubble}; the order was made for the stages' own times, not for units")
                } else {
                    bubble
                }
            }
            Some(seconds) => {
                let time = number::seconds(self.iteration * seconds);
                format!("bubble and communication {ratio} of an iteration of {time}")
            }
        }
    }

    /// How a block is called: `F3`; small letters for the second of two chunks, the number behind
    /// a point where there are more.
    fn label(&self, block: &Block) -> String {
        let letter = block.kind.letter();
        let Some(micro_batch) = block.micro_batch else { return letter.to_string() };
        match (self.chunks, block.chunk) {
            (2, 1) => format!("{}{micro_batch}", letter.to_ascii_lowercase()),
            (3.., chunk) => format!("{letter}{micro_batch}.{chunk}"),
            _ => format!("{letter}{micro_batch}"),
        }
    }
}

/// The share of an iteration in which stages do nothing.
fn bubble(busy: f64, stages: usize, iteration: f64) -> f64 {
    if iteration > 0.0 && stages > 0 {
        (1.0 - busy / (stages as f64 * iteration)).max(0.0)
    } else {
        0.0
    }
}
