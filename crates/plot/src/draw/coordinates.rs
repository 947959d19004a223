//! An axis with its range and its ticks, as a coordinate system of plotters.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::canvas::times;
use super::number::{number, numbers};
use super::text::Font;
use crate::{Axis, Scale};

/// Free space beyond the outermost values, as a share of the axis.
const PADDING: f64 = 0.04;

/// Values closer together than this share of the largest are one value to an axis.
const EQUAL: f64 = 1e-9;

/// Free space between labels of ticks, in widths of a digit.
const GAP: f64 = 1.5;

/// An axis with its range and its ticks. plotters draws what these say.
#[derive(Clone, Debug)]
pub(crate) struct Coordinates {
    scale: Scale,
    low: f64,
    high: f64,
    /// Where ticks are, and their labels.
    ticks: Vec<(f64, String)>,
}

/// Along which way labels lie beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    Width,
    Height,
}

impl Coordinates {
    /// The axis for these values, which it can show and of which there is one, on that length.
    pub(crate) fn new(axis: &Axis, values: &[f64], length: i32, along: Along) -> Self {
        let mut low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let mut high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let from_zero = axis.from_zero && axis.scale == Scale::Linear;
        if from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low <= EQUAL * high.abs().max(low.abs()) {
            (low, high) = match axis.scale {
                Scale::Log => (low / 2.0, high * 2.0),
                Scale::Linear if low == 0.0 => (0.0, 1.0),
                Scale::Linear => (low - low.abs() * 0.1, high + high.abs() * 0.1),
            };
        }
        let (from, to) = (along_scale(axis.scale, low), along_scale(axis.scale, high));
        let pad = (to - from) * PADDING;
        let padded =
            |value: f64, pad: f64| if from_zero && value == 0.0 { 0.0 } else { value + pad };
        (low, high) = match axis.scale {
            Scale::Linear => (padded(low, -pad), padded(high, pad)),
            Scale::Log => (libm::exp10(from - pad), libm::exp10(to + pad)),
        };
        let mut coordinates = Self { scale: axis.scale, low, high, ticks: Vec::new() };
        coordinates.ticks = coordinates.ticked(axis, length, along);
        coordinates
    }

    /// A range as it is, without ticks.
    pub(crate) fn plain(low: f64, high: f64) -> Self {
        Self { scale: Scale::Linear, low, high, ticks: Vec::new() }
    }

    /// Share of the axis that lies below a value.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let [low, value, high] =
            [self.low, value, self.high].map(|value| along_scale(self.scale, value));
        (value - low) / (high - low)
    }

    /// The value at a share of the axis, which may lie beyond its ends.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let [low, high] = [self.low, self.high].map(|value| along_scale(self.scale, value));
        let along = low + (high - low) * share;
        match self.scale {
            Scale::Linear => along,
            Scale::Log => libm::exp10(along),
        }
    }

    /// Where the axis begins: the value at its lower end.
    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    pub(crate) fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// Width of the widest label.
    pub(crate) fn label_width(&self, font: Font) -> i32 {
        self.ticks.iter().map(|(_, label)| font.width(label)).max().unwrap_or(0)
    }

    /// Ticks where the axis wants them or else at round numbers, without labels that would meet.
    fn ticked(&self, axis: &Axis, length: i32, along: Along) -> Vec<(f64, String)> {
        let font = Font::Small;
        let wanted: Vec<f64> = axis
            .ticks
            .iter()
            .copied()
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect();
        let most = match along {
            Along::Width => length / (font.size() * 6),
            Along::Height => length / (font.line() * 2),
        };
        let values =
            if wanted.is_empty() { self.round_values(most.clamp(2, 10) as usize) } else { wanted };
        let mut labels = match self.scale {
            Scale::Linear => numbers(&values),
            Scale::Log => values.iter().map(|&value| number(value)).collect(),
        };
        // Close together on a logarithmic axis, four digits may not tell them apart.
        if labels.windows(2).any(|pair| pair[0] == pair[1]) {
            labels = numbers(&values);
        }
        let gap = (f64::from(font.width("0")) * GAP) as i32;
        let mut free = i32::MIN / 2;
        let mut ticks = Vec::new();
        for (value, label) in values.into_iter().zip(labels) {
            let place = (self.share(value) * f64::from(length)).round() as i32;
            let half = match along {
                Along::Width => font.width(&label) / 2,
                Along::Height => font.line() / 2,
            };
            if place - half >= free {
                free = place + half + if along == Along::Width { gap } else { 0 };
                ticks.push((value, label));
            }
        }
        ticks
    }

    /// At most about so many round numbers of the range, in its order.
    fn round_values(&self, most: usize) -> Vec<f64> {
        if self.scale == Scale::Linear {
            return steps(self.low, self.high, most);
        }
        let (first, last) = (libm::log10(self.low).ceil(), libm::log10(self.high).floor());
        let decades = (last - first + 1.0).max(0.0) as usize;
        let within = |value: &f64| (self.low..=self.high).contains(value);
        if decades > 2 {
            let stride = decades.div_ceil(most);
            return (0..decades)
                .step_by(stride)
                .map(|at| power(first as i32 + times(at)))
                .collect();
        }
        let digits: Vec<f64> = (first as i32 - 1..=last as i32)
            .flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| digit * power(exponent)))
            .filter(within)
            .collect();
        if digits.len() >= 3 { digits } else { steps(self.low, self.high, most) }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten between two numbers, at most about so many.
fn steps(low: f64, high: f64, most: usize) -> Vec<f64> {
    let least = (high - low) / most as f64;
    let exponent = libm::floor(libm::log10(least)) as i32;
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power(exponent))
        .into_iter()
        .find(|&step| step >= least * 0.999)
        .unwrap_or(least);
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    let count = (last - first + 1.0).clamp(0.0, 1000.0) as usize;
    (0..count).map(|at| (first + at as f64) * step).collect()
}

/// A power of ten, to the bit.
fn power(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::MIN_POSITIVE)
}

/// The value as a length.
fn along_scale(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log => libm::log10(value),
    }
}

impl Ranged for Coordinates {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.share(*value) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|&(value, _)| value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Coordinates {
    fn format_ext(&self, value: &f64) -> String {
        let same = |&&(tick, _): &&(f64, String)| tick.total_cmp(value).is_eq();
        self.ticks.iter().find(same).map_or_else(String::new, |(_, label)| label.clone())
    }
}
