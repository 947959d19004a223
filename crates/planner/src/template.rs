//! Templates: pipelines by the types of their stages, each cut so that its slowest stage is as fast as
//! can be within the memory of its cards.

use std::ops::Range;

use crate::combination::Combination;
use crate::costs::UnitCosts;
use crate::settings::Settings;

/// Halvings of the interval in which the time of the slowest stage lies.
const HALVINGS: u32 = 40;

/// A cut that is faster by a smaller share is no better.
const BETTER: f64 = 1e-6;

/// A pipeline without cards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    /// By stage, the place of its choice in the combination.
    pub stages: Vec<usize>,
    /// By stage.
    pub layers: Vec<Range<u32>>,
    /// Seconds of its slowest stage for a micro-batch.
    pub bottleneck: f64,
    /// Seconds that an iteration takes beside the slowest stage's micro-batches.
    pub fill: f64,
    /// Units by choice.
    pub units: Vec<u32>,
}

impl Template {
    /// Seconds of an iteration of so many micro-batches.
    pub(crate) fn time(&self, micro_batches: u32) -> f64 {
        self.fill + self.bottleneck * f64::from(micro_batches)
    }

    /// How many micro-batches it gets done in so many seconds.
    pub(crate) fn capacity(&self, seconds: f64) -> u32 {
        if seconds < self.time(1) || self.bottleneck <= 0.0 {
            return 0;
        }
        ((seconds - self.fill) / self.bottleneck * (1.0 + 1e-12)) as u32
    }
}

/// A stage as far as cutting wants to know.
pub(crate) struct Place<'a> {
    pub costs: &'a UnitCosts,
    /// Micro-batches of which it keeps activations.
    pub in_flight: u32,
}

/// Cuts `layers` layers over stages in order so that the slowest is as fast as can be; each stage but
/// the first and the last holds at least one. None if they do not fit, or take more than `enough`
/// seconds. Returns where stages end and the slowest stage's seconds, which is sought for only if it is
/// less than `enough`.
pub(crate) fn cut(
    places: &[Place],
    layers: u32,
    shared: u32,
    enough: f64,
) -> Option<(Vec<u32>, f64)> {
    let longest: f64 = places
        .iter()
        .map(|place| {
            place
                .costs
                .time(&(0..layers), true, true)
                .max(place.costs.time(&(0..layers), true, false))
                .max(place.costs.time(&(0..layers), false, true))
        })
        .fold(0.0, f64::max);
    let mut best = fill(places, layers, shared, longest.min(enough))?;
    if enough.is_finite() && fill(places, layers, shared, enough * (1.0 - BETTER)).is_none() {
        let time = slowest(places, &best);
        return Some((best, time));
    }
    let (mut low, mut high) = (0.0, slowest(places, &best));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        match fill(places, layers, shared, middle) {
            Some(ends) => {
                high = slowest(places, &ends).min(middle);
                best = ends;
            }
            None => low = middle,
        }
    }
    let time = slowest(places, &best);
    Some((best, time))
}

fn slowest(places: &[Place], ends: &[u32]) -> f64 {
    let last = places.len() - 1;
    ranges(ends)
        .zip(places)
        .enumerate()
        .map(|(s, (range, place))| place.costs.time(&range, s == 0, s == last))
        .fold(0.0, f64::max)
}

/// The layers of stages that end at `ends`.
pub(crate) fn ranges(ends: &[u32]) -> impl Iterator<Item = Range<u32>> + '_ {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, &end)| start..end)
}

/// Where the stages end of a cut of which no stage takes more than `limit` seconds; none if there is
/// none.
///
/// Each stage in turn gets as many layers as it can take, as long as the stages between it and the last
/// keep one each: what a stage can take on from a later start ends no earlier. That finds a cut if
/// there is one, unless a stage is left with a layer that is too large for it and could have had
/// another; then all ways are followed.
fn fill(places: &[Place], layers: u32, shared: u32, limit: f64) -> Option<Vec<u32>> {
    let count = places.len();
    let fits = |stage: usize, range: Range<u32>| {
        let at = [stage == 0, stage + 1 == count];
        let place = &places[stage];
        place.costs.time(&range, at[0], at[1]) <= limit
            && place.costs.fits(&range, at, place.in_flight, shared)
    };
    let mut ends = Vec::with_capacity(count);
    let mut start = 0;
    for stage in 0..count {
        let least = start + u32::from(holds_one(stage, count));
        let most = layers.checked_sub(kept_behind(stage, count))?;
        if least > most {
            return None;
        }
        if !fits(stage, start..least) {
            let another = least > start && (0..layers).any(|layer| fits(stage, layer..layer + 1));
            return if another { follow(count, layers, fits) } else { None };
        }
        let (mut good, mut bad) = (least, most + 1);
        while bad - good > 1 {
            let middle = good.midpoint(bad);
            if fits(stage, start..middle) { good = middle } else { bad = middle }
        }
        ends.push(good);
        start = good;
    }
    (start == layers).then_some(ends)
}

