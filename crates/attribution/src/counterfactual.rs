//! Jobs without one cause of loss or several: what is left is as it was, dependencies included.

use std::collections::BTreeMap;

use motley_job::{CallSet, CallSetId, Job, NameId, Op};
use motley_scheduler::{RESHARDING, Traffic};
use motley_units::Time;

/// A cause of loss that a job can be had without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Switch {
    /// Communication takes multiprocessors from the compute beside it.
    Overlap,
    /// The host takes time to launch kernels.
    Launches,
    /// Tensor-parallel collectives take time.
    TensorParallel,
    /// Context-parallel exchanges take time.
    ContextParallel,
    /// Tokens take time to their experts and back.
    ExpertParallel,
    /// Sends between stages take time.
    PipelineParallel,
    /// What replicas exchange takes time: gradients, parameters of which they hold shares, the tied
    /// embedding, the gradient norm.
    DataParallel,
    /// Copies between cards and the memory of hosts take time.
    HostCopies,
    /// Gradients are copied into the order of shards, where copies of the same parameters are cut in
    /// unlike ways.
    Resharding,
}

impl Switch {
    /// All of them, in the order of the waterfall.
    pub const ALL: [Self; 9] = [
        Self::Overlap,
        Self::Launches,
        Self::TensorParallel,
        Self::ContextParallel,
        Self::ExpertParallel,
        Self::PipelineParallel,
        Self::DataParallel,
        Self::HostCopies,
        Self::Resharding,
    ];

    /// The traffic that takes no time without it.
    pub fn traffic(self) -> &'static [Traffic] {
        match self {
            Self::Overlap | Self::Resharding => &[],
            Self::Launches => &[Traffic::Launches],
            Self::TensorParallel => &[Traffic::TensorParallel],
            Self::ContextParallel => &[Traffic::ContextParallel],
            Self::ExpertParallel => &[Traffic::ExpertParallel],
            Self::PipelineParallel => &[Traffic::PipelineParallel],
            Self::DataParallel => &[
                Traffic::DataParallel,
                Traffic::Parameters,
                Traffic::TiedEmbedding,
                Traffic::GradientNorm,
            ],
            Self::HostCopies => &[Traffic::Host],
        }
    }

    /// Whether a job has it.
    pub fn is_in(self, job: &Job) -> bool {
        match self {
            Self::Overlap => {
                job.call_sets.iter().flat_map(|set| &set.calls).any(|call| call.processors > 0.0)
            }
            Self::Resharding => {
                let name = resharding(job);
                let copies = job.program_sums(|op| u32::from(is_compute(op, name)));
                copies.iter().any(|&count| count > 0)
            }
            _ => job.communicators.iter().any(|comm| self.traffic().contains(&traffic(comm.class))),
        }
    }
}

/// A set of causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Switches(u16);

impl Switches {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// With another one.
    #[must_use]
    pub fn with(self, switch: Switch) -> Self {
        Self(self.0 | 1 << switch as u16)
    }

    /// Whether it is among them.
    pub fn has(self, switch: Switch) -> bool {
        self.0 & 1 << switch as u16 != 0
    }
}

impl FromIterator<Switch> for Switches {
    fn from_iter<I: IntoIterator<Item = Switch>>(switches: I) -> Self {
        switches.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The job without these causes. What communicates for one of them still meets, but moves nothing and
/// takes no time.
#[must_use]
pub fn without(job: &Job, switches: Switches) -> Job {
    let mut job = job.clone();
    if switches.has(Switch::Overlap) {
        for call in job.call_sets.iter_mut().flat_map(|set| &mut set.calls) {
            call.processors = 0.0;
        }
    }
    silence(&mut job, switches);
    if switches.has(Switch::Resharding) {
        let name = resharding(&job);
        let programs = job.programs.iter_mut().map(|program| &mut program.ops);
        let segments = job.segments.iter_mut().map(|segment| &mut segment.ops);
        for op in programs.chain(segments).flatten() {
            if is_compute(op, name)
                && let Op::Compute { duration, .. } = op
            {
                *duration = Time::ZERO;
            }
        }
    }
    job
}

/// The job with every card as fast as its type.
pub(crate) fn even(job: &Job) -> Job {
    let mut job = job.clone();
    for rank in &mut job.ranks {
        rank.slowness = 1.0;
    }
    job
}

/// Gives the communicators of traffic that is switched off calls that are over at once.
fn silence(job: &mut Job, switches: Switches) {
    let off = |class: u8| {
        let own = |switch: &Switch| switch.traffic().contains(&traffic(class));
        Switch::ALL.iter().find(|switch| own(switch)).is_some_and(|&switch| switches.has(switch))
    };
    let mut silent: BTreeMap<CallSetId, CallSetId> = BTreeMap::new();
    for communicator in job.communicators.iter_mut().filter(|comm| off(comm.class)) {
        let sets = &mut job.call_sets;
        communicator.calls = *silent.entry(communicator.calls).or_insert_with_key(|set| {
            let mut calls = sets[set.0 as usize].calls.clone();
            for call in &mut calls {
                (call.bytes, call.latency, call.processors) = (0.0, Time::ZERO, 0.0);
            }
            sets.push(CallSet { calls });
            CallSetId(sets.len() as u32 - 1)
        });
    }
}

/// Compute time of each program without the copies of resharding, before any rank's slowness.
pub(crate) fn computed(job: &Job) -> Vec<Time> {
    let name = resharding(job);
    job.program_sums(|op| match *op {
        Op::Compute { duration, .. } if !is_compute(op, name) => duration,
        _ => Time::ZERO,
    })
}

fn traffic(class: u8) -> Traffic {
    Traffic::ALL[usize::from(class)]
}

/// What copies of resharding are called in a job; no name of it, if it has none.
fn resharding(job: &Job) -> Option<NameId> {
    let position = job.names.iter().position(|name| name == RESHARDING)?;
    Some(NameId(position as u16))
}

fn is_compute(op: &Op, named: Option<NameId>) -> bool {
    matches!(op, Op::Compute { tag, .. } if Some(tag.name) == named)
}
