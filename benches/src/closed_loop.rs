//! Many flows in closed loop: the work of the rate solver alone.
//!
//! Each source sends again as soon as it has sent, so that the number of active flows stays the
//! same to the end and each completion is one departure and one arrival.

use motley_job::{
    Call, CallSet, Communicator, Footprint, Job, JobBuilder, LinkId, Op, Program, Rank, RankId,
    Slot, Tag,
};
use motley_units::Time;

use crate::draw::{below, unit};
use crate::fabric::Fabric;

/// Where flows go, and how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// To one of the other hosts of the same 16, from half a gigabyte to one and a half: what a
    /// completion changes is local, and almost every completion is an instant of its own.
    Group,
    /// To any other host, sizes as in [`Pattern::Group`]: all active flows hang together.
    Spread,
    /// To the next host of the same 16, then to the one after it and so on, a gigabyte each: all
    /// sources complete at the same instants.
    Lockstep,
}

/// A closed loop: four sources on each host, hosts under a leaf-spine fabric of 1 GB/s links.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClosedLoop {
    /// Where flows go, and how large they are.
    pub pattern: Pattern,
    /// Hosts, a multiple of `rack`.
    pub hosts: usize,
    /// Hosts under one leaf; as many spines. A multiple of 16.
    pub rack: usize,
    /// What each source sends, one after the other; at most 256.
    pub sends: usize,
}

/// One flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// The host that sends.
    pub from: usize,
    /// The host that receives.
    pub to: usize,
    /// What is sent, in whole bytes.
    pub bytes: f64,
    /// What it crosses.
    pub route: Vec<LinkId>,
}

impl ClosedLoop {
    /// Sources on each host.
    pub const SOURCES_PER_HOST: usize = 4;
    /// Hosts that send to each other unless flows are spread.
    pub const GROUP: usize = 16;
    /// Of every link, bytes per second.
    pub const CAPACITY: f64 = 1e9;

    /// How many flows are active at once.
    pub fn sources(&self) -> usize {
        self.hosts * Self::SOURCES_PER_HOST
    }

    /// The fabric under the hosts.
    pub fn fabric(&self) -> Fabric {
        Fabric {
            ranks: self.hosts,
            rack: self.rack,
            planes: self.rack,
            pod: self.hosts / self.rack,
            capacity: Self::CAPACITY,
            oversubscription: 1.0,
        }
    }

    /// What one source sends, in order.
    pub fn flows_of(&self, source: usize) -> Vec<Flow> {
        let fabric = self.fabric();
        let from = source % self.hosts;
        let (first, among) = match self.pattern {
            Pattern::Group | Pattern::Lockstep => (from / Self::GROUP * Self::GROUP, Self::GROUP),
            Pattern::Spread => (0, self.hosts),
        };
        (0..self.sends)
            .map(|send| {
                // How far ahead among the others, and what.
                let coordinates = [source as u64, send as u64];
                let (ahead, bytes) = match self.pattern {
                    Pattern::Group | Pattern::Spread => (
                        below(among - 1, coordinates),
                        (0.5e9 + 1e9 * unit([!coordinates[0], coordinates[1]])).floor(),
                    ),
                    Pattern::Lockstep => (send % (among - 1), 1e9),
                };
                let to = first + (from - first + 1 + ahead) % among;
                Flow { from, to, bytes, route: fabric.route(from, to) }
            })
            .collect()
    }

    /// The loop as a job: a rank for each source, alone in its communicator.
    pub fn job(&self) -> Job {
        let mut builder = JobBuilder::new(self.fabric().links(), 0);
        let tag = Tag { name: builder.name("send"), index: Tag::NO_INDEX };
        let send = |call| Op::Collective { tag, slot: Slot(0), call };
        let program = builder.program(&Program { ops: (0..self.sends as u16).map(send).collect() });
        for source in 0..self.sources() {
            let flows = self.flows_of(source);
            let call = |(footprint, flow): (u8, &Flow)| Call {
                bytes: flow.bytes,
                latency: Time::ZERO,
                rate_cap: f64::INFINITY,
                footprint,
                processors: 0.0,
            };
            let calls = builder.call_set(CallSet { calls: (0..).zip(&flows).map(call).collect() });
            let footprints = flows
                .iter()
                .map(|flow| {
                    let crossings = flow.route.iter().map(|&link| (link, 1.0));
                    builder.footprint(Footprint::from_crossings(crossings))
                })
                .collect();
            let members = vec![RankId(source as u32)];
            let own = builder.communicator(Communicator { members, calls, footprints, class: 0 });
            builder.rank(Rank {
                program,
                slowness: 1.0,
                processors: f64::INFINITY,
                slots: vec![own],
            });
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use motley_engine::{Engine, Options, Silent, replay};

    use super::*;

    /// What the solver's floats may be off, relative.
    const ROUNDING: f64 = 1e-9;

    fn small(pattern: Pattern) -> ClosedLoop {
        ClosedLoop { pattern, hosts: 64, rack: 16, sends: 3 }
    }

    fn all_flows(closed_loop: &ClosedLoop) -> Vec<Flow> {
        (0..closed_loop.sources()).flat_map(|source| closed_loop.flows_of(source)).collect()
    }

    /// Nothing is lost, no link moves more than it can, and no source takes longer than if all
    /// that ever crosses its links were before it.
    fn check(closed_loop: &ClosedLoop) {
        let job = closed_loop.job();
        let engine = Engine::new(&job).unwrap();
        let outcome = replay(&engine, &Options::default(), &mut Silent).unwrap();
        let sent = (closed_loop.sources() * closed_loop.sends) as u64;
        assert_eq!(outcome.instances, sent);

        let mut load = vec![0.0; job.links.len()];
        let mut serial = 0.0;
        for flow in all_flows(closed_loop) {
            assert_ne!(flow.from, flow.to);
            serial += flow.bytes / ClosedLoop::CAPACITY;
            for link in flow.route {
                load[link.0 as usize] += flow.bytes / ClosedLoop::CAPACITY;
            }
        }
        let busiest = load.into_iter().fold(0.0, f64::max);
        let end = outcome.end.as_secs_f64();
        assert!(busiest * (1.0 - ROUNDING) <= end, "{busiest} <= {end}");
        assert!(end < serial, "{end} < {serial}");
    }

    #[test]
    fn loops_obey_their_links() {
        check(&small(Pattern::Group));
        check(&small(Pattern::Spread));
        check(&small(Pattern::Lockstep));
    }

    #[test]
    fn groups_keep_to_themselves() {
        for pattern in [Pattern::Group, Pattern::Lockstep] {
            for flow in all_flows(&small(pattern)) {
                assert_eq!(flow.from / ClosedLoop::GROUP, flow.to / ClosedLoop::GROUP);
            }
        }
    }

    /// Four sources share each NIC, in both directions, all the time.
    #[test]
    fn lockstep_is_as_long_as_four_sends_in_a_row() {
        let closed_loop = small(Pattern::Lockstep);
        let job = closed_loop.job();
        let engine = Engine::new(&job).unwrap();
        let outcome = replay(&engine, &Options::default(), &mut Silent).unwrap();
        let expected = 4.0 * closed_loop.sends as f64;
        assert!((outcome.end.as_secs_f64() / expected - 1.0).abs() < ROUNDING);
        assert_eq!(outcome.solves, closed_loop.sends as u64 + 1);
    }
}
