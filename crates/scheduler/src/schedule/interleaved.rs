//! Interleaved 1F1B (Narayanan et al. 2021, arXiv 2104.04473): 1F1B over the virtual stages of a
//! round-robin placement.
//!
//! Micro-batches go in groups of `p` through chunk 0, then through chunk 1, ...; backward passes
//! through the chunks in reverse order. Stage `i` warms up with `2 (p - i - 1) + (v - 1) p` passes.
//! The micro-batches must fill the groups: stages would wait for each other in a smaller last
//! group, which is why Megatron-LM refuses it, too.
//!
//! ```text
//! F0 F1 f0 f1 F2    b0 -- F3 b1 -- f2 B0 -- f3 B1 --    b2 --    b3 -- B2 -- B3 --
//!    F0 F1 f0 b0 -- f1 b1 -- F2 B0 -- F3 B1 -- f2 b2 -- f3 b3 -- B2 -- B3 --
//! ```
//!
//! Two stages, two chunks (the second in small letters), four micro-batches. Bubble
//! `(p - 1) (F + B) / v`; `2 (p - i - 1) + (v - 1) p + 1` chunk passes in flight.

use super::step::{Order, Step, Turn, backward, forward};

pub(super) fn order(stage: u32, stages: u32, chunks: u32, micro_batches: u32) -> Order {
    let ahead = (stages - stage - 1) as usize;
    let warm_up =
        if chunks == 1 { ahead } else { 2 * ahead + (chunks as usize - 1) * stages as usize };
    let alternating = |forward, backward| [Turn::Alone(forward), Turn::Alone(backward)].into_iter();
    with_steady_state(stages, chunks, micro_batches, warm_up, alternating)
}

/// The same with one more pass to warm up, so that each forward pass of the steady state has nothing
/// to do with the backward pass behind it: both run together, and each computes while the tokens of
/// the other travel to experts (Megatron-LM's `--overlap-moe-expert-parallel-comm`).
///
/// ```text
/// F0 F1 f0 f1 F2&b0-- F3&b1-- f2&B0-- f3&B1-- b2-- b3-- B2-- B3--
/// ```
pub(super) fn paired(stage: u32, stages: u32, chunks: u32, micro_batches: u32) -> Order {
    let ahead = (stages - stage - 1) as usize;
    let warm_up = 2 * ahead + (chunks as usize - 1) * stages as usize + 1;
    let together = |forward, backward| std::iter::once(Turn::Overlapped { forward, backward });
    with_steady_state(stages, chunks, micro_batches, warm_up, together)
}

fn with_steady_state<T: Iterator<Item = Turn>>(
    stages: u32,
    chunks: u32,
    micro_batches: u32,
    warm_up: usize,
    both: impl Fn(Step, Step) -> T,
) -> Order {
    let total = micro_batches as usize * chunks as usize;
    let warm_up = warm_up.min(total);
    let forward: Vec<Step> =
        visits(stages, chunks, micro_batches).map(|(m, c)| forward(m, c)).collect();
    let backward: Vec<Step> =
        visits(stages, chunks, micro_batches).map(|(m, c)| backward(m, chunks - 1 - c)).collect();
    let mut order = Vec::with_capacity(2 * total);
    order.extend(forward[..warm_up].iter().map(|&step| Turn::Alone(step)));
    for k in 0..total - warm_up {
        order.extend(both(forward[warm_up + k], backward[k]));
    }
    order.extend(backward[total - warm_up..].iter().map(|&step| Turn::Alone(step)));
    order
}

/// Micro-batch and chunk of each visit: micro-batches in groups of `stages`, each group through
/// all chunks.
fn visits(stages: u32, chunks: u32, micro_batches: u32) -> impl Iterator<Item = (u32, u32)> {
    let group = if chunks == 1 { micro_batches.max(1) } else { stages };
    (0..micro_batches).step_by(group as usize).flat_map(move |first| {
        let end = micro_batches.min(first.saturating_add(group));
        (0..chunks).flat_map(move |chunk| (first..end).map(move |m| (m, chunk)))
    })
}
