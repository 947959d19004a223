//! Predictions for measured points, with what their sources time beside the kernel.

use std::collections::BTreeMap;

use motley_hardware::{Architecture, Cited};
use motley_workload::KernelModel;

use super::kernels::{Kind, Point};
use super::search::{Free, minimise};
use super::source::{Beside, source};
use super::split::Split;

/// A loop of kernels that take longer is under the power limit.
const LOOP: f64 = 200e-6;

/// What a source's times hold beside the kernel, in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extra {
    /// Seconds.
    pub(crate) fixed: f64,
    /// Bytes for each element of the input.
    pub(crate) input: f64,
    /// The clock, as a share of that of isolated kernels.
    pub(crate) clock: f64,
}

impl Extra {
    pub(crate) const NONE: Self = Self { fixed: 0.0, input: 0.0, clock: 1.0 };

    /// What there is of it, for people: `9.2 us, 8.2 B an element`.
    pub(crate) fn says(self) -> String {
        let mut all = Vec::new();
        if self.fixed > 0.0 {
            all.push(format!("{:.1} us", 1e6 * self.fixed));
        }
        if self.input > 0.0 {
            all.push(format!("{:.1} B an element", self.input));
        }
        if (self.clock - 1.0).abs() > 0.0 {
            all.push(format!("{:.2} of the clock", self.clock));
        }
        all.join(", ")
    }

    /// The numbers of it that move.
    pub(crate) fn free(beside: Beside) -> Vec<Free> {
        let mut all = Vec::new();
        if beside.fixed {
            all.push(Free { least: 0.1e-6, most: 100e-6 });
        }
        if beside.input {
            all.push(Free { least: 0.1, most: 40.0 });
        }
        if beside.clock {
            all.push(Free { least: 0.5, most: 1.1 });
        }
        all
    }

    pub(crate) fn of(beside: Beside, numbers: &[f64]) -> Self {
        let mut numbers = numbers.iter().copied();
        let mut next =
            |moves, otherwise| if moves { numbers.next() } else { None }.unwrap_or(otherwise);
        Self {
            fixed: next(beside.fixed, 0.0),
            input: next(beside.input, 0.0),
            clock: next(beside.clock, 1.0),
        }
    }
}

/// Points of one kind that one source measured on one card: they are evaluated together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) architecture: String,
    pub(crate) device: String,
    pub(crate) kind: Kind,
    pub(crate) math: motley_hardware::MathPath,
    /// FlashAttention's, where the source says it.
    pub(crate) version: Option<u8>,
    pub(crate) source: &'static str,
}

/// Points by series; those of sources that nothing is known of are left out.
pub(crate) fn series(points: &[Point]) -> BTreeMap<Series, Vec<&Point>> {
    let mut all: BTreeMap<Series, Vec<&Point>> = BTreeMap::new();
    for point in points {
        let Some(source) = source(&point.source) else { continue };
        let of = Series {
            architecture: point.device.architecture.clone(),
            device: point.device.id.clone(),
            kind: point.kind,
            math: point.math(),
            version: point.path.flash_version,
            source: source.name,
        };
        all.entry(of).or_default().push(point);
    }
    all
}

/// What the series' source times beside the kernel.
pub(crate) fn beside(points: &[&Point]) -> Beside {
    let Some(first) = points.first() else { return Beside::default() };
    let quantised = first.path.quantisation.is_some();
    source(&first.source)
        .map_or_else(Beside::default, |of| of.beside(first.kind, first.device, quantised))
}

/// The architecture as isolated kernels meet it: at its full clock.
pub(crate) fn isolated(architecture: &Architecture) -> Architecture {
    let sustained = Cited::Assumed(1.0, "isolated kernels".to_owned());
    Architecture { sustained, ..architecture.clone() }
}

/// Seconds that a point should take; `isolated` is at the full clock.
pub(crate) fn predicted(isolated: &Architecture, point: &Point, extra: Extra) -> f64 {
    let model = KernelModel::new(point.device, isolated, point.path);
    let kernels: f64 = point.operators.iter().map(|op| model.time(op).0).sum();
    let kernels = if kernels > LOOP { kernels / extra.clock } else { kernels };
    let moved = point.input * extra.input / point.device.memory_bandwidth.get().0;
    kernels + extra.fixed + moved
}

/// What is to be least over series of ratios: the cost of each, by the root of how many points it
/// has, so that a few hundred of one source do not silence a dozen of another.
pub(crate) fn cost_of_all(series: impl IntoIterator<Item = Vec<f64>>) -> f64 {
    let (sum, weights) = series.into_iter().fold((0.0, 0.0), |(sum, weights), ratios| {
        let weight = (ratios.len() as f64).sqrt();
        (sum + weight * cost(ratios), weights + weight)
    });
    if weights > 0.0 { sum / weights } else { 0.0 }
}

/// An error counts no more than this: what the model has no mechanism for must not bend the rest.
const MOST: f64 = 0.3;

/// A quarter of the median of |log(predicted / measured)|, and the mean of it with every error capped, so that
/// it is not only the better half of the points that counts.
fn cost(ratios: impl IntoIterator<Item = f64>) -> f64 {
    let mut errors: Vec<f64> = ratios.into_iter().map(|ratio| ratio.ln().abs()).collect();
    errors.sort_by(f64::total_cmp);
    let mean = errors.iter().map(|error| error.min(MOST)).sum::<f64>() / errors.len().max(1) as f64;
    0.25 * errors.get(errors.len() / 2).copied().unwrap_or(0.0) + mean
}

/// What a series' source times beside the kernel, found on the points that are for fitting.
pub(crate) fn extra(isolated: &Architecture, points: &[&Point]) -> Extra {
    let beside = beside(points);
    let fitted: Vec<&&Point> = points.iter().filter(|point| point.split == Split::Fit).collect();
    let free = Extra::free(beside);
    if free.is_empty() || fitted.is_empty() {
        return Extra::NONE;
    }
    let numbers = minimise(&free, |numbers| {
        let extra = Extra::of(beside, numbers);
        cost(fitted.iter().map(|point| predicted(isolated, point, extra) / point.seconds))
    });
    Extra::of(beside, &numbers)
}
