//! NCCL's double binary tree over nodes.

use motley_topology::{Cluster, GpuId, RouteError};

use crate::plan::{Crossings, Plan};
use crate::ring::Walks;

/// The parent of each node but the root in the first tree: the in-order binary tree in which odd
/// nodes are leaves and node 0 is the root (`ncclGetBtree`).
fn parent(node: usize, nodes: usize) -> Option<usize> {
    if node == 0 {
        return None;
    }
    let bit = node & node.wrapping_neg();
    let up = (node ^ bit) | (bit << 1);
    Some(if up < nodes { up } else { node ^ bit })
}

/// Child and parent of every edge of both trees. The second is the first mirrored where the
/// number of nodes is even, else shifted by one (`ncclGetDtree`), so that a node that forwards in
/// one is a leaf in the other.
pub(crate) fn edges(nodes: usize) -> [Vec<(usize, usize)>; 2] {
    let first: Vec<(usize, usize)> =
        (0..nodes).filter_map(|node| Some((node, parent(node, nodes)?))).collect();
    let other = |node: usize| {
        if nodes.is_multiple_of(2) { nodes - 1 - node } else { (node + 1) % nodes }
    };
    let second = first.iter().map(|&(child, up)| (other(child), other(up))).collect();
    [first, second]
}

/// Both directions of every edge of both trees, between the cards at which each channel enters.
pub(crate) fn connect_nodes(
    crossings: &mut Crossings<'_>,
    walks: &Walks,
) -> Result<(), RouteError> {
    for (child, up) in edges(walks.len()).into_iter().flatten() {
        for (below, above) in walks[child].iter().zip(&walks[up]) {
            if let (Some(&below), Some(&above)) = (below.first(), above.first()) {
                crossings.connect(below, above)?;
                crossings.connect(above, below)?;
            }
        }
    }
    Ok(())
}

/// The trees of a communicator over several nodes: inside a node each channel is a chain from the
/// card where it enters. A connection carries its channel's share of half of the bytes, once.
pub(crate) fn across(cluster: &Cluster, walks: &Walks) -> Result<Plan, RouteError> {
    let mut crossings = Crossings::new(cluster);
    let channels = walks.first().map_or(0, Vec::len);
    for walk in walks.iter().flatten() {
        for pair in walk.windows(2) {
            chain(&mut crossings, pair[0], pair[1])?;
        }
    }
    connect_nodes(&mut crossings, walks)?;
    Ok(crossings.finish(channels as f64))
}

/// Up and down between two cards, for both trees.
fn chain(crossings: &mut Crossings<'_>, a: GpuId, b: GpuId) -> Result<(), RouteError> {
    for _ in 0..2 {
        crossings.connect(a, b)?;
        crossings.connect(b, a)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each tree spans all nodes; nobody has more than two children, in the first tree nobody but
    /// the root fewer than a parent; a node that has two children in one has at most one in the
    /// other.
    fn check(nodes: usize) {
        let trees = edges(nodes);
        let mut children = vec![[0usize; 2]; nodes];
        for (t, tree) in trees.iter().enumerate() {
            assert_eq!(tree.len(), nodes - 1, "{nodes} nodes");
            let mut up = vec![None; nodes];
            for &(child, parent) in tree {
                assert!(up[child].replace(parent).is_none(), "one parent");
                children[parent][t] += 1;
            }
            let roots = up.iter().filter(|up| up.is_none()).count();
            assert_eq!(roots, 1);
            for start in 0..nodes {
                let mut at = start;
                let mut depth = 0;
                while let Some(above) = up[at] {
                    at = above;
                    depth += 1;
                    assert!(depth <= nodes.ilog2() as usize + 1, "depth in {nodes} nodes");
                }
            }
        }
        for counts in children {
            assert!(counts[0] <= 2 && counts[1] <= 2);
            assert!(counts[0] + counts[1] <= 3, "{nodes} nodes: interior in both trees");
        }
    }

    #[test]
    fn both_trees_span_and_share_the_load() {
        for nodes in 2..=65 {
            check(nodes);
        }
    }
}
