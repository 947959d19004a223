//! Clusters that stand in for a scenario's own.

use motley::Scenario;
use motley_hardware::FabricShape;
use motley_scenario::raw::{
    RawCluster, RawFabric, RawGroup, RawModel, RawPlan, RawScenario, WrittenFabric,
};

use crate::{EquivalenceError, Nodes};

/// A scenario on other machines, its plan left open.
pub(crate) fn on(
    scenario: &Scenario,
    cluster: RawCluster,
    what: &str,
) -> Result<Scenario, EquivalenceError> {
    changed(scenario, what, |raw| raw.cluster = cluster)
}

/// A scenario with another model, its plan left open.
pub(crate) fn with_model(scenario: &Scenario, preset: &str) -> Result<Scenario, EquivalenceError> {
    changed(scenario, preset, |raw| raw.model = RawModel::Preset(preset.to_owned()))
}

/// A scenario on so many times its nodes, its plan left open.
pub(crate) fn times(scenario: &Scenario, factor: u32) -> Result<Scenario, EquivalenceError> {
    let mut cluster = scenario.raw.cluster.clone();
    for group in &mut cluster.groups {
        group.count = group.count.saturating_mul(factor);
    }
    if cluster.fabric.is_none() && factor > 1 {
        cluster.fabric = Some(RawFabric::Written((&scenario.cluster.fabric).into()));
    }
    on(scenario, cluster, &format!("{factor} times the cluster"))
}

fn changed(
    scenario: &Scenario,
    what: &str,
    change: impl FnOnce(&mut RawScenario),
) -> Result<Scenario, EquivalenceError> {
    let mut raw = scenario.raw.clone();
    raw.plan = RawPlan::Auto;
    raw.published.clear();
    change(&mut raw);
    scenario.with_raw(what, raw).map_err(|rejected| EquivalenceError::rejected(what, &rejected))
}

/// So many nodes, on a fabric that their NICs speak: that of the scenario, if they speak it, with ports as
/// fast as the NICs, else one switch that does not block.
pub(crate) fn alone(scenario: &Scenario, nodes: &Nodes, count: u32) -> RawCluster {
    let technology = nodes.nic.technology;
    let known = WrittenFabric::from(&scenario.cluster.fabric);
    let fabric = if known.technology == technology {
        WrittenFabric { port: None, ..known }
    } else {
        WrittenFabric {
            technology,
            shape: FabricShape::SingleSwitch,
            port: None,
            oversubscription: 1.0,
            routing: None,
        }
    };
    RawCluster { groups: vec![nodes.group(count)], fabric: Some(RawFabric::Written(fabric)) }
}

/// The scenario's cluster with further nodes on its fabric.
pub(crate) fn joined(scenario: &Scenario, group: RawGroup) -> RawCluster {
    let mut cluster = scenario.raw.cluster.clone();
    cluster.groups.push(group);
    if cluster.fabric.is_none() {
        cluster.fabric = Some(RawFabric::Written((&scenario.cluster.fabric).into()));
    }
    cluster
}
