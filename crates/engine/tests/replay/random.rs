//! Random jobs that cannot deadlock, with their longest path.
//!
//! A script is a list of steps; each appends operations to the programs of the ranks it concerns.
//! So all programs and streams agree on one order, and awaits only look back in it.

use motley_job::{Call, Job};
use motley_units::Time;
use proptest::prelude::*;

use crate::jobs::{Crossed, Hand, collective, compute, issue, ns, wait_for};

#[derive(Clone, Debug)]
pub(crate) struct RandomComm {
    pub(crate) members: Vec<u32>,
    pub(crate) footprints: Vec<Crossed>,
    pub(crate) calls: Vec<Call>,
    /// By member: blocking for 0, else stream 0 to 2.
    pub(crate) lanes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Compute {
        rank: u32,
        nanos: u64,
    },
    /// All members call; those for which a bit of `elsewhere` is set not from their usual lane.
    Call {
        comm: usize,
        call: u16,
        elsewhere: u32,
    },
    Await {
        rank: u32,
        comm: usize,
        back: u32,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) ranks: u32,
    pub(crate) capacities: Vec<f64>,
    pub(crate) comms: Vec<RandomComm>,
    pub(crate) steps: Vec<Step>,
    pub(crate) slowness: Vec<f64>,
    pub(crate) processors: Vec<f64>,
}

/// How many links each communicator has if it has its own.
const OWN: u32 = 3;

/// What links a random job has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// Each communicator its own few.
    Own,
    /// All communicators the same few.
    Shared,
}

fn lane_of(comm: &RandomComm, member: usize, elsewhere: u32) -> u8 {
    let moved = elsewhere >> member & 1 == 1;
    if moved { (comm.lanes[member] + 1) % 4 } else { comm.lanes[member] }
}

impl Script {
    /// The job, its ranks in the order `label`: rank r of the script is rank `label[r]`.
    pub(crate) fn job(&self, label: &[u32]) -> Job {
        let mut hand = Hand::new(&self.capacities);
        let ids: Vec<_> = self
            .comms
            .iter()
            .map(|comm| {
                let mut members: Vec<u32> =
                    comm.members.iter().map(|&m| label[m as usize]).collect();
                members.sort_unstable();
                hand.comm_over(&members, &comm.footprints, &comm.calls)
            })
            .collect();
        let mut programs: Vec<_> = vec![(Vec::new(), 1.0); self.ranks as usize];
        for (rank, &slowness) in self.slowness.iter().enumerate() {
            programs[label[rank] as usize].1 = slowness;
        }
        let mut called = vec![0u32; ids.len()];
        for step in &self.steps {
            let mut push = |rank: u32, op| programs[label[rank as usize] as usize].0.push(op);
            match *step {
                Step::Compute { rank, nanos } => push(rank, compute(nanos)),
                Step::Call { comm, call, elsewhere } => {
                    called[comm] += 1;
                    for (m, &rank) in self.comms[comm].members.iter().enumerate() {
                        push(
                            rank,
                            match lane_of(&self.comms[comm], m, elsewhere) {
                                0 => collective(ids[comm], call),
                                lane => issue(ids[comm], call, lane - 1),
                            },
                        );
                    }
                }
                Step::Await { rank, comm, back } => {
                    if back < called[comm] {
                        push(rank, wait_for(ids[comm], called[comm] - 1 - back));
                    }
                }
            }
        }
        let mut job = hand.job_of_unlike(programs);
        for (rank, &processors) in self.processors.iter().enumerate() {
            job.ranks[label[rank] as usize].processors = processors;
        }
        job
    }

    /// The script with the connections of every footprint as one.
    pub(crate) fn bundled(mut self) -> Self {
        for crossed in self.comms.iter_mut().flat_map(|comm| &mut comm.footprints) {
            crossed.apart = false;
        }
        self
    }

    /// The bytes that each link moves.
    pub(crate) fn moved(&self) -> Vec<f64> {
        let mut moved = vec![0.0; self.capacities.len()];
        for step in &self.steps {
            let &Step::Call { comm, call, .. } = step else { continue };
            let comm = &self.comms[comm];
            let call = &comm.calls[usize::from(call)];
            let crossed = comm.footprints[usize::from(call.footprint)].connections.concat();
            for (link, multiplicity) in crossed {
                moved[link as usize] += multiplicity * call.bytes;
            }
        }
        moved
    }

    /// The job with ranks as they are.
    pub(crate) fn plain(&self) -> Job {
        self.job(&(0..self.ranks).collect::<Vec<_>>())
    }

