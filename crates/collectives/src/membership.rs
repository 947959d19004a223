//! The members of a communicator, node by node.

use motley_hardware::ScaleUp;
use motley_topology::{Cluster, GpuId, NodeId, RouteError};

/// The members in one node.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) node: NodeId,
    /// In the order in which PCIe has them: socket by socket, switch by switch.
    pub(crate) cards: Vec<GpuId>,
    /// The NICs that they use, ascending.
    pub(crate) nics: Vec<u32>,
}

/// Checks the members and sorts them by node; nodes in the order of their first member. Cards of several
/// vendors are refused unless they meet `by_hosts`.
pub(crate) fn by_node(
    cluster: &Cluster,
    members: &[GpuId],
    by_hosts: bool,
) -> Result<Vec<Local>, RouteError> {
    check(cluster, members, by_hosts)?;
    let mut nodes: Vec<Local> = Vec::new();
    let mut place = std::collections::BTreeMap::new();
    for &card in members {
        let node = cluster.node_of(card);
        let at = *place.entry(node).or_insert_with(|| {
            nodes.push(Local { node, cards: Vec::new(), nics: Vec::new() });
            nodes.len() - 1
        });
        nodes[at].cards.push(card);
    }
    for local in &mut nodes {
        let order = pcie_order(cluster, local.node);
        local.cards.sort_by_key(|&card| order[cluster.local_index(card) as usize]);
        local.nics = local.cards.iter().filter_map(|&card| cluster.nic_of(card)).collect();
        local.nics.sort_unstable();
        local.nics.dedup();
    }
    Ok(nodes)
}

fn check(cluster: &Cluster, members: &[GpuId], by_hosts: bool) -> Result<(), RouteError> {
    let first = *members.first().ok_or(RouteError::NoMembers)?;
    let count = cluster.gpu_count();
    if let Some(unknown) = members.iter().find(|card| card.0 >= count) {
        return Err(RouteError::UnknownGpu { gpu: unknown.0, count });
    }
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(RouteError::RepeatedMember { gpu: pair[0].0 });
    }
    let vendor = cluster.device(first).vendor;
    match members.iter().find(|&&card| cluster.device(card).vendor != vendor) {
        Some(&other) if !by_hosts => Err(RouteError::MixedVendors {
            first: first.0,
            first_vendor: vendor,
            other: other.0,
            other_vendor: cluster.device(other).vendor,
        }),
        _ => Ok(()),
    }
}

/// For each card of a node its place in the order of sockets and PCIe switches.
fn pcie_order(cluster: &Cluster, node: NodeId) -> Vec<usize> {
    let design = cluster.design(node);
    let mut switches: Vec<_> = design.pcie.get().switches.iter().collect();
    switches.sort_by_key(|switch| switch.socket);
    let mut order = vec![0; design.gpus as usize];
    for (place, &card) in switches.iter().flat_map(|switch| &switch.gpus).enumerate() {
        order[card as usize] = place;
    }
    order
}

impl Local {
    /// The NVLinks between the members, in the order of `cards`; `None` where cards are not joined
    /// by a mesh.
    pub(crate) fn mesh(&self, cluster: &Cluster) -> Option<Vec<Vec<u32>>> {
        let ScaleUp::Mesh(matrix) = cluster.design(self.node).scale_up.get() else {
            return None;
        };
        let index: Vec<usize> =
            self.cards.iter().map(|&card| cluster.local_index(card) as usize).collect();
        Some(index.iter().map(|&i| index.iter().map(|&j| matrix[i][j]).collect()).collect())
    }
}
