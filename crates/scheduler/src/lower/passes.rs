//! From the layers of a stage to the strands of its passes: which kernels run, and where the
//! tensor-parallel group exchanges what.

use motley_collectives::CollectiveKind;
use motley_job::{NameId, Slot, Stream};
use motley_workload::{Block, Pass, Recompute};

use super::names::{Names, streams};
use super::shape::{ChunkShape, SlotUse, StageShape};
use super::strand::{Piece, Request, Strand};
use crate::times::{BlockTime, CardKind, KernelRun, KernelTimes};

/// The strands of all passes of a stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Passes {
    /// Forward passes, by chunk.
    pub forward: Vec<Strand>,
    /// Backward passes, by chunk.
    pub backward: Vec<Strand>,
    /// What the strands want of the tensor-parallel group, by call number.
    pub tensor_calls: Vec<Request>,
}

impl Passes {
    /// The passes of a stage of `shape` on cards of `kind`.
    pub(super) fn new(
        shape: &StageShape,
        kind: CardKind,
        times: &KernelTimes,
        names: Names,
    ) -> Self {
        let shard = shape.shard();
        let mut builder = Builder {
            shape,
            layers: times.model().layers,
            tokens: f64::from(shape.micro_batch_size) * f64::from(times.training().sequence_length),
            names,
            forward: Blocks::new(|block| times.block(kind, shard, block, Pass::Forward)),
            backward: Blocks::new(|block| times.block(kind, shard, block, Pass::Backward)),
            attention_core: times.attention_core(kind, shard),
            activation: shape
                .activation_bytes(times.training().sequence_length, times.model().hidden),
            slots: shape.slots(),
            strand: Strand::default(),
            tensor_calls: Vec::new(),
        };
        let chunks = || 0..shape.chunks.len() as u32;
        Self {
            forward: chunks().map(|chunk| builder.forward(chunk)).collect(),
            backward: chunks().map(|chunk| builder.backward(chunk)).collect(),
            tensor_calls: builder.tensor_calls,
        }
    }
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
    names: Names,
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
        let name = self.names.forward;
        if chunk.embedding {
            self.strand.compute(name, self.forward.of(Block::Embedding).main);
            self.reduce();
        } else {
            self.receive(SlotUse::ForwardIn(index));
        }
        for _ in 0..chunk.layers {
            self.layer_forward(name);
        }
        if chunk.head {
            self.gather();
            let head = self.forward.of(Block::Head);
            self.strand.compute(name, head.main.then(head.deferrable));
            self.loss_exchange();
        } else {
            self.send(SlotUse::ForwardOut(index), streams::FORWARD);
        }
        std::mem::take(&mut self.strand)
    }

    fn layer_forward(&mut self, name: NameId) {
        for block in [Block::Attention, Block::Mlp] {
            self.gather();
            let time = self.forward.of(block);
            self.strand.compute(name, time.main.then(time.deferrable));
            self.reduce();
        }
    }

    fn backward(&mut self, index: u32) -> Strand {
        let chunk = self.shape.chunks[index as usize];
        if chunk.head {
            // The logits' gradient needs no gather: the loss is split over the vocabulary.
            self.block_backward(Block::Head, false);
            self.strand.push(Piece::Gradients(self.layers + 1));
        } else {
            self.receive(SlotUse::BackwardIn(index));
        }
        for layer in layers(chunk).rev() {
            self.layer_backward();
            self.strand.push(Piece::Gradients(layer + 1));
        }
        if chunk.embedding {
            self.gather();
            self.strand.compute(self.names.backward, self.backward.of(Block::Embedding).main);
            self.strand.push(Piece::Gradients(0));
        } else {
            self.send(SlotUse::BackwardOut(index), streams::BACKWARD);
        }
        std::mem::take(&mut self.strand)
    }

    fn layer_backward(&mut self) {
        let again = self.names.recompute;
        if self.shape.recompute == Recompute::Full {
            self.layer_forward(again);
        }
        self.block_backward(Block::Mlp, true);
        if self.shape.recompute == Recompute::Selective {
            self.strand.compute(again, self.attention_core);
        }
        self.block_backward(Block::Attention, true);
    }

    /// The backward pass of a block with its tensor-parallel exchange. With sequence parallelism
    /// the output gradient is gathered first, the kept input is gathered again for the weight
    /// gradient while the input gradient is computed, and the input gradient is reduce-scattered;
    /// without, it is all-reduced.
    fn block_backward(&mut self, block: Block, gather_output: bool) {
        let time = self.backward.of(block);
        let (name, weight) = (self.names.backward, self.names.weight_gradient);
        let overlap = self.shape.overlap_weight_gradient;
        if self.shape.tensor_parallel == 1 {
            self.strand.compute(name, time.main.then(time.deferrable));
            return;
        }
        if self.shape.sequence_parallel {
            if gather_output {
                self.exchange(CollectiveKind::AllGather, self.activation);
            }
            if overlap {
                let gathered = self.begin(CollectiveKind::AllGather, self.activation);
                self.strand.compute(name, time.main);
                let reduced = self.begin(CollectiveKind::ReduceScatter, self.activation);
                self.finish(gathered);
                self.strand.compute(weight, time.deferrable);
                self.finish(reduced);
            } else {
                self.strand.compute(name, time.main);
                self.exchange(CollectiveKind::AllGather, self.activation);
                self.exchange(CollectiveKind::ReduceScatter, self.activation);
                self.strand.compute(weight, time.deferrable);
            }
        } else {
            self.strand.compute(name, time.main);
            if overlap {
                let reduced = self.begin(CollectiveKind::AllReduce, self.activation);
                self.strand.compute(weight, time.deferrable);
                self.finish(reduced);
            } else {
                self.exchange(CollectiveKind::AllReduce, self.activation);
                self.strand.compute(weight, time.deferrable);
            }
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
