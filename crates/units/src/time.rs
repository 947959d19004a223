//! Simulated time as an integer, exact to compare, add and hash.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use crate::Seconds;

/// A point in simulated time, or a span of it, in whole picoseconds.
///
/// 64 bits reach 213 days. Addition and subtraction saturate: a time never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of the simulation.
    pub const ZERO: Self = Self(0);
    /// Later than everything.
    pub const MAX: Self = Self(u64::MAX);

    /// So many picoseconds.
    pub const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    /// The count of picoseconds.
    pub const fn as_picos(self) -> u64 {
        self.0
    }

    /// A duration rounded to the nearest picosecond; negative and NaN become zero, too large
    /// becomes [`Time::MAX`].
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1e12).round() as u64)
    }

    /// A duration rounded *up* to a picosecond, for completions: work never ends before it is done.
    pub fn from_secs_f64_ceil(seconds: f64) -> Self {
        Self((seconds * 1e12).ceil() as u64)
    }

    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-12
    }

    /// This span times `factor`, rounded to the nearest picosecond.
    #[must_use]
    pub fn scale(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor).round() as u64)
    }
}

impl From<Seconds> for Time {
    fn from(seconds: Seconds) -> Self {
        Self::from_secs_f64(seconds.0)
    }
}

impl Add for Time {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Time {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Time {
    type Output = Self;
    /// The span from `other` to `self`, zero if `other` is later.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Time {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Seconds(self.as_secs_f64()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_saturates_and_never_wraps() {
        assert_eq!(Time::from_secs_f64(1.5e-12), Time::from_picos(2));
        assert_eq!(Time::from_secs_f64_ceil(1.1e-12), Time::from_picos(2));
        assert_eq!(Time::from_secs_f64(-1.0), Time::ZERO);
        assert_eq!(Time::from_secs_f64(f64::NAN), Time::ZERO);
        assert_eq!(Time::from_secs_f64(1e30), Time::MAX);
        assert_eq!(Time::MAX + Time::from_picos(1), Time::MAX);
        assert_eq!(Time::from_picos(1) - Time::from_picos(2), Time::ZERO);
    }
}
