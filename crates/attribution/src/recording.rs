//! All that a replay does, kept to be walked through backwards.

use motley_engine::Observer;
use motley_job::{CommId, Job, NameId, RankId, Tag};
use motley_units::Time;

/// Something that the compute stream of a rank did or stood still for, from the end of the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) until: Time,
    /// Of a wait, when what was waited for began to move; else when the step began.
    pub(crate) start: Time,
    /// What was waited for; none if the rank computed.
    comm: u32,
    pub(crate) name: NameId,
}

const COMPUTE: u32 = u32::MAX;

impl Step {
    /// The communicator that was waited for.
    pub(crate) fn waited_for(&self) -> Option<CommId> {
        (self.comm != COMPUTE).then_some(CommId(self.comm))
    }
}

/// An observer that keeps everything.
#[derive(Debug)]
pub(crate) struct Recording {
    /// By rank, in order, without gap.
    pub(crate) steps: Vec<Vec<Step>>,
    /// By rank, steps that were slowed down, with the delay.
    slowed: Vec<Vec<(u32, Time)>>,
    /// By communicator, when each instance moved.
    pub(crate) transfers: Vec<Vec<(Time, Time)>>,
}

impl Recording {
    pub(crate) fn new(job: &Job) -> Self {
        Self {
            steps: vec![Vec::new(); job.ranks.len()],
            slowed: vec![Vec::new(); job.ranks.len()],
            transfers: vec![Vec::new(); job.communicators.len()],
        }
    }

    /// By how much a step was slowed down.
    pub(crate) fn slowed(&self, rank: RankId, step: usize) -> Time {
        let slowed = &self.slowed[rank.0 as usize];
        slowed
            .binary_search_by_key(&(step as u32), |&(step, _)| step)
            .map_or(Time::ZERO, |position| slowed[position].1)
    }

    /// Which instance of a communicator moved at this time.
    pub(crate) fn instance(&self, comm: CommId, (start, end): (Time, Time)) -> Option<u32> {
        let spans = &self.transfers[comm.0 as usize];
        let first = spans.partition_point(|span| span.1 < end);
        let same = spans[first..].iter().take_while(|span| span.1 == end);
        same.clone().position(|span| span.0 == start).map(|offset| (first + offset) as u32)
    }
}

impl Observer for Recording {
    fn compute(&mut self, rank: RankId, tag: Tag, start: Time, end: Time) {
        let step = Step { until: end, start, comm: COMPUTE, name: tag.name };
        self.steps[rank.0 as usize].push(step);
    }

    fn slow_down(&mut self, rank: RankId, _: Tag, by: Time) {
        let step = self.steps[rank.0 as usize].len() - 1;
        self.slowed[rank.0 as usize].push((step as u32, by));
    }

    fn wait(
        &mut self,
        rank: RankId,
        comm: CommId,
        _: u16,
        tag: Tag,
        _: Time,
        start: Time,
        end: Time,
    ) {
        self.steps[rank.0 as usize].push(Step { until: end, start, comm: comm.0, name: tag.name });
    }

    fn transfer(&mut self, comm: CommId, _: u16, sequence: u32, start: Time, end: Time) {
        let spans = &mut self.transfers[comm.0 as usize];
        spans.resize(spans.len().max(sequence as usize + 1), (Time::ZERO, Time::ZERO));
        spans[sequence as usize] = (start, end);
    }

    fn tells_ranks_apart(&self) -> bool {
        false
    }
}
