//! From the layers of a stage to the strands of its passes: which kernels run, and where the
//! tensor-parallel group exchanges what.

use motley_collectives::CollectiveKind;
use motley_job::{NameId, Slot, Stream};
use motley_workload::{Block, Pass as Way, Recompute};

use super::gradients::Item;
use super::names::{ChunkNames, Names, streams};
use super::shape::{ChunkShape, NormShape, SlotUse, StageShape};
use super::strand::{Piece, Request, Strand};
use crate::schedule::{Pass, Step};
use crate::times::{BlockTime, CardKind, KernelRun, KernelTimes};

/// Bytes of the gradient norm's exchange: the sum of squares and the overflow flag.
pub(super) const NORM_BYTES: f64 = 8.0;

/// The strands of all passes of a stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Passes {
    /// By chunk: forward passes, whole backward passes, input gradients, weight gradients.
    strands: Vec<[Strand; 4]>,
    /// What the strands want of the tensor-parallel group, by call number.
    pub tensor_calls: Vec<Request>,
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
        let shard = shape.shard();
        let mut builder = Builder {
            shape,
            layers: times.model().layers,
            tokens: f64::from(shape.micro_batch_size) * f64::from(times.training().sequence_length),
            names,
            own: names.chunk(0),
            forward: Blocks::new(|block| times.block(kind, shard, block, Way::Forward)),
            backward: Blocks::new(|block| times.block(kind, shard, block, Way::Backward)),
            attention_core: times.attention_core(kind, shard),
            activation: shape
                .activation_bytes(times.training().sequence_length, times.model().hidden),
            slots: shape.slots(),
            strand: Strand::default(),
            tensor_calls: Vec::new(),
        };
        let mut strands = Vec::with_capacity(shape.chunks.len());
        for chunk in 0..shape.chunks.len() as u32 {
            builder.own = names.chunk(chunk);
            strands.push([
                builder.forward(chunk),
                builder.backward(chunk, Part::Whole),
                builder.backward(chunk, Part::InputGradient),
                builder.weight_gradient(chunk),
            ]);
        }
        let hands_on = matches!(shape.norm, NormShape::Chain { .. }) && shape.tensor_parallel > 1;
        let norm_call =
            hands_on.then(|| builder.tensor_call(CollectiveKind::AllReduce, NORM_BYTES));
        Self { strands, tensor_calls: builder.tensor_calls, norm_call }
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
enum Part {
    /// All.
    Whole,
    /// All but the weight gradients of linear layers.
    InputGradient,
}

/// The times of all blocks in one pass, at hand: every layer asks for them.
struct Blocks {
    embedding: BlockTime,
    attention: BlockTime,
    mlp: BlockTime,
    head: BlockTime,
}

impl Blocks {
    fn new(time: impl Fn(Block) -> BlockTime) -> Self {
        Self {
            embedding: time(Block::Embedding),
            attention: time(Block::Attention),
            mlp: time(Block::Mlp),
            head: time(Block::Head),
        }
    }

    fn of(&self, block: Block) -> BlockTime {
        match block {
            Block::Embedding => self.embedding,
            Block::Attention => self.attention,
            Block::Mlp => self.mlp,
            Block::Head => self.head,
        }
    }
}

struct Builder<'a> {
    shape: &'a StageShape,
    /// Layers of the model.
    layers: u32,
    /// Tokens of a micro-batch.
    tokens: f64,
    names: &'a Names,
    /// Names of the chunk under construction.
    own: ChunkNames,
    forward: Blocks,
    backward: Blocks,
    attention_core: KernelRun,
    /// Bytes of one micro-batch at a layer boundary, unsplit.
    activation: f64,
    slots: Vec<SlotUse>,
    /// The strand under construction.
    strand: Strand,
    tensor_calls: Vec<Request>,
}

