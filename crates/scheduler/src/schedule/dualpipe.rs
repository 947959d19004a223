//! DualPipe (DeepSeek-V3, arXiv 2412.19437, section 3.2.1; github.com/deepseek-ai/DualPipe) and
//! DualPipeV, its half.
//!
//! Two copies of the model lie on the stages in opposite directions, and micro-batches enter at
//! both ends. In the steady phase a forward pass of one direction and a backward pass of the other
//! run together, layer by layer, so that each computes while the other communicates. DualPipeV cuts
//! this in the middle: the two directions of half of the stages are the two arms of a V, and one
//! copy of the model is enough ("cut-in-half", Qi, Wan et al. 2025).
//!
//! ```text
//! F0 F2 F4 f1 b1 w1 f3 F6&b3---    f5&B0--- b5---    f7&B2--- b7--- B4 W4 B6 W6
//!    F0 f1 F2 f3 F4 b1--- f5&B0--- F6&b3--- f7&B2--- b5--- B4---    b7 B6 w7 W6
//!    f1 F0 f3 F2 f5 B0--- F4&b1--- f7&B2--- F6&b3--- B4--- b5---    B6 b7 W6 w7
//! f1 f3 f5 F0 B0 W0 F2 f7&B2---    F4&b1--- B4---    F6&b3--- B6--- b5 w5 b7 w7
//! ```
//!
//! Four stages, eight micro-batches, half of them in each direction; an overlapped pair is drawn
//! three units long, as if nothing were hidden.
//!
//! The phases of stage `r`, with `h` the distance from the nearer end and `n` micro-batches in each
//! direction, in terms of the own direction (0: the one whose start is nearer) and the other (1):
//!
//! | phase | times | passes |
//! |---|---|---|
//! | 1 | `2 (p/2 - h - 1)` | F0 |
//! | 2 | `h + 1` | F0 F1 |
//! | 3 | `p/2 - h - 1` | B1 W1 F1, the backward pass split |
//! | 4 | `n - p + h + 1` | F0 with B1, F1 with B0 |
//! | 5 | `p/2 - h - 1` | B1, F1 with B0 |
//! | 6 | `h + 1` | B1 B0, the later half of them split |
//! | 7 | `p/2 - h - 1` | W B0, split |
//! | 8 | `h + 1` | W |
//!
//! Bubble `(p/2 - 1) (F&B + B - 3 W)`, with `F&B` the time of an overlapped pair and `B` that of a
//! whole backward pass, if an input gradient takes as long as a forward pass; `p + 1` micro-batches
//! in flight on every stage.

use std::collections::VecDeque;

use super::placement::Placement;
use super::step::{Order, Step, Turn, backward, forward, input_gradient, weight_gradient};

/// The order of a stage of DualPipe; `micro_batches` are those of both directions.
pub(super) fn bidirectional(
    placement: &Placement,
    stage: u32,
    stages: u32,
    micro_batches: u32,
) -> Order {
    let half = stages / 2;
    let from_end = stage.min(stages - 1 - stage);
    let second_half = stage >= half;
    let chunk = |direction: u32| if second_half { 1 - direction } else { direction };
    let phases = Phases {
        distance: half - from_end - 1,
        depth: from_end + 1,
        steady: micro_batches / 2 + from_end + 1 - stages,
        middle: from_end + 1 == half,
        // The route of a chunk is the chunk: chunk 0 lies on the way down, chunk 1 on the way up.
        place: |direction, turn| {
            let chunk = chunk(direction);
            (placement.micro_batch(chunk as usize, turn), chunk)
        },
    };
    phases.order()
}

/// The order of a stage of DualPipeV.
pub(super) fn vee(stage: u32, stages: u32, micro_batches: u32) -> Order {
    let phases = Phases {
        distance: stages - stage - 1,
        depth: stage + 1,
        steady: micro_batches + stage + 1 - 2 * stages,
        middle: stage + 1 == stages,
        place: |direction, turn| (turn, direction),
    };
    phases.order()
}

