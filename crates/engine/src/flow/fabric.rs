//! The part of the network that does not change: solved links, and the paths across them.

use std::ops::Range;

use motley_job::Job;

use super::PICOS;
use crate::prepare::{Numbers, Paths, Sharing, Usage, idle_rate};

/// One link on a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hop {
    pub(crate) link: u32,
    pub(crate) multiplicity: f64,
}

/// Solved links, numbered densely, and what may cross them.
#[derive(Debug)]
pub(crate) struct Fabric {
    /// By link, bytes per picosecond.
    pub(super) capacity: Vec<f64>,
    /// By link, where its share of [`super::Network`]'s table of crossings begins, with room for
    /// each flow that may cross it. One longer than `capacity`.
    pub(super) first_crossing: Vec<u32>,
    /// The paths of each footprint.
    numbers: Numbers,
    /// The hops of all paths; of footprints whose instances are no flows, none.
    hops: Vec<Hop>,
    /// By path, where its hops begin. One longer than the paths.
    first_hop: Vec<u32>,
    /// By path, the rate of a flow that is alone, but for the cap of its call, bytes per picosecond.
    idle_rate: Vec<f64>,
    /// By flow, the communicator whose instances it carries, or one path of each; ascending.
    communicators: Vec<u32>,
    /// By flow, where its hops begin in [`super::Network`]'s table of positions, with room for its
    /// longest path. One longer than the flows.
    pub(super) first_position: Vec<u32>,
}

impl Fabric {
    /// The fabric of what has to be solved of a job.
    pub(crate) fn new(job: &Job, paths: &Paths<'_>, usage: &Usage, sharing: &Sharing) -> Self {
        let solved = &sharing.links;
        let mut dense = vec![0u32; solved.len()];
        let mut capacity = Vec::new();
        for (link, _) in solved.iter().enumerate().filter(|&(_, &solved)| solved) {
            dense[link] = capacity.len() as u32;
            capacity.push(job.links[link].capacity / PICOS);
        }
        let dense = &dense;
        let all = (0u32..).zip(&sharing.footprints).flat_map(|(footprint, &flows)| {
            paths.under(footprint).map(move |links| {
                let solved = links.iter().filter(move |(link, _)| flows && solved[link.0 as usize]);
                let hops = solved.map(|&(link, multiplicity)| Hop {
                    link: dense[link.0 as usize],
                    multiplicity,
                });
                (idle_rate(job, links), hops)
            })
        });
        let users = (0..job.communicators.len())
            .map(|c| usage.footprints(c).iter().map(|used| used.footprint));
        Self::from_paths(capacity, paths.numbers().clone(), all, users)
    }

    /// The fabric of links with these capacities, the idle rate and the hops of each path, and the
    /// footprints that each communicator uses.
    pub(super) fn from_paths(
        capacity: Vec<f64>,
        numbers: Numbers,
        paths: impl IntoIterator<Item = (f64, impl IntoIterator<Item = Hop>)>,
        users: impl IntoIterator<Item = impl IntoIterator<Item = u32>>,
    ) -> Self {
        let mut fabric = Self {
            capacity,
            first_crossing: Vec::new(),
            numbers,
            hops: Vec::new(),
            first_hop: vec![0],
            idle_rate: Vec::new(),
            communicators: Vec::new(),
            first_position: vec![0],
        };
        for (idle_rate, path) in paths {
            fabric.hops.extend(path);
            fabric.first_hop.push(fabric.hops.len() as u32);
            fabric.idle_rate.push(idle_rate);
        }
        fabric.hops.shrink_to_fit();
        fabric.make_room(users);
        fabric
    }

    /// Numbers the flows, and makes room for each on the links that it may cross.
    fn make_room(&mut self, users: impl IntoIterator<Item = impl IntoIterator<Item = u32>>) {
        let mut room = vec![0u32; self.capacity.len()];
        let mut last_flow = vec![u32::MAX; self.capacity.len()];
        let mut positions = 0;
        let mut paths: Vec<Range<u32>> = Vec::new();
        for (communicator, footprints) in users.into_iter().enumerate() {
            let shared = footprints.into_iter().filter(|&footprint| self.is_shared(footprint));
            paths.clear();
            paths.extend(shared.map(|footprint| self.paths(footprint)));
            let flows = paths.iter().map(Range::len).max().unwrap_or(0);
            for nth in 0..flows {
                let flow = self.communicators.len() as u32;
                let mut longest = 0;
                for path in paths.iter().filter_map(|paths| paths.clone().nth(nth)) {
                    let hops = self.path(path);
                    longest = longest.max(hops.len() as u32);
                    for hop in hops {
                        let last = &mut last_flow[hop.link as usize];
                        if *last != flow {
                            *last = flow;
                            room[hop.link as usize] += 1;
                        }
                    }
                }
                positions += longest;
                self.communicators.push(communicator as u32);
                self.first_position.push(positions);
            }
        }
        let mut first = 0;
        self.first_crossing = std::iter::once(0)
            .chain(room.iter().map(|room| {
                first += room;
                first
            }))
            .collect();
    }

    /// How many links there are.
    pub(crate) fn links(&self) -> usize {
        self.capacity.len()
    }

    /// How many flows there can be at once.
    pub(crate) fn flows(&self) -> usize {
        self.communicators.len()
    }

    /// The communicator that a flow belongs to.
    pub(crate) fn communicator(&self, flow: u32) -> u32 {
        self.communicators[flow as usize]
    }

    /// The first of the flows that carry the instances of a communicator, if it crosses any of the
    /// links: the first path of an instance's footprint is its flow, the next path the next.
    pub(crate) fn first_flow(&self, communicator: u32) -> Option<u32> {
        let first = self.communicators.partition_point(|&before| before < communicator);
        (self.communicators.get(first) == Some(&communicator)).then_some(first as u32)
    }

    /// The paths of a footprint.
    pub(crate) fn paths(&self, footprint: u32) -> Range<u32> {
        self.numbers.of(footprint)
    }

    /// Whether a footprint crosses any of the links, so that its instances are flows.
    pub(crate) fn is_shared(&self, footprint: u32) -> bool {
        let paths = self.paths(footprint);
        self.first_hop[paths.start as usize] < self.first_hop[paths.end as usize]
    }

    /// The rate of a flow on a path when it is alone, but for the cap of its call.
    pub(crate) fn idle_rate(&self, path: u32) -> f64 {
        self.idle_rate[path as usize]
    }

    /// The solved links on a path.
    pub(crate) fn path(&self, path: u32) -> &[Hop] {
        let path = path as usize;
        &self.hops[self.first_hop[path] as usize..self.first_hop[path + 1] as usize]
    }
}
