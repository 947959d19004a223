//! What may differ between two replays of one engine.

use motley_units::Time;

/// How to replay: which noise, and which cards are slow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options<'a> {
    /// The root of all random draws.
    pub seed: u64,
    /// Which iteration this is; draws differ between iterations of one seed.
    pub iteration: u32,
    /// Noise on compute; `None` replays the nominal durations.
    pub jitter: Option<Jitter>,
    /// When each rank begins; zero for all ranks beyond its end. For iterations that begin on each
    /// rank as soon as the rank is done with the one before.
    pub starts: Option<&'a [Time]>,
    /// Replaces [`motley_job::Rank::slowness`], one factor per rank, finite and above zero. Ranks
    /// beyond its end keep their own.
    pub slowness: Option<&'a [f64]>,
}

/// Random variation of kernel durations, independent between kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter {
    /// The standard deviation of one kernel's duration relative to its mean. An operation of n
    /// kernels varies by `relative_deviation / sqrt(n)`.
    pub relative_deviation: f64,
    /// The shape of the distribution; its mean is always 1.
    pub law: Law,
}

/// The distribution of a factor whose mean is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// Log-normal: never negative, with the longer tail on the slow side that measured kernels
    /// have.
    #[default]
    LogNormal,
}
