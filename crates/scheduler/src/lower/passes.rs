//! From the layers of a stage to the strands of its passes: which kernels run, and where which process
//! group exchanges what.

use std::collections::BTreeMap;
use std::rc::Rc;

use motley_collectives::{CollectiveKind, Crossing, HostCopy};
use motley_job::{NameId, Slot, Stream};
use motley_units::Time;
use motley_workload::{ExchangeKind, InnerExchange, Part, ProcessGroup, Recompute, Spread};

use super::gradients::{Item, part};
use super::launches::launches;
use super::names::{ChunkNames, Names, streams};
use super::shape::{ChunkShape, NormShape, Routing, SlotUse, StageShape};
use super::strand::{Piece, Request, Strand};
use crate::plan::Dispatch;
use crate::schedule::{Pass, Step};
use crate::times::{
    BlockPass, BlockPiece, BlockTimes, CardKind, CutProduct, KernelTimes, PartTimes, recompute_of,
};

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
        if chunk.head {
            self.loss_exchange();
        }
        self.strand.push(Piece::Launched);
        if chunk.sends {
            self.send(SlotUse::ForwardOut(index), streams::FORWARD);
        }
        std::mem::take(&mut self.strand)
    }

    /// Bytes that a part keeps in the host's memory from its forward to its backward pass.
    fn offloaded(&self, part: Part) -> Option<f64> {
        let layer = matches!(part, Part::Layer(_)) && self.shape.offload.activations;
        layer.then(|| self.part(part).activations.bytes(self.shape.recompute).0)
    }

    fn fetch(&mut self, bytes: Option<f64>) {
        if let Some(bytes) = bytes {
            let call = self.copy_call(HostCopy::ToCard, bytes);
            self.strand.push(Piece::Copy { direction: HostCopy::ToCard, call });
        }
    }

    /// The copies that bring the parameters of each item: bytes by call number, calls by item.
    fn parameter_copies(&self) -> (Vec<f64>, BTreeMap<Item, u16>) {
        let (mut bytes, mut copies) = (Vec::new(), BTreeMap::new());
        if !self.shape.offload.parameters {
            return (bytes, copies);
        }
        let (model, training) = (self.times.model(), self.times.training());
        let element = f64::from(self.times.path(self.kind).precision.element_bytes());
        for chunk in &self.shape.chunks {
            for (item, part) in self.items(*chunk) {
                let held = model.held_parameters(part, training).per_rank(&self.shape.shard);
                let own = held * self.shape.states.own_share;
                copies.insert(item, call_of(&mut bytes, element * own));
            }
        }
        (bytes, copies)
    }

    /// Gradients to the host; parameters back, unless they stay there.
    fn step_copies(&mut self) -> [u16; 2] {
        let stepped = self.shape.states.stepped;
        let gradients = f64::from(self.times.training().gradient_bytes) * stepped;
        let element = f64::from(self.times.path(self.kind).precision.element_bytes());
        let back = if self.shape.offload.parameters { 0.0 } else { element * stepped };
        [self.copy_call(HostCopy::ToHost, gradients), self.copy_call(HostCopy::ToCard, back)]
    }

    fn copy_call(&mut self, direction: HostCopy, bytes: f64) -> u16 {
        call_of(&mut self.copies[direction as usize], bytes)
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
            if recompute == Recompute::Selective {
                self.strand.compute(again, block.recomputed);
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

    /// Whether what is exchanged at an end of a pass travels beside the product there, piece by piece.
    fn cuts(&self, elements: f64, product: Option<CutProduct>) -> bool {
        self.shape.overlap_tensor && elements > 0.0 && product.is_some()
    }

    /// A pass through a block between what is gathered before it and added up after it.
    ///
    /// Where these overlap with the products that read and write them, a rank begins with its own
    /// piece, and with the others as they come; what is added up leaves piece by piece (user buffers
    /// in Transformer Engine, `--tp-comm-overlap`). The last piece's product comes after the gather,
    /// the first one's before the reduction.
    fn piecewise(
        &mut self,
        name: NameId,
        pass: &BlockPass,
        scope: Scope,
        [gathered, reduced]: [f64; 2],
    ) {
        let [first, last] = pass.ends;
        let (cuts_first, cuts_last) = (self.cuts(gathered, first), self.cuts(reduced, last));
        let reduced_piecewise = last.filter(|_| cuts_last);
        let pieces = without(&pass.pieces, reduced_piecewise, End::Last);
        if cuts_first {
            let pass = BlockPass { pieces, ..pass.clone() };
            self.gathered_piecewise(name, &pass, scope, gathered);
        } else {
            self.gather(gathered);
            self.pieces(name, &pieces, scope);
        }
        match reduced_piecewise {
            None => self.reduce(reduced),
            Some(product) => {
                let pieces = self.shape.shard.tensor_parallel;
                self.strand.compute(name, product.times(1));
                let begun = self.begin_tensor(self.reduction(), reduced);
                self.strand.compute(name, product.times(pieces - 1));
                self.finish(ProcessGroup::Tensor, begun);
            }
        }
    }

    /// A pass whose first product is computed piece by piece while its operand is gathered.
    fn gathered_piecewise(&mut self, name: NameId, pass: &BlockPass, scope: Scope, gathered: f64) {
        let Some(product) = pass.ends[0] else { return };
        let pieces = self.shape.shard.tensor_parallel;
        let begun = self.begin_tensor(CollectiveKind::AllGather, gathered);
        self.strand.compute(name, product.times(pieces - 1));
        self.finish(ProcessGroup::Tensor, begun);
        self.strand.compute(name, product.times(1));
        self.pieces(name, &without(&pass.pieces, Some(product), End::First), scope);
    }

    /// The kernels of a pass through a block, with what is exchanged in the middle of it.
    fn pieces(&mut self, name: NameId, pieces: &[BlockPiece], scope: Scope) {
        let mut begun = Vec::new();
        for piece in pieces {
            match *piece {
                BlockPiece::Run { main, weights } => {
                    self.strand.compute(name, main);
                    if scope == Scope::Whole {
                        self.strand.compute(name, weights);
                    }
                }
                BlockPiece::Exchange(exchange) => {
                    if let Some((group, call)) = self.inner(exchange) {
                        let name = self.names.group(group);
                        self.strand.push(Piece::Exchange { name, group, call });
                    }
                }
                BlockPiece::Begin(exchange) => {
                    begun.push(self.inner(exchange).map(|(group, call)| {
                        (group, self.strand.begin(self.names.group(group), group, call))
                    }));
                }
                BlockPiece::Finish(which) => {
                    if let Some((group, begun)) = begun[usize::from(which)] {
                        self.finish(group, begun);
                    }
                }
            }
        }
    }

    /// The call of an exchange in the middle of a block; none in a group of one.
    fn inner(&mut self, exchange: InnerExchange) -> Option<(ProcessGroup, u16)> {
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

    /// What lies before `layer`, or its gradient.
    fn receive(&mut self, from: SlotUse, layer: u32) {
        let slot = self.slot(from);
        self.strand.push(Piece::Receive { name: self.names.receive, slot });
        // Each tensor rank receives its part of the activations (scatter/gather optimisation,
        // Narayanan et al. 2021, section 4.1); with sequence parallelism a part is all it needs.
        let shard = self.shape.shard;
        if shard.tensor_parallel > 1 && !shard.sequence_parallel {
            let boundary = self.times.model().before(layer);
            let bytes = self.shape.boundary_bytes(boundary, self.times.training());
            let bytes = bytes / f64::from(shard.context_parallel);
            let group = ProcessGroup::Tensor;
            let call = self.call(group, CollectiveKind::AllGather, bytes);
            self.strand.push(Piece::Exchange { name: self.names.gather, group, call });
        }
    }

    fn send(&mut self, to: SlotUse, stream: Stream) {
        let slot = self.slot(to);
        self.strand.push(Piece::Send { name: self.names.send, slot, stream });
    }

    /// Before what needs so many elements of the whole sequence under sequence parallelism: a
    /// column-parallel linear layer, or the backward pass of what puts out partial sums.
    fn gather(&mut self, elements: f64) {
        if self.shape.shard.sequence_parallel {
            self.exchange(CollectiveKind::AllGather, elements);
        }
    }

    /// After a row-parallel linear layer: partial sums of so many elements are added up.
    fn reduce(&mut self, elements: f64) {
        self.exchange(self.reduction(), elements);
    }

    /// How partial sums are added up.
    fn reduction(&self) -> CollectiveKind {
        if self.shape.shard.sequence_parallel {
            CollectiveKind::ReduceScatter
        } else {
            CollectiveKind::AllReduce
        }
    }

    /// The vocabulary-parallel cross entropy exchanges three fp32 numbers a token: the maximum
    /// logit, the target's logit, and the sum of exponentials.
    fn loss_exchange(&mut self) {
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
    fn exchange(&mut self, kind: CollectiveKind, elements: f64) {
        if self.shape.shard.tensor_parallel > 1 && elements > 0.0 {
            self.exchange_bytes(kind, self.shape.bytes(elements));
        }
    }

    fn exchange_bytes(&mut self, kind: CollectiveKind, bytes: f64) {
        let group = ProcessGroup::Tensor;
        let call = self.call(group, kind, bytes);
        self.strand.push(Piece::Exchange { name: self.names.group(group), group, call });
    }

    fn begin_tensor(&mut self, kind: CollectiveKind, elements: f64) -> u16 {
        let group = ProcessGroup::Tensor;
        let call = self.call(group, kind, self.shape.bytes(elements));
        self.strand.begin(self.names.group(group), group, call)
    }

    fn finish(&mut self, group: ProcessGroup, begun: u16) {
        self.strand.push(Piece::Finish { name: self.names.group(group), begun });
    }

    fn call(&mut self, group: ProcessGroup, kind: CollectiveKind, bytes: f64) -> u16 {
        let request = Request { kind, bytes };
        let calls = &mut self.calls[group as usize];
        let known = calls.iter().position(|&other| other == request);
        known.unwrap_or_else(|| {
            calls.push(request);
            calls.len() - 1
        }) as u16
    }

    fn slot(&self, wanted: SlotUse) -> Slot {
        let position = self.slots.iter().position(|&slot| slot == wanted);
        Slot(position.expect("a shape lists every slot that its program uses") as u16)
    }
}

/// An end of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// Pieces without the product at one end, which is computed apart from them.
fn without(pieces: &[BlockPiece], product: Option<CutProduct>, end: End) -> Vec<BlockPiece> {
    let mut left = pieces.to_vec();
    let Some(product) = product else { return left };
    let mut runs = left.iter_mut().filter_map(|piece| match piece {
        BlockPiece::Run { main, .. } if main.time >= product.whole => Some(main),
        _ => None,
    });
    let run = match end {
        End::First => runs.next(),
        End::Last => runs.next_back(),
    };
    if let Some(main) = run {
        main.time = main.time - product.whole;
        main.kernels = main.kernels.saturating_sub(1);
        main.host = main.host - product.host;
    }
    left
}

/// The call of so many bytes, entered at its first use.
fn call_of(calls: &mut Vec<f64>, bytes: f64) -> u16 {
    let known = calls.iter().position(|&other| other.to_bits() == bytes.to_bits());
    known.unwrap_or_else(|| {
        calls.push(bytes);
        calls.len() - 1
    }) as u16
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