/// The same by all places where stages can end.
fn follow(count: usize, layers: u32, fits: impl Fn(usize, Range<u32>) -> bool) -> Option<Vec<u32>> {
    // By stage and end, the latest start of a stage that ends there.
    let mut starts = vec![vec![None; layers as usize + 1]; count];
    for stage in 0..count {
        let most = layers.checked_sub(kept_behind(stage, count))?;
        let reached = |start: u32| match stage {
            0 => start == 0,
            _ => starts[stage - 1][start as usize].is_some(),
        };
        let mut found = vec![None; layers as usize + 1];
        for start in (0..=layers).filter(|&start| reached(start)) {
            let least = start + u32::from(holds_one(stage, count));
            for end in (least..=most).take_while(|&end| fits(stage, start..end)) {
                found[end as usize] = Some(start);
            }
        }
        starts[stage] = found;
    }
    let mut ends = vec![layers; count];
    for stage in (1..count).rev() {
        ends[stage - 1] = starts[stage][ends[stage] as usize]?;
    }
    starts[0][ends[0] as usize].map(|_: u32| ends)
}

/// Whether a stage must hold a layer: all but the first and the last.
fn holds_one(stage: usize, count: usize) -> bool {
    stage > 0 && stage + 1 < count
}

/// Layers that the stages behind one must hold.
fn kept_behind(stage: usize, count: usize) -> u32 {
    (count - 1 - stage).saturating_sub(1) as u32
}

/// All templates of a combination with at most `deepest` stages: every number of units of each type;
/// of equal units the best order. Optimizer states are shared out over the pipelines that `units` units
/// make.
pub(crate) fn templates(
    combination: &Combination,
    settings: &Settings,
    layers: u32,
    deepest: u32,
    units: u32,
) -> Vec<Template> {
    let kinds = combination.choices.len();
    let mut found = Vec::new();
    let mut counts = vec![0; kinds];
    compositions(combination, deepest.min(layers + 2), 0, &mut counts, &mut |counts| {
        let mut best: Option<Template> = None;
        let shared = (units / counts.iter().sum::<u32>().max(1)).max(1);
        for stages in arrangements(counts) {
            let enough = best.as_ref().map_or(f64::INFINITY, |best| best.bottleneck);
            let Some(template) = template(combination, settings, layers, stages, shared, enough)
            else {
                continue;
            };
            let better = best.as_ref().is_none_or(|best| {
                template.bottleneck < best.bottleneck * (1.0 - BETTER) || template.fill < best.fill
            });
            if better {
                best = Some(template);
            }
        }
        found.extend(best);
    });
    found
}

/// The template of stages of these choices; none if its slowest takes more than `enough` seconds.
pub(crate) fn template(
    combination: &Combination,
    settings: &Settings,
    layers: u32,
    stages: Vec<usize>,
    shared: u32,
    enough: f64,
) -> Option<Template> {
    let count = stages.len() as u32;
    let places: Vec<Place> = stages
        .iter()
        .enumerate()
        .map(|(s, &choice)| Place {
            costs: &combination.choices[choice].costs,
            in_flight: settings.in_flight(s as u32, count, u32::MAX),
        })
        .collect();
    let (ends, bottleneck) = cut(&places, layers, shared, enough)?;
    Some(finish(combination, stages, &ends, bottleneck))
}

fn finish(
    combination: &Combination,
    stages: Vec<usize>,
    ends: &[u32],
    bottleneck: f64,
) -> Template {
    let layers: Vec<Range<u32>> = ranges(ends).collect();
    let last = stages.len() - 1;
    let through: f64 = stages
        .iter()
        .zip(&layers)
        .enumerate()
        .map(|(s, (&choice, layers))| {
            combination.choices[choice].costs.time(layers, s == 0, s == last)
        })
        .sum();
    let hops: f64 = stages.windows(2).map(|pair| combination.hops[pair[0]][pair[1]]).sum();
    let mut units = vec![0; combination.choices.len()];
    for &choice in &stages {
        units[choice] += 1;
    }
    Template { stages, layers, bottleneck, fill: through + 2.0 * hops - bottleneck, units }
}

