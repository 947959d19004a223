//! The connections of a communicator on the links.

use motley_job::{Footprint, LinkId};
use motley_topology as topology;

/// Connections, each with the links that it crosses.
///
/// What counts as one: a ring edge of a channel, each direction of a tree edge of a channel, a slice
/// of a point-to-point transfer, each direction of a card's link to switches that reduce. The last
/// stands for several exchanges that take the same link and nothing else, so it crosses that link
/// more than once, and a fraction of times where it moves parts of the message. Two connections of
/// two channels, or of both trees, may lie on the same links; they stay two.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Connections {
    /// The routes of connections that cross each link once, one after the other.
    routes: Vec<topology::LinkId>,
    /// Where each of these ends.
    ends: Vec<u32>,
    /// Connections that cross one link, so many times.
    single: Vec<(LinkId, f64)>,
}

impl Connections {
    /// Adds the connection whose links `route` appends; none if it appends nothing.
    pub(crate) fn connect<T>(&mut self, route: impl FnOnce(&mut Vec<topology::LinkId>) -> T) -> T {
        let before = self.routes.len();
        let told = route(&mut self.routes);
        if self.routes.len() > before {
            self.ends.push(self.routes.len() as u32);
        }
        told
    }

    /// Adds a connection that crosses one link `count` times.
    pub(crate) fn cross(&mut self, link: topology::LinkId, count: f64) {
        self.single.push((LinkId(link.0), count));
    }

    /// The links of all connections.
    pub(crate) fn footprint(&self) -> Footprint {
        let mut routes = self.routes.clone();
        routes.sort_unstable();
        let once = routes.chunk_by(|a, b| a == b);
        let crossed = once.map(|same| (LinkId(same[0].0), same.len() as f64));
        if self.single.is_empty() {
            Footprint { links: crossed.collect() }
        } else {
            Footprint::from_crossings(crossed.chain(self.single.iter().copied()))
        }
    }

    /// The links of each connection.
    pub(crate) fn footprints(&self) -> Vec<Footprint> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let routes = starts.zip(&self.ends).map(|(&start, &end)| {
            let links = &self.routes[start as usize..end as usize];
            Footprint::from_crossings(links.iter().map(|link| (LinkId(link.0), 1.0)))
        });
        let single = self.single.iter().map(|&crossed| Footprint { links: vec![crossed] });
        routes.chain(single).collect()
    }
}
