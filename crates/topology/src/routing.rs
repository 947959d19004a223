//! Routes across nodes and fabric, put together from the stretches of the templates.

use motley_units::Seconds;

use crate::cluster::Place;
use crate::template::Inside;
use crate::{Cluster, GpuId, LinkId, NodeId, PathClass, Route, RouteError};

impl Cluster {
    /// The way from one card to another.
    ///
    /// Inside a node: NVLink, direct or through switches, then through one other card, then PCIe
    /// and sockets. Between nodes: through the card's own NIC ([`Cluster::nic_of`]) to the NIC of
    /// the other card; on a rail-optimised fabric first over NVLink to a neighbour whose NIC is on
    /// the other card's rail (NCCL's PXN), if there is one.
    ///
    /// # Errors
    /// A number that is no card, or a card without NIC that would have to leave its node.
    pub fn route(&self, from: GpuId, to: GpuId) -> Result<Route, RouteError> {
        let mut links = Vec::new();
        let (latency, class) = self.route_onto(from, to, &mut links)?;
        Ok(Route { links, latency, class })
    }

    /// As [`Cluster::route`], with the links appended to a list: for those who need many routes.
    ///
    /// # Errors
    /// As [`Cluster::route`].
    pub fn route_onto(
        &self,
        from: GpuId,
        to: GpuId,
        links: &mut Vec<LinkId>,
    ) -> Result<(Seconds, PathClass), RouteError> {
        for gpu in [from, to] {
            if gpu.0 >= self.gpu_count() {
                return Err(RouteError::UnknownGpu { gpu: gpu.0, count: self.gpu_count() });
            }
        }
        let (node_a, node_b) = (self.node_of(from), self.node_of(to));
        let (a, b) = (self.place(node_a), self.place(node_b));
        let (card_a, card_b) = (self.local_index(from), self.local_index(to));
        let mut way = Way { links, latency: 0.0 };
        // A cluster without a fabric has one node only.
        let Some(fabric) = self.fabric.as_ref().filter(|_| node_a != node_b) else {
            let inside = a.placement.template.peer(card_a, card_b);
            way.inside(a, inside);
            return Ok((Seconds(way.latency), inside.class));
        };
        let nic_of = |gpu: GpuId, node: NodeId| {
            self.nic_of(gpu).ok_or_else(|| RouteError::NoNic {
                gpu: gpu.0,
                node: node.0,
                design: self.design(node).id.clone(),
            })
        };
        let (mut nic_a, nic_b) = (nic_of(from, node_a)?, nic_of(to, node_b)?);
        // No library of one vendor writes into the memory of another's cards: what goes from one to the
        // other is copied to the host, sent from there, and copied to the card.
        let staged = self.device(from).vendor != self.device(to).vendor;
        let mut sender = card_a;
        let template = &a.placement.template;
        if fabric.is_rail_optimized()
            && !staged
            && nic_a != nic_b
            && nic_b < template.nics
            && let Some(proxy) = template.proxy(card_a, nic_b)
        {
            way.inside(a, template.peer(card_a, proxy));
            (sender, nic_a) = (proxy, nic_b);
        }
        way.inside(a, template.to_nic(sender, nic_a, staged));
        way.link(self, a.port(nic_a));
        let (leaf_a, leaf_b) = (fabric.leaf(a.node, nic_a), fabric.leaf(b.node, nic_b));
        for trunk in
            fabric.trunks((leaf_a, a.nic(nic_a)), (leaf_b, b.nic(nic_b))).into_iter().flatten()
        {
            way.link(self, trunk);
        }
        way.link(self, b.port(nic_b).reverse());
        way.inside(b, b.placement.template.nic_to(nic_b, card_b, staged));
        Ok((Seconds(way.latency), PathClass::Net))
    }

    /// The way from a card to the memory of the CPU socket that its PCIe leads to. The way back crosses
    /// the other direction of the same links.
    ///
    /// # Errors
    /// A number that is no card.
    pub fn host_route(&self, from: GpuId) -> Result<Route, RouteError> {
        if from.0 >= self.gpu_count() {
            return Err(RouteError::UnknownGpu { gpu: from.0, count: self.gpu_count() });
        }
        let place = self.place(self.node_of(from));
        let inside = place.placement.template.to_host(self.local_index(from));
        let mut links = Vec::new();
        let mut way = Way { links: &mut links, latency: 0.0 };
        way.inside(place, inside);
        let latency = Seconds(way.latency);
        Ok(Route { links, latency, class: inside.class })
    }
}

/// A route being put together.
struct Way<'a> {
    links: &'a mut Vec<LinkId>,
    latency: f64,
}

impl Way<'_> {
    fn inside(&mut self, place: Place<'_>, inside: Inside<'_>) {
        self.links.extend(inside.links.iter().map(|&local| place.link(local)));
        self.latency += inside.latency.0;
    }

    fn link(&mut self, cluster: &Cluster, link: LinkId) {
        self.links.push(link);
        self.latency += cluster.link(link).latency.0;
    }
}
