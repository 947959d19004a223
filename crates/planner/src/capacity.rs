//! How much a pool gets done: the knapsack over templates.

/// States of the knapsack at most, of up to two types and of more, which have more templates; pools that
/// have more are taken in bundles of equal pipelines.
const STATES: [u64; 2] = [20_000, 4_000];

/// A template as the knapsack sees it: the units that it takes of each type, and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub units: Vec<u32>,
    pub worth: u64,
}

/// How often each item is taken so that the worth of all is greatest and no more units are taken than
/// there are; of few units exactly, of many in bundles and what is left one by one.
pub(crate) fn knapsack(items: &[Item], limits: &[u32]) -> (u64, Vec<u32>) {
    let states = |bundle: u32| -> u64 {
        limits.iter().map(|&limit| u64::from(limit / bundle) + 1).product()
    };
    let most = STATES[usize::from(limits.len() > 2)];
    let mut bundle = 1;
    while states(bundle) > most {
        bundle += 1;
    }
    let bundled: Vec<u32> = limits.iter().map(|limit| limit / bundle).collect();
    let (mut worth, mut counts) = exact(items, &bundled);
    worth *= u64::from(bundle);
    let mut left = limits.to_vec();
    for (item, count) in items.iter().zip(&mut counts) {
        *count *= bundle;
        for (left, units) in left.iter_mut().zip(&item.units) {
            *left -= units * *count;
        }
    }
    if bundle > 1 {
        // Where little is left the rest is small enough, else it is taken greedily.
        if left.iter().map(|&limit| u64::from(limit) + 1).product::<u64>() <= most {
            let (more, rest) = exact(items, &left);
            worth += more;
            counts.iter_mut().zip(rest).for_each(|(count, more)| *count += more);
        } else {
            for (index, item) in items.iter().enumerate() {
                let times = item
                    .units
                    .iter()
                    .zip(&left)
                    .filter(|(units, _)| **units > 0)
                    .map(|(units, left)| left / units)
                    .min()
                    .unwrap_or(0);
                counts[index] += times;
                worth += item.worth * u64::from(times);
                for (left, units) in left.iter_mut().zip(&item.units) {
                    *left -= units * times;
                }
            }
        }
    }
    (worth, counts)
}

/// By dynamic programming over the units taken of each type.
fn exact(items: &[Item], limits: &[u32]) -> (u64, Vec<u32>) {
    let mut strides = Vec::with_capacity(limits.len());
    let mut states = 1_usize;
    for &limit in limits {
        strides.push(states);
        states *= limit as usize + 1;
    }
    let steps: Vec<usize> = items
        .iter()
        .map(|item| item.units.iter().zip(&strides).map(|(&n, stride)| n as usize * stride).sum())
        .collect();
    let mut best = vec![(0_u64, u32::MAX); states];
    let mut taken = vec![0_u32; limits.len()];
    for state in 1..states {
        // The next state in mixed radix.
        for (digit, &limit) in taken.iter_mut().zip(limits) {
            if *digit < limit {
                *digit += 1;
                break;
            }
            *digit = 0;
        }
        // Leaving a unit idle.
        let mut found = (0, u32::MAX);
        for (digit, stride) in taken.iter().zip(&strides) {
            if *digit > 0 && best[state - stride].0 > found.0 {
                found = best[state - stride];
            }
        }
        // An idle unit is marked as the state below it: the way back looks for it.
        if found.0 > 0 {
            found.1 = u32::MAX;
        }
        for (index, item) in items.iter().enumerate() {
            let fits = item.units.iter().zip(&taken).all(|(units, taken)| units <= taken);
            if fits && steps[index] > 0 {
                let worth = best[state - steps[index]].0 + item.worth;
                if worth > found.0 {
                    found = (worth, index as u32);
                }
            }
        }
        best[state] = found;
    }
    let mut counts = vec![0; items.len()];
    let mut state = states - 1;
    while best[state].0 > 0 {
        let (worth, item) = best[state];
        if item == u32::MAX {
            // Of the states with a unit less, one is worth as much.
            let mut rest = state;
            let below = strides.iter().zip(limits).rev().find_map(|(stride, _)| {
                let digit = rest / stride;
                rest %= stride;
                (digit > 0 && best[state - stride].0 == worth).then(|| state - stride)
            });
            let Some(below) = below else { break };
            state = below;
        } else {
            counts[item as usize] += 1;
            state -= steps[item as usize];
        }
    }
    (best[states - 1].0, counts)
}

/// Items of which no other is worth as much with no more units, in their order.
pub(crate) fn undominated(items: &[Item]) -> Vec<usize> {
    let dominates = |a: &Item, b: &Item| {
        a.worth >= b.worth && a.units.iter().zip(&b.units).all(|(a, b)| a <= b)
    };
    (0..items.len())
        .filter(|&own| {
            items[own].worth > 0
                && !items.iter().enumerate().any(|(other, item)| {
                    other != own
                        && dominates(item, &items[own])
                        && (other < own || !dominates(&items[own], item))
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The greatest worth, by trying everything.
    fn exhaustive(items: &[Item], left: &[u32]) -> u64 {
        let Some((item, rest)) = items.split_first() else { return 0 };
        let without = exhaustive(rest, left);
        let after: Option<Vec<u32>> =
            left.iter().zip(&item.units).map(|(left, units)| left.checked_sub(*units)).collect();
        match after.filter(|_| item.units.iter().any(|units| *units > 0)) {
            Some(after) => without.max(item.worth + exhaustive(items, &after)),
            None => without,
        }
    }

    fn items(kinds: usize) -> impl Strategy<Value = Vec<Item>> {
        let item = (prop::collection::vec(0_u32..4, kinds), 0_u64..30)
            .prop_map(|(units, worth)| Item { units, worth })
            .prop_filter("takes something", |item| item.units.iter().any(|units| *units > 0));
        prop::collection::vec(item, 1..6)
    }

    proptest! {
        #[test]
        fn the_knapsack_is_exhaustive_search(
            (items, limits) in (1_usize..4).prop_flat_map(|kinds| {
                (items(kinds), prop::collection::vec(0_u32..7, kinds))
            })
        ) {
            let (worth, counts) = knapsack(&items, &limits);
            prop_assert_eq!(worth, exhaustive(&items, &limits));
            let sum: u64 = items.iter().zip(&counts).map(|(i, &n)| i.worth * u64::from(n)).sum();
            prop_assert_eq!(sum, worth);
            for (kind, &limit) in limits.iter().enumerate() {
                let used: u32 = items.iter().zip(&counts).map(|(i, n)| i.units[kind] * n).sum();
                prop_assert!(used <= limit);
            }
            let kept: Vec<Item> = undominated(&items).into_iter().map(|i| items[i].clone()).collect();
            prop_assert_eq!(knapsack(&kept, &limits).0, worth);
        }

        /// Bundles lose little, and never take what is not there.
        #[test]
        fn bundles_are_sound(items in items(3), limits in prop::collection::vec(40_u32..90, 3)) {
            let (worth, counts) = knapsack(&items, &limits);
            let sum: u64 = items.iter().zip(&counts).map(|(i, &n)| i.worth * u64::from(n)).sum();
            prop_assert_eq!(sum, worth);
            for (kind, &limit) in limits.iter().enumerate() {
                let used: u32 = items.iter().zip(&counts).map(|(i, n)| i.units[kind] * n).sum();
                prop_assert!(used <= limit);
            }
        }
    }
}
