//! Paths: what moves at one rate of its own.

use std::ops::Range;

use motley_job::{Footprint, FootprintId, Job, LinkId};

use crate::flow::PICOS;

/// The paths of a job, numbered in the order of footprints. A footprint whose connections move as
/// one is one path; if they move apart, each of them is.
#[derive(Debug)]
pub(crate) struct Paths<'a> {
    job: &'a Job,
    numbers: Numbers,
}

/// Which paths a footprint has.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    /// By footprint, its first path. One longer than the footprints; empty where every footprint
    /// is one path, which then has the number of the footprint.
    first: Vec<u32>,
}

/// The rate of what crosses these links when it is alone, bytes per picosecond; infinite without
/// links.
pub(crate) fn idle_rate(job: &Job, links: &[(LinkId, f64)]) -> f64 {
    links
        .iter()
        .map(|&(link, multiplicity)| job.links[link.0 as usize].capacity / PICOS / multiplicity)
        .fold(f64::INFINITY, f64::min)
}

impl Numbers {
    /// Every footprint is one path.
    #[cfg(test)]
    pub(crate) fn bundled() -> Self {
        Self { first: Vec::new() }
    }

    /// The paths of a footprint.
    pub(crate) fn of(&self, footprint: u32) -> Range<u32> {
        match self.first.get(footprint as usize..footprint as usize + 2) {
            Some(bounds) => bounds[0]..bounds[1],
            None => footprint..footprint + 1,
        }
    }

    /// The footprint that a path belongs to.
    pub(super) fn footprint(&self, path: u32) -> u32 {
        if self.first.is_empty() {
            path
        } else {
            self.first.partition_point(|&first| first <= path) as u32 - 1
        }
    }
}

impl<'a> Paths<'a> {
    pub(super) fn new(job: &'a Job) -> Self {
        let mut first = Vec::new();
        if job.connections_move_apart() {
            first.push(0);
            let mut next = 0;
            first.extend((0..job.footprints.len() as u32).map(|footprint| {
                next += job.connections_of(FootprintId(footprint)).len().max(1) as u32;
                next
            }));
        }
        Self { job, numbers: Numbers { first } }
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The links of all paths of a footprint, in their order.
    pub(crate) fn under(&self, footprint: u32) -> impl Iterator<Item = &'a [(LinkId, f64)]> {
        let connections = self.job.connections_of(FootprintId(footprint));
        let bundle = connections.is_empty().then(|| &self.job.footprints[footprint as usize]);
        bundle.into_iter().chain(connections).map(|path: &Footprint| path.links.as_slice())
    }
}
