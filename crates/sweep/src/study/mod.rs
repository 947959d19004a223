//! Study files: what is varied, and the points that come of it.
//!
//! A study names a base scenario and axes. A point is a number; its values and overrides are computed
//! from that alone, so that nobody has to store or hand out points.

mod axis;
mod check;
mod expression;
mod material;
mod point;
mod raw;
mod read;
mod sample;
mod setting;

use std::collections::BTreeMap;
use std::sync::Arc;

use motley::Evaluator;
use motley_scenario::{Profiles, Rejected, Scenario, load_text_with};
use motley_topology::Clusters;

pub use material::Material;
pub use point::Point;
pub use raw::Plans;
#[cfg(test)]
pub(crate) use sample::Method;

use crate::metric::Metric;
use axis::{Axis, Dimension};
use expression::Expression;
use setting::Setting;

/// A study, read and checked.
#[derive(Debug)]
pub struct Study {
    /// What it asks.
    pub question: Option<String>,
    /// Whose plan each point is evaluated with.
    pub plans: Plans,
    /// The seed of the first replica: that of the base scenario.
    pub seed: u64,
    /// How often each point is simulated.
    pub replicas: u32,
    base: Base,
    /// Overrides of all points.
    common: Vec<String>,
    axes: Vec<Axis>,
    /// The first is the slowest.
    dimensions: Vec<Dimension>,
    skip: Vec<Expression>,
    metrics: Vec<Metric>,
    points: u64,
}

/// The scenario that is varied.
#[derive(Debug)]
struct Base {
    name: String,
    text: String,
    profiles: Profiles,
    clusters: Arc<Clusters>,
}

impl Base {
    fn with(&self, overrides: &[String]) -> Result<Scenario, Rejected> {
        load_text_with(&self.name, &self.text, overrides, &self.profiles, &self.clusters)
    }

    /// Profiles by the names that scenarios have for them, as far as they have been read.
    fn profiles(&self) -> BTreeMap<String, String> {
        self.profiles.texts()
    }
}

impl Study {
    /// The columns of results.
    pub(crate) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// An evaluator that has its clusters in common with all others of the study.
    pub fn evaluator(&self) -> Evaluator {
        Evaluator::on(Arc::clone(&self.base.clusters))
    }

    /// The base with these overrides.
    pub(crate) fn scenario(&self, overrides: &[String]) -> Result<Scenario, Rejected> {
        self.base.with(overrides)
    }
}

/// The overrides of `settings` for an axis' own value.
fn overrides_of(
    settings: &[Setting],
    own: &axis::Value,
    values: &[axis::Value],
) -> Option<Vec<String>> {
    let value = |index: usize| values[index].outcome();
    settings.iter().map(|setting| setting.written(&own.text, &value)).collect()
}