/// Calls `visit` with every number of units of each type, at least one and at most `left` in all.
fn compositions(
    combination: &Combination,
    left: u32,
    kind: usize,
    counts: &mut Vec<u32>,
    visit: &mut impl FnMut(&[u32]),
) {
    if kind == combination.choices.len() {
        if counts.iter().any(|count| *count > 0) {
            visit(counts);
        }
        return;
    }
    for count in 0..=left.min(combination.choices[kind].units) {
        counts[kind] = count;
        compositions(combination, left - count, kind + 1, counts, visit);
    }
    counts[kind] = 0;
}

/// Pipelines of more stages have types one behind the other.
const MINGLED: u32 = 6;

/// The orders in which so many units of each type are tried: all there are of few, of many those in
/// which types stand one behind the other.
fn arrangements(counts: &[u32]) -> Vec<Vec<usize>> {
    let present: Vec<usize> = (0..counts.len()).filter(|&kind| counts[kind] > 0).collect();
    if counts.iter().sum::<u32>() <= MINGLED {
        let mut found = Vec::new();
        mingle(&mut counts.to_vec(), &mut Vec::new(), &mut found);
        return found;
    }
    let order = |order: Vec<usize>| -> Vec<usize> {
        let run = |kind| std::iter::repeat_n(kind, counts[kind] as usize);
        order.into_iter().flat_map(run).collect()
    };
    permutations(&present).into_iter().map(order).collect()
}

fn mingle(left: &mut [u32], begun: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    if left.iter().all(|count| *count == 0) {
        found.push(begun.clone());
        return;
    }
    for kind in 0..left.len() {
        if left[kind] > 0 {
            left[kind] -= 1;
            begun.push(kind);
            mingle(left, begun, found);
            begun.pop();
            left[kind] += 1;
        }
    }
}

/// All orders of some items.
pub(crate) fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for (place, &first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(place);
        for mut order in permutations(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The best cut, by trying them all: only the first and the last may hold no layer.
    fn brute(places: &[Place], layers: u32, shared: u32) -> Option<f64> {
        fn from(
            places: &[Place],
            (stage, start): (usize, u32),
            layers: u32,
            shared: u32,
        ) -> Option<f64> {
            let last = stage + 1 == places.len();
            let ends = if last { layers..=layers } else { start..=layers };
            ends.filter(|end| *end > start || stage == 0 || last)
                .filter_map(|end| {
                    let range = start..end;
                    let at = [stage == 0, last];
                    let place = &places[stage];
                    if !place.costs.fits(&range, at, place.in_flight, shared) {
                        return None;
                    }
                    let own = place.costs.time(&range, at[0], at[1]);
                    let rest =
                        if last { 0.0 } else { from(places, (stage + 1, end), layers, shared)? };
                    Some(own.max(rest))
                })
                .min_by(f64::total_cmp)
        }
        from(places, (0, 0), layers, shared)
    }

    proptest! {
        #[test]
        fn cuts_are_the_best_there_are(
            layers in prop::collection::vec((0.5_f64..3.0, 0.5_f64..3.0), 1..8),
            cards in prop::collection::vec((0.2_f64..4.0, 3.0_f64..30.0), 1..5),
            ends in (0.0_f64..2.0, 0.0_f64..2.0),
        ) {
            let costs: Vec<UnitCosts> = cards
                .iter()
                .map(|&(slowness, capacity)| UnitCosts::made_up(&layers, ends, slowness, capacity))
                .collect();
            let count = costs.len() as u32;
            let places: Vec<Place> = costs
                .iter()
                .zip(0..)
                .map(|(costs, stage)| Place { costs, in_flight: count - stage })
                .collect();
            let found = cut(&places, layers.len() as u32, 2, f64::INFINITY);
            let best = brute(&places, layers.len() as u32, 2);
            prop_assert_eq!(found.is_some(), best.is_some());
            if let (Some((ends, time)), Some(best)) = (found, best) {
                prop_assert!(time <= best * (1.0 + 1e-9), "{:?}: {} > {}", ends, time, best);
                prop_assert!(time >= best * (1.0 - 1e-9));
            }
        }
    }

    #[test]
    fn few_units_stand_in_every_order() {
        assert_eq!(arrangements(&[2, 1]), [vec![0, 0, 1], vec![0, 1, 0], vec![1, 0, 0]]);
        assert_eq!(arrangements(&[4, 3]).len(), 2);
    }
}
