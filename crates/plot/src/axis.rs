//! What an axis shows and how.

use crate::Invalid;

/// How numbers become lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally long.
    #[default]
    Linear,
    /// Equal factors are equally long; positive numbers only.
    Log,
}

/// One axis. Its range follows from what is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// How numbers become lengths.
    pub scale: Scale,
    /// Whether zero is in the range; linear axes only.
    pub from_zero: bool,
    /// Where ticks are, if they fit; at round numbers if empty.
    pub ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Self {
        Self { scale: Scale::Log, ..Self::linear(label) }
    }

    /// The same with zero in its range.
    #[must_use]
    pub fn from_zero(mut self) -> Self {
        self.from_zero = true;
        self
    }

    /// The same with ticks at these places, in whatever order, as far as there is room.
    #[must_use]
    pub fn ticks(mut self, ticks: impl IntoIterator<Item = f64>) -> Self {
        self.ticks = ticks.into_iter().collect();
        self.ticks.sort_by(f64::total_cmp);
        self
    }

    /// A number of `what`, if this axis can show it.
    pub(crate) fn check(&self, what: &str, value: f64) -> Result<f64, Invalid> {
        finite(what, value)?;
        if self.scale == Scale::Log && value <= 0.0 {
            return Err(Invalid::NotPositive { what: what.to_owned(), value });
        }
        Ok(value)
    }
}

/// Magnitudes within which whatever is worked out from numbers stays finite, and positive on logarithmic axes.
const MAGNITUDES: std::ops::RangeInclusive<f64> = 1e-90..=1e90;

/// A number of `what`, if it is one that can be drawn.
pub(crate) fn finite(what: &str, value: f64) -> Result<f64, Invalid> {
    if value == 0.0 || MAGNITUDES.contains(&value.abs()) {
        Ok(value)
    } else {
        Err(Invalid::NotFinite { what: what.to_owned(), value })
    }
}
