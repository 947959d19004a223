//! Random draws: one stream per (seed, iteration, rank, purpose), so that what one rank draws
//! depends on nothing that other ranks do or are.

use motley_job::RankId;
use rand::rngs::{ChaCha8Rng, Xoshiro256PlusPlus};
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use crate::{Jitter, Law};

/// What a stream of draws is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Jitter = 1,
    Slowness = 2,
}

/// The iteration of draws that hold for a whole run.
const EVERY_ITERATION: u64 = u64::MAX;

/// The stream of draws for these coordinates.
///
/// ChaCha8 keyed by the coordinates themselves (no two share a key, and keys that differ in one
/// bit give unrelated output) seeds a xoshiro256++, which is faster and a tenth of the size.
fn stream(seed: u64, iteration: u64, rank: RankId, purpose: Purpose) -> Xoshiro256PlusPlus {
    let mut key = [0; 32];
    let coordinates = [seed, iteration, u64::from(rank.0), purpose as u64];
    for (bytes, coordinate) in key.chunks_exact_mut(8).zip(coordinates) {
        bytes.copy_from_slice(&coordinate.to_le_bytes());
    }
    let mut state = [0; 32];
    ChaCha8Rng::from_seed(key).fill_bytes(&mut state);
    Xoshiro256PlusPlus::from_seed(state)
}

/// A random factor of mean 1.
#[derive(Clone, Copy, Debug)]
struct Factor {
    /// Mean and deviation of its logarithm.
    location: f64,
    scale: f64,
}

impl Factor {
    /// The log-normal factor of mean 1 with this standard deviation: the variance of its logarithm
    /// is ln(1 + deviation^2), the mean of its logarithm minus half of that.
    fn log_normal(deviation: f64) -> Self {
        let variance = libm::log1p(deviation * deviation);
        Self { location: -0.5 * variance, scale: variance.sqrt() }
    }

    /// One draw. `libm`, not the platform's mathematics, so that machines agree to the last bit.
    fn draw(self, rng: &mut Xoshiro256PlusPlus) -> f64 {
        let normal: f64 = StandardNormal.sample(rng);
        libm::exp(self.location + self.scale * normal)
    }
}

/// The jitter of one replay.
#[derive(Debug)]
pub(crate) struct Noise {
    /// By the spread class of the operation, see [`crate::prepare::Instruction::Compute`].
    factors: Vec<Factor>,
    streams: Vec<Xoshiro256PlusPlus>,
}

impl Noise {
    /// For `ranks` ranks and operations that sum up `kernels[class]` kernels.
    pub(crate) fn new(
        seed: u64,
        iteration: u32,
        jitter: Jitter,
        ranks: usize,
        kernels: &[u16],
    ) -> Self {
        let factor = |&count: &u16| match jitter.law {
            Law::LogNormal => {
                Factor::log_normal(jitter.relative_deviation / f64::from(count.max(1)).sqrt())
            }
        };
        let stream_of =
            |rank| stream(seed, u64::from(iteration), RankId(rank as u32), Purpose::Jitter);
        Self {
            factors: kernels.iter().map(factor).collect(),
            streams: (0..ranks).map(stream_of).collect(),
        }
    }

    /// The next factor of `rank`, for an operation of the spread class `class`.
    pub(crate) fn draw(&mut self, rank: usize, class: u16) -> f64 {
        self.factors[usize::from(class)].draw(&mut self.streams[rank])
    }
}

/// How slow the card of `rank` is, relative to its kind: log-normal of mean 1 with the given
/// standard deviation. It depends on these arguments only, so it is the same in all iterations and
/// does not change when ranks are added.
pub fn draw_slowness(seed: u64, rank: RankId, relative_deviation: f64) -> f64 {
    Factor::log_normal(relative_deviation).draw(&mut stream(
        seed,
        EVERY_ITERATION,
        rank,
        Purpose::Slowness,
    ))
}

