//! The shortest iteration in which a pool gets a batch done: bisection on its time, with the knapsack
//! as the answer to what is done by then.

use crate::capacity::{Item, knapsack, undominated};
use crate::template::Template;

/// Halvings of the interval in which the time lies.
const HALVINGS: u32 = 14;

/// How often each template is used, and the micro-batches of each pipeline, by template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix {
    /// Template and micro-batches of each pipeline.
    pub pipelines: Vec<(usize, u32)>,
    /// Seconds of the slowest.
    pub time: f64,
}

/// The fastest mix of templates for `micro_batches`, within `limits` units of each type; none if no
/// template is there. A pipeline gives each of its micro-batches `wide` times.
pub(crate) fn fastest(templates: &[Template], limits: &[u32], micro_batches: u32) -> Option<Mix> {
    let alone = templates.iter().map(|template| template.time(micro_batches));
    let mut high = alone.fold(f64::INFINITY, f64::min);
    if !high.is_finite() {
        return None;
    }
    let mut low = templates.iter().map(|template| template.time(1)).fold(f64::INFINITY, f64::min);
    let mut best = mix_within(templates, limits, micro_batches, high * (1.0 + 1e-9))?;
    for _ in 0..HALVINGS {
        if high - low <= 1e-4 * high {
            break;
        }
        let middle = f64::midpoint(low, high);
        match mix_within(templates, limits, micro_batches, middle) {
            Some(mix) => {
                high = mix.time.min(middle);
                best = mix;
            }
            None => low = middle,
        }
    }
    Some(best)
}

/// A mix that is done within some seconds, if the knapsack finds one.
fn mix_within(
    templates: &[Template],
    limits: &[u32],
    micro_batches: u32,
    seconds: f64,
) -> Option<Mix> {
    let items: Vec<Item> = templates
        .iter()
        .map(|template| Item {
            units: template.units.clone(),
            worth: u64::from(template.capacity(seconds).min(micro_batches)),
        })
        .collect();
    let useful = undominated(&items);
    let kept: Vec<Item> = useful.iter().map(|&index| items[index].clone()).collect();
    let (worth, counts) = knapsack(&kept, limits);
    if worth < u64::from(micro_batches) {
        return None;
    }
    let chosen: Vec<usize> = useful
        .iter()
        .zip(&counts)
        .flat_map(|(&index, &count)| std::iter::repeat_n(index, count as usize))
        .collect();
    Some(deal(templates, &chosen, micro_batches))
}

/// Deals micro-batches to pipelines, each to the one that it makes slowest least; pipelines that get
/// none are left out.
pub(crate) fn deal(templates: &[Template], chosen: &[usize], micro_batches: u32) -> Mix {
    let nothing = vec![0; chosen.len()];
    let time = |own: usize, count| templates[chosen[own]].time(count);
    let counts = motley_scheduler::deal(micro_batches, &nothing, time);
    let pipelines: Vec<(usize, u32)> =
        chosen.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect();
    let time = pipelines
        .iter()
        .map(|&(template, count)| templates[template].time(count))
        .fold(0.0, f64::max);
    Mix { pipelines, time }
}