    /// When each rank finishes if no two communicators share a link: the longest path, worked out
    /// in the order of the script. What a rank computes beside a call comes behind it in the script,
    /// so where the call begins and ends is known.
    pub(crate) fn longest_paths(&self) -> Vec<Time> {
        let mut local = vec![Time::ZERO; self.ranks as usize];
        let mut stream = vec![[Time::ZERO; 4]; self.ranks as usize];
        let mut ends: Vec<Vec<Time>> = vec![Vec::new(); self.comms.len()];
        let mut beside = vec![Vec::new(); self.ranks as usize];
        for step in &self.steps {
            match *step {
                Step::Compute { rank, nanos } => {
                    let rank = rank as usize;
                    let work = ns(nanos).scale(self.slowness[rank]);
                    let beside = beside[rank].iter();
                    local[rank] = slowed(local[rank], work, self.processors[rank], beside);
                }
                Step::Call { comm: c, call, elsewhere } => {
                    let comm = &self.comms[c];
                    let last = ends[c].last().copied().unwrap_or_default();
                    let lane = |m| usize::from(lane_of(comm, m, elsewhere));
                    let start =
                        comm.members.iter().enumerate().map(|(m, &rank)| {
                            local[rank as usize].max(stream[rank as usize][lane(m)])
                        });
                    let start = start.fold(last, Time::max);
                    let call = &comm.calls[usize::from(call)];
                    let rate = comm.footprints[usize::from(call.footprint)]
                        .footprint()
                        .links
                        .iter()
                        .map(|&(link, m)| self.capacities[link.0 as usize] / m)
                        .fold(call.rate_cap, f64::min);
                    // Rounded up, but for the noise of the division.
                    let picos = call.bytes / rate * 1e12;
                    let end = start + call.latency + Time::from_picos((picos - 1e-3).ceil() as u64);
                    for (m, &rank) in comm.members.iter().enumerate() {
                        match lane(m) {
                            0 => local[rank as usize] = end,
                            lane => {
                                stream[rank as usize][lane] = end;
                                beside[rank as usize].push((start, end, call.processors));
                            }
                        }
                    }
                    ends[c].push(end);
                }
                Step::Await { rank, comm, back } => {
                    if let Some(at) = ends[comm].len().checked_sub(1 + back as usize) {
                        local[rank as usize] = local[rank as usize].max(ends[comm][at]);
                    }
                }
            }
        }
        local
    }
}

/// When `work` from `from` on is done beside calls with their starts, ends and the processors that
/// they take: walked through in sixteenths of picoseconds from one beginning or end to the next, in
/// which as many are done as there are sixteenths of the processors left.
fn slowed<'a>(
    from: Time,
    work: Time,
    processors: f64,
    beside: impl Iterator<Item = &'a (Time, Time, f64)> + Clone,
) -> Time {
    let mut at = from.as_picos();
    let mut left = 16 * work.as_picos();
    let calls = beside.map(|&(start, end, taken)| {
        let lost = 16.0 * taken / processors;
        assert!(lost.fract() == 0.0 && lost < 16.0, "sixteenths");
        (start.as_picos(), end.as_picos(), lost as u64)
    });
    let edges: std::collections::BTreeSet<u64> =
        calls.clone().flat_map(|(start, end, _)| [start, end]).filter(|&edge| edge > at).collect();
    for next in edges.into_iter().chain([u64::MAX]) {
        let running = calls.clone().filter(|&(start, end, _)| start <= at && at < end);
        let done = 16 - running.map(|(.., lost)| lost).max().unwrap_or(0);
        let needed = left.div_ceil(done);
        if needed <= next - at {
            at += needed;
            break;
        }
        left -= done * (next - at);
        at = next;
    }
    Time::from_picos(at)
}

fn calls(footprints: u8) -> impl Strategy<Value = Vec<Call>> {
    let processors = prop_oneof![Just(0.0), Just(1.0), Just(4.0), Just(7.0)];
    let call = (0u32..60, 0u64..3, 0u32..40, 0..footprints, processors).prop_map(
        |(bytes, latency, cap, footprint, processors)| Call {
            bytes: f64::from(bytes / 10) * 997.0,
            latency: ns(latency * 500),
            rate_cap: if cap < 20 { f64::INFINITY } else { f64::from(cap) * 1.1e8 },
            footprint,
            processors,
        },
    );
    prop::collection::vec(call, 2)
}

/// Scripts of up to six ranks. With `mixed`, ranks may call a communicator from several lanes.
pub(crate) fn scripts(links: Links, mixed: bool) -> impl Strategy<Value = Script> {
    (2u32..7, 1usize..6).prop_flat_map(move |(ranks, comms)| {
        let pool = if links == Links::Own { comms * OWN as usize } else { 5 };
        let comm = move |c: usize| {
            let members = prop::collection::btree_set(0..ranks, 1..=ranks as usize);
            let links = match links {
                Links::Own => c as u32 * OWN..(c as u32 + 1) * OWN,
                Links::Shared => 0..pool as u32,
            };
            let weight = (1u32..4).prop_map(f64::from);
            let connection = prop::collection::btree_map(links, weight, 1..4)
                .prop_map(|map| map.into_iter().collect());
            let footprint = (prop::collection::vec(connection, 0..4), any::<bool>())
                .prop_map(|(connections, apart)| Crossed { connections, apart });
            (
                members,
                prop::collection::vec(footprint, 2),
                calls(2),
                prop::collection::vec(0u8..4, 6),
            )
                .prop_map(|(members, footprints, calls, lanes)| RandomComm {
                    members: members.into_iter().collect(),
                    footprints,
                    calls,
                    lanes,
                })
        };
        let elsewhere = if mixed { any::<u32>().boxed() } else { Just(0).boxed() };
        let step = prop_oneof![
            3 => (0..ranks, 0u64..5).prop_map(|(rank, t)| Step::Compute { rank, nanos: t * 700 }),
            4 => (0..comms, 0u16..2, elsewhere)
                .prop_map(|(comm, call, elsewhere)| Step::Call { comm, call, elsewhere }),
            2 => (0..ranks, 0..comms, 0u32..3)
                .prop_map(|(rank, comm, back)| Step::Await { rank, comm, back }),
        ];
        (
            prop::collection::vec((1u32..20).prop_map(|c| f64::from(c) * 1e9), pool),
            (0..comms).map(comm).collect::<Vec<_>>(),
            prop::collection::vec(step, 0..60),
            prop::collection::vec((4u32..9).prop_map(|s| f64::from(s) / 4.0), ranks as usize),
            prop::collection::vec(
                prop_oneof![Just(8.0), Just(16.0), Just(f64::INFINITY)],
                ranks as usize,
            ),
        )
            .prop_map(move |(capacities, comms, steps, slowness, processors)| Script {
                ranks,
                capacities,
                comms,
                steps,
                slowness,
                processors,
            })
    })
}
