//! Splitting work over unlike workers so that the slowest is as fast as can be.

/// Deals `items` equal items to hands, at least `least` to each, so that the largest load is
/// smallest. `load(hand, count)` must rise with `count`; then giving each item to the hand that it
/// hurts least is optimal. Ties go to the first hand.
///
/// # Panics
/// If there is an item to deal and no hand.
pub fn deal(items: u32, least: &[u32], load: impl Fn(usize, u32) -> f64) -> Vec<u32> {
    let mut counts = least.to_vec();
    for _ in least.iter().sum::<u32>()..items {
        let lightest = (0..counts.len())
            .min_by(|&a, &b| load(a, counts[a] + 1).total_cmp(&load(b, counts[b] + 1)))
            .expect("there is somebody to deal to");
        counts[lightest] += 1;
    }
    counts
}

/// Cuts a row of unlike items into a run for each hand, in order, at least one item each, so that
/// the largest load is smallest; among such cuts the one with the smallest sum of squares. Returns
/// how many items each hand gets.
///
/// `before[hand][i]` is what the first `i` items cost that hand, beginning with what it bears
/// without any.
pub(crate) fn cut(before: &[Vec<f64>]) -> Vec<u32> {
    let hands = before.len();
    let items = before.first().map_or(0, |row| row.len() - 1);
    let load = |hand: usize, from: usize, to: usize| {
        before[hand][to] - before[hand][from] + before[hand][0]
    };
    // Between a limit that is too small and one that is enough, down to neighbouring numbers.
    let mut enough = (0..hands).map(|hand| load(hand, 0, items)).fold(0.0, f64::max);
    let mut small = 0.0;
    loop {
        let middle = f64::midpoint(small, enough);
        if middle <= small || middle >= enough {
            break;
        }
        let reached = reachable(hands, items, |hand, from, to| load(hand, from, to) <= middle);
        if reached[hands][items] { enough = middle } else { small = middle }
    }
    let reached = reachable(hands, items, |hand, from, to| load(hand, from, to) <= enough);
    // For each place where a hand's run can end, the least sum of squares up to it, and where the
    // run began.
    let mut best = vec![vec![None; items + 1]; hands + 1];
    best[0][0] = Some((0.0, 0));
    for hand in 0..hands {
        for to in (0..=items).filter(|&to| reached[hand + 1][to]) {
            let candidates = (0..to).rev().take_while(|&from| load(hand, from, to) <= enough);
            // Ties go to the later start: the first hands get more.
            for from in candidates {
                let Some((sum, _)) = best[hand][from] else { continue };
                let sum = sum + load(hand, from, to).powi(2);
                if best[hand + 1][to].is_none_or(|(least, _)| sum < least) {
                    best[hand + 1][to] = Some((sum, from));
                }
            }
        }
    }
    let mut counts = vec![0; hands];
    let mut end = items;
    for hand in (0..hands).rev() {
        let (_, start) = best[hand + 1][end].expect("every place that is reached has a way to it");
        counts[hand] = (end - start) as u32;
        end = start;
    }
    counts
}

/// By number of hands, where their runs can end if each run `fits`. What fits still does if it is
/// made shorter.
fn reachable(
    hands: usize,
    items: usize,
    fits: impl Fn(usize, usize, usize) -> bool,
) -> Vec<Vec<bool>> {
    let mut reached = vec![vec![false; items + 1]; hands + 1];
    reached[0][0] = true;
    for hand in 0..hands {
        // The furthest end of the runs that begin so far.
        let mut furthest = 0;
        for from in 0..items {
            if reached[hand][from] {
                furthest = furthest.max(from);
                while furthest < items && fits(hand, from, furthest + 1) {
                    furthest += 1;
                    reached[hand + 1][furthest] = true;
                }
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The smallest largest load over all ways to deal, by trying them all.
    fn brute(items: u32, speeds: &[f64]) -> f64 {
        if speeds.len() == 1 {
            return f64::from(items) * speeds[0];
        }
        let rest = &speeds[1..];
        (1..=items - rest.len() as u32)
            .map(|own| (f64::from(own) * speeds[0]).max(brute(items - own, rest)))
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn dealing_is_optimal() {
        for speeds in [vec![1.0, 2.0], vec![1.0, 1.0, 3.0], vec![2.5, 1.0, 1.7, 0.3]] {
            for items in speeds.len() as u32..14 {
                let counts = deal(items, &vec![1; speeds.len()], |h, c| speeds[h] * f64::from(c));
                assert_eq!(counts.iter().sum::<u32>(), items);
                let worst =
                    counts.iter().zip(&speeds).map(|(&c, s)| f64::from(c) * s).fold(0.0, f64::max);
                assert!(
                    (worst - brute(items, &speeds)).abs() < 1e-12,
                    "{items} over {speeds:?}: {counts:?}"
                );
            }
        }
    }

    fn rows(costs: &[f64], speeds: &[f64], base: &[f64]) -> Vec<Vec<f64>> {
        let row = |(speed, base): (&f64, &f64)| {
            let mut sum = *base;
            let sums = costs.iter().map(|cost| {
                sum += cost * speed;
                sum
            });
            std::iter::once(*base).chain(sums).collect()
        };
        speeds.iter().zip(base).map(row).collect()
    }

    /// Largest load and sum of squares of the best cut, by trying them all.
    fn brute_cut(before: &[Vec<f64>], from: usize) -> (f64, f64) {
        let items = before[0].len() - 1;
        let load = |to: usize| before[0][to] - before[0][from] + before[0][0];
        if before.len() == 1 {
            return (load(items), load(items).powi(2));
        }
        (from + 1..=items - (before.len() - 1))
            .map(|to| {
                let (worst, squares) = brute_cut(&before[1..], to);
                (load(to).max(worst), load(to).powi(2) + squares)
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap()
    }

    proptest! {
        #[test]
        fn cuts_are_optimal(
            costs in prop::collection::vec(0.1_f64..9.0, 4..9),
            speeds in prop::collection::vec(0.2_f64..5.0, 1..5),
        ) {
            let base: Vec<f64> = speeds.iter().map(|speed| speed / 3.0).collect();
            let before = rows(&costs, &speeds, &base);
            let counts = cut(&before);
            prop_assert!(counts.iter().all(|&count| count > 0));
            prop_assert_eq!(counts.iter().sum::<u32>() as usize, costs.len());
            let (mut from, mut worst) = (0, 0.0_f64);
            for (hand, &count) in counts.iter().enumerate() {
                let to = from + count as usize;
                worst = worst.max(before[hand][to] - before[hand][from] + before[hand][0]);
                from = to;
            }
            let (best, _) = brute_cut(&before, 0);
            prop_assert!(worst <= best * (1.0 + 1e-12), "{counts:?}: {worst} > {best}");
        }
    }

    #[test]
    fn equal_items_are_cut_evenly() {
        let costs = [1.0; 25];
        let before = rows(&costs, &[1.0; 4], &[0.0; 4]);
        assert_eq!(cut(&before), [7, 6, 6, 6]);
        // The second hand is twice as slow.
        let before = rows(&costs, &[1.0, 2.0, 1.0], &[0.0; 3]);
        assert_eq!(cut(&before), [10, 5, 10]);
    }
}
