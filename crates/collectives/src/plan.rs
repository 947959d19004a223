//! What an algorithm needs of the links.

use motley_job::Footprint;
use motley_topology::{Cluster, GpuId, LinkId, PathClass, RouteError};
use motley_units::Seconds;

use crate::connections::Connections;

/// The connections of one algorithm on the links.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) footprint: Footprint,
    /// What makes the footprint up.
    pub(crate) connections: Connections,
    /// Into how many connections the message is split that move at the same time at one place.
    pub(crate) channels: f64,
    /// Of one connection when nothing else moves, bytes per second; infinite without links.
    pub(crate) idle_rate: f64,
    /// The worst path between two members of a node.
    pub(crate) inside: PathClass,
    /// The longest latency of a route between nodes, s; zero on one node.
    pub(crate) net_latency: f64,
}

/// Collects the routes of an algorithm's connections.
pub(crate) struct Crossings<'a> {
    cluster: &'a Cluster,
    connections: Connections,
    inside: PathClass,
    net_latency: f64,
}

impl<'a> Crossings<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        let connections = Connections::default();
        Self { cluster, connections, inside: PathClass::Same, net_latency: 0.0 }
    }

    /// One connection from a card to another.
    pub(crate) fn connect(&mut self, from: GpuId, to: GpuId) -> Result<(), RouteError> {
        let route = |links: &mut Vec<LinkId>| self.cluster.route_onto(from, to, links);
        let found = self.connections.connect(route)?;
        self.meet(found);
        Ok(())
    }

    /// One connection from a card to another that carries `count` times what others do.
    pub(crate) fn repeat(&mut self, from: GpuId, to: GpuId, count: f64) -> Result<(), RouteError> {
        let route = |links: &mut Vec<LinkId>| self.cluster.route_onto(from, to, links);
        let found = self.connections.repeat(count, route)?;
        self.meet(found);
        Ok(())
    }

    fn meet(&mut self, (latency, class): (Seconds, PathClass)) {
        if class == PathClass::Net {
            self.net_latency = self.net_latency.max(latency.0);
        } else {
            self.inside = self.inside.max(class);
        }
    }

    /// One connection that crosses one link `count` times.
    pub(crate) fn cross(&mut self, link: LinkId, count: f64) {
        self.connections.repeat(count, |links| links.push(link));
    }

    pub(crate) fn finish(self, channels: f64) -> Plan {
        let Self { cluster, connections, inside, net_latency } = self;
        let footprint = connections.footprint();
        let idle_rate = idle_rate(cluster, &footprint);
        Plan { footprint, connections, channels, idle_rate, inside, net_latency }
    }
}

/// What one connection of a footprint gets when nothing else moves, bytes per second.
pub(crate) fn idle_rate(cluster: &Cluster, footprint: &Footprint) -> f64 {
    footprint
        .links
        .iter()
        .map(|&(link, multiplicity)| cluster.capacity(LinkId(link.0)).0 / multiplicity)
        .fold(f64::INFINITY, f64::min)
}
