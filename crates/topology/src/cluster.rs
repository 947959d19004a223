//! The cluster: templates placed side by side, the fabric between them, and the numbering of
//! nodes, cards and links over both.

use std::ops::Range;

use motley_hardware::{Device, Nic, NodeDesign};
use motley_units::{BytesPerSec, Seconds};
use petgraph::graph::DiGraph;

use crate::fabric::{Fabric, Port};
use crate::template::NodeTemplate;
use crate::{
    ClusterSpec, Component, GpuId, Link, LinkId, LinkKind, NodeGroup, NodeId, PathClass,
    TopologyError,
};

/// Where the nodes of a group start in the numbering of everything.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) template: NodeTemplate,
    first_node: u32,
    first_gpu: u32,
    first_nic: u32,
    first_link: u32,
    /// Inside the node and to its leaves.
    links_per_node: u32,
}

/// A cluster that fits together.
#[derive(Debug)]
pub struct Cluster {
    spec: ClusterSpec,
    placements: Vec<Placement>,
    pub(crate) fabric: Option<Fabric>,
    nodes: u32,
    gpus: u32,
    links: u32,
}

/// A node, found: its group's placement and its place in the group.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) placement: &'a Placement,
    pub(crate) node: u32,
    /// Counted in the group.
    member: u32,
}

impl Place<'_> {
    pub(crate) fn link(self, local: u32) -> LinkId {
        LinkId(self.placement.first_link + self.member * self.placement.links_per_node + local)
    }

    /// From a NIC to its leaf; the reverse is the way back.
    pub(crate) fn port(self, nic: u32) -> LinkId {
        self.link(self.placement.template.links.len() as u32 + 2 * nic)
    }

    /// The NIC's number in the cluster.
    pub(crate) fn nic(self, nic: u32) -> u32 {
        self.placement.first_nic + self.member * self.placement.template.nics + nic
    }
}

impl Cluster {
    /// Checks that the parts fit together and lays the cluster out.
    ///
    /// # Errors
    /// What does not fit, by name.
    pub fn build(spec: ClusterSpec) -> Result<Self, TopologyError> {
        if spec.groups.is_empty() {
            return Err(TopologyError::Empty);
        }
        if let Some(group) = spec.groups.iter().find(|group| group.count == 0) {
            return Err(TopologyError::EmptyGroup { group: group.name.clone() });
        }
        let nodes: u64 = spec.groups.iter().map(|group| u64::from(group.count)).sum();
        let networked = nodes > 1;
        if networked {
            Fabric::check(&spec.fabric)?;
        }
        let fits =
            |what, count: u64| u32::try_from(count).map_err(|_| TopologyError::TooLarge { what });
        let mut placements: Vec<Placement> = Vec::with_capacity(spec.groups.len());
        let (mut node, mut gpu, mut nic, mut link) = (0u64, 0u64, 0u64, 0u64);
        for group in &spec.groups {
            let template = NodeTemplate::new(group)?;
            if networked && template.nics > 0 && group.nic.technology != spec.fabric.technology {
                return Err(TopologyError::Technology {
                    group: group.name.clone(),
                    nic: group.nic.id.clone(),
                    found: group.nic.technology,
                    fabric: spec.fabric.technology,
                });
            }
            let ports = if networked { 2 * template.nics } else { 0 };
            let links_per_node = template.links.len() as u32 + ports;
            let count = u64::from(group.count);
            let placement = Placement {
                first_node: fits("nodes", node)?,
                first_gpu: fits("cards", gpu)?,
                first_nic: fits("NICs", nic)?,
                first_link: fits("links", link)?,
                links_per_node,
                template,
            };
            node += count;
            gpu += count * u64::from(placement.template.gpus);
            nic += count * u64::from(placement.template.nics);
            link += count * u64::from(links_per_node);
            placements.push(placement);
        }
        fits("NICs", nic)?;
        let mut cluster = Self {
            nodes: fits("nodes", node)?,
            gpus: fits("cards", gpu)?,
            links: fits("links", link)?,
            placements,
            fabric: None,
            spec,
        };
        if networked {
            let rails = cluster.placements.iter().map(|p| p.template.nics).max().unwrap_or(0);
            let fabric =
                Fabric::new(cluster.spec.fabric.clone(), rails, cluster.ports(), cluster.links);
            cluster.links = fits("links", link + fabric.trunk_links())?;
            cluster.fabric = Some(fabric);
        }
        Ok(cluster)
    }

