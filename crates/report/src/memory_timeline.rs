//! The memory of cards over simulated time.
//!
//! One card stands for all of its type on a stage of alike pipelines. Each pass gives three samples:
//! when it begins, at its fullest moment, when it is over; so does the optimizer step. A forward pass is
//! fullest at its end, a backward pass at its beginning, where the replay has these moments; between
//! samples memory moves on a way that is not told.

use std::collections::{BTreeMap, BTreeSet};

use motley_engine::Observer;
use motley_job::{RankId, Tag};
use motley_scheduler::schedule::{Pass, steps};
use motley_scheduler::{Activity, Lowered, Moment};
use motley_units::Time;
use motley_workload::MemoryUse;
use serde::Serialize;

use crate::plan_summary::Classes;
use crate::{MemoryParts, PeakMoment, Subject};

/// An observer that keeps when passes ran on the cards that stand for others.
#[derive(Debug)]
pub struct MemoryTimeline<'a> {
    lowered: &'a Lowered,
    /// By name of the job.
    activities: Vec<Option<(Activity, u32)>>,
    cards: Vec<Card>,
    /// By rank, its place in `cards`.
    card_of: BTreeMap<RankId, usize>,
}

/// One card, with what it did.
#[derive(Debug)]
struct Card {
    id: String,
    capacity: f64,
    rank: RankId,
    passes: BTreeMap<(Pass, u32, u32), (Time, Time)>,
    /// Steps of which the backward pass is split.
    split: BTreeSet<(u32, u32)>,
    /// The last operation outside of passes.
    rest: Option<(Time, Time)>,
}

/// The samples of one card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardTimeline {
    /// The first pipeline of its class.
    pub pipeline_index: u32,
    /// Its stage.
    pub stage_index: u32,
    /// Its type, by catalogue id.
    pub card: String,
    /// Which rank it is.
    pub rank_index: u32,
    /// What it has.
    pub capacity_bytes: f64,
    /// The most that it needs.
    pub peak_bytes: f64,
    /// In order of time.
    pub samples: Vec<MemorySample>,
}

/// The memory of a card at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MemorySample {
    /// Since the iteration's beginning.
    pub time_s: f64,
    /// `begin`, `fullest` or `end`.
    pub at: &'static str,
    /// Of which pass, or of the optimizer step.
    #[serde(flatten)]
    pub moment: PeakMoment,
    /// Where it goes.
    #[serde(flatten)]
    pub parts: MemoryParts,
    /// What tensors occupy.
    pub allocated_bytes: f64,
    /// What the framework's allocator holds.
    pub reserved_bytes: f64,
    /// Everything together.
    pub total_bytes: f64,
}

impl<'a> MemoryTimeline<'a> {
    /// Of nothing yet.
    pub fn new(subject: &Subject<'a>) -> Self {
        let lowered = subject.lowered;
        let classes = Classes::new(subject);
        let mut seen = BTreeSet::new();
        let (mut cards, mut card_of) = (Vec::new(), BTreeMap::new());
        for (rank, place) in (0..).map(RankId).zip(&lowered.places) {
            let device = subject.cluster.device(place.gpu);
            let class = classes.of_pipeline[place.pipeline as usize];
            if !seen.insert((class, place.stage, device.id.clone())) {
                continue;
            }
            let split = steps(lowered.order(rank)).filter(|step| step.pass == Pass::InputGradient);
            card_of.insert(rank, cards.len());
            cards.push(Card {
                id: device.id.clone(),
                capacity: device.memory.get().0,
                rank,
                passes: BTreeMap::new(),
                split: split.map(|step| (step.chunk, step.micro_batch)).collect(),
                rest: None,
            });
        }
        let activities = lowered.job.names.iter().map(|name| Activity::of_name(name)).collect();
        Self { lowered, activities, cards, card_of }
    }

    /// The samples, by card.
    pub fn cards(&self) -> Vec<CardTimeline> {
        self.cards.iter().map(|card| card.timeline(self.lowered)).collect()
    }

