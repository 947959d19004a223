//! The program of one stage on one kind of card: its passes in the order of the schedule, then the
//! end of the iteration.

use std::collections::VecDeque;

use motley_collectives::HostCopy;
use motley_job::{NameId, Op, Program, Slot, Stream, Tag};
use motley_workload::ProcessGroup;

use super::buckets::{BucketId, Buckets};
use super::gathers::{Fetch, Fetched, Gathers};
use super::gradients::Item;
use super::names::{Names, streams};
use super::passes::Passes;
use super::shape::{NormShape, SlotUse, StageShape};
use super::strand::Piece;
use super::walk::{Instance, LastContributions, Walk};
use crate::schedule::{Pass, Step, Turn, steps};
use crate::times::{CardKind, KernelRun, KernelTimes};
use crate::zero::{ParameterGather, Sharded};

/// Builds the program of a stage of `shape` on cards of `kind` that takes its passes in `order`.
pub(super) fn build(
    shape: &StageShape,
    passes: &Passes,
    order: &[Turn],
    kind: CardKind,
    times: &KernelTimes,
    names: &Names,
) -> Program {
    let layers = times.model().layer_count();
    let mut writer = Writer::new(shape, passes, names, layers);
    if shape.gathers_forward() {
        // In what order passes that run together come to their parameters shows when they are
        // written.
        let mut ahead = Writer::new(shape, passes, names, layers);
        ahead.passes(passes, order);
        let begun = writer.gathers.begin(ahead.gathers.asked());
        writer.fetch(&begun);
    }
    writer.passes(passes, order);
    writer.finish_iteration(passes, kind, times);
    Program { ops: writer.ops }
}

/// Writes operations.
struct Writer<'a> {
    shape: &'a StageShape,
    names: &'a Names,
    slots: Vec<SlotUse>,
    buckets: Buckets<'a>,
    gathers: Gathers<'a>,
    ops: Vec<Op>,
    /// What a pass sends after what the next one receives.
    held_send: Option<(Tag, Slot, Stream)>,
    /// Calls of each process group so far.
    instances: [u32; ProcessGroup::ALL.len()],
    /// Copies to the host and to the card so far.
    copies: [u32; 2],
    /// Copies to the card that have been waited for.
    awaited_copies: u32,
    /// Sections that the host has begun to launch.
    launches: u32,
    /// Of these, those that it has begun before their passes.
    ahead: VecDeque<u32>,
}

impl<'a> Writer<'a> {
    fn new(shape: &'a StageShape, passes: &'a Passes, names: &'a Names, model_layers: u32) -> Self {
        let launches = (!passes.launches.is_empty()).then_some(SlotUse::Launches);
        Self {
            shape,
            names,
            slots: shape.slots().into_iter().chain(launches).collect(),
            buckets: Buckets::new(shape, model_layers),
            gathers: Gathers::new(shape, &passes.parameter_copies),
            ops: Vec::new(),
            held_send: None,
            instances: Default::default(),
            copies: Default::default(),
            awaited_copies: 0,
            launches: 0,
            ahead: VecDeque::new(),
        }
    }

    /// All passes.
    fn passes(&mut self, passes: &Passes, order: &[Turn]) {
        let last = LastContributions::of(order, self.shape.chunks.len());
        if self.shape.is_alone() {
            self.launch_ahead(passes, order);
        }
        for (place, &turn) in order.iter().enumerate() {
            let walk = |step: Step| Walk::new(passes.strand(step), step, self.shape.routes, &last);
            match turn {
                Turn::Alone(step) => {
                    let sends_late = self.sends_late(step, order.get(place + 1).copied());
                    self.alone(Walk { sends_late, ..walk(step) });
                }
                Turn::Overlapped { forward, backward } => {
                    self.together(walk(forward), walk(backward));
                }
            }
        }
    }