    /// What it was built from.
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// How many cards.
    pub fn gpu_count(&self) -> u32 {
        self.gpus
    }

    /// How many nodes.
    pub fn node_count(&self) -> u32 {
        self.nodes
    }

    /// All cards in rank order.
    pub fn gpus(&self) -> impl Iterator<Item = GpuId> + use<> {
        (0..self.gpus).map(GpuId)
    }

    fn placement_of_gpu(&self, gpu: GpuId) -> (usize, &Placement) {
        assert!(gpu.0 < self.gpus, "GPU {} of {}", gpu.0, self.gpus);
        let group = self.placements.partition_point(|p| p.first_gpu <= gpu.0) - 1;
        (group, &self.placements[group])
    }

    fn placement_of_node(&self, node: NodeId) -> (usize, &Placement) {
        assert!(node.0 < self.nodes, "node {} of {}", node.0, self.nodes);
        let group = self.placements.partition_point(|p| p.first_node <= node.0) - 1;
        (group, &self.placements[group])
    }

    pub(crate) fn place(&self, node: NodeId) -> Place<'_> {
        let (_, placement) = self.placement_of_node(node);
        Place { placement, node: node.0, member: node.0 - placement.first_node }
    }

    fn group(&self, index: usize) -> &NodeGroup {
        &self.spec.groups[index]
    }

    /// The node that a card is in.
    ///
    /// # Panics
    /// Like all look-ups by card or node: if there is no such card.
    pub fn node_of(&self, gpu: GpuId) -> NodeId {
        let (_, placement) = self.placement_of_gpu(gpu);
        NodeId(placement.first_node + (gpu.0 - placement.first_gpu) / placement.template.gpus)
    }

    /// The card's index in its node.
    pub fn local_index(&self, gpu: GpuId) -> u32 {
        let (_, placement) = self.placement_of_gpu(gpu);
        (gpu.0 - placement.first_gpu) % placement.template.gpus
    }

    /// The cards of a node, as numbers of [`GpuId`].
    pub fn node_gpus(&self, node: NodeId) -> Range<u32> {
        let place = self.place(node);
        let gpus = place.placement.template.gpus;
        let first = place.placement.first_gpu + place.member * gpus;
        first..first + gpus
    }

    /// The group of a card's node, an index into [`ClusterSpec::groups`].
    pub fn group_of(&self, gpu: GpuId) -> usize {
        self.placement_of_gpu(gpu).0
    }

    /// The group of a node, an index into [`ClusterSpec::groups`].
    pub fn group_of_node(&self, node: NodeId) -> usize {
        self.placement_of_node(node).0
    }

    /// The catalogue entry of a card.
    pub fn device(&self, gpu: GpuId) -> &Device {
        &self.group(self.group_of(gpu)).device
    }

    /// The design of a node.
    pub fn design(&self, node: NodeId) -> &NodeDesign {
        &self.group(self.group_of_node(node)).design
    }

    /// The catalogue entry of a node's NICs.
    pub fn nic(&self, node: NodeId) -> &Nic {
        &self.group(self.group_of_node(node)).nic
    }

    /// The NIC that a card uses, by its index in the node: the nearest by PCIe, and where several
    /// are, cards take turns. `None` in a node without NICs.
    pub fn nic_of(&self, gpu: GpuId) -> Option<u32> {
        let (_, placement) = self.placement_of_gpu(gpu);
        placement.template.nic_of[self.local_index(gpu) as usize]
    }

    /// How far a card is from the NIC that it uses; above [`PathClass::Pxb`] its messages stop in
    /// host memory. `None` in a node without NICs.
    pub fn nic_class(&self, gpu: GpuId) -> Option<PathClass> {
        let (_, placement) = self.placement_of_gpu(gpu);
        let nic = self.nic_of(gpu)?;
        Some(placement.template.to_nic(self.local_index(gpu), nic, false).class)
    }

    /// The links of a node, as numbers of [`LinkId`]: inside it, then those to its leaves.
    pub fn node_links(&self, node: NodeId) -> Range<u32> {
        let place = self.place(node);
        let first = place.link(0).0;
        first..first + place.placement.links_per_node
    }

    /// How many directed links.
    pub fn link_count(&self) -> u32 {
        self.links
    }

    /// All directed links by number.
    pub fn links(&self) -> impl Iterator<Item = Link> + '_ {
        (0..self.links).map(|id| self.link(LinkId(id)))
    }

    /// A link.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn link(&self, id: LinkId) -> Link {
        assert!(id.0 < self.links, "link {} of {}", id.0, self.links);
        let group = self.placements.partition_point(|p| p.first_link <= id.0) - 1;
        let placement = &self.placements[group];
        let member = (id.0 - placement.first_link) / placement.links_per_node.max(1);
        if let Some(fabric) = &self.fabric
            && member >= self.group(group).count
        {
            return fabric.trunk(id);
        }
        let place = Place { placement, node: placement.first_node + member, member };
        let local = id.0 - place.link(0).0;
        let node = NodeId(place.node);
        let Some(&inside) = placement.template.links.get(local as usize) else {
            return self.port_link(place, local - placement.template.links.len() as u32);
        };
        Link { from: inside.from.moved_to(node), to: inside.to.moved_to(node), ..inside }
    }

    /// What a link carries at most.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn capacity(&self, id: LinkId) -> BytesPerSec {
        self.link(id).capacity
    }

    /// A link between a NIC and its leaf; odd ones lead to the NIC. The switch's own latency is on
    /// the link into it.
    fn port_link(&self, place: Place<'_>, local: u32) -> Link {
        let (index, down) = (local / 2, local % 2 == 1);
        let node = NodeId(place.node);
        let (nominal, capacity) = self.port_rates(self.group_of_node(node));
        let nic_latency = self.nic(node).latency.get().0;
        let (leaf, switch) = self
            .fabric
            .as_ref()
            .map_or((0, 0.0), |fabric| (fabric.leaf(node.0, index), fabric.switch_latency().0));
        let (nic, leaf) = (Component::Nic { node, index }, Component::Leaf { index: leaf });
        Link {
            kind: LinkKind::Port,
            nominal: BytesPerSec(nominal),
            capacity: BytesPerSec(capacity),
            latency: Seconds(if down { nic_latency } else { nic_latency + switch }),
            from: if down { leaf } else { nic },
            to: if down { nic } else { leaf },
        }
    }

    /// Nominal and achieved rate of the ports of a group.
    fn port_rates(&self, group: usize) -> (f64, f64) {
        let nic = &self.group(group).nic;
        let rate = nic.rate.get().0;
        let nominal = self.spec.fabric.port.map_or(rate, |port| port.0.min(rate));
        (nominal, nominal * nic.achieved.get())
    }

    fn ports(&self) -> impl Iterator<Item = Port> + '_ {
        self.placements.iter().enumerate().flat_map(move |(group, placement)| {
            let (nominal, capacity) = self.port_rates(group);
            let nodes = placement.first_node..placement.first_node + self.group(group).count;
            nodes.flat_map(move |node| {
                (0..placement.template.nics).map(move |nic| Port { node, nic, nominal, capacity })
            })
        })
    }

    /// A link as people call it: `node 3 (dgx1-v100) NIC 2 -> leaf 0`.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn link_name(&self, id: LinkId) -> String {
        let Link { from, to, .. } = self.link(id);
        let node_name = |node: NodeId| format!("node {} ({}) ", node.0, self.design(node).id);
        let start = from.node().map(node_name).unwrap_or_default();
        let end = if from.node() == to.node() { None } else { to.node().map(node_name) };
        format!("{start}{from} -> {}{to}", end.unwrap_or_default())
    }

    /// The whole cluster as a graph, for drawing and for checks. Large: a vertex for each
    /// component, an edge for each directed link.
    pub fn graph(&self) -> DiGraph<Component, LinkId> {
        let mut graph = DiGraph::new();
        let mut vertices = std::collections::BTreeMap::new();
        for gpu in self.gpus() {
            let card = Component::Gpu { node: self.node_of(gpu), local: self.local_index(gpu) };
            vertices.insert(card, graph.add_node(card));
        }
        for (id, link) in (0..).map(LinkId).zip(self.links()) {
            let from = *vertices.entry(link.from).or_insert_with(|| graph.add_node(link.from));
            let to = *vertices.entry(link.to).or_insert_with(|| graph.add_node(link.to));
            graph.add_edge(from, to, id);
        }
        graph
    }
}
