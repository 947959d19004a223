//! What evaluations of many scenarios have in common.

use std::sync::Arc;

use motley_collectives::Layouts;
use motley_scenario::Scenario;
use motley_scheduler::Plan;
use motley_topology::{Cluster, Clusters, TopologyError};

use crate::prepare::{Prepared, prepare_plan, prepare_with};
use crate::{Report, SimulateError};

/// Evaluates scenarios one after the other and keeps what the next may need again: the cluster and
/// its routes as long as scenarios describe the same one, and the process groups laid over it.
///
/// A sweep or a search that changes a plan a thousand times pays for these once. Answers are the
/// same as without.
#[derive(Debug, Default)]
pub struct Evaluator {
    clusters: Arc<Clusters>,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    cluster: Arc<Cluster>,
    layouts: Layouts,
}

impl Evaluator {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that shares clusters that were built with others, on other threads or where scenarios are read.
    pub fn on(clusters: Arc<Clusters>) -> Self {
        Self { clusters, known: None }
    }

    /// As [`crate::prepare`].
    ///
    /// # Errors
    /// As [`crate::prepare`].
    pub fn prepare<'s>(&mut self, scenario: &'s Scenario) -> Result<Prepared<'s>, SimulateError> {
        let Known { cluster, layouts } = self.of(scenario)?;
        prepare_with(scenario, Arc::clone(cluster), layouts)
    }

    /// As [`crate::simulate`].
    ///
    /// # Errors
    /// As [`crate::simulate`].
    pub fn simulate(&mut self, scenario: &Scenario) -> Result<Report, SimulateError> {
        self.prepare(scenario)?.conclude()
    }

    /// As [`crate::prepare`], with a plan that stands in for the scenario's own.
    ///
    /// # Errors
    /// As [`crate::prepare`].
    pub fn prepare_plan<'s>(
        &mut self,
        scenario: &'s Scenario,
        plan: Plan,
    ) -> Result<Prepared<'s>, SimulateError> {
        let Known { cluster, layouts } = self.of(scenario)?;
        prepare_plan(scenario, plan, Arc::clone(cluster), layouts)
    }

    /// What is known of a scenario's cluster.
    fn of(&mut self, scenario: &Scenario) -> Result<&mut Known, TopologyError> {
        let same = |known: &Known| *known.cluster.spec() == scenario.cluster;
        let known = match self.known.take().filter(same) {
            Some(known) => known,
            None => Known {
                cluster: self.clusters.get(&scenario.cluster)?,
                layouts: Layouts::new(true),
            },
        };
        Ok(self.known.insert(known))
    }
}
