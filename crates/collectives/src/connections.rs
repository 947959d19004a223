//! The connections of a communicator on the links.

use motley_job::{Footprint, LinkId};
use motley_topology as topology;

/// Connections, each with the links that it crosses.
///
/// What counts as one: a ring edge of a channel, each direction of a tree edge of a channel, a slice
/// of a point-to-point transfer, a pair of an exchange, each direction of a card's link to switches
/// that reduce. The last stands for several exchanges that take the same link and nothing else, so
/// it crosses that link more than once, and a fraction of times where it moves parts of the message;
/// so do a card's messages along a rail, and what it forwards, all to one card. Two connections of two
/// channels, or of both trees, may lie on the same links; they stay two.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Connections {
    /// The routes of connections that cross each link once, one after the other.
    routes: Vec<topology::LinkId>,
    /// Where each of these ends.
    ends: Vec<u32>,
    /// The routes of those that cross each link so many times, one after the other.
    repeated: Vec<topology::LinkId>,
    /// Where each of these ends, and how many times it crosses its links.
    repeated_ends: Vec<(u32, f64)>,
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

    /// Adds the connection whose links `route` appends, each crossed `count` times; none if it
    /// appends nothing or there is nothing to move.
    pub(crate) fn repeat<T>(
        &mut self,
        count: f64,
        route: impl FnOnce(&mut Vec<topology::LinkId>) -> T,
    ) -> T {
        let before = self.repeated.len();
        let told = route(&mut self.repeated);
        if count > 0.0 && self.repeated.len() > before {
            self.repeated_ends.push((self.repeated.len() as u32, count));
        } else {
            self.repeated.truncate(before);
        }
        told
    }

    /// Each of the connections that cross their links several times.
    fn repeated(&self) -> impl Iterator<Item = (&[topology::LinkId], f64)> {
        let starts = std::iter::once(0).chain(self.repeated_ends.iter().map(|&(end, _)| end));
        let ends = self.repeated_ends.iter();
        starts
            .zip(ends)
            .map(|(start, &(end, count))| (&self.repeated[start as usize..end as usize], count))
    }

    /// The links of all connections.
    pub(crate) fn footprint(&self) -> Footprint {
        let crossed = count(&self.routes).into_iter();
        if self.repeated_ends.is_empty() {
            Footprint { links: crossed.collect() }
        } else {
            let repeated = self
                .repeated()
                .flat_map(|(links, count)| links.iter().map(move |link| (LinkId(link.0), count)));
            Footprint::from_crossings(crossed.chain(repeated))
        }
    }

    /// The links of each connection.
    pub(crate) fn footprints(&self) -> Vec<Footprint> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let routes = starts.zip(&self.ends).map(|(&start, &end)| {
            let links = &self.routes[start as usize..end as usize];
            Footprint::from_crossings(links.iter().map(|link| (LinkId(link.0), 1.0)))
        });
        let repeated = self.repeated().map(|(links, count)| {
            Footprint::from_crossings(links.iter().map(|link| (LinkId(link.0), count)))
        });
        routes.chain(repeated).collect()
    }
}

/// How often each link occurs, ascending.
fn count(routes: &[topology::LinkId]) -> Vec<(LinkId, f64)> {
    let lowest = routes.iter().min().map_or(0, |link| link.0);
    let span = routes.iter().max().map_or(0, |link| (link.0 - lowest) as usize + 1);
    // Where most links between lie on routes, as with all pairs of a group, a tally is cheaper than
    // a sort.
    if span <= routes.len() {
        let mut tally = vec![0u32; span];
        for link in routes {
            tally[(link.0 - lowest) as usize] += 1;
        }
        let links = (lowest..).map(LinkId).zip(tally);
        return links.filter(|&(_, n)| n > 0).map(|(link, n)| (link, f64::from(n))).collect();
    }
    let mut routes = routes.to_vec();
    routes.sort_unstable();
    routes.chunk_by(|a, b| a == b).map(|same| (LinkId(same[0].0), same.len() as f64)).collect()
}
