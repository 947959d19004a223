//! The program of one stage on one kind of card.

use std::rc::Rc;

use motley_collectives::CollectiveKind;
use motley_job::{JobBuilder, NameId, Op, Program, Slot, Stream, Tag};
use motley_workload::{Extent, Model, Part, Recompute};

use super::gradients::Item;
use super::shape::{ChunkShape, SlotUse, StageShape};
use crate::lowered::compute;
use crate::order::{Direction, Step, steps};
use crate::times::{BlockTimes, CardKind, KernelRun, KernelTimes, PartTimes};

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
    let mut builder = Builder {
        shape,
        kind,
        times,
        names,
        parts: Rc::new(Parts::new(shape, times.model(), |part| {
            times.part(kind, shape.shard(), part)
        })),
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

/// The times of the stage's parts, at hand: a program asks for them in every micro-batch.
struct Parts {
    embedding: Option<Rc<PartTimes>>,
    /// By chunk and layer of the chunk.
    layers: Vec<Vec<Rc<PartTimes>>>,
    head: Option<Rc<PartTimes>>,
}

impl Parts {
    fn new(shape: &StageShape, model: &Model, times: impl Fn(Part) -> Rc<PartTimes>) -> Self {
        let any = |end: fn(&ChunkShape) -> bool| shape.chunks.iter().any(end);
        let chunk =
            |chunk: &ChunkShape| chunk.layers().map(|layer| times(model.part(layer))).collect();
        Self {
            embedding: any(|chunk| chunk.embedding).then(|| times(Part::Embedding)),
            layers: shape.chunks.iter().map(chunk).collect(),
            head: any(|chunk| chunk.head).then(|| times(Part::Head)),
        }
    }
}

struct Builder<'a> {
    shape: &'a StageShape,
    kind: CardKind,
    times: &'a KernelTimes<'a>,
    names: Names,
    parts: Rc<Parts>,
    slots: Vec<SlotUse>,
    ops: Vec<Op>,
    tensor_calls: Vec<Request>,
    tensor_instances: u32,
}

