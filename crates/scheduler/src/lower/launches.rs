//! Where a pass waits for the host that launches its kernels.
//!
//! The host runs ahead of the card while kernels are long, also beyond the end of a pass, and the card
//! waits for it where they are short. Between two points at which they wait for each other the card is
//! therefore done when both are. That is an exchange of the card with nobody: what the host takes to
//! launch a section of a pass runs beside the section's kernels, on a stream of its own, and is waited
//! for at its end.
//!
//! Two sections for a forward pass, one before the head: the head's kernels are few and long, so that
//! what the host loses before them is not made up for.

use motley_units::Time;

use super::strand::{Piece, Strand, call_number};

/// Finds out what the host takes for each section of the strands: by call number, which it enters.
/// Where a card cannot come to wait for it, nothing stands in a strand.
///
/// Where a stage hears of no other, the host launches all passes of an iteration one after the other.
/// Elsewhere it waits for what a pass receives or sends before it goes on, as Megatron-LM
/// does (`torch.cuda.synchronize()` behind `batch_isend_irecv`): each pass is by itself.
pub(super) fn launches(strands: &mut [[Strand; 4]], alone: bool, call: Time) -> Vec<Time> {
    let mut calls = Vec::new();
    let waits = |strand: &Strand| {
        let (mut card, mut host) = (Time::ZERO, Time::ZERO);
        strand.pieces.iter().any(|piece| {
            host += launched(piece, call);
            if let Piece::Compute { run, .. } = piece {
                card += run.time;
            }
            *piece == Piece::Launched && host > card
        })
    };
    let any = strands.iter().flatten().any(waits);
    for strand in strands.iter_mut().flatten() {
        if any && (alone || waits(strand)) {
            price(strand, call, &mut calls);
        } else {
            strand.pieces.retain(|piece| !matches!(piece, Piece::Launch { .. } | Piece::Launched));
        }
    }
    calls
}

/// What the host takes for a piece.
fn launched(piece: &Piece, call: Time) -> Time {
    match piece {
        Piece::Compute { run, .. } => run.host,
        Piece::Exchange { .. } | Piece::Begin { .. } | Piece::Parameters(_) => call,
        _ => Time::ZERO,
    }
}

/// Enters a call for each section, all where the first begins.
fn price(strand: &mut Strand, call: Time, calls: &mut Vec<Time>) {
    let mut sections = Vec::new();
    let mut host = Time::ZERO;
    for piece in &strand.pieces {
        host += launched(piece, call);
        if *piece == Piece::Launched {
            sections.push(Piece::Launch { call: call_number(calls, host) });
            host = Time::ZERO;
        }
    }
    let begin = |piece: &Piece| matches!(piece, Piece::Launch { .. });
    if let Some(first) = strand.pieces.iter().position(begin) {
        strand.pieces.splice(first..=first, sections);
    }
}
