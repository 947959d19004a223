//! The program of one stage on one kind of card: its passes in the order of the schedule, then the
//! end of the iteration.

use motley_job::{NameId, Op, Program, Slot, Stream, Tag};

use super::buckets::{BucketId, Buckets};
use super::names::{Names, streams};
use super::passes::Passes;
use super::shape::{NormShape, SlotUse, StageShape};
use super::strand::{Piece, Strand};
use crate::schedule::{Pass, Step, Turn, steps};
use crate::times::{CardKind, KernelRun, KernelTimes};

/// Builds the program of a stage of `shape` on cards of `kind` that takes its passes in `order`.
pub(super) fn build(
    shape: &StageShape,
    passes: &Passes,
    order: &[Turn],
    kind: CardKind,
    times: &KernelTimes,
    names: &Names,
) -> Program {
    let mut writer = Writer::new(shape, names, times.model().layer_count());
    let last = LastContributions::of(order, shape.chunks.len());
    for &turn in order {
        let walk = |step: Step| Walk::new(passes.strand(step), step, shape.routes, &last);
        match turn {
            Turn::Alone(step) => writer.alone(walk(step)),
            Turn::Overlapped { forward, backward } => {
                writer.together(walk(forward), walk(backward));
            }
        }
    }
    writer.finish_iteration(passes, kind, times);
    Program { ops: writer.ops }
}

/// By chunk, the last step that contributes to the gradients of what the input gradient computes
/// (the embedding), and of what the weight gradients compute.
struct LastContributions {
    input: Vec<Option<Step>>,
    weight: Vec<Option<Step>>,
}

impl LastContributions {
    fn of(order: &[Turn], chunks: usize) -> Self {
        let mut last = Self { input: vec![None; chunks], weight: vec![None; chunks] };
        for step in steps(order) {
            let chunk = step.chunk as usize;
            if matches!(step.pass, Pass::Backward | Pass::InputGradient) {
                last.input[chunk] = Some(step);
            }
            if matches!(step.pass, Pass::Backward | Pass::WeightGradient) {
                last.weight[chunk] = Some(step);
            }
        }
        last
    }

    /// Whether a step contributes last to the gradients that its pass computes.
    fn is(&self, step: Step) -> bool {
        let last = match step.pass {
            Pass::InputGradient => &self.input,
            _ => &self.weight,
        };
        last[step.chunk as usize] == Some(step)
    }
}

/// A walk through a strand.
struct Walk<'a> {
    pieces: &'a [Piece],
    /// The micro-batch, for tags.
    index: u16,
    /// The how-many-th of its route it is.
    sequence: u32,
    /// The gradients of the pass are complete with it.
    completes: bool,
    /// Instances of the tensor-parallel group that the strand has begun.
    begun: Vec<u32>,
    /// What the strand waits for before it goes on.
    pending: Option<(NameId, u32)>,
}

impl<'a> Walk<'a> {
    fn new(strand: &'a Strand, step: Step, routes: u32, last: &LastContributions) -> Self {
        Self {
            pieces: &strand.pieces,
            index: step.micro_batch as u16,
            sequence: step.micro_batch / routes,
            completes: last.is(step),
            begun: Vec::new(),
            pending: None,
        }
    }

    fn is_over(&self) -> bool {
        self.pieces.is_empty() && self.pending.is_none()
    }
}

/// Writes operations.
struct Writer<'a> {
    shape: &'a StageShape,
    names: &'a Names,
    slots: Vec<SlotUse>,
    tensor: Option<Slot>,
    buckets: Buckets<'a>,
    ops: Vec<Op>,
    /// Calls of the tensor-parallel group so far.
    tensor_instances: u32,
}

impl<'a> Writer<'a> {
    fn new(shape: &'a StageShape, names: &'a Names, model_layers: u32) -> Self {
        let slots = shape.slots();
        let tensor = slots.iter().position(|&slot| slot == SlotUse::TensorParallel);
        Self {
            shape,
            names,
            slots,
            tensor: tensor.map(|position| Slot(position as u16)),
            buckets: Buckets::new(shape, model_layers),
            ops: Vec::new(),
            tensor_instances: 0,
        }
    }

    /// A pass.
    fn alone(&mut self, mut walk: Walk) {
        while let Some((&piece, rest)) = walk.pieces.split_first() {
            walk.pieces = rest;
            self.piece(&mut walk, piece);
        }
    }

    /// Two passes in turn: whenever one of them waits for the tensor-parallel group, the other
    /// goes on.
    fn together(&mut self, mut one: Walk, mut other: Walk) {
        while !one.is_over() || !other.is_over() {
            self.until_it_waits(&mut one, other.is_over());
            self.until_it_waits(&mut other, one.is_over());
        }
    }

