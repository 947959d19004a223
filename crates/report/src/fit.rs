//! What fits into memory and what does not.

use std::fmt;

use motley_job::RankId;
use motley_scheduler::Moment;
use motley_scheduler::schedule::Pass;
use motley_units::Bytes;
use motley_workload::MemoryUse;
use serde::Serialize;

use crate::Subject;
use crate::plan_summary::Classes;

/// Where the memory of one card goes at its peak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of MemoryUse, with their unit")]
pub struct MemoryParts {
    pub parameters_bytes: f64,
    pub gradients_bytes: f64,
    pub optimizer_bytes: f64,
    pub activations_bytes: f64,
    pub workspace_bytes: f64,
    pub cached_bytes: f64,
    pub context_bytes: f64,
    pub communication_bytes: f64,
}

impl From<&MemoryUse> for MemoryParts {
    fn from(memory: &MemoryUse) -> Self {
        Self {
            parameters_bytes: memory.parameters.0,
            gradients_bytes: memory.gradients.0,
            optimizer_bytes: memory.optimizer.0,
            activations_bytes: memory.activations.0,
            workspace_bytes: memory.workspace.0,
            cached_bytes: memory.cached.0,
            context_bytes: memory.context.0,
            communication_bytes: memory.communication.0,
        }
    }
}

impl MemoryParts {
    /// What tensors occupy (`torch.cuda.max_memory_allocated`).
    pub fn allocated(&self) -> f64 {
        self.parameters_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
            + self.workspace_bytes
    }

    /// What the framework's allocator holds (`torch.cuda.max_memory_reserved`).
    pub fn reserved(&self) -> f64 {
        self.allocated() + self.cached_bytes
    }
}

/// Memory of one card at its fullest moment, by who counts, and when that is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MemoryPeak {
    /// What tensors occupy.
    pub allocated_bytes: f64,
    /// What the framework's allocator holds.
    pub reserved_bytes: f64,
    /// What tensors occupy at most in the optimizer step.
    pub optimizer_step_allocated_bytes: f64,
    /// When.
    pub moment: PeakMoment,
}

impl MemoryPeak {
    pub(crate) fn of(subject: &Subject, rank: RankId) -> Self {
        let memory = &subject.lowered.memory[rank.0 as usize];
        Self {
            allocated_bytes: memory.allocated().0,
            reserved_bytes: memory.reserved().0,
            optimizer_step_allocated_bytes: subject.lowered.course(rank).step.allocated().0,
            moment: PeakMoment::from(subject.lowered.moments[rank.0 as usize]),
        }
    }
}

/// When the memory of a card is fullest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PeakMoment {
    /// `forward`, `backward`, `input_gradient`, `weight_gradient` or `optimizer_step`.
    pub phase: &'static str,
    /// Of which micro-batch, where it is a pass.
    pub micro_batch_index: Option<u32>,
    /// In which of the stage's model chunks.
    pub chunk_index: Option<u32>,
}

impl From<Moment> for PeakMoment {
    fn from(moment: Moment) -> Self {
        let Moment::Pass(step) = moment else {
            return Self { phase: "optimizer_step", micro_batch_index: None, chunk_index: None };
        };
        let phase = match step.pass {
            Pass::Forward => "forward",
            Pass::Backward => "backward",
            Pass::InputGradient => "input_gradient",
            Pass::WeightGradient => "weight_gradient",
        };
        let (micro_batch_index, chunk_index) = (Some(step.micro_batch), Some(step.chunk));
        Self { phase, micro_batch_index, chunk_index }
    }
}

impl PeakMoment {
    /// As drawings of schedules call it: `F7`, `B0`, `W3`; or `the step`.
    pub(crate) fn short(&self) -> String {
        let letter = match self.phase {
            "forward" => 'F',
            "weight_gradient" => 'W',
            _ => 'B',
        };
        let index = self.micro_batch_index;
        index.map_or_else(|| "the step".to_owned(), |index| format!("{letter}{index}"))
    }
}

