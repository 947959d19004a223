//! Shortest paths inside a node, on one plane of its graph: NVLink, or PCIe and sockets.
//!
//! The two planes are searched apart because traffic never changes over between them: a card does
//! not forward from NVLink to PCIe.

use std::collections::BTreeMap;
use std::ops::Add;

use petgraph::Direction;
use petgraph::algo::dijkstra;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef};

use crate::{Component, Link, LinkKind};

/// The cost of a path: latency first, then the time that a byte spends on its links. Integers, so
/// that equal paths compare equal in whatever order they were added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    picos: u64,
    attos_per_byte: u64,
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            picos: self.picos.saturating_add(other.picos),
            attos_per_byte: self.attos_per_byte.saturating_add(other.attos_per_byte),
        }
    }
}

impl Cost {
    pub(crate) fn of(link: &Link) -> Self {
        Self {
            picos: (link.latency.0 * 1e12).round() as u64,
            attos_per_byte: (1e18 / link.capacity.0).round() as u64,
        }
    }
}

/// A path as indices of links, with its cost.
pub(crate) type Path = (Vec<u32>, Cost);

/// The links of a node as a graph; an edge is the index of its link.
#[derive(Debug)]
pub(crate) struct NodeGraph<'a> {
    graph: DiGraph<Component, u32>,
    vertices: BTreeMap<Component, NodeIndex>,
    links: &'a [Link],
}

impl<'a> NodeGraph<'a> {
    pub(crate) fn new(links: &'a [Link]) -> Self {
        let mut graph = DiGraph::new();
        let mut vertices = BTreeMap::new();
        for (index, link) in (0u32..).zip(links) {
            let from = *vertices.entry(link.from).or_insert_with(|| graph.add_node(link.from));
            let to = *vertices.entry(link.to).or_insert_with(|| graph.add_node(link.to));
            graph.add_edge(from, to, index);
        }
        Self { graph, vertices, links }
    }

    /// The cheapest path from `from` to each of `targets` over links whose kind `on_plane` accepts;
    /// `None` where there is none. Of equal paths the one whose components come first, seen from
    /// the target.
    pub(crate) fn paths(
        &self,
        from: Component,
        targets: &[Component],
        on_plane: fn(LinkKind) -> bool,
    ) -> Vec<Option<Path>> {
        let Some(&source) = self.vertices.get(&from) else {
            return vec![None; targets.len()];
        };
        let filtered = EdgeFiltered::from_fn(&self.graph, |edge| {
            on_plane(self.links[*edge.weight() as usize].kind)
        });
        let costs = dijkstra(&filtered, source, None, |edge| {
            Cost::of(&self.links[*edge.weight() as usize])
        });
        let walk_back = |target: &Component| {
            let mut at = *self.vertices.get(target)?;
            let total = *costs.get(&at)?;
            let mut path = Vec::new();
            while at != source {
                let reached = costs[&at];
                let (_, before, link) = self
                    .graph
                    .edges_directed(at, Direction::Incoming)
                    .filter(|edge| on_plane(self.links[*edge.weight() as usize].kind))
                    .filter(|edge| {
                        costs.get(&edge.source()).is_some_and(|&cost| {
                            cost + Cost::of(&self.links[*edge.weight() as usize]) == reached
                        })
                    })
                    .map(|edge| (self.graph[edge.source()], edge.source(), *edge.weight()))
                    .min()?;
                path.push(link);
                at = before;
            }
            path.reverse();
            Some((path, total))
        };
        targets.iter().map(walk_back).collect()
    }
}

/// NVLink and the vendor's like.
pub(crate) fn nvlink(kind: LinkKind) -> bool {
    kind == LinkKind::NvLink
}

/// The host side: PCIe and the links between sockets.
pub(crate) fn host(kind: LinkKind) -> bool {
    matches!(kind, LinkKind::Pcie | LinkKind::Socket)
}
