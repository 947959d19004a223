//! List scheduling: every stage, whenever it is free, takes the most urgent pass that it can.
//!
//! Made for what the heuristics of equal stages do not foresee: stages of unlike speed or memory,
//! limits below what a regular pattern needs, any placement with one route. It always comes to an
//! end: a forward pass starts only if there is room for all that its micro-batch will hold, and for
//! one more in each later chunk of the stage, so the oldest micro-batch on the way can always go on.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use motley_units::Time;

use super::super::costs::{ChunkCosts, Costs};
use super::super::placement::{Placement, Position};
use super::super::step::{Order, Pass, Step, Turn, forward, input_gradient, weight_gradient};

/// What may be more or less urgent; all combinations are tried.
#[expect(clippy::struct_excessive_bools, reason = "independent choices, tried in all combinations")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices {
    /// After an input gradient a forward pass comes before another input gradient.
    pub alternate: bool,
    /// A forward pass may start though an input gradient will be ready before it ends.
    pub overrun: bool,
    /// Weight gradients run in gaps too small for them if waiting would make the stage's idle time
    /// the longest of all.
    pub fill: bool,
    /// Of several input gradients the one nearest to the model's end comes first, not the one
    /// nearest to its start.
    pub latest_first: bool,
}

impl Choices {
    /// All combinations that differ under a placement.
    pub(super) fn all(placement: &Placement) -> impl Iterator<Item = Self> {
        let several = placement.chunks() > 1;
        (0..if several { 16 } else { 8 }).map(move |bits| Self {
            alternate: bits & 1 != 0,
            overrun: bits & 2 != 0,
            fill: bits & 4 != 0,
            latest_first: bits & 8 != 0,
        })
    }
}

/// The orders of all stages of a placement with one route.
pub(super) fn orders(
    placement: &Placement,
    costs: &Costs,
    micro_batches: u32,
    choices: Choices,
) -> Vec<Order> {
    let mut list = List::new(placement, costs, micro_batches, choices);
    list.run();
    list.stages.into_iter().map(|stage| stage.order).collect()
}

struct Stage {
    clock: Time,
    idle: Time,
    /// What its micro-batches hold or will hold.
    reserved: f64,
    /// Its places on the route, ascending.
    places: Vec<usize>,
    /// Input gradients whose weight gradients are still to be computed: place and micro-batch.
    waiting: VecDeque<(usize, u32)>,
    last: Option<Pass>,
    order: Order,
}

/// Progress at one place of the route.
#[derive(Clone, Debug)]
struct Progress {
    forwards: u32,
    backwards: u32,
    /// When inputs are there, of the micro-batches that have been sent.
    forward_ready: VecDeque<Time>,
    backward_ready: VecDeque<Time>,
}

struct List<'a> {
    route: &'a [Position],
    costs: &'a Costs,
    micro_batches: u32,
    choices: Choices,
    stages: Vec<Stage>,
    places: Vec<Progress>,
    /// When which stage looks for work.
    alarms: BinaryHeap<Reverse<(Time, u32)>>,
}

/// A pass that a stage can take.
#[derive(Clone, Copy)]
enum Pick {
    Forward(usize),
    InputGradient(usize),
    WeightGradient,
}

impl<'a> List<'a> {
    fn new(
        placement: &'a Placement,
        costs: &'a Costs,
        micro_batches: u32,
        choices: Choices,
    ) -> Self {
        let route = &placement.routes()[0];
        let stages = (0..placement.stages()).map(|stage| Stage {
            clock: Time::ZERO,
            idle: Time::ZERO,
            reserved: 0.0,
            places: (0..route.len()).filter(|&place| route[place].stage == stage).collect(),
            waiting: VecDeque::new(),
            last: None,
            order: Order::with_capacity(3 * micro_batches as usize),
        });
        let empty = Progress {
            forwards: 0,
            backwards: 0,
            forward_ready: VecDeque::new(),
            backward_ready: VecDeque::new(),
        };
        let mut places = vec![empty; route.len()];
        places[0].forward_ready = vec![Time::ZERO; micro_batches as usize].into();
        Self {
            route,
            costs,
            micro_batches,
            choices,
            stages: stages.collect(),
            places,
            alarms: (0..placement.stages()).map(|stage| Reverse((Time::ZERO, stage))).collect(),
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((now, stage))) = self.alarms.pop() {
            if now >= self.stages[stage as usize].clock
                && let Some(pick) = self.pick(stage as usize, now)
            {
                self.take(stage as usize, now, pick);
            }
        }
    }

