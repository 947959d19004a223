//! Context parallelism: how the tokens on a rank meet those of the same sequences on other ranks.
//!
//! Everything but attention works on a rank's own tokens. Parts of sequences are chosen so that all
//! ranks see equally many scores under a causal mask (each rank has a part from the beginning and its
//! counterpart from the end), so every step of a ring and every rank's kernel has an equal share.

use super::core::Core;
use super::piece::Piece;
use super::rows::Rows;
use super::{ExchangeKind, ProcessGroup};
use crate::{ContextExchange, Pass};

/// How many ranks share a sequence, and what they exchange for attention.
#[derive(Clone, Copy)]
pub(super) struct Context {
    degree: u64,
    exchange: ContextExchange,
}

impl Context {
    pub(super) fn of(rows: &Rows) -> Self {
        let degree = u64::from(rows.shard.context_parallel.max(1));
        Self { degree, exchange: rows.shard.context_exchange }
    }

    /// Of so many heads, those whose scores this rank computes.
    pub(super) fn heads(self, heads: u64) -> u64 {
        match self.exchange {
            ContextExchange::AllToAll => heads.div_ceil(self.degree),
            ContextExchange::Ring | ContextExchange::AllGather => heads,
        }
    }

    /// Tokens of a sequence that ask on this rank.
    pub(super) fn queries(self, rows: &Rows) -> u64 {
        match self.exchange {
            ContextExchange::AllToAll => rows.sequence,
            ContextExchange::Ring | ContextExchange::AllGather => rows.part,
        }
    }

    /// Kernels into which attention is cut.
    pub(super) fn steps(self) -> u64 {
        match self.exchange {
            ContextExchange::Ring => self.degree,
            ContextExchange::AllGather | ContextExchange::AllToAll => 1,
        }
    }

    /// What is exchanged before the core of a pass.
    pub(super) fn before(self, core: &Core, piece: &mut Piece, pass: Pass) {
        if self.degree == 1 {
            return;
        }
        let [queries, keys_values, outputs] = core.own_elements();
        match (self.exchange, pass) {
            (ContextExchange::Ring, _) => {}
            (ContextExchange::AllGather, _) => {
                let all = keys_values * self.degree as f64;
                piece.exchange(pass, ProcessGroup::Context, ExchangeKind::AllGather, all);
            }
            (ContextExchange::AllToAll, Pass::Forward) => {
                Self::trade(piece, pass, queries + keys_values);
            }
            (ContextExchange::AllToAll, Pass::Backward) => Self::trade(piece, pass, outputs),
        }
    }

    /// What is exchanged after the core of a pass.
    pub(super) fn after(self, core: &Core, piece: &mut Piece, pass: Pass) {
        if self.degree == 1 {
            return;
        }
        let [queries, keys_values, outputs] = core.own_elements();
        match (self.exchange, pass) {
            (ContextExchange::Ring | ContextExchange::AllGather, Pass::Forward) => {}
            // The gradients of a rank's own keys and values come home.
            (ContextExchange::Ring, Pass::Backward) => {
                piece.exchange(pass, ProcessGroup::Context, ExchangeKind::Shift, keys_values);
            }
            (ContextExchange::AllGather, Pass::Backward) => {
                let all = keys_values * self.degree as f64;
                piece.exchange(pass, ProcessGroup::Context, ExchangeKind::ReduceScatter, all);
            }
            (ContextExchange::AllToAll, Pass::Forward) => Self::trade(piece, pass, outputs),
            (ContextExchange::AllToAll, Pass::Backward) => {
                Self::trade(piece, pass, queries + keys_values);
            }
        }
    }

    /// What travels beside a step of the ring: keys and values, and in the backward pass their
    /// gradients so far. Returns which exchange it is.
    pub(super) fn step(core: &Core, piece: &mut Piece, pass: Pass) -> usize {
        let [_, keys_values, _] = core.own_elements();
        let times = match pass {
            Pass::Forward => 1.0,
            Pass::Backward => 2.0,
        };
        piece.begin(pass, ProcessGroup::Context, ExchangeKind::Shift, times * keys_values)
    }

    fn trade(piece: &mut Piece, pass: Pass, elements: f64) {
        piece.exchange(pass, ProcessGroup::Context, ExchangeKind::AllToAll, elements);
    }
}