impl fmt::Display for PeakMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.phase.replace('_', " ");
        match self.micro_batch_index {
            Some(micro_batch) => write!(f, "{phase} of micro-batch {micro_batch}"),
            None => write!(f, "{phase}"),
        }
    }
}

/// Cards of one stage and one type that run out of memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutOfMemory {
    /// The first pipeline that they are in.
    pub pipeline_index: u32,
    /// How many pipelines are like it.
    pub pipeline_count: u32,
    /// Their stage.
    pub stage_index: u32,
    /// Their type, by catalogue id.
    pub card: String,
    /// The vendor's name for it.
    pub card_name: String,
    /// How many cards, over all those pipelines.
    pub card_count: u32,
    /// What the worst of them needs.
    pub needed_bytes: f64,
    /// What it has.
    pub capacity_bytes: f64,
    /// The difference.
    pub short_bytes: f64,
    /// What the worst of them needs it for.
    pub parts: MemoryParts,
    /// When it needs it.
    pub moment: PeakMoment,
}

/// What a rank needs and what its card has.
pub(crate) fn need_and_capacity(subject: &Subject, rank: RankId) -> (f64, f64) {
    let device = subject.cluster.device(subject.lowered.place(rank).gpu);
    (subject.lowered.memory[rank.0 as usize].total().0, device.memory.get().0)
}

/// Whether a rank's card holds what it needs.
pub(crate) fn fits(subject: &Subject, rank: RankId) -> bool {
    let (need, capacity) = need_and_capacity(subject, rank);
    need <= capacity
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stage {} needs {} on {} of {}, {} short, in {}",
            self.stage_index,
            Bytes(self.needed_bytes),
            self.card_name,
            Bytes(self.capacity_bytes),
            Bytes(self.short_bytes),
            self.moment,
        )
    }
}

impl OutOfMemory {
    /// All that does not fit, the worst shortage first, for whoever wants to know before a replay.
    pub fn of(subject: &Subject) -> Vec<Self> {
        Self::list(subject, &Classes::new(subject))
    }

    /// All that does not fit, the worst shortage first.
    pub(crate) fn list(subject: &Subject, classes: &Classes) -> Vec<Self> {
        let mut list: Vec<Self> = Vec::new();
        for rank in (0..subject.lowered.places.len()).map(|rank| RankId(rank as u32)) {
            let (needed, capacity) = need_and_capacity(subject, rank);
            if needed <= capacity {
                continue;
            }
            let place = subject.lowered.place(rank);
            let class = classes.of_pipeline[place.pipeline as usize];
            let device = subject.cluster.device(place.gpu);
            let parts = MemoryParts::from(&subject.lowered.memory[rank.0 as usize]);
            let moment = PeakMoment::from(subject.lowered.moments[rank.0 as usize]);
            let first = classes.list[class].first_pipeline_index;
            let known = list.iter_mut().find(|entry| {
                entry.pipeline_index == first
                    && entry.stage_index == place.stage
                    && entry.card == device.id
            });
            if let Some(entry) = known {
                entry.card_count += 1;
                if needed - capacity > entry.short_bytes {
                    entry.needed_bytes = needed;
                    entry.capacity_bytes = capacity;
                    entry.short_bytes = needed - capacity;
                    entry.parts = parts;
                    entry.moment = moment;
                }
            } else {
                list.push(Self {
                    pipeline_index: first,
                    pipeline_count: classes.list[class].pipeline_count,
                    stage_index: place.stage,
                    card: device.id.clone(),
                    card_name: device.name.clone(),
                    card_count: 1,
                    needed_bytes: needed,
                    capacity_bytes: capacity,
                    short_bytes: needed - capacity,
                    parts,
                    moment,
                });
            }
        }
        list.sort_by(|a, b| b.short_bytes.total_cmp(&a.short_bytes));
        list
    }
}
