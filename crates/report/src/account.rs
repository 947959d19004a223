//! The account of a replay: time by rank and kind, calls by communicator.
//!
//! An observer for replays of millions of callbacks: everything is an array that was sized before,
//! and only waits for gradients, a few per rank, look anything up. What the sums mean is not
//! decided here.

use motley_engine::{Fold, Observer};
use motley_job::{CommId, Job, RankId, Tag};
use motley_scheduler::{Activity, Traffic};
use motley_units::Time;

/// Kinds of compute that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComputeKind {
    /// Forward passes.
    Forward,
    /// Backward passes, weight gradients included.
    Backward,
    /// Forward work that is done again in the backward pass.
    Recompute,
    /// The optimizer step and copies around the gradient exchange.
    Other,
}

impl ComputeKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Backward, Self::Recompute, Self::Other];

    /// The kind of an operation by the name that the scheduler gives it.
    fn of_name(name: &str) -> Self {
        match Activity::of_name(name) {
            Some((Activity::Forward, _)) => Self::Forward,
            Some((Activity::Backward | Activity::InputGradient | Activity::WeightGradient, _)) => {
                Self::Backward
            }
            Some((Activity::Recompute, _)) => Self::Recompute,
            None => Self::Other,
        }
    }
}

const KINDS: usize = ComputeKind::ALL.len();
const CLASSES: usize = Traffic::ALL.len();

/// What one replay spent its time on.
#[derive(Clone, Debug)]
pub struct Account {
    /// By name.
    kinds: Vec<ComputeKind>,
    /// By communicator.
    classes: Vec<Traffic>,
    /// Without what calls beside it cost.
    compute: Vec<[Time; KINDS]>,
    slowed: Vec<Time>,
    exposed: Vec<[Time; CLASSES]>,
    waiting: Vec<[Time; CLASSES]>,
    /// When the iteration begins on each rank; zero beyond its end.
    starts: Vec<Time>,
    /// How long after its start each rank finishes.
    finish: Vec<Time>,
    counts: CallCounts,
    gradients: GradientTransfers,
    /// How many times what is told happens.
    times: u64,
}

impl Account {
    /// An empty account of a replay that begins on all ranks at once.
    pub fn new(job: &Job) -> Self {
        Self::starting(job, Vec::new())
    }

    /// An empty account of a replay that begins on each rank at its own time.
    pub fn starting(job: &Job, starts: Vec<Time>) -> Self {
        let ranks = job.ranks.len();
        let classes = classes(job);
        Self {
            kinds: job.names.iter().map(|name| ComputeKind::of_name(name)).collect(),
            compute: vec![[Time::ZERO; KINDS]; ranks],
            slowed: vec![Time::ZERO; ranks],
            exposed: vec![[Time::ZERO; CLASSES]; ranks],
            waiting: vec![[Time::ZERO; CLASSES]; ranks],
            starts,
            finish: vec![Time::ZERO; ranks],
            counts: CallCounts::new(job),
            gradients: GradientTransfers::new(job, &classes),
            classes,
            times: 1,
        }
    }

    /// The account of a job's replay from that of its fold.
    #[must_use]
    pub fn unfold(&self, fold: &Fold, job: &Job) -> Self {
        let ranks = || (0..job.ranks.len()).map(|rank| fold.rank(RankId(rank as u32)).0 as usize);
        let mut counts = CallCounts::new(job);
        for c in 0..job.communicators.len() {
            let folded = fold.communicator(CommId(c as u32)).0 as usize;
            let own = counts.first[c] as usize..counts.first[c + 1] as usize;
            let first = self.counts.first[folded] as usize;
            counts.count[own.clone()].copy_from_slice(&self.counts.count[first..first + own.len()]);
        }
        Self {
            kinds: self.kinds.clone(),
            classes: classes(job),
            compute: ranks().map(|rank| self.compute[rank]).collect(),
            slowed: ranks().map(|rank| self.slowed[rank]).collect(),
            exposed: ranks().map(|rank| self.exposed[rank]).collect(),
            waiting: ranks().map(|rank| self.waiting[rank]).collect(),
            starts: Vec::new(),
            finish: ranks().map(|rank| self.finish[rank]).collect(),
            counts,
            gradients: GradientTransfers::default(),
            times: 1,
        }
    }

    /// How many ranks it keeps.
    pub fn rank_count(&self) -> usize {
        self.finish.len()
    }

    /// Compute of one kind, without what communication beside it cost.
    pub fn compute_of(&self, rank: RankId, kind: ComputeKind) -> Time {
        self.compute[rank.0 as usize][kind as usize]
    }

    /// By how much communication beside it made the compute of a rank longer.
    pub fn slowed(&self, rank: RankId) -> Time {
        self.slowed[rank.0 as usize]
    }

    /// All compute of a rank, as long as it took.
    pub fn computing(&self, rank: RankId) -> Time {
        self.compute[rank.0 as usize].iter().copied().sum::<Time>() + self.slowed(rank)
    }

    /// Time in which a rank stood still while data that it waited for moved.
    pub fn exposed(&self, rank: RankId, class: Traffic) -> Time {
        self.exposed[rank.0 as usize][class as usize]
    }

    /// Time in which a rank stood still before the data that it waited for began to move.
    pub fn waiting(&self, rank: RankId, class: Traffic) -> Time {
        self.waiting[rank.0 as usize][class as usize]
    }

