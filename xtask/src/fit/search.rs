//! A search without derivatives, deterministic.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A number that may move: between bounds, both above zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Free {
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Free {
    /// The number at a share of the way between the bounds, in logarithms.
    fn at(self, share: f64) -> f64 {
        self.least * (self.most / self.least).powf(share)
    }
}

/// Candidates for each number that moves.
const CANDIDATES: usize = 8;

/// Generations of candidates.
const GENERATIONS: usize = 250;

/// Share of a difference that is added, and how often a number is taken from the sum.
const WEIGHT: f64 = 0.7;
const CROSSOVER: f64 = 0.8;

/// The numbers within their bounds at which `cost` is least, by differential evolution (Storn and
/// Price 1997, "best of two and a difference": a candidate is moved towards the best one by the
/// difference of two others, and stays moved where that costs less). The landscape is jagged, since
/// waves and the choice of tiles are whole numbers: searches that only go downhill stop at once. The
/// random numbers have a fixed seed, so the answer depends on nothing but the cost.
pub(crate) fn minimise(free: &[Free], cost: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let numbers = |shares: &[f64]| -> Vec<f64> {
        free.iter().zip(shares).map(|(free, share)| free.at(*share)).collect()
    };
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let candidates = CANDIDATES * free.len().max(1);
    let mut all: Vec<(f64, Vec<f64>)> = (0..candidates)
        .map(|_| {
            let shares: Vec<f64> = free.iter().map(|_| random.random::<f64>()).collect();
            (cost(&numbers(&shares)), shares)
        })
        .collect();
    let least = |all: &[(f64, Vec<f64>)]| {
        (0..all.len()).min_by(|a, b| all[*a].0.total_cmp(&all[*b].0)).unwrap_or(0)
    };
    let mut best = least(&all);
    for _ in 0..GENERATIONS {
        for at in 0..candidates {
            let [a, b] = [(); 2].map(|()| random.random_range(0..candidates));
            let sure = random.random_range(0..free.len().max(1));
            let mut tried = all[at].1.clone();
            for (number, share) in tried.iter_mut().enumerate() {
                if number == sure || random.random::<f64>() < CROSSOVER {
                    let towards = all[best].1[number] - *share;
                    let difference = all[a].1[number] - all[b].1[number];
                    *share = (*share + WEIGHT * (towards + difference)).clamp(0.0, 1.0);
                }
            }
            let found = cost(&numbers(&tried));
            if found <= all[at].0 {
                all[at] = (found, tried);
            }
        }
        best = least(&all);
    }
    numbers(&all[best].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_valley_and_stays_within_bounds() {
        let free = [Free { least: 0.01, most: 10.0 }; 3];
        let cost =
            |at: &[f64]| (at[0] - 3.0).abs() + (at[1] - at[0] / 2.0).abs() + (at[2] - 20.0).abs();
        let found = minimise(&free, cost);
        for (found, expected) in found.iter().zip([3.0, 1.5, 10.0]) {
            assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
        }
        assert_eq!(minimise(&free, cost), found);
        assert!(minimise(&[], |_| 0.0).is_empty());
    }
}
