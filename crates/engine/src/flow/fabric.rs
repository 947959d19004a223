//! The part of the network that does not change: solved links, and the paths across them.

use motley_job::Job;

use super::PICOS;
use crate::prepare::Usage;

/// One link on a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hop {
    pub(crate) link: u32,
    pub(crate) multiplicity: f64,
}

/// Solved links, numbered densely, and what may cross them.
#[derive(Debug, Default)]
pub(crate) struct Fabric {
    /// By link, bytes per picosecond.
    pub(super) capacity: Vec<f64>,
    /// By link, where its share of [`super::Network`]'s table of crossings begins, with room for
    /// each communicator that may cross it. One longer than `capacity`.
    pub(super) first_crossing: Vec<u32>,
    /// The hops of all paths.
    hops: Vec<Hop>,
    /// By footprint, where its hops begin. One longer than the footprints.
    first_hop: Vec<u32>,
    /// By flow, the communicator whose instances it carries; ascending.
    pub(super) communicators: Vec<u32>,
    /// By flow, where its hops begin in [`super::Network`]'s table of positions, with room for its
    /// longest path. One longer than `communicators`.
    pub(super) first_position: Vec<u32>,
}

impl Fabric {
    /// The fabric of the links marked in `solved`.
    pub(crate) fn new(job: &Job, usage: &Usage, solved: &[bool]) -> Self {
        let mut dense = vec![0u32; solved.len()];
        let mut capacity = Vec::new();
        for (link, _) in solved.iter().enumerate().filter(|&(_, &solved)| solved) {
            dense[link] = capacity.len() as u32;
            capacity.push(job.links[link].capacity / PICOS);
        }
        let paths = job.footprints.iter().map(|footprint| {
            let solved = footprint.links.iter().filter(|(link, _)| solved[link.0 as usize]);
            solved.map(|&(link, multiplicity)| Hop { link: dense[link.0 as usize], multiplicity })
        });
        let users = (0..job.communicators.len())
            .map(|c| usage.footprints(c).iter().map(|used| used.footprint));
        Self::from_paths(capacity, paths, users)
    }

    /// The fabric of links with these capacities, the hops of each footprint, and the footprints
    /// that each communicator uses.
    pub(super) fn from_paths(
        capacity: Vec<f64>,
        paths: impl IntoIterator<Item = impl IntoIterator<Item = Hop>>,
        users: impl IntoIterator<Item = impl IntoIterator<Item = u32>>,
    ) -> Self {
        let mut fabric = Self { first_hop: vec![0], first_position: vec![0], ..Self::default() };
        for path in paths {
            fabric.hops.extend(path);
            fabric.first_hop.push(fabric.hops.len() as u32);
        }
        let mut room = vec![0u32; capacity.len()];
        let mut last_user = vec![u32::MAX; capacity.len()];
        let mut positions = 0;
        for (communicator, footprints) in users.into_iter().enumerate() {
            let mut longest = 0;
            for footprint in footprints {
                let path = fabric.path(footprint);
                longest = longest.max(path.len() as u32);
                for hop in path {
                    let last = &mut last_user[hop.link as usize];
                    if *last != communicator as u32 {
                        *last = communicator as u32;
                        room[hop.link as usize] += 1;
                    }
                }
            }
            if longest > 0 {
                positions += longest;
                fabric.communicators.push(communicator as u32);
                fabric.first_position.push(positions);
            }
        }
        let mut first = 0;
        fabric.first_crossing = std::iter::once(0)
            .chain(room.iter().map(|room| {
                first += room;
                first
            }))
            .collect();
        fabric.capacity = capacity;
        fabric
    }

    /// How many links there are.
    pub(crate) fn links(&self) -> usize {
        self.capacity.len()
    }

    /// The flow that carries the instances of a communicator, if it crosses any of the links.
    pub(crate) fn flow(&self, communicator: u32) -> Option<u32> {
        self.communicators.binary_search(&communicator).ok().map(|flow| flow as u32)
    }

    /// The solved links under a footprint.
    pub(crate) fn path(&self, footprint: u32) -> &[Hop] {
        let footprint = footprint as usize;
        &self.hops[self.first_hop[footprint] as usize..self.first_hop[footprint + 1] as usize]
    }
}
