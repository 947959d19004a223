//! Max-min fair rates from nothing: progressive filling.
//!
//! All rates rise together; when a link is full its flows stay at the rate reached, and so does a
//! flow at its cap. A heap holds the rate at which each link would be full if nothing else stopped
//! its flows; as flows stop that rate only rises, so an entry that is too low is put back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Network;
use crate::prepare::NONE;

/// Scratch of the algorithm.
#[derive(Debug, Default)]
pub(super) struct Filling {
    /// Rate at which something is due, and what: links first, then flows.
    due: BinaryHeap<Reverse<(u64, u32)>>,
    /// By link: what is left of its capacity, and for whom.
    left: Vec<Share>,
    /// By flow.
    stopped: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    capacity: f64,
    weight: f64,
    flows: u32,
}

impl Share {
    /// The rate at which the link is full.
    fn rate(self) -> f64 {
        if self.flows == 0 { f64::INFINITY } else { self.capacity.max(0.0) / self.weight }
    }
}

impl Network<'_> {
    /// Finds all levels and rates anew.
    pub(super) fn fill(&mut self) {
        let fabric = self.fabric;
        let links = self.links.len() as u32;
        let mut filling = std::mem::take(&mut self.filling);
        let Filling { due, left, stopped } = &mut filling;
        due.clear();
        left.clear();
        stopped.clear();
        self.worklist.clear();
        for link in 0..links {
            let on = self.on(link);
            let share = Share {
                capacity: self.links[link as usize].capacity,
                weight: on.iter().map(|crossing| crossing.multiplicity).sum(),
                flows: on.len() as u32,
            };
            if share.flows > 0 {
                due.push(Reverse((share.rate().to_bits(), link)));
            }
            left.push(share);
            let link = &mut self.links[link as usize];
            (link.level, link.load, link.queued) = (f64::INFINITY, 0.0, false);
        }
        for (flow, &path) in self.paths.iter().enumerate() {
            stopped.push(path == NONE);
            if path != NONE {
                due.push(Reverse((self.caps[flow].to_bits(), links + flow as u32)));
            }
        }

        let mut stop = |flow: u32, rate: f64, path: u32, left: &mut [Share]| {
            if !std::mem::replace(&mut stopped[flow as usize], true) {
                for hop in fabric.path(path) {
                    let share = &mut left[hop.link as usize];
                    share.capacity -= hop.multiplicity * rate;
                    share.weight -= hop.multiplicity;
                    share.flows -= 1;
                }
            }
        };
        while let Some(Reverse((bits, item))) = due.pop() {
            let rate = f64::from_bits(bits);
            if item >= links {
                let flow = item - links;
                stop(flow, rate, self.paths[flow as usize], left);
                continue;
            }
            let share = left[item as usize];
            if share.flows == 0 {
                continue;
            }
            if share.rate() > rate {
                due.push(Reverse((share.rate().to_bits(), item)));
                continue;
            }
            self.links[item as usize].level = rate;
            for at in 0..self.links[item as usize].crossings {
                let flow = self.on(item)[at as usize].flow;
                stop(flow, rate, self.paths[flow as usize], left);
            }
        }
        self.filling = filling;

        for flow in 0..self.paths.len() as u32 {
            let path = self.paths[flow as usize];
            if path == NONE {
                continue;
            }
            self.find_limits(flow);
            self.touch(flow);
            let rate = self.limits[flow as usize].rate;
            for hop in fabric.path(path) {
                self.links[hop.link as usize].load += hop.multiplicity * rate;
            }
        }
    }
}
