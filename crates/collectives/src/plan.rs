//! What an algorithm needs of the links.

use motley_job::Footprint;
use motley_topology::{Cluster, GpuId, LinkId, PathClass, RouteError};

/// The connections of one algorithm on the links.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) footprint: Footprint,
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
    /// Crossed by one connection, once for each.
    routes: Vec<LinkId>,
    /// Crossed by so many at once.
    weighted: Vec<(motley_job::LinkId, f64)>,
    inside: PathClass,
    net_latency: f64,
}

impl<'a> Crossings<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            routes: Vec::new(),
            weighted: Vec::new(),
            inside: PathClass::Same,
            net_latency: 0.0,
        }
    }

    /// One connection from a card to another.
    pub(crate) fn connect(&mut self, from: GpuId, to: GpuId) -> Result<(), RouteError> {
        let (latency, class) = self.cluster.route_onto(from, to, &mut self.routes)?;
        if class == PathClass::Net {
            self.net_latency = self.net_latency.max(latency.0);
        } else {
            self.inside = self.inside.max(class);
        }
        Ok(())
    }

    /// `count` connections over one link.
    pub(crate) fn cross(&mut self, link: LinkId, count: f64) {
        self.weighted.push((motley_job::LinkId(link.0), count));
    }

    pub(crate) fn finish(mut self, channels: f64) -> Plan {
        self.routes.sort_unstable();
        let once = self.routes.chunk_by(|a, b| a == b);
        let crossed = once.map(|same| (motley_job::LinkId(same[0].0), same.len() as f64));
        let footprint = if self.weighted.is_empty() {
            Footprint { links: crossed.collect() }
        } else {
            Footprint::from_crossings(crossed.chain(self.weighted))
        };
        let idle_rate = idle_rate(self.cluster, &footprint);
        Plan { footprint, channels, idle_rate, inside: self.inside, net_latency: self.net_latency }
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