    /// Goes on with a pass until it has to wait, or to its end if the other pass is over.
    fn until_it_waits(&mut self, walk: &mut Walk, other_is_over: bool) {
        if let Some((name, sequence)) = walk.pending.take() {
            self.wait(walk, name, sequence);
        }
        while let Some((&piece, rest)) = walk.pieces.split_first() {
            walk.pieces = rest;
            match piece {
                Piece::Exchange { name, call } if !other_is_over => {
                    walk.pending = Some((name, self.begin(walk, name, call)));
                    return;
                }
                Piece::Finish { name, begun } if !other_is_over => {
                    walk.pending = Some((name, walk.begun[usize::from(begun)]));
                    return;
                }
                _ => self.piece(walk, piece),
            }
        }
    }

    fn piece(&mut self, walk: &mut Walk, piece: Piece) {
        let tagged = |name| Tag { name, index: walk.index };
        match piece {
            Piece::Compute { name, run } => self.compute(tagged(name), run),
            Piece::Exchange { name, call } => {
                let slot = self.tensor_slot();
                self.tensor_instances += 1;
                self.ops.push(Op::Collective { tag: tagged(name), slot, call });
            }
            Piece::Begin { name, call } => {
                let instance = self.begin(walk, name, call);
                walk.begun.push(instance);
            }
            Piece::Finish { name, begun } => self.wait(walk, name, walk.begun[usize::from(begun)]),
            Piece::Receive { name, slot } => {
                let sequence = walk.sequence;
                self.ops.push(Op::Await { tag: tagged(name), slot, sequence });
            }
            Piece::Send { name, slot, stream } => self.issue(tagged(name), slot, 0, stream),
            Piece::Gradients(item) => {
                if walk.completes && self.shape.overlap_gradients {
                    let ready = self.buckets.contributed(item);
                    self.issue_buckets(&ready);
                }
            }
        }
    }

    /// Begins a call of the tensor-parallel group beside what follows; returns which instance.
    fn begin(&mut self, walk: &Walk, name: NameId, call: u16) -> u32 {
        let slot = self.tensor_slot();
        self.issue(Tag { name, index: walk.index }, slot, call, streams::TENSOR);
        self.tensor_instances += 1;
        self.tensor_instances - 1
    }

    fn wait(&mut self, walk: &Walk, name: NameId, sequence: u32) {
        let slot = self.tensor_slot();
        self.ops.push(Op::Await { tag: Tag { name, index: walk.index }, slot, sequence });
    }

    fn tensor_slot(&self) -> Slot {
        self.tensor.expect("a strand exchanges only where the stage has a group")
    }

    /// Averages gradients, agrees on their norm, steps the optimizer.
    fn finish_iteration(&mut self, passes: &Passes, kind: CardKind, times: &KernelTimes) {
        let rest = self.buckets.rest();
        self.issue_buckets(&rest);
        let tag = whole(self.names.gradient);
        for (group, gradient) in self.shape.gradients.iter().enumerate() {
            for shard in 0..gradient.shards {
                let slot = self.slot(SlotUse::Gradient { group, shard });
                let sequence = gradient.buckets.len() as u32 - 1;
                self.ops.push(Op::Await { tag, slot, sequence });
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
        self.agree_on_norm(passes);
        let optimizer = times.optimizer(kind, self.shape.trained_parameters);
        self.compute(whole(self.names.optimizer), optimizer);
    }

    /// Agrees on the gradient norm: all at once, or with what the stages before have found.
    fn agree_on_norm(&mut self, passes: &Passes) {
        let tag = whole(self.names.gradient_norm);
        match self.shape.norm {
            NormShape::Alone => {}
            NormShape::Meeting => {
                let slot = self.slot(SlotUse::GradientNorm);
                self.ops.push(Op::Collective { tag, slot, call: 0 });
            }
            NormShape::Chain { receives, sends } => {
                if let Some(call) = passes.norm_call {
                    let slot = self.tensor_slot();
                    self.tensor_instances += 1;
                    self.ops.push(Op::Collective { tag, slot, call });
                }
                if receives {
                    let slot = self.slot(SlotUse::NormIn);
                    self.ops.push(Op::Await { tag, slot, sequence: 0 });
                }
                if sends {
                    let slot = self.slot(SlotUse::NormOut);
                    self.issue(tag, slot, 0, streams::FORWARD);
                }
            }
        }
    }

    fn issue_buckets(&mut self, buckets: &[BucketId]) {
        for &(group, bucket) in buckets {
            for shard in 0..self.shape.gradients[group].shards {
                let slot = self.slot(SlotUse::Gradient { group, shard });
                self.issue(whole(self.names.gradient), slot, bucket as u16, streams::DATA);
            }
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
