//! The handcrafted schedules ZB-H1 and ZB-H2 (Qi et al. 2024, arXiv 2401.10241, section 2), and
//! ZB-V's (the same authors' arXiv version of it, and arXiv 2405.15362).
//!
//! The backward pass is split: only the input gradient B is what the stage before waits for; the
//! weight gradients W fill what would be bubbles.
//!
//! ```text
//! ZB-H1
//! F0 F1 F2       B0 W0 F3 B1 W1 F4 B2 W2 F5 B3 W3 B4 W4 B5 W5
//!    F0 F1    B0 F2 B1 W0 F3 B2 W1 F4 B3 W2 F5 B4 W3 B5 W4 W5
//!       F0 B0 F1 B1 F2 B2 W0 F3 B3 W1 F4 B4 W2 F5 B5 W3 W4 W5
//!
//! ZB-H2
//! F0 F1 F2 F3 F4 B0 W0 F5 B1 W1 B2 W2 B3 W3 B4 W4 B5 W5
//!    F0 F1 F2 B0 F3 B1 F4 B2 W0 F5 B3 W1 B4 W2 B5 W3 W4 W5
//!       F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 W0 F5 B5 W1 W2 W3 W4 W5
//!
//! ZB-V, the second chunk in small letters
//! F0 F1 F2 f0 b0 w0 f1 b1 w1 F3 B0 W0 f2 b2 w2 F4 B1 W1 f3 b3 w3 B2 W2 f4 b4 w4 B3 W3 B4 W4
//!    F0 f0 F1 f1 b0 w0 F2 B0 W0 f2 b1 w1 F3 B1 W1 f3 b2 w2 F4 B2 W2 f4 b3 w3 B3 b4 B4 W3 w4 W4
//! ```
//!
//! | | forward passes before the first B on stage `i` | W behind B by | bubble | in flight |
//! |---|---|---|---|---|
//! | ZB-H1 | `p - i` | `i` | `(p - 1) (T_F + T_B - T_W)` | `p - i` whole, `i` for W |
//! | ZB-H2 | `2 (p - i) - 1` | `2 i` | `(p - 1) (T_F + T_B - 2 T_W)` | `2 (p - i) - 1` whole, `2 i` for W |
//! | ZB-V | `2 (p - i) - 1` in chunk 0 | 0 | `(p - 1) (T_F + T_B - 2 T_W)` of a chunk | `p` on every stage |

use super::super::step::{Order, Turn, forward, input_gradient, weight_gradient};

/// ZB-H1.
pub(super) fn h1(stage: u32, stages: u32, micro_batches: u32) -> Order {
    linear(stages - stage, stage, micro_batches)
}

/// ZB-H2.
pub(super) fn h2(stage: u32, stages: u32, micro_batches: u32) -> Order {
    linear(2 * (stages - stage) - 1, 2 * stage, micro_batches)
}

/// One B and one F in turn after `warm_up` forward passes; W follows B when `behind` others wait.
fn linear(warm_up: u32, behind: u32, micro_batches: u32) -> Order {
    let mut order = Order::with_capacity(3 * micro_batches as usize);
    let warm_up = warm_up.min(micro_batches);
    order.extend((0..warm_up).map(|m| Turn::Alone(forward(m, 0))));
    for m in 0..micro_batches {
        order.push(Turn::Alone(input_gradient(m, 0)));
        if m >= behind {
            order.push(Turn::Alone(weight_gradient(m - behind, 0)));
        }
        if warm_up + m < micro_batches {
            order.push(Turn::Alone(forward(warm_up + m, 0)));
        }
    }
    let rest = micro_batches.saturating_sub(behind)..micro_batches;
    order.extend(rest.map(|m| Turn::Alone(weight_gradient(m, 0))));
    order
}

/// ZB-V: warm-up until the stage's share of the V is full, then rounds of F, B, W in both chunks.
/// Written for at least `2 p - 1` micro-batches; of fewer, the passes that there are.
pub(super) fn vee(stage: u32, stages: u32, micro_batches: u32) -> Order {
    let (i, p) = (stage, stages);
    let enough = micro_batches.max(2 * p - 1);
    let mut writer = Writer { micro_batches, ..Writer::default() };
    let w = &mut writer;
    for _ in 0..2 * (p - i) - 1 {
        w.forward(0);
    }
    for _ in 0..i {
        w.forward(1);
        w.forward(0);
    }
    for _ in 0..p - i {
        w.forward(1);
        w.input_gradient(1);
        w.weight_gradient(1);
    }
    while w.forward[1] < w.forward[0] || w.forward[0] < enough {
        if w.forward[0] < enough {
            w.forward(0);
        }
        w.input_gradient(0);
        w.weight_gradient(0);
        w.forward(1);
        w.input_gradient(1);
        w.weight_gradient(1);
    }
    for _ in 0..i {
        w.input_gradient(0);
        w.input_gradient(1);
    }
    for _ in 0..p - i {
        w.input_gradient(0);
        w.weight_gradient(0);
    }
    for chunk in [1, 0] {
        while w.weight[chunk as usize] < enough {
            w.weight_gradient(chunk);
        }
    }
    writer.order
}

/// Hands out the passes of two chunks in order, leaving out those of micro-batches that there are
/// not.
#[derive(Default)]
struct Writer {
    micro_batches: u32,
    order: Order,
    forward: [u32; 2],
    backward: [u32; 2],
    weight: [u32; 2],
}

impl Writer {
    fn forward(&mut self, chunk: u32) {
        let m = next(&mut self.forward, chunk);
        self.push(m, Turn::Alone(forward(m, chunk)));
    }

    fn input_gradient(&mut self, chunk: u32) {
        let m = next(&mut self.backward, chunk);
        self.push(m, Turn::Alone(input_gradient(m, chunk)));
    }

    fn weight_gradient(&mut self, chunk: u32) {
        let m = next(&mut self.weight, chunk);
        self.push(m, Turn::Alone(weight_gradient(m, chunk)));
    }

    fn push(&mut self, micro_batch: u32, turn: Turn) {
        if micro_batch < self.micro_batches {
            self.order.push(turn);
        }
    }
}

fn next(counts: &mut [u32; 2], chunk: u32) -> u32 {
    let count = &mut counts[chunk as usize];
    *count += 1;
    *count - 1
}
