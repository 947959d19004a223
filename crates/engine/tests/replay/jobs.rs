//! Jobs built by hand and at random.

use motley_engine::{Engine, Observer, Options, Outcome, Silent, replay};
use motley_job::{
    Call, CallSet, CommId, Communicator, Footprint, Job, JobBuilder, Link, LinkId, Op, Program,
    Rank, RankId, Slot, Stream, Tag,
};
use motley_units::Time;

/// A tag without meaning.
pub(crate) const TAG: Tag = Tag { name: motley_job::NameId(0), index: Tag::NO_INDEX };

pub(crate) fn ns(nanos: u64) -> Time {
    Time::from_picos(nanos * 1000)
}

pub(crate) fn compute(nanos: u64) -> Op {
    Op::Compute { tag: TAG, kernels: 1, duration: ns(nanos) }
}

pub(crate) fn collective(comm: CommId, call: u16) -> Op {
    Op::Collective { tag: TAG, slot: Slot(comm.0 as u16), call }
}

pub(crate) fn issue(comm: CommId, call: u16, stream: u8) -> Op {
    Op::Issue { tag: TAG, slot: Slot(comm.0 as u16), call, stream: Stream(stream) }
}

pub(crate) fn wait_for(comm: CommId, sequence: u32) -> Op {
    Op::Await { tag: TAG, slot: Slot(comm.0 as u16), sequence }
}

/// `bytes` on the communicator's first footprint, without latency or cap.
pub(crate) fn moves(bytes: f64) -> Call {
    Call { bytes, latency: Time::ZERO, rate_cap: f64::INFINITY, footprint: 0, processors: 0.0 }
}

/// The same on so many of a rank's [`PROCESSORS`].
pub(crate) fn moves_on(processors: f64, bytes: f64) -> Call {
    Call { processors, ..moves(bytes) }
}

/// Of each rank.
pub(crate) const PROCESSORS: f64 = 8.0;

/// What a communicator crosses: the links of each connection, and whether they move apart.
#[derive(Clone, Debug)]
pub(crate) struct Crossed {
    pub(crate) connections: Vec<Vec<(u32, f64)>>,
    pub(crate) apart: bool,
}

impl Crossed {
    pub(crate) fn bundle(links: &[(u32, f64)]) -> Self {
        Self { connections: vec![links.to_vec()], apart: false }
    }

    /// The links of all connections together.
    pub(crate) fn footprint(&self) -> Footprint {
        crossings(&self.connections.concat())
    }
}

fn crossings(links: &[(u32, f64)]) -> Footprint {
    Footprint::from_crossings(links.iter().map(|&(link, m)| (LinkId(link), m)))
}

/// A job in the making. The slot of a communicator is its index, on every rank.
pub(crate) struct Hand {
    builder: JobBuilder,
    comms: u32,
}

impl Hand {
    /// On links of these capacities, bytes per second, with three streams per rank.
    pub(crate) fn new(capacities: &[f64]) -> Self {
        let links = capacities.iter().map(|&capacity| Link { capacity }).collect();
        let mut builder = JobBuilder::new(links, 3);
        builder.name("op");
        Self { builder, comms: 0 }
    }

    /// A communicator over links with multiplicities.
    pub(crate) fn comm(&mut self, members: &[u32], links: &[(u32, f64)], calls: &[Call]) -> CommId {
        self.comm_over(members, &[Crossed::bundle(links)], calls)
    }

    /// A communicator over connections that move apart, each over links with multiplicities.
    pub(crate) fn comm_apart(
        &mut self,
        members: &[u32],
        connections: &[&[(u32, f64)]],
        calls: &[Call],
    ) -> CommId {
        let connections = connections.iter().map(|links| links.to_vec()).collect();
        self.comm_over(members, &[Crossed { connections, apart: true }], calls)
    }

    /// A communicator with several footprints.
    pub(crate) fn comm_over(
        &mut self,
        members: &[u32],
        footprints: &[Crossed],
        calls: &[Call],
    ) -> CommId {
        self.comms += 1;
        let footprints = footprints
            .iter()
            .map(|crossed| {
                if crossed.apart {
                    let connections = crossed.connections.iter().map(|links| crossings(links));
                    let connections = connections.collect();
                    self.builder.expanded_footprint(crossed.footprint(), connections)
                } else {
                    self.builder.footprint(crossed.footprint())
                }
            })
            .collect();
        let calls = self.builder.call_set(CallSet { calls: calls.to_vec() });
        self.builder.communicator(Communicator {
            members: members.iter().map(|&rank| RankId(rank)).collect(),
            calls,
            footprints,
            class: 0,
        })
    }

