//! The field's figures of loss, each with what it is held against.

use motley::Replays;
use serde::Serialize;

use crate::balance::PipelineBalance;
use crate::{Part, Picos, Waterfall};

/// A figure of loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// T / T_ideal (Lin et al. 2025: S).
    Slowdown,
    /// 1 - 1 / S (Lin et al. 2025).
    Waste,
    /// 1 - T_balanced / T.
    HeterogeneityLoss,
    /// What the schedule leaves even the busiest card idle, of the iteration without communication.
    BubbleFraction,
    /// 1 - mean / max of the compute of a pipeline's cards, of the pipeline in which it is largest.
    StageImbalance,
    /// What other pipelines compute less in the mean than the busiest, of T.
    DataParallelStraggling,
    /// 1 - T_even / T.
    JitterLoss,
}

/// A figure and its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Which.
    pub metric: Measure,
    /// The figure.
    pub value_ratio: f64,
    /// What it is held against.
    pub baseline: &'static str,
}

impl Measure {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slowdown => "slow-down",
            Self::Waste => "waste",
            Self::HeterogeneityLoss => "heterogeneity loss",
            Self::BubbleFraction => "bubble fraction",
            Self::StageImbalance => "stage imbalance",
            Self::DataParallelStraggling => "DP straggler loss",
            Self::JitterLoss => "jitter loss",
        }
    }

    fn baseline(self) -> &'static str {
        match self {
            Self::Slowdown => "of the ideal iteration",
            Self::Waste => "of the iteration, against the ideal",
            Self::HeterogeneityLoss => {
                "of the iteration, if compute were spread by card speed and communicated as it is"
            }
            Self::BubbleFraction => "of the iteration without communication",
            Self::StageImbalance => "of the busiest card's compute, in the most uneven pipeline",
            Self::DataParallelStraggling => "of the iteration, if pipelines computed alike",
            Self::JitterLoss => "of the iteration, without jitter and spread within types",
        }
    }
}

impl Metric {
    pub(crate) fn list(
        waterfall: &Waterfall,
        replays: &Replays,
        pipelines: &[PipelineBalance],
    ) -> Vec<Self> {
        let (simulated, ideal) = (waterfall.simulated, waterfall.ideal);
        let share = |part: Part| waterfall.loss_of(part).share_of(simulated);
        let balanced = replays.balanced.as_ref().map(|run| Picos::from(run.outcome.end));
        let uneven = pipelines.iter().map(|pipeline| pipeline.stage_imbalance_ratio);
        let metric = |metric: Measure, value_ratio: f64| {
            let baseline = metric.baseline();
            Self { metric, value_ratio, baseline }
        };
        vec![
            metric(Measure::Slowdown, if ideal.0 == 0 { 1.0 } else { simulated.share_of(ideal) }),
            metric(Measure::Waste, waterfall.loss().share_of(simulated)),
            metric(
                Measure::HeterogeneityLoss,
                balanced.map_or(0.0, |balanced| (simulated - balanced).share_of(simulated)),
            ),
            metric(
                Measure::BubbleFraction,
                waterfall.loss_of(Part::Bubble).share_of(waterfall.compute_only),
            ),
            metric(Measure::StageImbalance, uneven.fold(0.0, f64::max)),
            metric(Measure::DataParallelStraggling, share(Part::DataParallelStraggling)),
            metric(Measure::JitterLoss, share(Part::Spread)),
        ]
    }
}