impl Builder<'_> {
    fn forward(&mut self, index: u32) -> Strand {
        let chunk = self.shape.chunks[index as usize];
        let name = self.own.forward;
        if chunk.embedding {
            self.strand.compute(name, self.forward.of(Block::Embedding).all());
            self.reduce();
        } else if chunk.receives {
            self.receive(SlotUse::ForwardIn(index));
        }
        for _ in 0..chunk.layers {
            self.layer_forward(name);
        }
        if chunk.head {
            self.gather();
            self.strand.compute(name, self.forward.of(Block::Head).all());
            self.loss_exchange();
        } else if chunk.sends {
            self.send(SlotUse::ForwardOut(index), streams::FORWARD);
        }
        std::mem::take(&mut self.strand)
    }

    fn layer_forward(&mut self, name: NameId) {
        for block in [Block::Attention, Block::Mlp] {
            self.gather();
            self.strand.compute(name, self.forward.of(block).all());
            self.reduce();
        }
    }

    fn backward(&mut self, index: u32, part: Part) -> Strand {
        let chunk = self.shape.chunks[index as usize];
        let whole = part == Part::Whole;
        if chunk.head {
            // The logits' gradient needs no gather: the loss is split over the vocabulary.
            self.block_backward(Block::Head, part, false);
            self.gradients(whole.then_some(self.layers + 1));
        } else if chunk.sends {
            self.receive(SlotUse::BackwardIn(index));
        }
        for layer in layers(chunk).rev() {
            self.layer_backward(part);
            self.gradients(whole.then_some(layer + 1));
        }
        if chunk.embedding {
            self.gather();
            let name = if whole { self.own.backward } else { self.own.input_gradient };
            self.strand.compute(name, self.backward.of(Block::Embedding).all());
            self.gradients(Some(0));
        } else if chunk.receives {
            self.send(SlotUse::BackwardOut(index), streams::BACKWARD);
        }
        std::mem::take(&mut self.strand)
    }

    fn layer_backward(&mut self, part: Part) {
        let again = self.own.recompute;
        if self.shape.recompute == Recompute::Full {
            self.layer_forward(again);
        }
        self.block_backward(Block::Mlp, part, true);
        if self.shape.recompute == Recompute::Selective {
            self.strand.compute(again, self.attention_core);
        }
        self.block_backward(Block::Attention, part, true);
    }

    /// The backward pass of a block with its tensor-parallel exchange. With sequence parallelism
    /// the output gradient is gathered first, the kept input is gathered again for the weight
    /// gradient while the input gradient is computed, and the input gradient is reduce-scattered;
    /// without, it is all-reduced. Without weight gradients there is nothing to gather the input
    /// for, and nothing to run beside the reduction.
    fn block_backward(&mut self, block: Block, part: Part, gather_output: bool) {
        let time = self.backward.of(block);
        let (name, weight) = (self.own.backward, self.own.weight_gradient);
        if part == Part::InputGradient {
            if gather_output {
                self.gather();
            }
            self.strand.compute(self.own.input_gradient, time.main);
            self.reduce();
            return;
        }
        let overlap = self.shape.overlap_weight_gradient;
        if self.shape.tensor_parallel == 1 {
            self.strand.compute(name, time.all());
            return;
        }
        if self.shape.sequence_parallel {
            if gather_output {
                self.gather();
            }
            if overlap {
                let gathered = self.begin(CollectiveKind::AllGather, self.activation);
                self.strand.compute(name, time.all_but_first_weight());
                let reduced = self.begin(CollectiveKind::ReduceScatter, self.activation);
                self.finish(gathered);
                self.strand.compute(weight, time.first_weight);
                self.finish(reduced);
            } else {
                self.strand.compute(name, time.all_but_first_weight());
                self.exchange(CollectiveKind::AllGather, self.activation);
                self.reduce();
                self.strand.compute(weight, time.first_weight);
            }
        } else {
            self.strand.compute(name, time.all_but_first_weight());
            if overlap {
                let reduced = self.begin(CollectiveKind::AllReduce, self.activation);
                self.strand.compute(weight, time.first_weight);
                self.finish(reduced);
            } else {
                self.reduce();
                self.strand.compute(weight, time.first_weight);
            }
        }
    }

    /// The weight gradients of a chunk, in the order in which the input gradients let go of them.
    fn weight_gradient(&mut self, index: u32) -> Strand {
        let chunk = self.shape.chunks[index as usize];
        if chunk.head {
            self.block_weights(Block::Head);
            self.gradients(Some(self.layers + 1));
        }
        for layer in layers(chunk).rev() {
            self.block_weights(Block::Mlp);
            self.block_weights(Block::Attention);
            self.gradients(Some(layer + 1));
        }
        std::mem::take(&mut self.strand)
    }

    /// The weight gradients of a block. With sequence parallelism the input of its first linear
    /// layer is gathered while the others are computed.
    fn block_weights(&mut self, block: Block) {
        let time = self.backward.of(block);
        let name = self.own.weight_gradient;
        if self.shape.tensor_parallel > 1 && self.shape.sequence_parallel {
            let gathered = self.begin(CollectiveKind::AllGather, self.activation);
            self.strand.compute(name, time.inner_weights);
            self.finish(gathered);
            self.strand.compute(name, time.first_weight);
        } else {
            self.strand.compute(name, time.weights());
        }
    }

    fn gradients(&mut self, item: Option<Item>) {
        if let Some(item) = item {
            self.strand.push(Piece::Gradients(item));
        }
    }

    fn receive(&mut self, from: SlotUse) {
        let slot = self.slot(from);
        self.strand.push(Piece::Receive { name: self.names.receive, slot });
        // Each tensor rank receives its part of the activations (scatter/gather optimisation,
        // Narayanan et al. 2021, section 4.1); with sequence parallelism a part is all it needs.
        if self.shape.tensor_parallel > 1 && !self.shape.sequence_parallel {
            let call = self.tensor_call(CollectiveKind::AllGather, self.activation);
            self.strand.push(Piece::Exchange { name: self.names.gather, call });
        }
    }

    fn send(&mut self, to: SlotUse, stream: Stream) {
        let slot = self.slot(to);
        self.strand.push(Piece::Send { name: self.names.send, slot, stream });
    }

    /// Before what needs the whole sequence under sequence parallelism: a column-parallel linear
    /// layer, or the embedding's backward pass.
    fn gather(&mut self) {
        if self.shape.tensor_parallel > 1 && self.shape.sequence_parallel {
            self.exchange(CollectiveKind::AllGather, self.activation);
        }
    }

    /// After a row-parallel linear layer: partial sums are added up.
    fn reduce(&mut self) {
        if self.shape.tensor_parallel > 1 {
            let kind = if self.shape.sequence_parallel {
                CollectiveKind::ReduceScatter
            } else {
                CollectiveKind::AllReduce
            };
            self.exchange(kind, self.activation);
        }
    }

    /// The vocabulary-parallel cross entropy exchanges three fp32 numbers a token: the maximum
    /// logit, the target's logit, and the sum of exponentials.
    fn loss_exchange(&mut self) {
        if self.shape.tensor_parallel > 1 {
            for _ in 0..3 {
                self.exchange(CollectiveKind::AllReduce, 4.0 * self.tokens);
            }
        }
    }

    fn exchange(&mut self, kind: CollectiveKind, bytes: f64) {
        let call = self.tensor_call(kind, bytes);
        self.strand.push(Piece::Exchange { name: self.names.tensor_parallel, call });
    }

    fn begin(&mut self, kind: CollectiveKind, bytes: f64) -> u16 {
        let call = self.tensor_call(kind, bytes);
        self.strand.begin(self.names.tensor_parallel, call)
    }

    fn finish(&mut self, begun: u16) {
        self.strand.push(Piece::Finish { name: self.names.tensor_parallel, begun });
    }

    fn tensor_call(&mut self, kind: CollectiveKind, bytes: f64) -> u16 {
        let request = Request { kind, bytes };
        let known = self.tensor_calls.iter().position(|&other| other == request);
        known.unwrap_or_else(|| {
            self.tensor_calls.push(request);
            self.tensor_calls.len() - 1
        }) as u16
    }

    fn slot(&self, wanted: SlotUse) -> Slot {
        let position = self.slots.iter().position(|&slot| slot == wanted);
        Slot(position.expect("a shape lists every slot that its program uses") as u16)
    }
}

fn layers(chunk: ChunkShape) -> std::ops::Range<u32> {
    chunk.first_layer..chunk.first_layer + chunk.layers
}