    fn chunk(&self, place: usize) -> &'a ChunkCosts {
        self.costs.chunk(self.route[place])
    }

    /// Whether a forward pass at a place leaves room for one in each later chunk of the stage.
    fn forward_fits(&self, s: usize, place: usize) -> bool {
        let later = self.stages[s].places.iter().filter(|&&other| other >= place);
        let wanted: f64 = later.map(|&other| most(self.chunk(other))).sum();
        super::fits(self.stages[s].reserved + wanted, self.costs.stages[s].limit)
    }

    /// The most urgent pass that stage `s` can start now.
    fn pick(&self, s: usize, now: Time) -> Option<Pick> {
        let stage = &self.stages[s];
        let next_forward = |place: usize| self.places[place].forward_ready.front().copied();
        let next_backward = |place: usize| self.places[place].backward_ready.front().copied();
        let can = |ready: Option<Time>| ready.is_some_and(|at| at <= now);

        let forwards = || stage.places.iter().copied().filter(|&place| can(next_forward(place)));
        let forward = forwards().filter(|&place| self.forward_fits(s, place)).max();
        let backwards = || stage.places.iter().copied().filter(|&place| can(next_backward(place)));
        let backward =
            if self.choices.latest_first { backwards().max() } else { backwards().min() };
        let later = |ready: Option<Time>| ready.filter(|&at| at > now);
        let coming_backward =
            stage.places.iter().filter_map(|&place| later(next_backward(place))).min();

        if let Some(place) = backward {
            if self.choices.alternate
                && stage.last == Some(Pass::InputGradient)
                && let Some(forward) = forward
            {
                return Some(Pick::Forward(forward));
            }
            return Some(Pick::InputGradient(place));
        }
        if let Some(place) = forward {
            let end = now + self.chunk(place).forward;
            if self.choices.overrun || coming_backward.is_none_or(|at| end <= at) {
                return Some(Pick::Forward(place));
            }
        }
        let &(place, _) = stage.waiting.front()?;
        let blocked = forward.is_none() && forwards().next().is_some();
        let coming_forward = stage
            .places
            .iter()
            .filter(|&&place| self.forward_fits(s, place))
            .filter_map(|&place| later(next_forward(place)))
            .min();
        let Some(next) = [coming_backward, coming_forward].into_iter().flatten().min() else {
            return Some(Pick::WeightGradient);
        };
        let longest = || self.stages.iter().map(|stage| stage.idle).max().unwrap_or(Time::ZERO);
        let runs = blocked
            || now + self.chunk(place).weight_gradient <= next
            || (self.choices.fill && next - now > longest() - stage.idle);
        runs.then_some(Pick::WeightGradient)
    }

    fn take(&mut self, s: usize, now: Time, pick: Pick) {
        let (place, step) = match pick {
            Pick::Forward(place) => {
                let progress = &mut self.places[place];
                progress.forward_ready.pop_front();
                progress.forwards += 1;
                (place, forward(progress.forwards - 1, self.route[place].chunk))
            }
            Pick::InputGradient(place) => {
                let progress = &mut self.places[place];
                progress.backward_ready.pop_front();
                progress.backwards += 1;
                (place, input_gradient(progress.backwards - 1, self.route[place].chunk))
            }
            Pick::WeightGradient => {
                let (place, micro_batch) =
                    self.stages[s].waiting.pop_front().expect("only what waits is picked");
                (place, weight_gradient(micro_batch, self.route[place].chunk))
            }
        };
        let chunk = self.chunk(place);
        let end = now + chunk.time(step.pass);
        let stage = &mut self.stages[s];
        if stage.last.is_some() {
            stage.idle += now - stage.clock;
        }
        stage.clock = end;
        stage.reserved += match step.pass {
            Pass::Forward => most(chunk),
            Pass::Backward => -most(chunk),
            Pass::InputGradient => chunk.deferred - most(chunk),
            Pass::WeightGradient => -chunk.deferred,
        };
        if step.pass != Pass::WeightGradient {
            stage.last = Some(step.pass);
        }
        if step.pass == Pass::InputGradient {
            stage.waiting.push_back((place, step.micro_batch));
        }
        stage.order.push(Turn::Alone(step));
        self.alarms.push(Reverse((end, s as u32)));
        self.hand_on(place, step, end);
    }

    /// Tells whoever waits for a step when its result will be there.
    fn hand_on(&mut self, place: usize, step: Step, end: Time) {
        let (target, at) = match step.pass {
            Pass::Forward if place + 1 == self.route.len() => {
                self.places[place].backward_ready.push_back(end);
                return;
            }
            Pass::Forward => {
                let at = end + self.costs.forward_hops[0][place];
                self.places[place + 1].forward_ready.push_back(at);
                (place + 1, at)
            }
            Pass::InputGradient if place > 0 => {
                let at = end + self.costs.backward_hops[0][place - 1];
                self.places[place - 1].backward_ready.push_back(at);
                (place - 1, at)
            }
            _ => return,
        };
        debug_assert!(self.places[target].forwards <= self.micro_batches);
        self.alarms.push(Reverse((at, self.route[target].stage)));
    }
}

/// What a micro-batch in a chunk holds at its fullest.
fn most(chunk: &ChunkCosts) -> f64 {
    chunk.kept.max(chunk.deferred)
}
