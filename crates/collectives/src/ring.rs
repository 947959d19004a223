//! Rings: the orders that a node offers, the walks of channels through the nodes, and the plan.

use motley_topology::{Cluster, GpuId, PathClass, RouteError};

use crate::cycles::disjoint_cycles;
use crate::membership::Local;
use crate::plan::{Crossings, Plan};

/// The walk of each channel through the members of each node: `walks[node][channel]` starts at
/// the card where the channel enters and holds every local member once.
pub(crate) type Walks = Vec<Vec<Vec<GpuId>>>;

/// The cyclic orders of a node's members whose edges can all be used at the same time.
fn orders(cluster: &Cluster, local: &Local) -> Result<Vec<Vec<GpuId>>, RouteError> {
    let cards = &local.cards;
    let both_ways = |cycles: &[Vec<usize>]| -> Vec<Vec<GpuId>> {
        let forward = cycles.iter().map(|cycle| cycle.iter().map(|&i| cards[i]).collect());
        let backward = cycles.iter().map(|cycle| cycle.iter().rev().map(|&i| cards[i]).collect());
        forward.chain(backward).collect()
    };
    let Some(links) = local.mesh(cluster).filter(|_| cards.len() > 2) else {
        return Ok(vec![cards.clone()]);
    };
    let cycles = disjoint_cycles(&links);
    if !cycles.is_empty() {
        return Ok(both_ways(&cycles));
    }
    // No ring over direct links. NVLink through a card in between is still one link each way per
    // edge, so the way back is free; on PCIe one ring already fills each card's link both ways.
    let mut worst = PathClass::Same;
    for (i, &from) in cards.iter().enumerate() {
        worst = worst.max(cluster.route(from, cards[(i + 1) % cards.len()])?.class);
    }
    let natural: Vec<usize> = (0..cards.len()).collect();
    Ok(if worst <= PathClass::Nvb { both_ways(&[natural]) } else { vec![cards.clone()] })
}

/// The rings of a communicator in one node.
pub(crate) fn within(cluster: &Cluster, local: &Local) -> Result<Plan, RouteError> {
    let mut crossings = Crossings::new(cluster);
    let orders = orders(cluster, local)?;
    for order in &orders {
        for (i, &from) in order.iter().enumerate() {
            crossings.connect(from, order[(i + 1) % order.len()])?;
        }
    }
    Ok(crossings.finish(orders.len() as f64))
}

/// How many channels a communicator of several nodes has: as many as the node with most NICs in
/// use has NICs.
pub(crate) fn channels(nodes: &[Local]) -> usize {
    nodes.iter().map(|local| local.nics.len()).max().unwrap_or(0).max(1)
}

/// The walks of so many channels. Channel `c` enters a node at a card on the node's NIC `c`, counted
/// around, and leaves it where the fewest channels have left so far, on the same NIC if it can.
pub(crate) fn walks(
    cluster: &Cluster,
    nodes: &[Local],
    channels: usize,
) -> Result<Walks, RouteError> {
    nodes.iter().map(|local| walks_of(cluster, local, channels)).collect()
}

fn walks_of(
    cluster: &Cluster,
    local: &Local,
    channels: usize,
) -> Result<Vec<Vec<GpuId>>, RouteError> {
    let Some(&first) = local.cards.first() else { return Ok(vec![Vec::new(); channels]) };
    if local.nics.is_empty() {
        return Err(RouteError::NoNic {
            gpu: first.0,
            node: local.node.0,
            design: cluster.design(local.node).id.clone(),
        });
    }
    let orders = orders(cluster, local)?;
    // How many channels have left by each NIC, and used each order.
    let mut exits = vec![0u32; local.nics.len()];
    let mut uses = vec![0u32; orders.len()];
    let mut walks = Vec::with_capacity(channels);
    for channel in 0..channels {
        let nic = local.nics[channel % local.nics.len()];
        let starts = orders.iter().enumerate().flat_map(|(o, order)| {
            let enters_here = move |&start: &usize| cluster.nic_of(order[start]) == Some(nic);
            (0..order.len()).filter(enters_here).map(move |start| (o, start))
        });
        let exit_of = |(o, start): (usize, usize)| {
            let order = &orders[o];
            let last = order[(start + order.len() - 1) % order.len()];
            cluster.nic_of(last).and_then(|exit| local.nics.binary_search(&exit).ok())
        };
        let best = starts
            .filter_map(|at| Some((at, exit_of(at)?)))
            .min_by_key(|&((o, _), exit)| (exits[exit], local.nics[exit] != nic, uses[o]));
        if let Some(((o, start), exit)) = best {
            exits[exit] += 1;
            uses[o] += 1;
            let mut walk = orders[o].clone();
            walk.rotate_left(start);
            walks.push(walk);
        }
    }
    Ok(walks)
}

/// The rings of a communicator over several nodes: each channel walks through the members of a
/// node and goes on to the next node, from the last back to the first.
pub(crate) fn across(cluster: &Cluster, walks: &Walks) -> Result<Plan, RouteError> {
    let mut crossings = Crossings::new(cluster);
    let channels = walks.first().map_or(0, Vec::len);
    for (i, here) in walks.iter().enumerate() {
        let next = &walks[(i + 1) % walks.len()];
        for (walk, onward) in here.iter().zip(next) {
            for pair in walk.windows(2) {
                crossings.connect(pair[0], pair[1])?;
            }
            if let (Some(&exit), Some(&entry)) = (walk.last(), onward.first()) {
                crossings.connect(exit, entry)?;
            }
        }
    }
    Ok(crossings.finish(channels as f64))
}
