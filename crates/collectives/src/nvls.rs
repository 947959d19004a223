//! NVSwitches that reduce and multicast (NVLS), and trees between nodes that have them.

use motley_hardware::ScaleUp;
use motley_topology::{Cluster, RouteError};

use crate::membership::Local;
use crate::plan::{Crossings, Plan};
use crate::ring::Walks;
use crate::tree;
use crate::tuning::Generation;

/// Whether the switches of every node reduce, and every node has members to reduce over.
pub(crate) fn available(cluster: &Cluster, nodes: &[Local], generation: Generation) -> bool {
    generation.nvls_efficiency() > 0.0
        && nodes.iter().all(|local| {
            let scale_up = cluster.design(local.node).scale_up.get();
            local.cards.len() > 1
                && matches!(scale_up, ScaleUp::NvSwitch { in_network_reduction: true, .. })
        })
}

/// Each card's link to the switches and back, crossed `per_message` times (1 + 1/n) times: all of
/// the buffer goes up to be summed, the sums of the card's own part come down and go up again, and
/// the whole sum comes down.
fn switch_links(
    crossings: &mut Crossings<'_>,
    cluster: &Cluster,
    local: &Local,
    per_message: f64,
) -> Result<(), RouteError> {
    let members = &local.cards;
    let share = per_message * (1.0 + 1.0 / members.len() as f64);
    for (i, &card) in members.iter().enumerate() {
        let peer = members[(i + 1) % members.len()];
        if let Some(&up) = cluster.route(card, peer)?.links.first() {
            crossings.cross(up, share);
            crossings.cross(up.reverse(), share);
        }
    }
    Ok(())
}

/// All-reduce by the switches of one node; the whole message is one connection.
pub(crate) fn within(
    cluster: &Cluster,
    local: &Local,
    generation: Generation,
) -> Result<(Plan, f64), RouteError> {
    let mut crossings = Crossings::new(cluster);
    switch_links(&mut crossings, cluster, local, 1.0)?;
    let plan = crossings.finish(1.0);
    let limit = plan.idle_rate * generation.nvls_efficiency();
    Ok((plan, limit))
}

/// All-reduce by the switches of each node and trees between the nodes. A connection carries its
/// channel's share of half of the bytes, as in a tree. Second, the rate that the switches allow a
/// connection.
pub(crate) fn across(
    cluster: &Cluster,
    nodes: &[Local],
    walks: &Walks,
    generation: Generation,
) -> Result<(Plan, f64), RouteError> {
    let channels = walks.first().map_or(0, Vec::len) as f64;
    let inside = |crossings: &mut Crossings<'_>| {
        nodes.iter().try_for_each(|local| switch_links(crossings, cluster, local, 2.0 * channels))
    };
    let mut alone = Crossings::new(cluster);
    inside(&mut alone)?;
    let limit = alone.finish(channels).idle_rate * generation.nvls_efficiency();
    let mut crossings = Crossings::new(cluster);
    inside(&mut crossings)?;
    tree::connect_nodes(&mut crossings, walks)?;
    Ok((crossings.finish(channels), limit))
}
