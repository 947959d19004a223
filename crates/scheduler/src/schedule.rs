//! Pipeline schedules as data: which passes each stage runs in which order, and which virtual stage
//! lies where.
//!
//! | schedule | backward pass | placement | bubble, equal stages | in flight |
//! |---|---|---|---|---|
//! | GPipe (`gpipe`) | whole | linear | `(p-1)(F+B)` | `m` |
//! | 1F1B (`one_f_one_b`) | whole | linear | `(p-1)(F+B)` | `p-i` |
//! | interleaved 1F1B (`interleaved`) | whole | round robin | `(p-1)(F+B)/v` | `2(p-i-1)+(v-1)p+1` chunks |
//! | paired 1F1B (`interleaved`) | whole | round robin | `(p-1)(F+B)/v`, if `F&B = F+B` | one chunk more |
//! | ZB-H1, ZB-H2 (`zero_bubble`) | split | linear | `(p-1)(F+B-W)`, `(p-1)(F+B-2W)` | `p`, `2p-1` |
//! | ZB automatic: ZB-1p, ZB-2p | split | linear | least within the limit | the limit |
//! | ZB-V | split | V | `(p-1)(F+B-2W)/2` | `p` |
//! | DualPipe (`dualpipe`) | both | bidirectional | `(p/2-1)(F&B+B-3W)` | `p+1` |
//! | DualPipeV | both | V | `(p-1)(F&B+B-3W)` of a chunk | `2p+1` chunks |
//!
//! `B` is the whole backward pass where it is not split, else the input gradient. The tests play
//! every schedule and hold it to these forms.
//!
//! ```text
//! Schedule --placement--> Placement --orders(costs)--> Order of each stage --play--> Timeline
//! ```

mod costs;
mod dualpipe;
mod gpipe;
mod in_flight;
mod interleaved;
mod one_f_one_b;
mod placement;
mod play;
mod refusal;
mod step;
mod zero_bubble;

pub use costs::{ChunkCosts, Costs, StageCosts};
pub use in_flight::{InFlight, peak_in_flight};
pub use placement::{Placement, Position};
pub use play::{Played, Stuck, Timeline, play};
pub use refusal::{Refusal, Refused};
pub use step::{Order, Pass, Step, Turn, steps};

/// The order of passes in a pipeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// All forward passes, then all backward passes.
    GPipe,
    /// One forward, one backward, after a warm-up that fills the pipeline (`PipeDream`-Flush).
    OneFOneB,
    /// 1F1B over several model chunks a stage (Narayanan et al. 2021).
    Interleaved,
    /// The same with each forward pass of the steady state beside the backward pass that follows it;
    /// over one stage, or several chunks a stage.
    Paired,
    /// Weight gradients apart from input gradients, where there would be bubbles.
    ZeroBubble(ZeroBubble),
    /// Two copies of the model in opposite directions (DeepSeek-V3).
    DualPipe,
    /// One copy in the form of a V, `DualPipe` cut in half.
    DualPipeV,
}

/// A zero-bubble schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZeroBubble {
    /// Which one.
    pub order: ZeroBubbleOrder,
    /// How the stages agree on the optimizer step.
    pub optimizer_step: OptimizerStep,
}

impl ZeroBubble {
    fn is_vee(self) -> bool {
        matches!(self.order, ZeroBubbleOrder::V(_))
    }
}

/// The zero-bubble schedules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ZeroBubbleOrder {
    /// Handcrafted, no more memory than 1F1B.
    H1,
    /// Handcrafted, twice the memory.
    H2,
    /// Made for the stages' times within a limit: with one micro-batch for each stage ZB-1p, with
    /// two ZB-2p.
    Automatic(ActivationLimit),
    /// In the form of a V, made for the stages' times within a limit.
    V(ActivationLimit),
}

/// How much of activations a stage may hold under an automatic schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActivationLimit {
    /// So many micro-batches for each stage of the pipeline, each as large as it is on the stage.
    Stages(f64),
    /// What the memory of the stage's cards leaves.
    Available,
}

/// How the stages of a pipeline agree on the norm and on infinities in the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptimizerStep {
    /// All ranks of the pipeline meet before the step.
    Synchronous,
    /// Each stage steps on what the stages before it have found, and the outcome is checked in the
    /// next iteration's warm-up (Qi et al. 2024, section 4). An iteration begins on each stage as
    /// soon as the stage is done with the one before.
    PostValidation,
}