    /// As JSON, with a newline at the end.
    ///
    /// # Errors
    /// None that a timeline could cause; the serialiser's interface has them.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(&self.cards())?;
        text.push('\n');
        Ok(text)
    }

    /// As CSV, a line for each sample.
    pub fn csv(&self) -> String {
        let mut text = String::from(
            "pipeline_index,stage_index,card,rank_index,time_s,at,phase,micro_batch_index,chunk_index,\
             parameters_bytes,gradients_bytes,optimizer_bytes,activations_bytes,workspace_bytes,\
             cached_bytes,context_bytes,communication_bytes,allocated_bytes,reserved_bytes,total_bytes\n",
        );
        let number = |index: Option<u32>| index.map_or_else(String::new, |index| index.to_string());
        for card in self.cards() {
            for sample in &card.samples {
                let (moment, parts) = (sample.moment, sample.parts);
                let place = (card.pipeline_index, card.stage_index, card.rank_index);
                text += &format!("{},{},{},{},", place.0, place.1, card.card, place.2);
                text += &format!("{:.12},{},{},", sample.time_s, sample.at, moment.phase);
                text += &number(moment.micro_batch_index);
                text += &format!(",{}", number(moment.chunk_index));
                let bytes = [
                    parts.parameters_bytes,
                    parts.gradients_bytes,
                    parts.optimizer_bytes,
                    parts.activations_bytes,
                    parts.workspace_bytes,
                    parts.cached_bytes,
                    parts.context_bytes,
                    parts.communication_bytes,
                    sample.allocated_bytes,
                    sample.reserved_bytes,
                    sample.total_bytes,
                ];
                for value in bytes {
                    text += &format!(",{value:.0}");
                }
                text.push('\n');
            }
        }
        text
    }
}

impl Card {
    fn note(&mut self, found: Option<(Activity, u32)>, tag: Tag, start: Time, end: Time) {
        let Some((activity, chunk)) = found else {
            let first = self.rest.map_or(start, |(first, _)| first);
            self.rest = Some((first, end));
            return;
        };
        let micro_batch = u32::from(tag.index);
        let split = self.split.contains(&(chunk, micro_batch));
        let pass = match activity {
            Activity::Forward => Pass::Forward,
            Activity::WeightGradient if split => Pass::WeightGradient,
            _ if split => Pass::InputGradient,
            _ => Pass::Backward,
        };
        let span = self.passes.entry((pass, chunk, micro_batch)).or_insert((start, end));
        span.1 = span.1.max(end);
    }

    fn timeline(&self, lowered: &Lowered) -> CardTimeline {
        let mut samples: Vec<MemorySample> = Vec::new();
        let mut now = 0.0;
        let mut push = |at, time: Option<Time>, moment: Moment, memory: &MemoryUse| {
            // Passes that run together are told one after the other.
            now = time.map_or(now, |time| time.as_secs_f64()).max(now);
            samples.push(MemorySample::new(now, at, moment, memory));
        };
        for pass in lowered.memory_walk(self.rank) {
            let step = pass.step;
            let span = self.passes.get(&(step.pass, step.chunk, step.micro_batch));
            let (start, end) = (span.map(|span| span.0), span.map(|span| span.1));
            let fullest = if step.pass == Pass::Forward { end } else { start };
            let moment = Moment::Pass(step);
            push("begin", start, moment, &pass.before);
            push("fullest", fullest, moment, &pass.fullest);
            push("end", end, moment, &pass.after);
        }
        let course = lowered.course(self.rank);
        let (start, end) = (self.rest.map(|span| span.0), self.rest.map(|span| span.1));
        push("begin", start, Moment::OptimizerStep, &course.idle);
        push("fullest", start, Moment::OptimizerStep, &course.step);
        push("end", end, Moment::OptimizerStep, &course.idle);
        let place = lowered.place(self.rank);
        CardTimeline {
            pipeline_index: place.pipeline,
            stage_index: place.stage,
            card: self.id.clone(),
            rank_index: self.rank.0,
            capacity_bytes: self.capacity,
            peak_bytes: lowered.memory[self.rank.0 as usize].total().0,
            samples,
        }
    }
}

impl MemorySample {
    fn new(time_s: f64, at: &'static str, moment: Moment, memory: &MemoryUse) -> Self {
        Self {
            time_s,
            at,
            moment: PeakMoment::from(moment),
            parts: MemoryParts::from(memory),
            allocated_bytes: memory.allocated().0,
            reserved_bytes: memory.reserved().0,
            total_bytes: memory.total().0,
        }
    }
}

impl Observer for MemoryTimeline<'_> {
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        if let Some(&card) = self.card_of.get(&rank) {
            let found = self.activities[usize::from(tag.name.0)];
            self.cards[card].note(found, tag, start, end);
        }
    }
}