/// How slow the slowest of so many cards is expected to be, if their slowness is drawn as
/// [`draw_slowness`] does: its quantile at Blom's plotting position (Statistical Estimates and Transformed
/// Beta-Variables, 1958), `(n - 3/8) / (n + 1/4)`, within 1 % of the expected largest of `n` normal
/// deviations.
pub fn expected_slowest(cards: u32, relative_deviation: f64) -> f64 {
    let cards = f64::from(cards.max(1));
    let above = 0.625 / (cards + 0.25);
    let Factor { location, scale } = Factor::log_normal(relative_deviation);
    libm::exp(location + scale * normal_above(above))
}

/// The number that a standard normal deviation exceeds with this probability, at most a half.
fn normal_above(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    // Each step halves what is left: 60 of them leave nothing that a float could tell apart.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if 0.5 * libm::erfc(middle / std::f64::consts::SQRT_2) > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against what draws come to: the mean of the slowest of `n`, over many sets of `n`.
    #[test]
    fn the_slowest_is_expected_as_slow_as_it_is_drawn() {
        for (cards, sets) in [(1, 40_000), (8, 20_000), (64, 4_000), (1_000, 500)] {
            let slowest = |set: u32| {
                let draws =
                    (0..cards).map(|card| draw_slowness(9, RankId(set * cards + card), 0.05));
                draws.fold(0.0, f64::max)
            };
            let (mean, _) = moments((0..sets).map(slowest));
            let expected = expected_slowest(cards, 0.05);
            assert!((expected / mean - 1.0).abs() < 0.003, "{cards}: {expected} for {mean}");
        }
        assert_eq!(expected_slowest(10, 0.0).to_bits(), 1.0_f64.to_bits());
    }

    fn jitter(relative_deviation: f64) -> Jitter {
        Jitter { relative_deviation, law: Law::LogNormal }
    }

    fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for value in values {
            n += 1.0;
            sum += value;
            squares += value * value;
        }
        let mean = sum / n;
        (mean, (squares / n - mean * mean).sqrt())
    }

    #[test]
    fn mean_is_one_and_deviation_averages_out_over_kernels() {
        let mut noise = Noise::new(7, 0, jitter(0.2), 4, &[1, 16, 0]);
        for (class, expected) in [(0, 0.2), (1, 0.05), (2, 0.2)] {
            let (mean, deviation) = moments((0..40_000).map(|i| noise.draw(i % 4, class)));
            assert!((mean - 1.0).abs() < 4.0 * expected / 200.0, "mean {mean}");
            assert!((deviation / expected - 1.0).abs() < 0.05, "deviation {deviation}");
        }
        let (mean, deviation) = moments((0..40_000).map(|r| draw_slowness(3, RankId(r), 0.1)));
        assert!((mean - 1.0).abs() < 0.002 && (deviation - 0.1).abs() < 0.005);
    }

    #[test]
    fn streams_differ_in_every_coordinate() {
        let draw = |seed, iteration, rank, purpose| {
            stream(seed, iteration, RankId(rank), purpose).next_u64()
        };
        let draws = [
            draw(1, 2, 3, Purpose::Jitter),
            draw(2, 2, 3, Purpose::Jitter),
            draw(1, 3, 3, Purpose::Jitter),
            draw(1, 2, 4, Purpose::Jitter),
            draw(1, 2, 3, Purpose::Slowness),
        ];
        for (i, a) in draws.iter().enumerate() {
            assert!(draws[..i].iter().all(|b| a != b));
        }
    }

    #[test]
    fn another_rank_changes_no_draw() {
        let draws = |ranks| {
            let mut noise = Noise::new(1, 5, jitter(0.1), ranks, &[4]);
            [noise.draw(0, 0), noise.draw(1, 0), noise.draw(1, 0)]
        };
        assert_eq!(draws(2).map(f64::to_bits), draws(3).map(f64::to_bits));
    }

    #[test]
    fn draws_are_pinned() {
        let mut noise = Noise::new(42, 1, jitter(0.05), 2, &[1]);
        let drawn = [noise.draw(0, 0), noise.draw(0, 0), noise.draw(1, 0)];
        let bits =
            [4_606_765_010_498_724_269, 4_606_992_914_211_717_244, 4_607_062_342_541_075_067];
        assert_eq!(drawn.map(f64::to_bits), bits);
        assert_eq!(draw_slowness(42, RankId(7), 0.02).to_bits(), 4_607_153_566_230_162_826);
    }
}
