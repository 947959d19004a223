//! How far predictions are off.

/// The errors of some points, |predicted / measured - 1|.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Quality {
    pub(crate) points: u32,
    /// The error that half of the points stay below.
    pub(crate) median: f64,
    /// The error that nine in ten stay below.
    pub(crate) p90: f64,
}

impl Quality {
    /// Of ratios, predicted over measured.
    pub(crate) fn of(ratios: impl IntoIterator<Item = f64>) -> Self {
        let mut errors: Vec<f64> = ratios.into_iter().map(|ratio| (ratio - 1.0).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = errors.len().saturating_sub(1);
            errors.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
        };
        Self { points: errors.len() as u32, median: at(0.5), p90: at(0.9) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_side_do_not_matter() {
        let quality = Quality::of([1.5, 0.9, 1.0, 0.8, 1.3]);
        assert_eq!(quality.points, 5);
        assert!((quality.median - 0.2).abs() < 1e-12);
        assert!((quality.p90 - 0.5).abs() < 1e-12);
        assert_eq!(Quality::of([]), Quality::default());
    }
}
