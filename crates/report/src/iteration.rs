//! Iteration time over several iterations.

use motley_units::Time;
use serde::Serialize;

use crate::Run;
use crate::breakdown::seconds;

/// Mean iteration time and its spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IterationTime {
    /// The mean, rounded to a picosecond.
    #[serde(rename = "mean_s", serialize_with = "seconds")]
    pub mean: Time,
    /// Iterations replayed.
    pub iteration_count: u32,
    /// The shortest.
    #[serde(rename = "min_s", serialize_with = "seconds")]
    pub min: Time,
    /// The longest.
    #[serde(rename = "max_s", serialize_with = "seconds")]
    pub max: Time,
    /// Half the width of the 95 % confidence interval of the mean, by Student's t; none of a single
    /// iteration.
    pub ci95_half_width_s: Option<f64>,
}

impl IterationTime {
    /// Of at least one run.
    pub(crate) fn new(runs: &[Run]) -> Self {
        let ends = || runs.iter().map(|run| run.outcome.end);
        let count = runs.len().max(1) as u128;
        let sum: u128 = ends().map(|end| u128::from(end.as_picos())).sum();
        let mean = Time::from_picos(((sum + count / 2) / count) as u64);
        let half_width = (runs.len() > 1).then(|| {
            let squares: f64 =
                ends().map(|end| (end.as_secs_f64() - mean.as_secs_f64()).powi(2)).sum();
            let freedom = runs.len() - 1;
            let deviation = (squares / freedom as f64).sqrt();
            t_quantile(freedom) * deviation / (runs.len() as f64).sqrt()
        });
        Self {
            mean,
            iteration_count: runs.len() as u32,
            min: ends().min().unwrap_or(Time::ZERO),
            max: ends().max().unwrap_or(Time::ZERO),
            ci95_half_width_s: half_width,
        }
    }
}

/// The 97.5 % quantile of Student's t: the table of any textbook for few degrees of freedom, for
/// more the Cornish-Fisher expansion about the normal quantile (Abramowitz and Stegun, 26.7.5).
fn t_quantile(freedom: usize) -> f64 {
    const TABLE: [f64; 10] =
        [12.706_2, 4.302_7, 3.182_4, 2.776_4, 2.570_6, 2.446_9, 2.364_6, 2.306_0, 2.262_2, 2.228_1];
    const Z: f64 = 1.959_964;
    if let Some(&quantile) = freedom.checked_sub(1).and_then(|index| TABLE.get(index)) {
        return quantile;
    }
    let n = freedom as f64;
    let g1 = (Z.powi(3) + Z) / 4.0;
    let g2 = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    let g3 = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
    Z + g1 / n + g2 / n.powi(2) + g3 / n.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_as_in_tables() {
        for (freedom, expected) in [
            (1, 12.706),
            (5, 2.571),
            (10, 2.228),
            (11, 2.201),
            (15, 2.131),
            (30, 2.042),
            (120, 1.980),
        ] {
            let found = t_quantile(freedom);
            assert!((found - expected).abs() < 6e-4, "{freedom}: {found} != {expected}");
        }
    }
}
