//! The program of one stage on one kind of card.

use motley_collectives::CollectiveKind;
use motley_job::{JobBuilder, NameId, Op, Program, Slot, Stream, Tag};
use motley_workload::{Block, Pass, Recompute, Shard};

use super::gradients::Item;
use super::shape::{SlotUse, StageShape};
use crate::lowered::compute;
use crate::order::{Direction, Step, steps};
use crate::times::{BlockTime, CardKind, KernelRun, KernelTimes};

/// The communication streams of a rank.
pub(super) mod streams {
    use motley_job::Stream;

    /// Tensor-parallel collectives that overlap with weight gradients.
    pub(crate) const TENSOR: Stream = Stream(0);
    /// Activations on their way to the next stage.
    pub(crate) const FORWARD: Stream = Stream(1);
    /// Gradients on their way to the previous stage.
    pub(crate) const BACKWARD: Stream = Stream(2);
    /// Gradients of replicas.
    pub(crate) const DATA: Stream = Stream(3);
    /// How many there are.
    pub(crate) const COUNT: u8 = 4;
}

/// The names of operations in timelines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    forward: NameId,
    recompute: NameId,
    backward: NameId,
    weight_gradient: NameId,
    optimizer: NameId,
    reshard: NameId,
    tensor_parallel: NameId,
    send: NameId,
    receive: NameId,
    gather: NameId,
    gradient: NameId,
    embedding_gradient: NameId,
    gradient_norm: NameId,
}

impl Names {
    pub(super) fn new(job: &mut JobBuilder) -> Self {
        Self {
            forward: job.name(compute::FORWARD),
            recompute: job.name(compute::RECOMPUTE),
            backward: job.name(compute::BACKWARD),
            weight_gradient: job.name(compute::WEIGHT_GRADIENT),
            optimizer: job.name("optimizer"),
            reshard: job.name("reshard gradients"),
            tensor_parallel: job.name("tensor-parallel collective"),
            send: job.name("send"),
            receive: job.name("receive"),
            gather: job.name("gather received activations"),
            gradient: job.name("gradient all-reduce"),
            embedding_gradient: job.name("tied embedding all-reduce"),
            gradient_norm: job.name("gradient norm"),
        }
    }
}

/// A collective that a program wants of its tensor-parallel group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Request {
    pub kind: CollectiveKind,
    /// Size of the full buffer, as nccl-tests counts.
    pub bytes: f64,
}

/// Builds the program of a stage of `shape` on cards of `kind`, and what it wants of its
/// tensor-parallel group, by call number.
pub(super) fn build(
    shape: &StageShape,
    kind: CardKind,
    times: &KernelTimes,
    names: Names,
) -> (Program, Vec<Request>) {
    let model = times.model();
    let shard = Shard {
        tensor_parallel: shape.tensor_parallel,
        sequence_parallel: shape.sequence_parallel,
        micro_batch_size: shape.micro_batch_size,
    };
    let mut builder = Builder {
        shape,
        kind,
        times,
        names,
        forward: Blocks::new(|block| times.block(kind, shard, block, Pass::Forward)),
        backward: Blocks::new(|block| times.block(kind, shard, block, Pass::Backward)),
        attention_core: times.attention_core(kind, shard),
        activation: shape.activation_bytes(times.training().sequence_length, model.hidden),
        slots: shape.slots(),
        ops: Vec::new(),
        tensor_calls: Vec::new(),
        tensor_instances: 0,
    };
    for step in steps(
        shape.schedule,
        shape.stage,
        shape.stages,
        shape.micro_batches,
        shape.chunks.len() as u32,
    ) {
        match step.direction {
            Direction::Forward => builder.forward(step),
            Direction::Backward => builder.backward(step),
        }
    }
    builder.finish_iteration();
    (Program { ops: builder.ops }, builder.tensor_calls)
}