    /// The job in which rank r runs `programs[r]`.
    pub(crate) fn job(self, programs: Vec<Vec<Op>>) -> Job {
        let slow = programs.into_iter().map(|ops| (ops, 1.0)).collect();
        self.job_of_unlike(slow)
    }

    /// The same with a slowness for each rank.
    pub(crate) fn job_of_unlike(self, programs: Vec<(Vec<Op>, f64)>) -> Job {
        let groups = programs.into_iter().map(|(ops, slowness)| (ops, vec![slowness]));
        self.job_of_groups(groups.collect())
    }

    /// The job in which each program is run by a run of ranks, one for each slowness.
    pub(crate) fn job_of_groups(mut self, groups: Vec<(Vec<Op>, Vec<f64>)>) -> Job {
        for (ops, slow) in groups {
            let program = self.builder.program(&Program { ops });
            for slowness in slow {
                let slots = (0..self.comms).map(CommId).collect();
                self.builder.rank(Rank { program, slowness, processors: PROCESSORS, slots });
            }
        }
        self.builder.finish()
    }
}

/// Two groups of unlike cards, one behind the other, each with a link of its own. Both directions of
/// the boundary between them, and all cards together, share a third.
pub(crate) struct TwoStages {
    hand: Hand,
    slow: Vec<Vec<f64>>,
    /// Each with two calls.
    pub(crate) groups: [CommId; 2],
    pub(crate) down: CommId,
    pub(crate) up: CommId,
    pub(crate) all: CommId,
}

impl TwoStages {
    /// The first half of the cards, by slowness, before the second; what the groups' calls and the
    /// sends move, and how many processors all but the sends take.
    pub(crate) fn new(slow: &[f64], sizes: &[f64], taken: f64) -> Self {
        let (first, second) = slow.split_at(slow.len() / 2);
        let all: Vec<u32> = (0..slow.len() as u32).collect();
        let (before, behind) = all.split_at(first.len());
        let mut hand = Hand::new(&[1e9, 1e9, 1e9]);
        let calls = [moves_on(taken, sizes[0]), moves_on(taken / 2.0, sizes[1])];
        let groups =
            [hand.comm(before, &[(0, 1.0)], &calls), hand.comm(behind, &[(1, 1.0)], &calls)];
        let down = hand.comm(before, &[(2, 1.0)], &[moves(sizes[2])]);
        let up = hand.comm(behind, &[(2, 2.0)], &[moves(sizes[2])]);
        let all = hand.comm(&all, &[(2, 1.0)], &[moves_on(taken, 1.0), moves_on(taken, 200.0)]);
        Self { hand, slow: vec![first.to_vec(), second.to_vec()], groups, down, up, all }
    }

    /// The job in which each group runs the program of its stage, each card on more processors than
    /// the one before.
    pub(crate) fn job(self, program: impl Fn(usize) -> Vec<Op>) -> Job {
        let programs = [0, 1].map(program);
        let mut job = self.hand.job_of_groups(programs.into_iter().zip(self.slow).collect());
        for (rank, more) in job.ranks.iter_mut().zip(0u8..) {
            rank.processors += f64::from(more);
        }
        job
    }
}

pub(crate) fn engine(job: &Job) -> Engine<'_> {
    Engine::new(job).expect("well-formed")
}

/// The outcome of a job that must run to its end.
pub(crate) fn run(job: &Job) -> Outcome {
    observe(job, &mut Silent)
}

/// The same with every link solved.
pub(crate) fn run_unreduced(job: &Job) -> Outcome {
    let engine = Engine::unreduced(job).expect("well-formed");
    replay(&engine, &Options::default(), &mut Silent).expect("no circle")
}

pub(crate) fn observe(job: &Job, observer: &mut impl Observer) -> Outcome {
    replay(&engine(job), &Options::default(), observer).expect("no circle")
}

/// Checks when each rank finishes, with and without reduction.
pub(crate) fn check(job: &Job, finish: &[Time]) -> Outcome {
    let outcome = run(job);
    assert_eq!(outcome.finish, finish);
    assert_eq!(run_unreduced(job).finish, finish, "unreduced");
    outcome
}