    /// How long after its start a rank had run its program.
    pub fn finish_of(&self, rank: RankId) -> Time {
        self.finish[rank.0 as usize]
    }

    /// How often a communicator's call was made.
    pub fn calls(&self, comm: CommId, call: u16) -> u64 {
        self.counts.count[self.counts.first[comm.0 as usize] as usize + usize::from(call)]
    }
}

impl Observer for Account {
    #[inline]
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        let kind = self.kinds[usize::from(tag.name.0)];
        self.compute[rank.0 as usize][kind as usize] += times(end - start, self.times);
    }

    #[inline]
    fn slow_down(&mut self, rank: RankId, tag: Tag, by: Time) {
        let kind = self.kinds[usize::from(tag.name.0)];
        let (rank, by) = (rank.0 as usize, times(by, self.times));
        let compute = &mut self.compute[rank][kind as usize];
        *compute = *compute - by;
        self.slowed[rank] += by;
    }

    #[inline]
    fn wait(
        &mut self,
        rank: RankId,
        comm: CommId,
        _call: u16,
        _tag: Tag,
        from: Time,
        start: Time,
        end: Time,
    ) {
        let class = self.classes[comm.0 as usize];
        let begun = start.clamp(from, end);
        let mut waiting = begun - from;
        if moves_between_replicas(class) && waiting > Time::ZERO {
            waiting = waiting - self.gradients.moving(rank, from, begun);
        }
        let (rank, class) = (rank.0 as usize, class as usize);
        self.waiting[rank][class] += times(waiting, self.times);
        self.exposed[rank][class] += times((end - from) - waiting, self.times);
    }

    #[inline]
    fn transfer(&mut self, comm: CommId, call: u16, _sequence: u32, start: Time, end: Time) {
        let position = self.counts.first[comm.0 as usize] as usize + usize::from(call);
        self.counts.count[position] += self.times;
        if moves_between_replicas(self.classes[comm.0 as usize]) {
            self.gradients.spans[comm.0 as usize].push((start, end));
        }
    }

    #[inline]
    fn finish(&mut self, rank: RankId, at: Time) {
        let start = self.starts.get(rank.0 as usize).copied().unwrap_or_default();
        self.finish[rank.0 as usize] = at - start;
    }

    /// All but gradients and parameters, of which it matters when they move.
    #[inline]
    fn summarises(&self, comm: CommId) -> bool {
        !moves_between_replicas(self.classes[comm.0 as usize])
    }

    #[inline]
    fn repeat(&mut self, times: u64) {
        self.times = times;
    }
}

/// Whether a class's calls queue behind each other, so that who waits for the last of them waits while
/// others move.
fn moves_between_replicas(class: Traffic) -> bool {
    matches!(class, Traffic::DataParallel | Traffic::Parameters | Traffic::Host)
}

/// By communicator, what it carries.
fn classes(job: &Job) -> Vec<Traffic> {
    job.communicators.iter().map(|comm| Traffic::ALL[usize::from(comm.class)]).collect()
}

/// So many times a duration.
fn times(duration: Time, count: u64) -> Time {
    Time::from_picos(duration.as_picos().saturating_mul(count))
}

/// Instances by communicator and call, in one array.
#[derive(Clone, Debug)]
struct CallCounts {
    /// By communicator, where its calls begin; and the end of the last.
    first: Vec<u32>,
    count: Vec<u64>,
}

impl CallCounts {
    fn new(job: &Job) -> Self {
        let mut first = Vec::with_capacity(job.communicators.len() + 1);
        let mut next = 0;
        for communicator in &job.communicators {
            first.push(next);
            next += job.call_sets[communicator.calls.0 as usize].calls.len() as u32;
        }
        first.push(next);
        Self { first, count: vec![0; next as usize] }
    }
}

/// When gradients moved. A rank that waits for its last bucket may wait through the transfer of
/// those before it on the same stream, of the same communicator or of others.
#[derive(Clone, Debug, Default)]
struct GradientTransfers {
    /// By communicator, in order of time; empty for other classes.
    spans: Vec<Vec<(Time, Time)>>,
    /// By rank, the communicators that carry its gradients.
    of_rank: Vec<Vec<CommId>>,
}

impl GradientTransfers {
    fn new(job: &Job, classes: &[Traffic]) -> Self {
        let carries_gradients = |comm: &CommId| moves_between_replicas(classes[comm.0 as usize]);
        let of_rank = job
            .ranks
            .iter()
            .map(|rank| rank.slots.iter().copied().filter(carries_gradients).collect())
            .collect();
        Self { spans: vec![Vec::new(); classes.len()], of_rank }
    }

    /// How much of `from..until` those of the rank's gradients were moving that were through by then:
    /// what is ahead of a call on its stream is. Others are not ahead of it, and may not have been told
    /// of yet.
    fn moving(&self, rank: RankId, from: Time, until: Time) -> Time {
        let mut spans: Vec<(Time, Time)> = Vec::new();
        for comm in &self.of_rank[rank.0 as usize] {
            let recent = self.spans[comm.0 as usize].iter().rev();
            spans.extend(
                recent
                    .take_while(|&&(_, end)| end > from)
                    .filter(|&&(_, end)| end <= until)
                    .map(|&(start, end)| (start.max(from), end)),
            );
        }
        spans.sort_unstable();
        let mut covered = from;
        let mut sum = Time::ZERO;
        for (start, end) in spans {
            sum += end - start.max(covered);
            covered = covered.max(end);
        }
        sum
    }
}
