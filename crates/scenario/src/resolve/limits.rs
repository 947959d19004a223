//! Ranges that numbers of a scenario must lie in: far beyond any machine that exists, and small
//! enough that no sum or product of them overflows.

use std::ops::RangeInclusive;

use motley_units::BytesPerSec;

use super::Resolver;
use crate::code;
use crate::syntax::Path;

/// Nodes of a cluster.
pub(super) const NODES: RangeInclusive<u32> = 1..=200_000;
/// Cards of a cluster, and each parallel degree: 2^21, so that three degrees multiply within 64
/// bits.
pub(super) const CARDS: RangeInclusive<u32> = 1..=2_097_152;
/// Switches and nodes per switch.
pub(super) const SWITCHES: RangeInclusive<u32> = 1..=200_000;
/// Samples of an iteration or a micro-batch.
pub(super) const SEQUENCES: RangeInclusive<u32> = 1..=16_777_216;
/// Tokens of a sequence.
pub(super) const TOKENS: RangeInclusive<u32> = 1..=16_777_216;
/// Width of an adapter.
pub(super) const RANK: RangeInclusive<u32> = 1..=65_536;
/// Times the mean that an expert gets.
pub(super) const IMBALANCE: f64 = 1e6;

/// Buffers that activations are gathered into.
pub(super) const GATHER_BUFFERS: u32 = 64;
/// Model chunks of a stage.
pub(super) const CHUNKS: RangeInclusive<u32> = 1..=1_000;
/// Layers whose parameters are gathered ahead.
pub(super) const PREFETCH: RangeInclusive<u32> = 0..=1_000;
/// Micro-batches that a stage may hold for each stage of its pipeline.
pub(super) const ACTIVATIONS: RangeInclusive<f64> = 1e-6..=1e6;
/// Times what a card's vendor prints.
pub(super) const SCALE: RangeInclusive<f64> = 0.001..=1000.0;
/// Simulated iterations.
pub(super) const ITERATIONS: RangeInclusive<u32> = 1..=1_000_000;

impl Resolver<'_> {
    /// Whether a count lies in its range; reports it if not.
    pub(super) fn count(&mut self, path: &Path, value: u32, range: RangeInclusive<u32>) -> bool {
        let (low, high) = (*range.start(), *range.end());
        let fits = range.contains(&value);
        if !fits {
            let message = format!("`{path}` is {value}, expected {low} to {high}");
            let label = if value < low { "too small" } else { "too large" };
            self.error(code::OUT_OF_RANGE, path, message, label);
        }
        fits
    }

    /// Whether a relative deviation is at least 0 and below 1; reports it if not.
    pub(super) fn share(&mut self, path: &Path, value: f64) -> bool {
        let fits = (0.0..1.0).contains(&value);
        if !fits {
            let message =
                format!("`{path}` is {value}, expected a share of at least 0 and below 1");
            self.error(code::OUT_OF_RANGE, path, message, "2 % is 0.02");
        }
        fits
    }
}

/// No switch port is slower: a modem's thousand bits per second.
pub(super) const SLOWEST_PORT: BytesPerSec = BytesPerSec(125.0);