/// The times of all blocks in one pass, at hand: a program asks for them in every layer of every
/// micro-batch.
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
    kind: CardKind,
    times: &'a KernelTimes<'a>,
    names: Names,
    forward: Blocks,
    backward: Blocks,
    attention_core: KernelRun,
    /// Bytes of one micro-batch at a layer boundary, unsplit.
    activation: f64,
    slots: Vec<SlotUse>,
    ops: Vec<Op>,
    tensor_calls: Vec<Request>,
    tensor_instances: u32,
}

impl Builder<'_> {
    fn forward(&mut self, step: Step) {
        let chunk = self.shape.chunks[step.chunk as usize];
        let tag = tag(self.names.forward, step);
        if chunk.embedding {
            let embedding = self.block(Block::Embedding, Pass::Forward).main;
            self.compute(tag, embedding);
            self.reduce(step);
        } else {
            self.receive(SlotUse::ForwardIn(step.chunk), step);
        }
        for _ in 0..chunk.layers {
            self.layer_forward(step, tag);
        }
        if chunk.head {
            self.gather(step);
            let head = self.block(Block::Head, Pass::Forward);
            self.compute(tag, head.main.then(head.deferrable));
            self.loss_exchange(step);
        } else {
            self.send(SlotUse::ForwardOut(step.chunk), streams::FORWARD, step);
        }
    }

    fn layer_forward(&mut self, step: Step, tag: Tag) {
        for block in [Block::Attention, Block::Mlp] {
            self.gather(step);
            let time = self.block(block, Pass::Forward);
            self.compute(tag, time.main.then(time.deferrable));
            self.reduce(step);
        }
    }

    fn backward(&mut self, step: Step) {
        let chunk = self.shape.chunks[step.chunk as usize];
        let last_visit = step.micro_batch + 1 == self.shape.micro_batches;
        let layers = self.times.model().layers;
        if chunk.head {
            // The logits' gradient needs no gather: the loss is split over the vocabulary.
            self.block_backward(Block::Head, step, false);
            if last_visit {
                self.gradients_ready(layers + 1);
            }
        } else {
            self.receive(SlotUse::BackwardIn(step.chunk), step);
        }
        for layer in (chunk.first_layer..chunk.first_layer + chunk.layers).rev() {
            if self.shape.recompute == Recompute::Full {
                self.layer_forward(step, tag(self.names.recompute, step));
            }
            self.block_backward(Block::Mlp, step, true);
            if self.shape.recompute == Recompute::Selective {
                self.compute(tag(self.names.recompute, step), self.attention_core);
            }
            self.block_backward(Block::Attention, step, true);
            if last_visit {
                self.gradients_ready(layer + 1);
            }
        }
        if chunk.embedding {
            self.gather(step);
            let embedding = self.block(Block::Embedding, Pass::Backward).main;
            self.compute(tag(self.names.backward, step), embedding);
            if last_visit {
                self.gradients_ready(0);
            }
        } else {
            self.send(SlotUse::BackwardOut(step.chunk), streams::BACKWARD, step);
        }
    }

    /// The backward pass of a block with its tensor-parallel exchange. With sequence parallelism
    /// the output gradient is gathered first, the kept input is gathered again for the weight
    /// gradient while the input gradient is computed, and the input gradient is reduce-scattered;
    /// without, it is all-reduced.
    fn block_backward(&mut self, block: Block, step: Step, gather_output: bool) {
        let time = self.block(block, Pass::Backward);
        let weight = tag(self.names.weight_gradient, step);
        let tag = tag(self.names.backward, step);
        let overlap = self.shape.overlap_weight_gradient;
        if self.shape.tensor_parallel == 1 {
            self.compute(tag, time.main.then(time.deferrable));
            return;
        }
        if self.shape.sequence_parallel {
            if gather_output {
                self.tensor_collective(CollectiveKind::AllGather, self.activation, step);
            }
            if overlap {
                let gathered = self.tensor_issue(CollectiveKind::AllGather, self.activation, step);
                self.compute(tag, time.main);
                let reduced =
                    self.tensor_issue(CollectiveKind::ReduceScatter, self.activation, step);
                self.tensor_await(gathered, step);
                self.compute(weight, time.deferrable);
                self.tensor_await(reduced, step);
            } else {
                self.compute(tag, time.main);
                self.tensor_collective(CollectiveKind::AllGather, self.activation, step);
                self.tensor_collective(CollectiveKind::ReduceScatter, self.activation, step);
                self.compute(weight, time.deferrable);
            }
        } else {
            self.compute(tag, time.main);
            if overlap {
                let reduced = self.tensor_issue(CollectiveKind::AllReduce, self.activation, step);
                self.compute(weight, time.deferrable);
                self.tensor_await(reduced, step);
            } else {
                self.tensor_collective(CollectiveKind::AllReduce, self.activation, step);
                self.compute(weight, time.deferrable);
            }
        }
    }

    /// Averages gradients, agrees on their norm, steps the optimizer.
    fn finish_iteration(&mut self) {
        if !self.shape.overlap_gradients {
            for group in 0..self.shape.gradients.len() {
                for bucket in 0..self.shape.gradients[group].ready.len() {
                    self.issue_bucket(group, bucket);
                }
            }
        }
        let reshard = self.reshard();
        let tag = whole(self.names.gradient);
        for group in 0..self.shape.gradients.len() {
            let (shards, buckets) = (
                self.shape.gradients[group].shards,
                self.shape.gradients[group].ready.len() as u32,
            );
            for shard in 0..shards {
                let slot = self.slot(SlotUse::Gradient { group, shard });
                self.ops.push(Op::Await { tag, slot, sequence: buckets - 1 });
            }
        }
        self.compute(whole(self.names.reshard), reshard);
        for shard in 0..self.shape.embedding_shards {
            let slot = self.slot(SlotUse::Embedding { shard });
            self.ops.push(Op::Collective {
                tag: whole(self.names.embedding_gradient),
                slot,
                call: 0,
            });
        }
        if self.shape.gradient_norm {
            let slot = self.slot(SlotUse::GradientNorm);
            self.ops.push(Op::Collective { tag: whole(self.names.gradient_norm), slot, call: 0 });
        }
        let optimizer = self.times.optimizer(self.kind, self.shape.parameters);
        self.compute(whole(self.names.optimizer), optimizer);
    }

    /// Copying gradients into the order of shards before they are averaged, and back after: both
    /// read and write them once.
    fn reshard(&self) -> KernelRun {
        if self.shape.reshard_bytes > 0.0 {
            self.times.stream_bytes(self.kind, 4.0 * self.shape.reshard_bytes)
        } else {
            KernelRun::default()
        }
    }

    /// Issues the buckets that are full once `item`'s backward pass is done.
    fn gradients_ready(&mut self, item: Item) {
        if !self.shape.overlap_gradients {
            return;
        }
        for group in 0..self.shape.gradients.len() {
            let full = self.shape.gradients[group].ready.iter().position(|&ready| ready == item);
            if let Some(bucket) = full {
                self.issue_bucket(group, bucket);
            }
        }
    }

    fn issue_bucket(&mut self, group: usize, bucket: usize) {
        for shard in 0..self.shape.gradients[group].shards {
            let slot = self.slot(SlotUse::Gradient { group, shard });
            let tag = whole(self.names.gradient);
            self.ops.push(Op::Issue { tag, slot, call: bucket as u16, stream: streams::DATA });
        }
    }

    fn receive(&mut self, from: SlotUse, step: Step) {
        let slot = self.slot(from);
        self.ops.push(Op::Await {
            tag: tag(self.names.receive, step),
            slot,
            sequence: step.micro_batch,
        });
        // Each tensor rank receives its part of the activations (scatter/gather optimisation,
        // Narayanan et al. 2021, section 4.1); with sequence parallelism a part is all it needs.
        if self.shape.tensor_parallel > 1 && !self.shape.sequence_parallel {
            let call = self.tensor_call(CollectiveKind::AllGather, self.activation);
            let slot = self.slot(SlotUse::TensorParallel);
            self.tensor_instances += 1;
            self.ops.push(Op::Collective { tag: tag(self.names.gather, step), slot, call });
        }
    }

    fn send(&mut self, to: SlotUse, stream: Stream, step: Step) {
        let slot = self.slot(to);
        self.ops.push(Op::Issue { tag: tag(self.names.send, step), slot, call: 0, stream });
    }

    /// Before what needs the whole sequence under sequence parallelism: a column-parallel linear
    /// layer, or the embedding's backward pass.
    fn gather(&mut self, step: Step) {
        if self.shape.tensor_parallel > 1 && self.shape.sequence_parallel {
            self.tensor_collective(CollectiveKind::AllGather, self.activation, step);
        }
    }

    /// After a row-parallel linear layer: partial sums are added up.
    fn reduce(&mut self, step: Step) {
        if self.shape.tensor_parallel > 1 {
            let kind = if self.shape.sequence_parallel {
                CollectiveKind::ReduceScatter
            } else {
                CollectiveKind::AllReduce
            };
            self.tensor_collective(kind, self.activation, step);
        }
    }

    /// The vocabulary-parallel cross entropy exchanges three fp32 numbers a token: the maximum
    /// logit, the target's logit, and the sum of exponentials.
    fn loss_exchange(&mut self, step: Step) {
        if self.shape.tensor_parallel > 1 {
            let tokens = f64::from(self.shape.micro_batch_size)
                * f64::from(self.times.training().sequence_length);
            for _ in 0..3 {
                self.tensor_collective(CollectiveKind::AllReduce, 4.0 * tokens, step);
            }
        }
    }

    fn tensor_collective(&mut self, kind: CollectiveKind, bytes: f64, step: Step) {
        let call = self.tensor_call(kind, bytes);
        let slot = self.slot(SlotUse::TensorParallel);
        self.tensor_instances += 1;
        self.ops.push(Op::Collective { tag: tag(self.names.tensor_parallel, step), slot, call });
    }

    /// Issues a collective and returns its sequence number, to await it by.
    fn tensor_issue(&mut self, kind: CollectiveKind, bytes: f64, step: Step) -> u32 {
        let call = self.tensor_call(kind, bytes);
        let slot = self.slot(SlotUse::TensorParallel);
        let tag = tag(self.names.tensor_parallel, step);
        self.ops.push(Op::Issue { tag, slot, call, stream: streams::TENSOR });
        self.tensor_instances += 1;
        self.tensor_instances - 1
    }

    fn tensor_await(&mut self, sequence: u32, step: Step) {
        let slot = self.slot(SlotUse::TensorParallel);
        self.ops.push(Op::Await { tag: tag(self.names.tensor_parallel, step), slot, sequence });
    }

    fn tensor_call(&mut self, kind: CollectiveKind, bytes: f64) -> u16 {
        let request = Request { kind, bytes };
        let known = self.tensor_calls.iter().position(|&other| other == request);
        known.unwrap_or_else(|| {
            self.tensor_calls.push(request);
            self.tensor_calls.len() - 1
        }) as u16
    }

    /// Appends compute; runs that carry the same tag and follow each other become one.
    fn compute(&mut self, tag: Tag, run: KernelRun) {
        if run.kernels == 0 {
            return;
        }
        if let Some(Op::Compute { tag: last, kernels, duration }) = self.ops.last_mut()
            && *last == tag
        {
            *kernels = kernels.saturating_add(run.kernels);
            *duration += run.time;
            return;
        }
        self.ops.push(Op::Compute { tag, kernels: run.kernels, duration: run.time });
    }

    fn block(&self, block: Block, pass: Pass) -> BlockTime {
        match pass {
            Pass::Forward => self.forward.of(block),
            Pass::Backward => self.backward.of(block),
        }
    }

    fn slot(&self, wanted: SlotUse) -> Slot {
        let position = self.slots.iter().position(|&slot| slot == wanted);
        Slot(position.expect("a shape lists every slot that its program uses") as u16)
    }
}

/// The tag of an operation on a micro-batch.
fn tag(name: NameId, step: Step) -> Tag {
    Tag { name, index: step.micro_batch as u16 }
}

/// The tag of an operation on the whole iteration.
fn whole(name: NameId) -> Tag {
    Tag { name, index: Tag::NO_INDEX }
}