    /// Whether a forward pass sends after what the turn behind it receives: a backward pass that is as far
    /// behind as passes are in the steady state.
    fn sends_late(&self, step: Step, next: Option<Turn>) -> bool {
        let Some(Turn::Alone(next)) = next else { return false };
        self.shape.sends_after.is_some_and(|ahead| {
            (step.pass, next.pass) == (Pass::Forward, Pass::Backward)
                && step.micro_batch == next.micro_batch + ahead
        })
    }

    /// The host launches all passes, one after the other.
    fn launch_ahead(&mut self, passes: &Passes, order: &[Turn]) {
        for step in steps(order) {
            for piece in &passes.strand(step).pieces {
                if let Piece::Launch { call } = *piece {
                    let launched = self.launch(call, step.micro_batch as u16);
                    self.ahead.push_back(launched);
                }
            }
        }
    }

    /// The host begins to launch a section, behind those before; returns which it is.
    fn launch(&mut self, call: u16, index: u16) -> u32 {
        let slot = self.slot(SlotUse::Launches);
        let tag = Tag { name: self.names.launch, index };
        self.issue(tag, slot, call, streams::LAUNCHES);
        self.launches += 1;
        self.launches - 1
    }

    /// A pass.
    fn alone(&mut self, mut walk: Walk) {
        while let Some((&piece, rest)) = walk.pieces.split_first() {
            walk.pieces = rest;
            self.piece(&mut walk, piece);
        }
    }

    /// Two passes in turn: whenever one of them waits for a process group, the other goes on.
    fn together(&mut self, mut one: Walk, mut other: Walk) {
        while !one.is_over() || !other.is_over() {
            self.until_it_waits(&mut one, other.is_over());
            self.until_it_waits(&mut other, one.is_over());
        }
    }

