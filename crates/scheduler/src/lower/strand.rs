//! Strands: the work of one pass through one model chunk, before it is put into a program.
//!
//! A pass is the same for every micro-batch, so its strand is made once and entered into the
//! program as often as the schedule says. A strand is a straight list of pieces; it says where it
//! waits for a process group, so that something else can run there.

use motley_collectives::{CollectiveKind, HostCopy};
use motley_job::{NameId, Slot, Stream};
use motley_workload::ProcessGroup;

use super::gradients::Item;
use crate::times::KernelRun;

/// A collective that a program wants of a process group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Request {
    pub kind: CollectiveKind,
    /// Its size, as nccl-tests counts: of the full buffer, of what one rank sends.
    pub bytes: f64,
}

/// The number of a call among those that a rank makes of one communicator, entered at its first use.
pub(super) fn call_number<T: PartialEq>(calls: &mut Vec<T>, call: T) -> u16 {
    let known = calls.iter().position(|other| *other == call);
    known.unwrap_or_else(|| {
        calls.push(call);
        calls.len() - 1
    }) as u16
}

/// One piece of a strand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece {
    /// Kernels.
    Compute { name: NameId, run: KernelRun },
    /// A call of a process group; what follows needs its result.
    Exchange { name: NameId, group: ProcessGroup, call: u16 },
    /// A call of a process group that runs beside what follows.
    Begin { name: NameId, group: ProcessGroup, call: u16 },
    /// What follows needs the result of the strand's `begun`-th [`Piece::Begin`].
    Finish { name: NameId, begun: u16 },
    /// What the neighbouring virtual stage sends.
    Receive { name: NameId, slot: Slot },
    /// To the neighbouring virtual stage.
    Send { name: NameId, slot: Slot, stream: Stream },
    /// A copy between card and host, of so many bytes by the number of its call, runs beside what
    /// follows.
    Copy { direction: HostCopy, call: u16 },
    /// What follows needs the first copy to the card that has not been waited for.
    Copied,
    /// The host begins to launch a section of the strand, in what the call of this number takes.
    Launch { call: u16 },
    /// The host has launched the first section for which that has not been waited.
    Launched,
    /// What follows needs the parameters of an item.
    Parameters(Item),
    /// This micro-batch's gradients of an item's parameters are there.
    Gradients(Item),
}

/// The pieces of one pass through one model chunk, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Strand {
    pub pieces: Vec<Piece>,
}

impl Strand {
    /// Appends kernels; runs of one name that follow each other become one.
    pub(super) fn compute(&mut self, name: NameId, run: KernelRun) {
        if run.kernels == 0 {
            return;
        }
        if let Some(Piece::Compute { name: last, run: before }) = self.pieces.last_mut()
            && *last == name
        {
            *before = before.then(run);
            return;
        }
        self.pieces.push(Piece::Compute { name, run });
    }

    /// Appends any other piece.
    pub(super) fn push(&mut self, piece: Piece) {
        self.pieces.push(piece);
    }

    /// Begins a call beside what follows; returns which it is, to finish it by.
    pub(super) fn begin(&mut self, name: NameId, group: ProcessGroup, call: u16) -> u16 {
        let begun = self.pieces.iter().filter(|piece| matches!(piece, Piece::Begin { .. })).count();
        self.pieces.push(Piece::Begin { name, group, call });
        begun as u16
    }
}
