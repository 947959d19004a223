//! From what was observed to slices on tracks.

use motley_job::{NameId, RankId, Tag};
use motley_units::Time;

use super::Trace;
use super::tracks::{Lane, lane_of};

/// What a slice is, for its name and category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Activity {
    /// A kernel runs.
    Compute,
    /// Data moves.
    Transfer,
    /// Nothing happens.
    Wait,
}

/// A slice of a track.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub(super) thread: u64,
    pub(super) start: Time,
    pub(super) end: Time,
    pub(super) activity: Activity,
    pub(super) name: NameId,
    /// The micro-batch, or [`Tag::NO_INDEX`].
    pub(super) index: u16,
    pub(super) rank: RankId,
    pub(super) flows_from: Vec<u64>,
    pub(super) flows_to: Vec<u64>,
}

impl Trace<'_> {
    /// All slices, by track and time.
    pub(super) fn slices(&self) -> Vec<Slice> {
        let mut slices = Vec::with_capacity(self.kernels.len() + 2 * self.pauses.len());
        self.kernel_slices(&mut slices);
        for pause in &self.pauses {
            let Some(thread) = self.tracks.thread(pause.rank, Lane::Compute) else { continue };
            let spans = [
                (pause.from, pause.moving, Activity::Wait),
                (pause.moving, pause.end, Activity::Transfer),
            ];
            for (start, end, activity) in spans.into_iter().filter(|(start, end, _)| start < end) {
                slices.push(slice(thread, (start, end), activity, pause.tag, pause.rank));
            }
        }
        self.transfer_slices(&mut slices);
        slices.sort_by_key(|slice| (slice.thread, slice.start, slice.end));
        slices
    }

    fn kernel_slices(&self, slices: &mut Vec<Slice>) {
        let ranks = &self.lowered.job.ranks;
        let mut seen = vec![0u32; ranks.len()];
        for kernel in &self.kernels {
            let Some(thread) = self.tracks.thread(kernel.rank, Lane::Compute) else { continue };
            let span = (kernel.start, kernel.end);
            let mut slice = slice(thread, span, Activity::Compute, kernel.tag, kernel.rank);
            let ordinal = &mut seen[kernel.rank.0 as usize];
            slice.flows_to = self.flows.ending(kernel.rank, *ordinal).to_vec();
            *ordinal += 1;
            slices.push(slice);
        }
    }

    fn transfer_slices(&self, slices: &mut Vec<Slice>) {
        let job = &self.lowered.job;
        for transfer in &self.transfers {
            for &member in &job.communicators[transfer.comm.0 as usize].members {
                if !self.tracks.traced(member) {
                    continue;
                }
                let rank = &job.ranks[member.0 as usize];
                let slot = rank.slots.iter().position(|&comm| comm == transfer.comm);
                let joined = slot.and_then(|slot| {
                    let by_slot = &self.itineraries[rank.program.0 as usize].joined;
                    by_slot.get(slot)?.get(transfer.sequence as usize)
                });
                let Some(joined) = joined else { continue };
                let lane = lane_of(self.lowered, transfer.comm, joined.carrier);
                let Some(thread) = self.tracks.thread(member, lane) else { continue };
                let span = (transfer.start, transfer.end);
                let mut slice = slice(thread, span, Activity::Transfer, joined.tag, member);
                slice.flows_from =
                    self.flows.starting(member, transfer.comm, transfer.sequence).to_vec();
                slices.push(slice);
            }
        }
    }
}

fn slice(
    thread: u64,
    (start, end): (Time, Time),
    activity: Activity,
    tag: Tag,
    rank: RankId,
) -> Slice {
    Slice {
        thread,
        start,
        end,
        activity,
        name: tag.name,
        index: tag.index,
        rank,
        flows_from: Vec::new(),
        flows_to: Vec::new(),
    }
}