impl Schedule {
    /// How many model chunks each stage has; none if that is free.
    pub fn chunks(self) -> Option<u32> {
        match self {
            Self::Interleaved | Self::Paired => None,
            Self::DualPipe | Self::DualPipeV => Some(2),
            Self::ZeroBubble(zero_bubble) if zero_bubble.is_vee() => Some(2),
            Self::GPipe | Self::OneFOneB | Self::ZeroBubble(_) => Some(1),
        }
    }

    /// The placement on so many stages with so many chunks each.
    pub fn placement(self, stages: u32, chunks: u32) -> Placement {
        match self {
            Self::Interleaved | Self::Paired => Placement::round_robin(stages, chunks),
            Self::DualPipe => Placement::bidirectional(stages),
            Self::DualPipeV => Placement::vee(stages),
            Self::ZeroBubble(zero_bubble) if zero_bubble.is_vee() => Placement::vee(stages),
            Self::GPipe | Self::OneFOneB | Self::ZeroBubble(_) => Placement::linear(stages),
        }
    }

    /// How many virtual stages a micro-batch visits on its way through so many stages of so many
    /// chunks: the length of each route of [`Schedule::placement`], known without laying it out.
    pub fn virtual_stages(self, stages: u32, chunks: u32) -> u64 {
        let all = u64::from(stages) * u64::from(self.chunks().unwrap_or(chunks));
        match self {
            // The other half lies on the way back.
            Self::DualPipe => all / 2,
            _ => all,
        }
    }

    /// How the stages agree on the optimizer step.
    pub fn optimizer_step(self) -> OptimizerStep {
        match self {
            Self::ZeroBubble(zero_bubble) => zero_bubble.optimizer_step,
            _ => OptimizerStep::Synchronous,
        }
    }

    /// Whether the order depends on what passes take and hold.
    pub fn is_automatic(self) -> bool {
        self.activation_limit().is_some()
    }

    /// The limit of an automatic schedule.
    pub fn activation_limit(self) -> Option<ActivationLimit> {
        match self {
            Self::ZeroBubble(ZeroBubble {
                order: ZeroBubbleOrder::Automatic(limit) | ZeroBubbleOrder::V(limit),
                ..
            }) => Some(limit),
            _ => None,
        }
    }

    /// The orders of all stages, for `micro_batches` that the schedule does not refuse. `costs` is
    /// asked for by automatic schedules only.
    pub fn orders(
        self,
        placement: &Placement,
        micro_batches: u32,
        costs: impl FnOnce() -> Costs,
    ) -> Vec<Order> {
        let (stages, chunks) = (placement.stages(), placement.chunks());
        let each = |order: &dyn Fn(u32) -> Order| (0..stages).map(order).collect();
        match self {
            Self::GPipe => each(&|_| gpipe::order(micro_batches)),
            Self::OneFOneB => each(&|stage| one_f_one_b::order(stage, stages, micro_batches)),
            Self::Interleaved => {
                each(&|stage| interleaved::order(stage, stages, chunks, micro_batches))
            }
            Self::Paired => {
                each(&|stage| interleaved::paired(stage, stages, chunks, micro_batches))
            }
            Self::ZeroBubble(schedule) => {
                zero_bubble::orders(schedule, placement, micro_batches, costs)
            }
            Self::DualPipe => {
                each(&|stage| dualpipe::bidirectional(placement, stage, stages, micro_batches))
            }
            Self::DualPipeV => each(&|stage| dualpipe::vee(stage, stages, micro_batches)),
        }
    }

    /// What the field calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GPipe => "GPipe",
            Self::OneFOneB => "1F1B",
            Self::Interleaved => "interleaved 1F1B",
            Self::Paired => "paired 1F1B",
            Self::ZeroBubble(ZeroBubble { order, .. }) => match order {
                ZeroBubbleOrder::H1 => "ZB-H1",
                ZeroBubbleOrder::H2 => "ZB-H2",
                ZeroBubbleOrder::Automatic(ActivationLimit::Stages(1.0)) => "ZB-1p",
                ZeroBubbleOrder::Automatic(ActivationLimit::Stages(2.0)) => "ZB-2p",
                ZeroBubbleOrder::Automatic(_) => "automatic zero bubble",
                ZeroBubbleOrder::V(_) => "ZB-V",
            },
            Self::DualPipe => "DualPipe",
            Self::DualPipeV => "DualPipeV",
        }
    }
}
