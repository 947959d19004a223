//! Where a program is in a pass, while it is written.

use motley_job::NameId;
use motley_workload::ProcessGroup;

use super::strand::{Piece, Strand};
use crate::schedule::{Pass, Step, Turn, steps};

/// By chunk, the last step that contributes to the gradients of what the input gradient computes
/// (the embedding), and of what the weight gradients compute.
pub(super) struct LastContributions {
    input: Vec<Option<Step>>,
    weight: Vec<Option<Step>>,
}

impl LastContributions {
    pub(super) fn of(order: &[Turn], chunks: usize) -> Self {
        let mut last = Self { input: vec![None; chunks], weight: vec![None; chunks] };
        for step in steps(order) {
            let chunk = step.chunk as usize;
            if matches!(step.pass, Pass::Backward | Pass::InputGradient) {
                last.input[chunk] = Some(step);
            }
            if matches!(step.pass, Pass::Backward | Pass::WeightGradient) {
                last.weight[chunk] = Some(step);
            }
        }
        last
    }

    /// Whether a step contributes last to the gradients that its pass computes.
    fn is(&self, step: Step) -> bool {
        let last = match step.pass {
            Pass::InputGradient => &self.input,
            _ => &self.weight,
        };
        last[step.chunk as usize] == Some(step)
    }
}

/// A call of a process group: the so-many-th of the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instance {
    pub group: ProcessGroup,
    pub sequence: u32,
}

/// A walk through a strand.
pub(super) struct Walk<'a> {
    pub pieces: &'a [Piece],
    /// The micro-batch, for tags.
    pub index: u16,
    /// The how-many-th of its route it is.
    pub sequence: u32,
    /// The gradients of the pass are complete with it.
    pub completes: bool,
    /// The pass sends after what the pass behind it receives.
    pub sends_late: bool,
    /// What the strand has begun.
    pub begun: Vec<Instance>,
    /// Sections that the host launches, and how many of them have been waited for.
    pub launches: Vec<u32>,
    pub launched: usize,
    /// What the strand waits for before it goes on.
    pub pending: Option<(NameId, Instance)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        strand: &'a Strand,
        step: Step,
        routes: u32,
        last: &LastContributions,
    ) -> Self {
        Self {
            pieces: &strand.pieces,
            index: step.micro_batch as u16,
            sequence: step.micro_batch / routes,
            completes: last.is(step),
            sends_late: false,
            begun: Vec::new(),
            launches: Vec::new(),
            launched: 0,
            pending: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.pieces.is_empty() && self.pending.is_none()
    }
}
