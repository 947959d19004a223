//! Tracks: a process for each node, threads for the streams of its cards; and which ranks have any.

use std::collections::{BTreeMap, BTreeSet};

use motley_job::{CommId, RankId};
use motley_scheduler::{Lowered, Traffic};
use motley_topology::Cluster;

use super::TraceLimits;
use super::itinerary::{Carrier, Itinerary};
use super::proto::{ProcessDescriptor, ThreadDescriptor, TrackDescriptor};

/// What a thread track shows. Slices of one lane never overlap, because its stream does one thing
/// at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// The compute stream: kernels and waits.
    Compute,
    /// Transfers of one kind on one stream.
    Transfer(Kind, Carrier),
}

/// Kinds of transfers that have threads of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tensor,
    Context,
    Expert,
    Pipeline,
    Data,
    Parameters,
    Host,
    Launches,
}

impl Kind {
    fn of(class: Traffic) -> Self {
        match class {
            Traffic::TensorParallel => Self::Tensor,
            Traffic::ContextParallel => Self::Context,
            Traffic::ExpertParallel => Self::Expert,
            Traffic::PipelineParallel => Self::Pipeline,
            Traffic::Parameters => Self::Parameters,
            Traffic::Host => Self::Host,
            Traffic::Launches => Self::Launches,
            Traffic::DataParallel | Traffic::TiedEmbedding | Traffic::GradientNorm => Self::Data,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tensor => "tensor-parallel",
            Self::Context => "context-parallel",
            Self::Expert => "expert-parallel",
            Self::Pipeline => "pipeline-parallel",
            Self::Parameters => "parameters",
            Self::Host => "host copies",
            Self::Launches => "launches",
            Self::Data => "data-parallel",
        }
    }
}

/// Processes come behind all threads in the numbering of tracks.
const FIRST_PROCESS: u64 = 1 << 48;

/// Threads of a card, at most.
const LANES: u64 = 256;

/// The tracks of the ranks that are traced.
#[derive(Debug)]
pub(super) struct Tracks {
    /// By rank; none of ranks that are left out.
    lanes: Vec<Option<Vec<Lane>>>,
}

impl Tracks {
    /// Chooses ranks within the limits: by rank in the stage first, so that one rank of every stage is
    /// seen before the second of any.
    pub(super) fn new(lowered: &Lowered, itineraries: &[Itinerary], limits: TraceLimits) -> Self {
        let mut order: Vec<RankId> = (0..lowered.places.len()).map(|r| RankId(r as u32)).collect();
        order.sort_by_key(|&rank| {
            let place = lowered.place(rank);
            (place.stage_rank, place.pipeline, place.stage)
        });
        let mut lanes = vec![None; order.len()];
        let mut room = limits.slices;
        for rank in order.into_iter().take(limits.ranks.map_or(usize::MAX, |ranks| ranks as usize))
        {
            let itinerary = &itineraries[lowered.job.ranks[rank.0 as usize].program.0 as usize];
            let Some(left) = room.checked_sub(itinerary.slices) else { break };
            room = left;
            lanes[rank.0 as usize] = Some(lanes_of(lowered, itinerary, rank));
        }
        Self { lanes }
    }

    pub(super) fn traced(&self, rank: RankId) -> bool {
        self.lanes[rank.0 as usize].is_some()
    }

    pub(super) fn traced_count(&self) -> usize {
        self.lanes.iter().flatten().count()
    }

    pub(super) fn rank_count(&self) -> usize {
        self.lanes.len()
    }

    /// The thread of a rank's lane; none if the rank is left out.
    pub(super) fn thread(&self, rank: RankId, lane: Lane) -> Option<u64> {
        let lanes = self.lanes[rank.0 as usize].as_ref()?;
        let position = lanes.iter().position(|&known| known == lane)?;
        Some((u64::from(rank.0) + 1) * LANES + position as u64)
    }

    /// All descriptors, processes before their threads.
    pub(super) fn descriptors(&self, cluster: &Cluster, lowered: &Lowered) -> Vec<TrackDescriptor> {
        let mut by_node: BTreeMap<_, Vec<RankId>> = BTreeMap::new();
        for rank in (0..self.lanes.len()).map(|rank| RankId(rank as u32)) {
            if self.traced(rank) {
                by_node.entry(cluster.node_of(lowered.place(rank).gpu)).or_default().push(rank);
            }
        }
        let mut list = Vec::new();
        for (node, ranks) in by_node {
            // Zero is the idle process of Linux.
            let pid = node.0.cast_signed() + 1;
            let process = FIRST_PROCESS + u64::from(node.0);
            list.push(TrackDescriptor {
                uuid: Some(process),
                process: Some(ProcessDescriptor {
                    pid: Some(pid),
                    process_name: Some(format!("node {} ({})", node.0, cluster.design(node).id)),
                }),
                ..TrackDescriptor::default()
            });
            for rank in ranks {
                let lanes = self.lanes[rank.0 as usize].iter().flatten();
                for &lane in lanes {
                    let Some(uuid) = self.thread(rank, lane) else { continue };
                    list.push(TrackDescriptor {
                        uuid: Some(uuid),
                        parent_uuid: Some(process),
                        thread: Some(ThreadDescriptor {
                            pid: Some(pid),
                            tid: Some(uuid as i32),
                            thread_name: Some(thread_name(cluster, lowered, rank, lane)),
                        }),
                        ..TrackDescriptor::default()
                    });
                }
            }
        }
        list
    }
}

/// The lane on which a rank sees an instance of a communicator.
pub(super) fn lane_of(lowered: &Lowered, comm: CommId, carrier: Carrier) -> Lane {
    Lane::Transfer(Kind::of(lowered.traffic(comm)), carrier)
}

fn lanes_of(lowered: &Lowered, itinerary: &Itinerary, rank: RankId) -> Vec<Lane> {
    let slots = &lowered.job.ranks[rank.0 as usize].slots;
    let mut lanes = BTreeSet::from([Lane::Compute]);
    for (joined, &comm) in itinerary.joined.iter().zip(slots) {
        lanes.extend(joined.iter().map(|joined| lane_of(lowered, comm, joined.carrier)));
    }
    lanes.into_iter().take(LANES as usize).collect()
}

fn thread_name(cluster: &Cluster, lowered: &Lowered, rank: RankId, lane: Lane) -> String {
    let place = lowered.place(rank);
    let gpu = cluster.local_index(place.gpu);
    match lane {
        Lane::Compute => {
            let (rank, pipeline, stage) = (rank.0, place.pipeline, place.stage);
            format!("GPU {gpu} compute: rank {rank}, pipeline {pipeline}, stage {stage}")
        }
        Lane::Transfer(kind, Carrier::Blocking) => format!("GPU {gpu} {}", kind.name()),
        Lane::Transfer(kind, Carrier::Beside(stream)) => {
            format!("GPU {gpu} {}, stream {}", kind.name(), stream.0)
        }
    }
}
