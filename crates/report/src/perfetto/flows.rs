//! Flows: arrows from a send to the kernel that it was for.

use std::collections::BTreeMap;

use motley_job::{CommId, RankId};
use motley_scheduler::Lowered;

use super::itinerary::Itinerary;
use super::tracks::Tracks;

/// Beyond this the user interface gets slow (google/perfetto#3224 reports it of 100,000).
pub(super) const MOST_FLOWS: u64 = 20_000;

/// Flows by where they start and where they end.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// By sender, communicator and instance.
    starts: BTreeMap<(RankId, CommId, u32), Vec<u64>>,
    /// By receiver and kernel.
    ends: BTreeMap<(RankId, u32), Vec<u64>>,
    /// There would be more.
    pub(super) capped: bool,
}

impl Flows {
    /// The flows between traced ranks.
    pub(super) fn new(lowered: &Lowered, itineraries: &[Itinerary], tracks: &Tracks) -> Self {
        let mut degrees: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for place in &lowered.places {
            *degrees.entry((place.pipeline, place.stage)).or_default() += 1;
        }
        let mut flows = Self::default();
        let mut next = 1;
        for (r, rank) in lowered.job.ranks.iter().enumerate() {
            let receiver = RankId(r as u32);
            if !tracks.traced(receiver) {
                continue;
            }
            let place = lowered.place(receiver);
            let degree = degrees.get(&(place.pipeline, place.stage)).copied().unwrap_or(1);
            for received in &itineraries[rank.program.0 as usize].received {
                let comm = rank.slots[usize::from(received.slot)];
                let senders = &lowered.job.communicators[comm.0 as usize].members;
                // A member awaits what it has issued itself; only others receive.
                if senders.binary_search(&receiver).is_ok() {
                    continue;
                }
                let position = place.stage_rank as usize * senders.len() / degree as usize;
                let Some(&sender) = senders.get(position).filter(|&&rank| tracks.traced(rank))
                else {
                    continue;
                };
                if next > MOST_FLOWS {
                    flows.capped = true;
                    return flows;
                }
                flows.starts.entry((sender, comm, received.sequence)).or_default().push(next);
                flows.ends.entry((receiver, received.kernel)).or_default().push(next);
                next += 1;
            }
        }
        flows
    }

    pub(super) fn starting(&self, sender: RankId, comm: CommId, sequence: u32) -> &[u64] {
        self.starts.get(&(sender, comm, sequence)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn ending(&self, receiver: RankId, kernel: u32) -> &[u64] {
        self.ends.get(&(receiver, kernel)).map_or(&[], Vec::as_slice)
    }
}
