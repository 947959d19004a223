//! What passes exchange with other ranks, and what it is called.

use motley_collectives::{CollectiveKind, Crossing};
use motley_job::{Slot, Stream};
use motley_workload::{ExchangeKind, InnerExchange, ProcessGroup, Spread};

use super::Builder;
use crate::lower::shape::{Routing, SlotUse};
use crate::lower::strand::{Piece, Request, call_number};
use crate::plan::Dispatch;

impl Builder<'_> {
    /// The call of an exchange in the middle of a block; none in a group of one.
    pub(super) fn inner(&mut self, exchange: InnerExchange) -> Option<(ProcessGroup, u16)> {
        let InnerExchange { group, kind, elements, .. } = exchange;
        if self.shape.degree(group) == 1 || elements <= 0.0 {
            return None;
        }
        let mut bytes = match (kind, self.shape.dispatch) {
            (ExchangeKind::Dispatch(_), Some(routing)) => elements * routing.element_bytes,
            _ => self.shape.bytes(elements),
        };
        let kind = match kind {
            ExchangeKind::AllGather => CollectiveKind::AllGather,
            ExchangeKind::ReduceScatter => CollectiveKind::ReduceScatter,
            ExchangeKind::AllReduce => CollectiveKind::AllReduce,
            ExchangeKind::AllToAll => CollectiveKind::AllToAll,
            ExchangeKind::Shift => CollectiveKind::Shift,
            ExchangeKind::Dispatch(spread) | ExchangeKind::Combine(spread) => {
                match self.shape.dispatch {
                    Some(Routing { nodes, ranks, dispatch: Dispatch::Forwarded, .. }) => {
                        // A copy for each rank instead of each expert.
                        let copies = spread.parts_met(f64::from(ranks));
                        bytes *= copies / f64::from(spread.top_k.max(1));
                        let crossing = crossing(spread, f64::from(nodes), copies);
                        match kind {
                            ExchangeKind::Dispatch(_) => CollectiveKind::Dispatch(crossing),
                            _ => CollectiveKind::Combine(crossing),
                        }
                    }
                    _ => CollectiveKind::AllToAll,
                }
            }
        };
        Some((group, self.call(group, kind, bytes)))
    }

    /// What lies before `layer`, or its gradient.
    pub(super) fn receive(&mut self, from: SlotUse, layer: u32) {
        let slot = self.slot(from);
        self.strand.push(Piece::Receive { name: self.names.receive, slot });
        // Each tensor rank receives its part of the activations (scatter/gather optimisation,
        // Narayanan et al. 2021, section 4.1); with sequence parallelism a part is all it needs.
        let shard = self.shape.shard;
        let parts = self.shape.scatter_gather && !shard.sequence_parallel;
        if shard.tensor_parallel > 1 && parts {
            let boundary = self.times.model().before(layer);
            let bytes = self.shape.boundary_bytes(boundary, self.times.training());
            let bytes = bytes / f64::from(shard.context_parallel);
            let group = ProcessGroup::Tensor;
            let call = self.call(group, CollectiveKind::AllGather, bytes);
            self.strand.push(Piece::Exchange { name: self.names.gather, group, call });
        }
    }

    pub(super) fn send(&mut self, to: SlotUse, stream: Stream) {
        let slot = self.slot(to);
        self.strand.push(Piece::Send { name: self.names.send, slot, stream });
    }

    /// Before what needs so many elements of the whole sequence under sequence parallelism: a
    /// column-parallel linear layer, or the backward pass of what puts out partial sums.
    pub(super) fn gather(&mut self, elements: f64) {
        if self.shape.shard.sequence_parallel {
            self.exchange(CollectiveKind::AllGather, elements);
        }
    }

    /// After a row-parallel linear layer: partial sums of so many elements are added up.
    pub(super) fn reduce(&mut self, elements: f64) {
        self.exchange(self.reduction(), elements);
    }

    /// How partial sums are added up.
    pub(super) fn reduction(&self) -> CollectiveKind {
        if self.shape.shard.sequence_parallel {
            CollectiveKind::ReduceScatter
        } else {
            CollectiveKind::AllReduce
        }
    }

    /// The vocabulary-parallel cross entropy exchanges three fp32 numbers a token: the maximum
    /// logit, the target's logit, and the sum of exponentials.
    pub(super) fn loss_exchange(&mut self) {
        let shard = self.shape.shard;
        if shard.tensor_parallel > 1 {
            let rows = self.times.model().head_rows(self.times.training()) as f64;
            let rows = rows / f64::from(shard.context_parallel);
            let bytes = 4.0 * (f64::from(shard.micro_batch_size) * rows);
            for _ in 0..3 {
                self.exchange_bytes(CollectiveKind::AllReduce, bytes);
            }
        }
    }

    /// A collective of the tensor-parallel group over so many elements; nothing for none, or in a
    /// group of one.
    pub(super) fn exchange(&mut self, kind: CollectiveKind, elements: f64) {
        if self.shape.shard.tensor_parallel > 1 && elements > 0.0 {
            self.exchange_bytes(kind, self.shape.bytes(elements));
        }
    }

    pub(super) fn exchange_bytes(&mut self, kind: CollectiveKind, bytes: f64) {
        let group = ProcessGroup::Tensor;
        let call = self.call(group, kind, bytes);
        self.strand.push(Piece::Exchange { name: self.names.group(group), group, call });
    }

    pub(super) fn begin_tensor(&mut self, kind: CollectiveKind, elements: f64) -> u16 {
        let group = ProcessGroup::Tensor;
        let call = self.call(group, kind, self.shape.bytes(elements));
        self.strand.begin(self.names.group(group), group, call)
    }

    pub(super) fn finish(&mut self, group: ProcessGroup, begun: u16) {
        self.strand.push(Piece::Finish { name: self.names.group(group), begun });
    }

    pub(super) fn call(&mut self, group: ProcessGroup, kind: CollectiveKind, bytes: f64) -> u16 {
        call_number(&mut self.calls[group as usize], Request { kind, bytes })
    }

    pub(super) fn slot(&self, wanted: SlotUse) -> Slot {
        let position = self.slots.iter().position(|&slot| slot == wanted);
        Slot(position.expect("a shape lists every slot that its program uses") as u16)
    }
}

/// Of the copies of tokens for ranks of other nodes, the share that crosses the network where each node
/// gets one of each token: `copies` is how many a token has in all, over all `nodes`.
fn crossing(spread: Spread, nodes: f64, copies: f64) -> Crossing {
    if nodes <= 1.0 {
        return Crossing::ALL;
    }
    // Each node is as likely to be met, so the sender's own takes its share of both.
    Crossing::new(spread.parts_met(nodes) / copies)
}
