//! Shares of an interval for samples: each belongs to (seed, index, coordinate), so that any point of a
//! sample can be computed alone.

use serde::{Deserialize, Serialize};

/// How a sample is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    /// Evenly, by Roberts' R-sequence (The Unreasonable Effectiveness of Quasirandom Sequences, 2018): the
    /// multiples of `1 / g, 1 / g^2, ...` modulo 1, with `g^(d + 1) = g + 1` for `d` coordinates. The seed
    /// shifts all points (Cranley and Patterson 1976).
    #[default]
    Even,
    /// At random, each coordinate by itself.
    Random,
}

impl Method {
    /// The share, 0 to below 1, of a coordinate of a point; `coordinates` in all.
    pub(crate) fn share(self, seed: u64, index: u64, coordinate: usize, coordinates: usize) -> f64 {
        let bits = match self {
            Self::Random => hash(&[seed, index, coordinate as u64]),
            // Multiples in whole numbers of 2^-64: exact, and the same everywhere.
            Self::Even => index
                .wrapping_add(1)
                .wrapping_mul(step(coordinate, coordinates))
                .wrapping_add(hash(&[seed, u64::MAX, coordinate as u64])),
        };
        // 53 bits, so that the share is below 1.
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `g^-(coordinate + 1)` in units of 2^-64.
fn step(coordinate: usize, coordinates: usize) -> u64 {
    // x = (1 + x)^(1 / (d + 1)) has no root function that all machines agree on; Newton's steps use
    // additions and multiplications alone.
    let power = |base: f64, exponent: usize| (0..exponent).fold(1.0, |product, _| product * base);
    let mut g: f64 = 2.0;
    for _ in 0..64 {
        let slope = (coordinates + 1) as f64 * power(g, coordinates) - 1.0;
        g -= (power(g, coordinates + 1) - g - 1.0) / slope;
    }
    let share = 1.0 / power(g, coordinate + 1);
    // An odd number, so that no two points of 2^64 coincide.
    (share * 2f64.powi(64)) as u64 | 1
}

fn hash(numbers: &[u64]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest difference, over boxes from the origin to points of a grid, between the share of
    /// points in the box and its area.
    fn discrepancy(
        method: Method,
        seed: u64,
        count: u64,
        pair: [usize; 2],
        coordinates: usize,
    ) -> f64 {
        let points: Vec<[f64; 2]> = (0..count)
            .map(|index| pair.map(|axis| method.share(seed, index, axis, coordinates)))
            .collect();
        let mut worst: f64 = 0.0;
        for x in 1..=32 {
            for y in 1..=32 {
                let (x, y) = (f64::from(x) / 32.0, f64::from(y) / 32.0);
                let inside = points.iter().filter(|p| p[0] < x && p[1] < y).count();
                worst = worst.max((inside as f64 / count as f64 - x * y).abs());
            }
        }
        worst
    }

    #[test]
    fn even_samples_fill_every_plane_evenly() {
        for seed in 0..3 {
            for coordinates in 2..=5 {
                for (a, b) in (0..coordinates).flat_map(|a| (0..a).map(move |b| (a, b))) {
                    let even = discrepancy(Method::Even, seed, 1024, [a, b], coordinates);
                    assert!(even < 0.02, "{even} in the plane {a}, {b} of {coordinates}");
                }
            }
        }
        // The mean of random ones is about 0.6 / sqrt(1024).
        let random: f64 =
            (0..8).map(|seed| discrepancy(Method::Random, seed, 1024, [0, 1], 2)).sum::<f64>()
                / 8.0;
        assert!((0.015..0.06).contains(&random), "{random}");
    }

    #[test]
    fn a_point_depends_on_its_coordinates_alone() {
        for method in [Method::Even, Method::Random] {
            for index in [0, 1, 77, 1 << 40] {
                let share = method.share(3, index, 1, 4);
                assert!((0.0..1.0).contains(&share));
                assert!((share - method.share(3, index, 1, 4)).abs() == 0.0);
                assert!((share - method.share(4, index, 1, 4)).abs() > 0.0);
                assert!((share - method.share(3, index + 1, 1, 4)).abs() > 0.0);
                assert!((share - method.share(3, index, 2, 4)).abs() > 0.0);
            }
        }
        let golden = 0.618_033_988_749_894_9;
        let step = Method::Even.share(0, 1, 0, 1) - Method::Even.share(0, 0, 0, 1);
        assert!((step.rem_euclid(1.0) - golden).abs() < 1e-12, "{step}");
    }
}
