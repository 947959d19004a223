//! From the layers of a stage to the strands of its passes: which kernels run, and where which process
//! group exchanges what.

mod exchanges;
mod host;
mod piecewise;

use std::collections::BTreeMap;
use std::rc::Rc;

use motley_collectives::{CollectiveKind, HostCopy};
use motley_job::NameId;
use motley_units::Time;
use motley_workload::{Exchange, Part, ProcessGroup, Recompute};

use super::gradients::{Item, part};
use super::launches::launches;
use super::names::{ChunkNames, Names, streams};
use super::shape::{ChunkShape, NormShape, SlotUse, StageShape};
use super::strand::{Piece, Request, Strand};
use crate::schedule::{Pass, Step};
use crate::times::{BlockTimes, CardKind, KernelTimes, PartTimes, RepeatTimes, recompute_of};

/// Bytes of the gradient norm's exchange: the sum of squares and the overflow flag.
pub(super) const NORM_BYTES: f64 = 8.0;

/// The strands of all passes of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Passes {
    /// By chunk: forward passes, whole backward passes, input gradients, weight gradients.
    strands: Vec<[Strand; 4]>,
    /// What the strands want of each process group, by call number.
    calls: [Vec<Request>; ProcessGroup::ALL.len()],
    /// What the strands copy to the host and back, bytes by call number.
    copies: [Vec<f64>; 2],
    /// The same of parameters that lie in the host's memory, and the call that brings each item.
    fetches: Vec<f64>,
    pub parameter_copies: BTreeMap<Item, u16>,
    /// What the host takes to launch sections of strands, by call number; none where it is never waited
    /// for.
    pub launches: Vec<Time>,
    /// What goes to the host before the optimizer steps there, and what comes back.
    pub step_copies: Option<[u16; 2]>,
    /// The call by which the group agrees on what it hands on about the gradient norm.
    pub norm_call: Option<u16>,
}

impl Passes {
    /// The passes of a stage of `shape` on cards of `kind`.
    pub(super) fn new(
        shape: &StageShape,
        kind: CardKind,
        times: &KernelTimes,
        names: &Names,
    ) -> Self {
        let mut builder = Builder {
            shape,
            kind,
            times,
            names,
            own: names.chunk(0),
            slots: shape.slots(),
            strand: Strand::default(),
            calls: Default::default(),
            copies: Default::default(),
        };
        let mut strands = Vec::with_capacity(shape.chunks.len());
        for chunk in 0..shape.chunks.len() as u32 {
            builder.own = names.chunk(chunk);
            strands.push([
                builder.forward(chunk),
                builder.backward(chunk, Scope::Whole),
                builder.backward(chunk, Scope::InputGradient),
                builder.weight_gradient(chunk),
            ]);
        }
        let hands_on =
            matches!(shape.norm, NormShape::Chain { .. }) && shape.shard.tensor_parallel > 1;
        let norm_call = hands_on
            .then(|| builder.call(ProcessGroup::Tensor, CollectiveKind::AllReduce, NORM_BYTES));
        let (fetches, parameter_copies) = builder.parameter_copies();
        let step_copies = shape.offload.optimizer.then(|| builder.step_copies());
        let launches = launches(&mut strands, shape.is_alone(), times.call());
        Self {
            strands,
            calls: builder.calls,
            copies: builder.copies,
            fetches,
            parameter_copies,
            launches,
            step_copies,
            norm_call,
        }
    }

    /// What the rank copies between card and host, bytes by call number.
    pub(super) fn copies(&self, direction: HostCopy) -> &[f64] {
        &self.copies[direction as usize]
    }

    /// What the strands want of a process group, by call number.
    pub(super) fn calls(&self, group: ProcessGroup) -> &[Request] {
        &self.calls[group as usize]
    }

    /// The parameters that the rank copies from its host, bytes by call number.
    pub(super) fn fetches(&self) -> &[f64] {
        &self.fetches
    }

