//! The flows in progress: who crosses which link, how far each is, how fast, until when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use motley_units::Time;

use super::filling::Filling;
use super::{Fabric, PRECISION, round_up};
use crate::prepare::NONE;
use crate::queue::{Event, Queue};

/// A solved link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) capacity: f64,
    /// The largest rate that the link leaves to a flow; infinite while the link is not full.
    pub(super) level: f64,
    /// The load of all flows on it. Kept only while the level is infinite.
    pub(super) load: f64,
    /// Where its crossings begin, and how many there are.
    pub(super) first: u32,
    pub(super) crossings: u32,
    /// It is in the worklist.
    pub(super) queued: bool,
}

/// A flow across a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing {
    pub(super) flow: u32,
    /// Its hop, as an index into `Network::positions`.
    hop: u32,
    pub(super) multiplicity: f64,
}

/// The two tightest limits of a flow. What the flow demands of a link is the tightest limit that
/// is not that link's own level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The tightest: the flow's cap, or the level of `link`. This is the flow's fair rate.
    pub(super) rate: f64,
    /// The tightest but one.
    pub(super) second: f64,
    /// The link of the tightest, [`NONE`] for the cap.
    pub(super) link: u32,
    /// It has changed since the last solve.
    pub(super) touched: bool,
}

impl Limits {
    /// What the flow would take if `link` were not there.
    #[inline]
    pub(super) fn demand(&self, link: u32) -> f64 {
        if self.link == link { self.second } else { self.rate }
    }
}

/// How far a flow is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// Bytes per connection, as of `updated`.
    remaining: f64,
    updated: Time,
    /// The rate since `updated`; zero before the first solve.
    rate: f64,
}

/// All flows and links.
#[derive(Debug)]
pub(crate) struct Network<'a> {
    pub(super) fabric: &'a Fabric,
    pub(super) links: Vec<Link>,
    pub(super) crossings: Vec<Crossing>,
    /// By flow and hop, where the crossing is among those of its link.
    positions: Vec<u32>,
    /// By flow.
    pub(super) limits: Vec<Limits>,
    pub(super) caps: Vec<f64>,
    /// By flow, the path that it takes now, or [`NONE`].
    pub(super) paths: Vec<u32>,
    progress: Vec<Progress>,
    /// Flows whose limits have changed since the last solve.
    pub(super) touched: Vec<u32>,
    /// Links to look at again, by the lowest rate at which something may have changed.
    pub(super) worklist: BinaryHeap<Reverse<(u64, u32)>>,
    /// Demands on the link in hand.
    pub(super) demands: Vec<f64>,
    pub(super) filling: Filling,
    /// Flows in progress, and links that they cross.
    pub(super) active_flows: u32,
    pub(super) active_links: u32,
    /// How often each of those may be looked at in one solve.
    pub(super) patience: u32,
    changed: bool,
    flows: u64,
    solves: u64,
}

impl<'a> Network<'a> {
    /// An idle network.
    pub(crate) fn new(fabric: &'a Fabric) -> Self {
        let link = |(&capacity, &first): (&f64, &u32)| Link {
            capacity,
            level: f64::INFINITY,
            load: 0.0,
            first,
            crossings: 0,
            queued: false,
        };
        let flows = fabric.flows();
        let crossings = fabric.first_crossing.last().map_or(0, |&end| end as usize);
        let positions = fabric.first_position.last().map_or(0, |&end| end as usize);
        let idle = Limits { rate: 0.0, second: f64::INFINITY, link: NONE, touched: false };
        let unmoved = Progress { remaining: 0.0, updated: Time::ZERO, rate: 0.0 };
        Self {
            fabric,
            links: fabric.capacity.iter().zip(&fabric.first_crossing).map(link).collect(),
            crossings: vec![Crossing { flow: 0, hop: 0, multiplicity: 0.0 }; crossings],
            positions: vec![0; positions],
            limits: vec![idle; flows],
            caps: vec![0.0; flows],
            paths: vec![NONE; flows],
            progress: vec![unmoved; flows],
            touched: Vec::new(),
            worklist: BinaryHeap::new(),
            demands: Vec::new(),
            filling: Filling::default(),
            active_flows: 0,
            active_links: 0,
            patience: 4,
            changed: false,
            flows: 0,
            solves: 0,
        }
    }

    /// How many flows have started.
    pub(crate) fn flows(&self) -> u64 {
        self.flows
    }

    /// At how many instants rates were solved.
    pub(crate) fn solves(&self) -> u64 {
        self.solves
    }

    /// The rate of a flow since the last solve.
    #[cfg(test)]
    pub(super) fn rate(&self, flow: u32) -> f64 {
        self.progress[flow as usize].rate
    }