    /// Goes on with a pass until it has to wait, or to its end if the other pass is over.
    fn until_it_waits(&mut self, walk: &mut Walk, other_is_over: bool) {
        if let Some((name, instance)) = walk.pending.take() {
            self.wait(walk, name, instance);
        }
        while let Some((&piece, rest)) = walk.pieces.split_first() {
            walk.pieces = rest;
            match piece {
                Piece::Exchange { name, group, call } if !other_is_over => {
                    walk.pending = Some((name, self.begin(walk, name, group, call)));
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
            Piece::Exchange { name, group, call } => {
                let slot = self.slot(SlotUse::Group(group));
                self.instances[group as usize] += 1;
                self.ops.push(Op::Collective { tag: tagged(name), slot, call });
            }
            Piece::Begin { name, group, call } => {
                let instance = self.begin(walk, name, group, call);
                walk.begun.push(instance);
            }
            Piece::Finish { name, begun } => self.wait(walk, name, walk.begun[usize::from(begun)]),
            Piece::Receive { name, slot } => {
                let sequence = walk.sequence;
                self.ops.push(Op::Await { tag: tagged(name), slot, sequence });
                if let Some((tag, slot, stream)) = self.held_send.take() {
                    self.issue(tag, slot, 0, stream);
                }
            }
            Piece::Send { name, slot, stream } if walk.sends_late => {
                self.held_send = Some((tagged(name), slot, stream));
            }
            Piece::Send { name, slot, stream } => self.issue(tagged(name), slot, 0, stream),
            Piece::Copy { direction, call } => self.copy(direction, call, walk.index),
            Piece::Copied => {
                self.await_copy(HostCopy::ToCard, self.awaited_copies, walk.index);
                self.awaited_copies += 1;
            }
            Piece::Launch { call } => {
                let ahead = self.ahead.pop_front();
                let launched = ahead.unwrap_or_else(|| self.launch(call, walk.index));
                walk.launches.push(launched);
            }
            Piece::Launched => {
                let sequence = walk.launches[walk.launched];
                walk.launched += 1;
                let slot = self.slot(SlotUse::Launches);
                self.ops.push(Op::Await { tag: tagged(self.names.launch), slot, sequence });
            }
            Piece::Parameters(item) => self.await_parameters(walk.index, item),
            Piece::Gradients(item) => self.gradients(walk, item),
        }
    }

    /// Begins a call of a process group beside what follows; returns which instance.
    fn begin(&mut self, walk: &Walk, name: NameId, group: ProcessGroup, call: u16) -> Instance {
        let slot = self.slot(SlotUse::Group(group));
        self.issue(Tag { name, index: walk.index }, slot, call, streams::of_group(group));
        let sequence = self.instances[group as usize];
        self.instances[group as usize] += 1;
        Instance { group, sequence }
    }

    fn wait(&mut self, walk: &Walk, name: NameId, instance: Instance) {
        let slot = self.slot(SlotUse::Group(instance.group));
        let tag = Tag { name, index: walk.index };
        self.ops.push(Op::Await { tag, slot, sequence: instance.sequence });
    }

    /// This micro-batch's gradients of an item are there.
    fn gradients(&mut self, walk: &Walk, item: Item) {
        if self.shape.reduces_each_micro_batch() {
            let ready = self.buckets.ending_with(item);
            self.issue_buckets(&ready);
            if !self.shape.overlap_gradients {
                self.await_gradients(&ready, walk.index);
            }
        } else if walk.completes && self.shape.overlap_gradients {
            let ready = self.buckets.contributed(item);
            self.issue_buckets(&ready);
        }
    }

    /// Waits for the parameters of an item, and begins to gather what is needed next.
    fn await_parameters(&mut self, index: u16, item: Item) {
        let Some(needed) = self.gathers.need(item) else { return };
        self.fetch(&needed.begun);
        for fetched in needed.awaited {
            match fetched {
                Fetched::Copy(sequence) => {
                    let tag = Tag { name: self.names.to_card, index };
                    let slot = self.slot(SlotUse::HostParameters);
                    self.ops.push(Op::Await { tag, slot, sequence });
                }
                Fetched::Gather { group, sequence } => {
                    let tag = Tag { name: self.names.parameters, index };
                    for shard in 0..self.shape.gradients[group].shards {
                        let slot = self.slot(SlotUse::Parameters { group, shard });
                        self.ops.push(Op::Await { tag, slot, sequence });
                    }
                }
            }
        }
    }

    fn fetch(&mut self, sources: &[Fetch]) {
        for &source in sources {
            match source {
                Fetch::Copy(call) => {
                    let slot = self.slot(SlotUse::HostParameters);
                    self.issue(whole(self.names.to_card), slot, call, streams::PARAMETERS);
                }
                Fetch::Gather(bucket) => self.gather(bucket),
            }
        }
    }

    fn gather(&mut self, (group, bucket): BucketId) {
        for shard in 0..self.shape.gradients[group].shards {
            let slot = self.slot(SlotUse::Parameters { group, shard });
            let tag = whole(self.names.parameters);
            self.issue(tag, slot, bucket as u16, streams::PARAMETERS);
        }
    }

    /// Begins a copy between card and host.
    fn copy(&mut self, direction: HostCopy, call: u16, index: u16) {
        let (name, stream) = match direction {
            HostCopy::ToHost => (self.names.to_host, streams::TO_HOST),
            HostCopy::ToCard => (self.names.to_card, streams::TO_CARD),
        };
        let slot = self.slot(SlotUse::Host(direction));
        self.issue(Tag { name, index }, slot, call, stream);
        self.copies[direction as usize] += 1;
    }

    fn await_copy(&mut self, direction: HostCopy, sequence: u32, index: u16) {
        let name = match direction {
            HostCopy::ToHost => self.names.to_host,
            HostCopy::ToCard => self.names.to_card,
        };
        let slot = self.slot(SlotUse::Host(direction));
        self.ops.push(Op::Await { tag: Tag { name, index }, slot, sequence });
    }

    /// Steps the optimizer, on the card or on its host.
    fn step(&mut self, passes: &Passes, kind: CardKind, times: &KernelTimes) {
        let stepped = self.shape.states.stepped;
        let Some([gradients, parameters]) = passes.step_copies else {
            self.compute(
                whole(self.names.optimizer),
                times.optimizer(kind, stepped, self.shape.quantised_parameters),
            );
            return;
        };
        for (direction, call) in [(HostCopy::ToHost, gradients), (HostCopy::ToCard, parameters)] {
            self.copy(direction, call, Tag::NO_INDEX);
            let last = self.copies[direction as usize] - 1;
            self.await_copy(direction, last, Tag::NO_INDEX);
            if direction == HostCopy::ToHost {
                let step = times.host_optimizer(stepped, self.shape.ranks_on_node);
                self.compute(whole(self.names.host_optimizer), step);
            }
        }
    }

    /// Averages gradients, agrees on their norm, steps the optimizer, gathers what it has changed.
    fn finish_iteration(&mut self, passes: &Passes, kind: CardKind, times: &KernelTimes) {
        if !self.shape.reduces_each_micro_batch() {
            let rest = self.buckets.rest();
            self.issue_buckets(&rest);
        }
        for group in 0..self.shape.gradients.len() {
            if let Some(last) = self.buckets.issued_of(group).checked_sub(1) {
                self.await_bucket(group, last, Tag::NO_INDEX);
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
        self.step(passes, kind, times);
        if matches!(
            self.shape.sharded,
            Sharded::Optimizer(ParameterGather::AtEnd) | Sharded::Gradients(ParameterGather::AtEnd)
        ) {
            for bucket in self.gathers.all() {
                self.gather(bucket);
            }
            for (group, gradient) in self.shape.gradients.iter().enumerate() {
                let Some(last) = gradient.buckets.len().checked_sub(1) else { continue };
                if !gradient.shared {
                    continue;
                }
                for shard in 0..gradient.shards {
                    let slot = self.slot(SlotUse::Parameters { group, shard });
                    let tag = whole(self.names.parameters);
                    self.ops.push(Op::Await { tag, slot, sequence: last as u32 });
                }
            }
        }
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
                    let slot = self.slot(SlotUse::Group(ProcessGroup::Tensor));
                    self.instances[ProcessGroup::Tensor as usize] += 1;
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
            let gradient = &self.shape.gradients[group];
            let (call, name) = (bucket as u16, self.gradient_name(group));
            for shard in 0..gradient.shards {
                let slot = self.slot(SlotUse::Gradient { group, shard });
                self.issue(whole(name), slot, call, streams::DATA);
            }
            // One after the other on one stream.
            for shard in (0..gradient.shards).filter(|_| gradient.replicated) {
                let slot = self.slot(SlotUse::Replicas { group, shard });
                self.issue(whole(self.names.gradient), slot, call, streams::DATA);
            }
        }
    }

    /// Waits for buckets that have been issued last.
    fn await_gradients(&mut self, buckets: &[BucketId], index: u16) {
        for &(group, _) in buckets {
            let last = self.buckets.issued_of(group) - 1;
            self.await_bucket(group, last, index);
        }
    }

    /// Waits for the so-many-th bucket of a group.
    fn await_bucket(&mut self, group: usize, sequence: u32, index: u16) {
        let gradient = &self.shape.gradients[group];
        let name =
            if gradient.replicated { self.names.gradient } else { self.gradient_name(group) };
        for shard in 0..gradient.shards {
            let slot = self.slot(if gradient.replicated {
                SlotUse::Replicas { group, shard }
            } else {
                SlotUse::Gradient { group, shard }
            });
            self.ops.push(Op::Await { tag: Tag { name, index }, slot, sequence });
        }
    }

    fn gradient_name(&self, group: usize) -> NameId {
        if self.shape.gradients[group].scattered {
            self.names.gradient_shard
        } else {
            self.names.gradient
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

#[cfg(test)]
mod tests {
    use motley_job::{JobBuilder, Link};
    use motley_units::Time;
    use motley_workload::{Recompute, Shard};

    use super::*;
    use crate::lower::shape::ChunkShape;
    use crate::lower::states::States;
    use crate::lower::strand::Strand;
    use crate::plan::Offload;
    use crate::schedule::Pass;

    /// A stage with a tensor-parallel group and nothing else.
    fn shape() -> StageShape {
        let chunk = ChunkShape {
            first_layer: 0,
            layers: 1,
            embedding: false,
            head: false,
            receives: false,
            sends: false,
        };
        StageShape {
            shard: Shard::new(2, false, 1),
            overlap_weight_gradient: true,
            overlap_tensor: false,
            scatter_gather: true,
            sends_after: None,
            recompute: Recompute::None,
            chunks: vec![chunk],
            routes: 1,
            element_bytes: 2,
            dispatch: None,
            gradients: Vec::new(),
            overlap_gradients: false,
            sharded: Sharded::Nothing,
            embedding_shards: 0,
            norm: NormShape::Alone,
            states: States::default(),
            offload: Offload::default(),
            ranks_on_node: 1,
            quantised_parameters: 0.0,
            communicators: [0, 0],
            reshard_bytes: 0.0,
        }
    }

    /// Weaves two strands; each is written as letters: small ones compute, `X` exchanges, `B`
    /// begins a call, `E` ends the first one begun. The program is written alike, with `I` for an
    /// issue, `C` for a collective, `A` and a number for an await of that instance.
    fn woven(one: &str, other: &str) -> String {
        let link = Link { capacity: 1.0 };
        let mut job = JobBuilder::new(vec![link], 4);
        let names = Names::new(&mut job, 1);
        let letters: Vec<NameId> = ('a'..='z').map(|c| job.name(&c.to_string())).collect();
        let strand = |text: &str| {
            let pieces = text.chars().map(|letter| match letter {
                'X' => Piece::Exchange { name: letters[0], group: ProcessGroup::Tensor, call: 0 },
                'B' => Piece::Begin { name: letters[0], group: ProcessGroup::Tensor, call: 0 },
                'E' => Piece::Finish { name: letters[0], begun: 0 },
                _ => Piece::Compute {
                    name: letters[letter as usize - 'a' as usize],
                    run: KernelRun { time: Time::from_picos(1), kernels: 1, host: Time::ZERO },
                },
            });
            Strand { pieces: pieces.collect() }
        };
        let shape = shape();
        let last = LastContributions::of(&[], 1);
        let passes = Passes::default();
        let mut writer = Writer::new(&shape, &passes, &names, 1);
        let (one, other) = (strand(one), strand(other));
        let step = |micro_batch| Step { pass: Pass::Forward, micro_batch, chunk: 0 };
        let walks =
            [(&one, 0), (&other, 1)].map(|(strand, m)| Walk::new(strand, step(m), 1, &last));
        let [one, other] = walks;
        writer.together(one, other);
        let written = writer.ops.iter().map(|op| match *op {
            Op::Compute { tag, .. } => {
                let letter = letters.iter().position(|&name| name == tag.name).unwrap_or(0);
                char::from(b'a' + letter as u8).to_string()
            }
            Op::Collective { .. } => "C".to_owned(),
            Op::Issue { .. } => "I".to_owned(),
            Op::Await { sequence, .. } => format!("A{sequence}"),
            Op::Segment { .. } => "?".to_owned(),
        });
        written.collect()
    }

    #[test]
    fn a_pass_goes_on_while_the_other_waits() {
        // Without anything to wait for: one after the other.
        assert_eq!(woven("ab", "xy"), "abxy");
        // Each computes while the other exchanges.
        assert_eq!(woven("aXb", "xXy"), "aIxIA0bA1y");
        assert_eq!(woven("aXbXc", "xXyXz"), "aIxIA0bIA1yIA2cA3z");
        // A call that runs beside its own pass is waited for beside the other.
        assert_eq!(woven("aBbEc", "xXy"), "aIbxIA0cA1y");
        // When the other is over, a pass waits for itself.
        assert_eq!(woven("aXbXc", "x"), "aIxA0bCc");
        assert_eq!(woven("a", "xXy"), "axCy");
        assert_eq!(woven("", "xXy"), "xCy");
        // Both end with an exchange.
        assert_eq!(woven("aX", "xX"), "aIxIA0A1");
    }
}
