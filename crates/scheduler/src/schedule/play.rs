//! Playing a schedule: when each pass starts and ends if every stage follows its order, with
//! passes and transfers of known length. The replay of a job does this with all that a machine
//! adds; this is the schedule alone.

use motley_units::Time;

use super::costs::Costs;
use super::placement::{Placement, Position};
use super::step::{Order, Pass, Step, Turn};

/// A turn with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// What was done.
    pub turn: Turn,
    /// From.
    pub start: Time,
    /// To.
    pub end: Time,
}

/// What every stage did when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// By stage, in order.
    pub stages: Vec<Vec<Played>>,
}

impl Timeline {
    /// When the last stage ends.
    pub fn makespan(&self) -> Time {
        let ends = self.stages.iter().filter_map(|turns| turns.last());
        ends.map(|last| last.end).max().unwrap_or(Time::ZERO)
    }

    /// The longest time that a stage takes from its first start to its last end: the time of an
    /// iteration if the next one begins on each stage as soon as the stage is done.
    pub fn longest_span(&self) -> Time {
        let span = |turns: &Vec<Played>| {
            turns.first().zip(turns.last()).map(|(first, last)| last.end - first.start)
        };
        self.stages.iter().filter_map(span).max().unwrap_or(Time::ZERO)
    }

    /// How long a stage computes.
    pub fn busy(&self, stage: usize) -> Time {
        self.stages[stage].iter().map(|played| played.end - played.start).sum()
    }
}

/// The stages of a schedule wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stage {stage} waits for ever with {turn:?}")]
pub struct Stuck {
    /// The first stage that cannot go on.
    pub stage: u32,
    /// What it would do next.
    pub turn: Turn,
}

/// Plays a schedule: every stage takes its turns in order, each as soon as the stage is free and
/// the turn's inputs are there.
///
/// # Errors
/// If the stages wait for each other.
pub fn play(orders: &[Order], placement: &Placement, costs: &Costs) -> Result<Timeline, Stuck> {
    let mut done = Done::new(placement, micro_batches(orders));
    let mut clocks = vec![Time::ZERO; orders.len()];
    let mut stages: Vec<Vec<Played>> =
        orders.iter().map(|order| Vec::with_capacity(order.len())).collect();
    // Stages that may be able to go on.
    let mut awake: Vec<u32> = (0..orders.len() as u32).rev().collect();
    while let Some(stage) = awake.pop() {
        let s = stage as usize;
        while let Some(&turn) = orders[s].get(stages[s].len()) {
            let ready = turn
                .steps()
                .map(|step| done.ready(costs, placement, stage, step))
                .try_fold(Time::ZERO, |latest, ready| ready.map(|at| latest.max(at)));
            let Some(ready) = ready else { break };
            let start = clocks[s].max(ready);
            let end = start + costs.turn(stage, turn);
            clocks[s] = end;
            stages[s].push(Played { turn, start, end });
            for step in turn.steps() {
                let position = Position { stage, chunk: step.chunk };
                done.set(position, step, end);
                let neighbour = match step.pass {
                    Pass::Forward => placement.after(position),
                    Pass::Backward | Pass::InputGradient => placement.before(position),
                    Pass::WeightGradient => None,
                };
                if let Some(neighbour) = neighbour.filter(|other| other.stage != stage)
                    && !awake.contains(&neighbour.stage)
                {
                    awake.push(neighbour.stage);
                }
            }
        }
    }
    for (stage, (order, turns)) in orders.iter().zip(&stages).enumerate() {
        if let Some(&turn) = order.get(turns.len()) {
            return Err(Stuck { stage: stage as u32, turn });
        }
    }
    Ok(Timeline { stages })
}

/// The number of micro-batches that orders speak of.
fn micro_batches(orders: &[Order]) -> u32 {
    let steps = orders.iter().flat_map(|order| super::step::steps(order));
    steps.map(|step| step.micro_batch + 1).max().unwrap_or(0)
}

/// When forward passes and input gradients ended.
pub(super) struct Done {
    micro_batches: usize,
    chunks: usize,
    forward: Vec<Option<Time>>,
    backward: Vec<Option<Time>>,
}

impl Done {
    pub(super) fn new(placement: &Placement, micro_batches: u32) -> Self {
        let chunks = placement.chunks() as usize;
        let count = placement.stages() as usize * chunks * micro_batches as usize;
        Self {
            micro_batches: micro_batches as usize,
            chunks,
            forward: vec![None; count],
            backward: vec![None; count],
        }
    }

    fn index(&self, position: Position, micro_batch: u32) -> usize {
        let chunk = position.stage as usize * self.chunks + position.chunk as usize;
        chunk * self.micro_batches + micro_batch as usize
    }

    /// Notes the end of a step.
    pub(super) fn set(&mut self, position: Position, step: Step, end: Time) {
        let index = self.index(position, step.micro_batch);
        match step.pass {
            Pass::Forward => self.forward[index] = Some(end),
            Pass::Backward | Pass::InputGradient => self.backward[index] = Some(end),
            Pass::WeightGradient => {}
        }
    }

    /// When the inputs of a step are on its stage; none if what makes them has not been done.
    pub(super) fn ready(
        &self,
        costs: &Costs,
        placement: &Placement,
        stage: u32,
        step: Step,
    ) -> Option<Time> {
        let position = Position { stage, chunk: step.chunk };
        let (route, place) = placement.place(position);
        let own = self.index(position, step.micro_batch);
        match step.pass {
            Pass::Forward => match placement.before(position) {
                None => Some(Time::ZERO),
                Some(before) => self.forward[self.index(before, step.micro_batch)]
                    .map(|end| end + costs.forward_hops[route][place - 1]),
            },
            Pass::Backward | Pass::InputGradient => {
                let own = self.forward[own]?;
                match placement.after(position) {
                    None => Some(own),
                    Some(after) => self.backward[self.index(after, step.micro_batch)]
                        .map(|end| own.max(end + costs.backward_hops[route][place])),
                }
            }
            Pass::WeightGradient => self.backward[own],
        }
    }
}