    /// A flow of `bytes` per connection starts on `path`, no faster than `cap`.
    pub(crate) fn start(&mut self, flow: u32, path: u32, bytes: f64, cap: f64, now: Time) {
        let f = flow as usize;
        self.paths[f] = path;
        self.caps[f] = cap.min(self.fabric.idle_rate(path));
        self.progress[f] = Progress { remaining: bytes, updated: now, rate: 0.0 };
        self.find_limits(flow);
        self.touch(flow);
        let rate = self.limits[f].rate;
        let first_hop = self.fabric.first_position[f];
        for (hop, at) in (first_hop..).zip(self.fabric.path(path)) {
            let link = &mut self.links[at.link as usize];
            let crossing = Crossing { flow, hop, multiplicity: at.multiplicity };
            self.crossings[(link.first + link.crossings) as usize] = crossing;
            self.positions[hop as usize] = link.crossings;
            self.active_links += u32::from(link.crossings == 0);
            link.crossings += 1;
            link.load += at.multiplicity * rate;
            if link.level.is_finite() || link.is_overloaded() {
                self.enqueue(at.link, 0.0);
            }
        }
        self.active_flows += 1;
        self.flows += 1;
        self.changed = true;
    }

    /// A flow is over.
    pub(crate) fn end(&mut self, flow: u32) {
        let f = flow as usize;
        let rate = self.limits[f].rate;
        let first_hop = self.fabric.first_position[f];
        for (hop, at) in (first_hop..).zip(self.fabric.path(self.paths[f])) {
            let link = &mut self.links[at.link as usize];
            link.crossings -= 1;
            let position = self.positions[hop as usize];
            if position != link.crossings {
                let moved = self.crossings[(link.first + link.crossings) as usize];
                self.crossings[(link.first + position) as usize] = moved;
                self.positions[moved.hop as usize] = position;
            }
            self.active_links -= u32::from(link.crossings == 0);
            link.load -= at.multiplicity * rate;
            if link.level.is_finite() {
                self.enqueue(at.link, rate);
            }
        }
        self.paths[f] = NONE;
        self.active_flows -= 1;
        self.changed = true;
    }

    /// Brings rates and the ends of flows up to date after all starts and ends of an instant.
    pub(crate) fn solve(&mut self, now: Time, queue: &mut Queue) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        self.solves += 1;
        self.ripple();
        for i in 0..self.touched.len() {
            let f = self.touched[i] as usize;
            self.limits[f].touched = false;
            let rate = self.limits[f].rate;
            let progress = &mut self.progress[f];
            if self.paths[f] == NONE || (rate - progress.rate).abs() <= PRECISION * rate {
                continue;
            }
            let elapsed = (now - progress.updated).as_picos() as f64;
            progress.remaining = (progress.remaining - progress.rate * elapsed).max(0.0);
            progress.updated = now;
            progress.rate = rate;
            let end = now + round_up(progress.remaining / rate);
            queue.set(end, Event::Arrival(f as u32));
        }
        self.touched.clear();
    }

    /// The crossings of a link.
    pub(super) fn on(&self, link: u32) -> &[Crossing] {
        let link = &self.links[link as usize];
        &self.crossings[link.first as usize..(link.first + link.crossings) as usize]
    }

    /// Notes that the limits of a flow have changed.
    pub(super) fn touch(&mut self, flow: u32) {
        let limits = &mut self.limits[flow as usize];
        if !limits.touched {
            limits.touched = true;
            self.touched.push(flow);
        }
    }

    /// Notes that something may have changed on a link for rates of `level` and above.
    pub(super) fn enqueue(&mut self, link: u32, level: f64) {
        let queued = &mut self.links[link as usize].queued;
        if !*queued {
            *queued = true;
            self.worklist.push(Reverse((level.to_bits(), link)));
        }
    }

    /// Looks for the two tightest limits along a flow's whole path.
    pub(super) fn find_limits(&mut self, flow: u32) {
        let f = flow as usize;
        let (mut rate, mut second, mut tightest) = (self.caps[f], f64::INFINITY, NONE);
        for hop in self.fabric.path(self.paths[f]) {
            let level = self.links[hop.link as usize].level;
            if level < rate {
                (rate, second, tightest) = (level, rate, hop.link);
            } else if level < second {
                second = level;
            }
        }
        let limits = &mut self.limits[f];
        (limits.rate, limits.second, limits.link) = (rate, second, tightest);
    }
}

impl Link {
    /// Whether the load may be over capacity. Loads are kept by adding differences; the margin is
    /// far above what their rounding adds up to, and a link within it is summed up afresh.
    pub(super) fn is_overloaded(&self) -> bool {
        self.load > self.capacity * (1.0 - 1e-9)
    }
}