    /// The strand of a step.
    pub(super) fn strand(&self, step: Step) -> &Strand {
        let pass = match step.pass {
            Pass::Forward => 0,
            Pass::Backward => 1,
            Pass::InputGradient => 2,
            Pass::WeightGradient => 3,
        };
        &self.strands[step.chunk as usize][pass]
    }
}

/// What a backward pass computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All.
    Whole,
    /// All but the weight gradients of linear layers.
    InputGradient,
}

struct Builder<'a> {
    shape: &'a StageShape,
    kind: CardKind,
    times: &'a KernelTimes<'a>,
    names: &'a Names,
    /// Names of the chunk under construction.
    own: ChunkNames,
    slots: Vec<SlotUse>,
    /// The strand under construction.
    strand: Strand,
    calls: [Vec<Request>; ProcessGroup::ALL.len()],
    copies: [Vec<f64>; 2],
}

impl<'a> Builder<'a> {
    fn part(&self, part: Part) -> Rc<PartTimes> {
        self.times.part(self.kind, self.shape.shard, part)
    }

    /// The items of a chunk with what they are, in the order of its backward pass.
    fn items(&self, chunk: ChunkShape) -> impl DoubleEndedIterator<Item = (Item, Part)> + use<'a> {
        let model = self.times.model();
        chunk.items(model.layer_count()).map(|item| (item, part(model, item)))
    }

    fn forward(&mut self, index: u32) -> Strand {
        let chunk = self.shape.chunks[index as usize];
        if chunk.receives {
            self.receive(SlotUse::ForwardIn(index), chunk.layers().start);
        }
        self.strand.push(Piece::Launch { call: 0 });
        for (item, part) in self.items(chunk).rev() {
            if part == Part::Head {
                self.strand.push(Piece::Launched);
            }
            if self.shape.gathers_forward() {
                self.strand.push(Piece::Parameters(item));
            }
            self.part_forward(part, self.own.forward);
            if let Some(bytes) = self.offloaded(part) {
                let call = self.copy_call(HostCopy::ToHost, bytes);
                self.strand.push(Piece::Copy { direction: HostCopy::ToHost, call });
            }
        }
        if chunk.head && self.part(Part::Head).exchanges {
            self.loss_exchange();
        }
        self.strand.push(Piece::Launched);
        if chunk.sends {
            self.send(SlotUse::ForwardOut(index), streams::FORWARD);
        }
        std::mem::take(&mut self.strand)
    }

    fn part_forward(&mut self, part: Part, name: NameId) {
        for block in &self.part(part).blocks {
            let (gathered, reduced) = (block.exchange.gathered, block.exchange.reduced);
            self.piecewise(name, &block.forward, Scope::Whole, [gathered, reduced]);
        }
    }

    fn backward(&mut self, index: u32, scope: Scope) -> Strand {
        let chunk = self.shape.chunks[index as usize];
        // What comes back from the host is fetched one layer ahead.
        let offloaded: Vec<f64> =
            self.items(chunk).filter_map(|(_, part)| self.offloaded(part)).collect();
        let mut fetched = offloaded.into_iter();
        self.fetch(fetched.next());
        if chunk.sends {
            self.receive(SlotUse::BackwardIn(index), chunk.layers().end);
        }
        self.strand.push(Piece::Launch { call: 0 });
        for (item, part) in self.items(chunk) {
            if self.offloaded(part).is_some() {
                self.fetch(fetched.next());
                self.strand.push(Piece::Copied);
            }
            if self.shape.gathers_backward() {
                self.strand.push(Piece::Parameters(item));
            }
            self.part_backward(part, scope);
            // The embedding leaves nothing to a pass of weight gradients.
            if scope == Scope::Whole || part == Part::Embedding {
                self.strand.push(Piece::Gradients(item));
            }
        }
        self.strand.push(Piece::Launched);
        if chunk.receives {
            self.send(SlotUse::BackwardOut(index), streams::BACKWARD);
        }
        std::mem::take(&mut self.strand)
    }

    fn part_backward(&mut self, part: Part, scope: Scope) {
        let again = self.own.recompute;
        let recompute = recompute_of(part, self.shape.recompute);
        if recompute == Recompute::Full {
            self.part_forward(part, again);
        }
        for block in self.part(part).blocks.iter().rev() {
            for RepeatTimes { repeat, pass } in block.repeats(recompute) {
                let Exchange { gathered, reduced } = repeat.exchange;
                self.piecewise(again, pass, Scope::Whole, [gathered, reduced]);
            }
            self.block_backward(block, scope);
        }
    }

    /// The backward pass of a block with its tensor-parallel exchange. With sequence parallelism
    /// the output gradient is gathered first, the kept input is gathered again for the weight
    /// gradient while the input gradient is computed, and the input gradient is reduce-scattered;
    /// without, it is all-reduced. Without weight gradients there is nothing to gather the input
    /// for, and nothing to run beside the reduction.
    fn block_backward(&mut self, block: &BlockTimes, scope: Scope) {
        let time = &block.backward;
        let (name, weight) = (self.own.backward, self.own.weight_gradient);
        let (input, output) = (block.exchange.gathered, block.exchange.reduced);
        if scope == Scope::InputGradient {
            self.piecewise(self.own.input_gradient, time, scope, [output, input]);
            return;
        }
        if self.shape.shard.tensor_parallel == 1 || input == 0.0 {
            self.piecewise(name, time, scope, [output, 0.0]);
            self.strand.compute(name, time.first_weight);
            return;
        }
        if !self.shape.overlap_weight_gradient {
            self.piecewise(name, time, scope, [output, 0.0]);
            self.gather(input);
            self.reduce(input);
            self.strand.compute(weight, time.first_weight);
            return;
        }
        let again = self.shape.shard.sequence_parallel;
        let gathered = if self.cuts(output, time.ends[0]) {
            // The input waits behind what the first product needs.
            self.gathered_piecewise(name, time, scope, output);
            again.then(|| self.begin_tensor(CollectiveKind::AllGather, input))
        } else {
            self.gather(output);
            let gathered = again.then(|| self.begin_tensor(CollectiveKind::AllGather, input));
            self.pieces(name, &time.pieces, scope);
            gathered
        };
        let reduced = self.begin_tensor(self.reduction(), input);
        if let Some(gathered) = gathered {
            self.finish(ProcessGroup::Tensor, gathered);
        }
        self.strand.compute(weight, time.first_weight);
        self.finish(ProcessGroup::Tensor, reduced);
    }

    /// The weight gradients of a chunk, in the order in which the input gradients let go of them.
    fn weight_gradient(&mut self, index: u32) -> Strand {
        let chunk = self.shape.chunks[index as usize];
        self.strand.push(Piece::Launch { call: 0 });
        for (item, part) in self.items(chunk).filter(|&(_, part)| part != Part::Embedding) {
            self.part_weights(part);
            self.strand.push(Piece::Gradients(item));
        }
        self.strand.push(Piece::Launched);
        std::mem::take(&mut self.strand)
    }

    /// The weight gradients of a part. With sequence parallelism the input of a block's first linear
    /// layer is gathered while the others are computed.
    fn part_weights(&mut self, part: Part) {
        let name = self.own.weight_gradient;
        for block in self.part(part).blocks.iter().rev() {
            let (time, input) = (&block.backward, block.exchange.gathered);
            let shard = self.shape.shard;
            if shard.tensor_parallel > 1 && shard.sequence_parallel && input > 0.0 {
                let gathered = self.begin_tensor(CollectiveKind::AllGather, input);
                self.strand.compute(name, time.inner_weights());
                self.finish(ProcessGroup::Tensor, gathered);
                self.strand.compute(name, time.first_weight);
            } else {
                self.strand.compute(name, time.weights());
            }
        }
    }
}
