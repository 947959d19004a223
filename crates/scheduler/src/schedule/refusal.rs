//! What a schedule cannot run.

use super::Schedule;

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The number of stages.
    Stages,
    /// The number of model chunks of a stage.
    Chunks,
    /// The number of micro-batches.
    MicroBatches,
}

/// Why a schedule cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about.
    pub about: Refused,
    /// What was found and what was expected.
    pub message: String,
    /// What would help.
    pub help: &'static str,
}

impl Schedule {
    /// The fewest micro-batches that the schedule runs over so many stages of so many chunks, and
    /// what their number must be a multiple of.
    pub fn micro_batches(self, stages: u32, chunks: u32) -> (u32, u32) {
        match self {
            Self::Interleaved | Self::Paired if chunks > 1 => (1, stages),
            Self::DualPipe => (stages.saturating_mul(2), 2),
            Self::DualPipeV => (stages.saturating_mul(2), 1),
            Self::GPipe
            | Self::OneFOneB
            | Self::Interleaved
            | Self::Paired
            | Self::ZeroBubble(_) => (1, 1),
        }
    }

    /// Why the schedule cannot run so many micro-batches over so many stages of so many chunks,
    /// none of which is zero; empty if it can.
    pub fn refusals(self, stages: u32, chunks: u32, micro_batches: u32) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |about, message, help| refusals.push(Refusal { about, message, help });
        if let Some(expected) = self.chunks().filter(|&expected| expected != chunks) {
            refuse(
                Refused::Chunks,
                format!("{chunks} model chunks, but {} takes {expected} a stage", self.name()),
                match self {
                    Self::DualPipe => {
                        "give each stage two ranges of layers: one for each direction"
                    }
                    _ if expected == 2 => {
                        "give each stage two ranges of layers: one on the way down the V, one on \
                         the way up"
                    }
                    _ => "set the schedule to Interleaved, or give each stage one range of layers",
                },
            );
            return refusals;
        }
        if matches!(self, Self::Interleaved | Self::Paired) && chunks > 1 && stages < 2 {
            refuse(
                Refused::Stages,
                "interleaving needs at least two stages".to_owned(),
                if self == Self::Paired { "set chunks to 1" } else { "use OneFOneB" },
            );
        }
        if self == Self::Paired && chunks == 1 && stages > 1 {
            refuse(
                Refused::Chunks,
                format!("paired 1F1B over {stages} stages needs several chunks of each"),
                "with one chunk a stage would wait for the next between any two pairs; give each \
                 stage several ranges of layers, or use OneFOneB",
            );
        }
        if self == Self::DualPipe && !stages.is_multiple_of(2) {
            refuse(
                Refused::Stages,
                format!("DualPipe needs an even number of stages, found {stages}"),
                "its two directions meet between the two stages in the middle; use DualPipeV for \
                 an odd number",
            );
        }
        let (least, step) = self.micro_batches(stages, chunks);
        if !micro_batches.is_multiple_of(step) {
            let (message, help) = match self {
                Self::DualPipe => (
                    format!(
                        "DualPipe needs an even number of micro-batches, found {micro_batches}"
                    ),
                    "half of them go in each direction",
                ),
                _ => (
                    format!(
                        "the interleaved schedule needs a multiple of the {stages} stages, found \
                         {micro_batches} micro-batches"
                    ),
                    "micro-batches go through the chunks in groups of as many as there are \
                     stages; change global_batch or the split of micro-batches",
                ),
            };
            refuse(Refused::MicroBatches, message, help);
        }
        if micro_batches < least {
            refuse(
                Refused::MicroBatches,
                format!(
                    "{} over {stages} stages needs at least {least} micro-batches, found \
                     {micro_batches}",
                    self.name()
                ),
                "the warm-up of its first stage alone takes so many",
            );
        }
        refusals
    }
}
