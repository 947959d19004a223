//! The program of one stage on one kind of card: its passes in the order of the schedule, then the
//! end of the iteration.

use motley_job::{NameId, Op, Program, Slot, Stream, Tag};

use super::gradients::Item;
use super::names::{Names, streams};
use super::passes::Passes;
use super::shape::{SlotUse, StageShape};
use super::strand::{Piece, Strand};
use crate::order::{Direction, Step, steps};
use crate::times::{CardKind, KernelRun, KernelTimes};

/// Builds the program of a stage of `shape` on cards of `kind` from its passes.
pub(super) fn build(
    shape: &StageShape,
    passes: &Passes,
    kind: CardKind,
    times: &KernelTimes,
    names: Names,
) -> Program {
    let mut writer = Writer::new(shape, names);
    for step in steps(
        shape.schedule,
        shape.stage,
        shape.stages,
        shape.micro_batches,
        shape.chunks.len() as u32,
    ) {
        let strand = match step.direction {
            Direction::Forward => &passes.forward[step.chunk as usize],
            Direction::Backward => &passes.backward[step.chunk as usize],
        };
        writer.pass(strand, step);
    }
    writer.finish_iteration(kind, times);
    Program { ops: writer.ops }
}

/// Writes operations.
struct Writer<'a> {
    shape: &'a StageShape,
    names: Names,
    slots: Vec<SlotUse>,
    tensor: Option<Slot>,
    ops: Vec<Op>,
    /// Calls of the tensor-parallel group so far.
    tensor_instances: u32,
}

impl<'a> Writer<'a> {
    fn new(shape: &'a StageShape, names: Names) -> Self {
        let slots = shape.slots();
        let tensor = slots.iter().position(|&slot| slot == SlotUse::TensorParallel);
        Self {
            shape,
            names,
            slots,
            tensor: tensor.map(|position| Slot(position as u16)),
            ops: Vec::new(),
            tensor_instances: 0,
        }
    }

    /// A pass of one micro-batch.
    fn pass(&mut self, strand: &Strand, step: Step) {
        let index = step.micro_batch as u16;
        let last_visit = step.micro_batch + 1 == self.shape.micro_batches;
        let tagged = |name| Tag { name, index };
        let mut begun = Vec::new();
        for piece in &strand.pieces {
            match *piece {
                Piece::Compute { name, run } => self.compute(tagged(name), run),
                Piece::Exchange { name, call } => {
                    let slot = self.tensor_instance();
                    self.ops.push(Op::Collective { tag: tagged(name), slot, call });
                }
                Piece::Begin { name, call } => {
                    begun.push(self.tensor_instances);
                    let slot = self.tensor_instance();
                    let stream = streams::TENSOR;
                    self.ops.push(Op::Issue { tag: tagged(name), slot, call, stream });
                }
                Piece::Finish { name, begun: which } => {
                    let slot = self.tensor.expect("what a strand begins has a group");
                    let sequence = begun[usize::from(which)];
                    self.ops.push(Op::Await { tag: tagged(name), slot, sequence });
                }
                Piece::Receive { name, slot } => {
                    let sequence = step.micro_batch;
                    self.ops.push(Op::Await { tag: tagged(name), slot, sequence });
                }
                Piece::Send { name, slot, stream } => self.issue(tagged(name), slot, 0, stream),
                Piece::Gradients(item) => {
                    if last_visit {
                        self.gradients_ready(item);
                    }
                }
            }
        }
    }

    fn tensor_instance(&mut self) -> Slot {
        self.tensor_instances += 1;
        self.tensor.expect("a strand exchanges only where the stage has a group")
    }

    /// Averages gradients, agrees on their norm, steps the optimizer.
    fn finish_iteration(&mut self, kind: CardKind, times: &KernelTimes) {
        if !self.shape.overlap_gradients {
            for group in 0..self.shape.gradients.len() {
                for bucket in 0..self.shape.gradients[group].ready.len() {
                    self.issue_bucket(group, bucket);
                }
            }
        }
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
        // Copying gradients into the order of shards before they are averaged, and back after:
        // both read and write them once.
        if self.shape.reshard_bytes > 0.0 {
            let copies = times.stream_bytes(kind, 4.0 * self.shape.reshard_bytes);
            self.compute(whole(self.names.reshard), copies);
        }
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
        let optimizer = times.optimizer(kind, self.shape.parameters);
        self.compute(whole(self.names.optimizer), optimizer);
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
            self.issue(whole(self.names.gradient), slot, bucket as u16, streams::DATA);
        }
    }

    fn issue(&mut self, tag: Tag, slot: Slot, call: u16, stream: Stream) {
        self.ops.push(Op::Issue { tag, slot, call, stream });
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

/// The tag of an operation on the whole iteration.
fn whole(name: NameId) -> Tag {
    Tag { name, index: Tag::NO_INDEX }
}
