//! How well figures agree: errors, and the order within sweeps.

use serde::Serialize;

/// How well predicted figures agree with measured ones. An error is `predicted / measured - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// How many figures.
    pub count: usize,
    /// The median of the errors' sizes.
    pub median_abs_error_ratio: f64,
    /// The size that nine in ten errors do not exceed.
    pub p90_abs_error_ratio: f64,
    /// The mean error, with its sign.
    pub bias_ratio: f64,
}

impl Agreement {
    /// Of these errors, if there is one.
    pub fn of(errors: &[f64]) -> Option<Self> {
        let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        Some(Self {
            count: errors.len(),
            median_abs_error_ratio: quantile(&sizes, 0.5)?,
            p90_abs_error_ratio: quantile(&sizes, 0.9)?,
            bias_ratio: errors.iter().sum::<f64>() / errors.len() as f64,
        })
    }
}

/// The quantile of sorted values, between two of them in proportion.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share * last as f64;
    let below = sorted[at.floor() as usize];
    let above = sorted[at.ceil() as usize];
    Some(below + (above - below) * at.fract())
}

/// Spearman's rank correlation of pairs: 1 if both order alike, equal values sharing their mean
/// rank. None where one side has no order.
pub(super) fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let a = ranks(pairs.iter().map(|(a, _)| *a));
    let b = ranks(pairs.iter().map(|(_, b)| *b));
    let mean = f64::midpoint(pairs.len() as f64, 1.0);
    let (mut covariance, mut a_square, mut b_square) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        covariance += (a - mean) * (b - mean);
        a_square += (a - mean).powi(2);
        b_square += (b - mean).powi(2);
    }
    let norm: f64 = a_square * b_square;
    (norm > 0.0).then(|| covariance / norm.sqrt())
}

fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.enumerate().collect();
    order.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut ranks = vec![0.0; order.len()];
    let mut before = 0;
    for alike in order.chunk_by(|(_, a), (_, b)| a.total_cmp(b).is_eq()) {
        for (index, _) in alike {
            ranks[*index] = f64::from(before) + f64::midpoint(alike.len() as f64, 1.0);
        }
        before += alike.len() as u32;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_hand() {
        let found = Agreement::of(&[-0.1, 0.3, 0.2, -0.4, 0.0]).unwrap();
        assert_eq!(found.count, 5);
        assert!((found.median_abs_error_ratio - 0.2).abs() < 1e-12);
        assert!((found.p90_abs_error_ratio - 0.36).abs() < 1e-12);
        assert!(found.bias_ratio.abs() < 1e-12);
        assert_eq!(Agreement::of(&[]), None);
    }

    #[test]
    fn order_by_hand() {
        let check = |pairs: &[(f64, f64)], expected: Option<f64>| match (spearman(pairs), expected)
        {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-12, "{found}"),
            (found, expected) => assert_eq!(found, expected),
        };
        check(&[(1.0, 10.0), (2.0, 20.0), (3.0, 90.0)], Some(1.0));
        check(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], Some(-1.0));
        // Ranks 1, 2, 3, 4 against 1, 3, 2, 4: 1 - 6 * 2 / (4 * 15).
        check(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 4.0)], Some(0.8));
        // Ranks 1, 2.5, 2.5 against 1, 2, 3: 1.5 / sqrt(1.5 * 2).
        check(&[(1.0, 1.0), (2.0, 2.0), (2.0, 3.0)], Some(1.5 / 3.0f64.sqrt()));
        check(&[(1.0, 1.0), (1.0, 2.0)], None);
        check(&[], None);
    }
}
