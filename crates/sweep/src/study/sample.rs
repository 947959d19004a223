//! Shares of an interval for samples: each belongs to (seed, index, coordinate), so that any point of a
//! sample can be computed alone.

use serde::{Deserialize, Serialize};

/// How a sample is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    /// Evenly, by Sobol's sequence with the direction numbers of Joe and Kuo (Constructing Sobol Sequences
    /// with Better Two-Dimensional Projections, 2008). The seed shifts all points, digit by digit, which
    /// leaves them as even.
    #[default]
    Even,
    /// At random, each coordinate by itself.
    Random,
}

/// By coordinate from the second: coefficients of its primitive polynomial without the first and the last,
/// and the first direction numbers, as many as its degree (new-joe-kuo-6.21201). Coordinates behind the
/// last of these are random.
const DIRECTIONS: [(u32, &[u32]); 15] = [
    (0, &[1]),
    (1, &[1, 3]),
    (1, &[1, 3, 1]),
    (2, &[1, 1, 1]),
    (1, &[1, 1, 3, 3]),
    (4, &[1, 3, 5, 13]),
    (2, &[1, 1, 5, 5, 17]),
    (4, &[1, 1, 5, 5, 5]),
    (7, &[1, 1, 7, 11, 19]),
    (11, &[1, 1, 5, 1, 1]),
    (13, &[1, 1, 1, 3, 11]),
    (14, &[1, 3, 5, 5, 31]),
    (1, &[1, 3, 3, 9, 7, 49]),
    (13, &[1, 1, 1, 15, 21, 21]),
    (16, &[1, 3, 1, 13, 27, 49]),
];

/// Digits of a coordinate, and of the numbers of points.
const DIGITS: usize = 32;

impl Method {
    /// The share, 0 to below 1, of a coordinate of a point.
    pub(crate) fn share(self, seed: u64, index: u64, coordinate: usize) -> f64 {
        let shift = || hash(&[seed, u64::MAX, coordinate as u64]);
        let bits = match self {
            Self::Even if coordinate <= DIRECTIONS.len() => {
                (u64::from(sobol(index as u32, coordinate)) << 32) ^ shift()
            }
            _ => hash(&[seed, index, coordinate as u64]),
        };
        // 53 bits, so that the share is below 1.
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A coordinate of a point in units of 2^-32: the sum, without carries, of the direction numbers of the
/// point's binary digits.
fn sobol(index: u32, coordinate: usize) -> u32 {
    let mut directions = [0; DIGITS];
    match coordinate.checked_sub(1).map(|at| DIRECTIONS[at]) {
        None => directions.iter_mut().enumerate().for_each(|(at, v)| *v = 1 << (31 - at)),
        Some((coefficients, first)) => {
            let degree = first.len();
            for at in 0..DIGITS {
                directions[at] = if at < degree {
                    first[at] << (31 - at)
                } else {
                    let far = directions[at - degree];
                    (1..degree)
                        .filter(|k| (coefficients >> (degree - 1 - k)) & 1 == 1)
                        .fold(far ^ (far >> degree), |v, k| v ^ directions[at - k])
                };
            }
        }
    }
    (0..DIGITS).filter(|at| (index >> at) & 1 == 1).fold(0, |sum, at| sum ^ directions[at])
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
    fn discrepancy(method: Method, seed: u64, count: u64, pair: [usize; 2]) -> f64 {
        let points: Vec<[f64; 2]> =
            (0..count).map(|index| pair.map(|axis| method.share(seed, index, axis))).collect();
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
        let planes = || (0..8).flat_map(|a| (0..a).map(move |b| [a, b]));
        for seed in 0..2 {
            for pair in planes() {
                let even = discrepancy(Method::Even, seed, 1024, pair);
                assert!(even < 0.012, "{even} in the plane {pair:?}");
            }
        }
        let random = planes().map(|pair| discrepancy(Method::Random, 0, 1024, pair));
        let mean = random.sum::<f64>() / planes().count() as f64;
        assert!((0.015..0.06).contains(&mean), "{mean}");
    }

    #[test]
    fn each_coordinate_has_one_point_in_each_interval() {
        for coordinate in 0..=DIRECTIONS.len() {
            let mut counts = [0; 256];
            for index in 0..256 {
                counts[(Method::Even.share(9, index, coordinate) * 256.0) as usize] += 1;
            }
            assert_eq!(counts, [1; 256], "coordinate {coordinate}");
        }
    }

    #[test]
    fn the_sequence_is_sobols() {
        // The first points in three coordinates as Joe and Kuo's own program prints them, which counts by
        // Gray's code.
        let eighths =
            |coordinate| [1, 2, 3, 4, 5, 6, 7].map(|n: u32| sobol(n ^ (n >> 1), coordinate) >> 29);
        assert_eq!(eighths(0), [4, 6, 2, 3, 7, 5, 1]);
        assert_eq!(eighths(1), [4, 2, 6, 3, 7, 1, 5]);
        assert_eq!(eighths(2), [4, 2, 6, 5, 1, 7, 3]);
    }

    #[test]
    fn a_point_depends_on_its_coordinates_alone() {
        for method in [Method::Even, Method::Random] {
            for index in [0, 1, 77, 1 << 30] {
                let share = method.share(3, index, 1);
                assert!((0.0..1.0).contains(&share));
                assert!((share - method.share(3, index, 1)).abs() == 0.0);
                assert!((share - method.share(4, index, 1)).abs() > 0.0);
                assert!((share - method.share(3, index + 1, 1)).abs() > 0.0);
                assert!((share - method.share(3, index, 2)).abs() > 0.0);
            }
        }
    }
}