impl Builder<'_> {
    fn forward(&mut self, step: Step) {
        let chunk = self.shape.chunks[step.chunk as usize];
        let parts = Rc::clone(&self.parts);
        if chunk.embedding {
            self.part_forward(parts.embedding.as_ref(), step, self.names.forward);
        } else {
            let boundary = self.times.model().output_of(chunk.first_layer - 1);
            self.receive(SlotUse::ForwardIn(step.chunk), boundary, step);
        }
        for layer in &parts.layers[step.chunk as usize] {
            self.part_forward(Some(layer), step, self.names.forward);
        }
        if chunk.head {
            self.part_forward(parts.head.as_ref(), step, self.names.forward);
            self.loss_exchange(step);
        } else {
            self.send(SlotUse::ForwardOut(step.chunk), streams::FORWARD, step);
        }
    }

    fn part_forward(&mut self, part: Option<&Rc<PartTimes>>, step: Step, name: NameId) {
        for block in part.iter().flat_map(|part| &part.blocks) {
            self.gather(block.exchange.gathered, step);
            self.compute(tag(name, step), block.forward.main.then(block.forward.deferrable));
            self.reduce(block.exchange.reduced, step);
        }
    }

    fn backward(&mut self, step: Step) {
        let chunk = self.shape.chunks[step.chunk as usize];
        let parts = Rc::clone(&self.parts);
        let last_visit = step.micro_batch + 1 == self.shape.micro_batches;
        let layers = self.times.model().layer_count();
        if chunk.head {
            self.part_backward(parts.head.as_ref(), Recompute::None, step);
            if last_visit {
                self.gradients_ready(layers + 1);
            }
        } else {
            let boundary = self.times.model().output_of(chunk.layers().end - 1);
            self.receive(SlotUse::BackwardIn(step.chunk), boundary, step);
        }
        for (layer, part) in chunk.layers().zip(&parts.layers[step.chunk as usize]).rev() {
            self.part_backward(Some(part), self.shape.recompute, step);
            if last_visit {
                self.gradients_ready(layer + 1);
            }
        }
        if chunk.embedding {
            self.part_backward(parts.embedding.as_ref(), Recompute::None, step);
            if last_visit {
                self.gradients_ready(0);
            }
        } else {
            self.send(SlotUse::BackwardOut(step.chunk), streams::BACKWARD, step);
        }
    }

    fn part_backward(&mut self, part: Option<&Rc<PartTimes>>, recompute: Recompute, step: Step) {
        if recompute == Recompute::Full {
            self.part_forward(part, step, self.names.recompute);
        }
        for block in part.iter().flat_map(|part| &part.blocks).rev() {
            if recompute == Recompute::Selective {
                self.compute(tag(self.names.recompute, step), block.recomputed);
            }
            self.block_backward(block, step);
        }
    }

    /// The backward pass of a block with its tensor-parallel exchange. With sequence parallelism
    /// the output gradient is gathered first, the kept input is gathered again for the weight
    /// gradient while the input gradient is computed, and the input gradient is reduce-scattered;
    /// without, it is all-reduced.
    fn block_backward(&mut self, block: &BlockTimes, step: Step) {
        let time = block.backward;
        let weight = tag(self.names.weight_gradient, step);
        let tag = tag(self.names.backward, step);
        let overlap = self.shape.overlap_weight_gradient;
        let (input, output) = (block.exchange.gathered, block.exchange.reduced);
        if self.shape.tensor_parallel == 1 {
            self.compute(tag, time.main.then(time.deferrable));
            return;
        }
        self.gather(output, step);
        if input == 0.0 {
            self.compute(tag, time.main.then(time.deferrable));
        } else if self.shape.sequence_parallel {
            if overlap {
                let gathered = self.tensor_issue(CollectiveKind::AllGather, input, step);
                self.compute(tag, time.main);
                let reduced = self.tensor_issue(CollectiveKind::ReduceScatter, input, step);
                self.tensor_await(gathered, step);
                self.compute(weight, time.deferrable);
                self.tensor_await(reduced, step);
            } else {
                self.compute(tag, time.main);
                self.tensor_collective(CollectiveKind::AllGather, input, step);
                self.tensor_collective(CollectiveKind::ReduceScatter, input, step);
                self.compute(weight, time.deferrable);
            }
        } else {
            self.compute(tag, time.main);
            if overlap {
                let reduced = self.tensor_issue(CollectiveKind::AllReduce, input, step);
                self.compute(weight, time.deferrable);
                self.tensor_await(reduced, step);
            } else {
                self.tensor_collective(CollectiveKind::AllReduce, input, step);
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
        let optimizer = self.times.optimizer(self.kind, self.shape.trained_parameters);
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

    fn receive(&mut self, from: SlotUse, boundary: Extent, step: Step) {
        let slot = self.slot(from);
        self.ops.push(Op::Await {
            tag: tag(self.names.receive, step),
            slot,
            sequence: step.micro_batch,
        });
        // Each tensor rank receives its part of the activations (scatter/gather optimisation,
        // Narayanan et al. 2021, section 4.1); with sequence parallelism a part is all it needs.
        if self.shape.tensor_parallel > 1 && !self.shape.sequence_parallel {
            let bytes = self.shape.boundary_bytes(boundary, self.times.training());
            let call = self.tensor_call(CollectiveKind::AllGather, bytes);
            let slot = self.slot(SlotUse::TensorParallel);
            self.tensor_instances += 1;
            self.ops.push(Op::Collective { tag: tag(self.names.gather, step), slot, call });
        }
    }

    fn send(&mut self, to: SlotUse, stream: Stream, step: Step) {
        let slot = self.slot(to);
        self.ops.push(Op::Issue { tag: tag(self.names.send, step), slot, call: 0, stream });
    }

    /// Before what needs so many elements of the whole sequence under sequence parallelism: a
    /// column-parallel linear layer, or the backward pass of what puts out partial sums.
    fn gather(&mut self, elements: f64, step: Step) {
        if self.shape.sequence_parallel {
            self.tensor_collective(CollectiveKind::AllGather, elements, step);
        }
    }

    /// After a row-parallel linear layer: partial sums of so many elements are added up.
    fn reduce(&mut self, elements: f64, step: Step) {
        let kind = if self.shape.sequence_parallel {
            CollectiveKind::ReduceScatter
        } else {
            CollectiveKind::AllReduce
        };
        self.tensor_collective(kind, elements, step);
    }

    /// The vocabulary-parallel cross entropy exchanges three fp32 numbers a token: the maximum
    /// logit, the target's logit, and the sum of exponentials.
    fn loss_exchange(&mut self, step: Step) {
        if self.shape.tensor_parallel > 1 {
            let rows = self.times.model().head_rows(self.times.training());
            let bytes = 4.0 * f64::from(self.shape.micro_batch_size) * rows as f64;
            for _ in 0..3 {
                self.tensor_collective_of(CollectiveKind::AllReduce, bytes, step);
            }
        }
    }

    /// A collective of so many elements in the tensor-parallel group; none for none, or for a group
    /// of one.
    fn tensor_collective(&mut self, kind: CollectiveKind, elements: f64, step: Step) {
        if self.shape.tensor_parallel > 1 && elements > 0.0 {
            self.tensor_collective_of(kind, self.shape.bytes(elements), step);
        }
    }

    fn tensor_collective_of(&mut self, kind: CollectiveKind, bytes: f64, step: Step) {
        let call = self.tensor_call(kind, bytes);
        let slot = self.slot(SlotUse::TensorParallel);
        self.tensor_instances += 1;
        self.ops.push(Op::Collective { tag: tag(self.names.tensor_parallel, step), slot, call });
    }

    /// Issues a collective of so many elements and returns its sequence number, to await it by.
    fn tensor_issue(&mut self, kind: CollectiveKind, elements: f64, step: Step) -> u32 {
        let call = self.tensor_call(kind, self.shape.bytes(elements));
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