/// What the two forms have in common.
struct Phases<P> {
    /// From the place where the directions meet.
    distance: u32,
    /// From the nearer end, counted from one.
    depth: u32,
    /// Rounds of the steady phase.
    steady: u32,
    /// The directions meet here.
    middle: bool,
    /// Micro-batch and chunk of the `turn`-th micro-batch of a direction.
    place: P,
}

impl<P: Fn(u32, u32) -> (u32, u32)> Phases<P> {
    fn order(self) -> Order {
        let mut writer = Writer {
            place: self.place,
            forward: [0; 2],
            backward: [0; 2],
            waiting: VecDeque::new(),
        };
        let w = &mut writer;
        let mut order = Order::new();
        let alone = Turn::Alone;
        for _ in 0..2 * self.distance {
            order.push(alone(w.forward(0)));
        }
        for _ in 0..self.depth {
            order.push(alone(w.forward(0)));
            order.push(alone(w.forward(1)));
        }
        for _ in 0..self.distance {
            order.push(alone(w.input_gradient(1)));
            order.push(alone(w.weight_gradient()));
            order.push(alone(w.forward(1)));
        }
        for round in 0..self.steady {
            if round == 0 && self.middle {
                // Apart, the backward pass starts earlier and the bubble is smaller.
                order.push(alone(w.forward(0)));
                order.push(alone(w.backward(1)));
            } else {
                order.push(w.overlapped(0, 1));
            }
            order.push(w.overlapped(1, 0));
        }
        for _ in 0..self.distance {
            order.push(alone(w.backward(1)));
            order.push(w.overlapped(1, 0));
        }
        // Twice `depth` backward passes, of which the last `depth` are split.
        for pass in 0..2 * self.depth {
            let direction = 1 - pass % 2;
            let step =
                if pass < self.depth { w.backward(direction) } else { w.input_gradient(direction) };
            order.push(alone(step));
        }
        for _ in 0..self.distance {
            order.push(alone(w.weight_gradient()));
            order.push(alone(w.input_gradient(0)));
        }
        for _ in 0..self.depth {
            order.push(alone(w.weight_gradient()));
        }
        order
    }
}

/// Hands out the passes of both directions in order.
struct Writer<P> {
    place: P,
    forward: [u32; 2],
    backward: [u32; 2],
    /// Split backward passes whose weight gradients are still to be computed, oldest first.
    waiting: VecDeque<(u32, u32)>,
}

impl<P: Fn(u32, u32) -> (u32, u32)> Writer<P> {
    fn next(place: &P, counts: &mut [u32; 2], direction: u32) -> (u32, u32) {
        let turn = &mut counts[direction as usize];
        *turn += 1;
        place(direction, *turn - 1)
    }

    fn forward(&mut self, direction: u32) -> Step {
        let (micro_batch, chunk) = Self::next(&self.place, &mut self.forward, direction);
        forward(micro_batch, chunk)
    }

    fn backward(&mut self, direction: u32) -> Step {
        let (micro_batch, chunk) = Self::next(&self.place, &mut self.backward, direction);
        backward(micro_batch, chunk)
    }

    fn input_gradient(&mut self, direction: u32) -> Step {
        let (micro_batch, chunk) = Self::next(&self.place, &mut self.backward, direction);
        self.waiting.push_back((micro_batch, chunk));
        input_gradient(micro_batch, chunk)
    }

    fn weight_gradient(&mut self) -> Step {
        let (micro_batch, chunk) =
            self.waiting.pop_front().expect("phases split as many passes as they complete");
        weight_gradient(micro_batch, chunk)
    }

    fn overlapped(&mut self, forward: u32, backward: u32) -> Turn {
        Turn::Overlapped { forward: self.forward(forward), backward: self.backward(backward) }
    }
}
