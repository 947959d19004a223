//! Kernel times of a model's parts on the cards of a cluster, computed once for each kind of part and
//! kind of card.

mod runs;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use motley_hardware::{Catalog, Device};
use motley_topology::{Cluster, GpuId};
use motley_units::{Bytes, Seconds, Time};
use motley_workload::{
    Activations, Block, CardPath, Deferral, InnerExchange, KernelModel, Model, Operands, Operator,
    Part, Pass, Profile, ProfiledCollective, ProfiledKernel, Recompute, Repeat, Shard,
    TensorExchange, Training, Work, blocks, card_path, flops, host_optimizer_step, optimizer_step,
};

use crate::check::check_precision;
use crate::collective_times::CollectiveTimes;
use crate::error::PlanError;
use crate::measured::{KernelSources, Measured};
use crate::uniform::Speed;

pub(crate) use runs::CutProduct;
use runs::take_as_measured;
pub use runs::{BlockPass, BlockPiece, BlockTimes, KernelRun, RepeatTimes};

/// A kind of card, by its place in [`KernelTimes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardKind(pub u32);

/// A part of the model on one rank of a kind of card, for one micro-batch.
#[derive(Clone, Debug, PartialEq)]
pub struct PartTimes {
    /// Its blocks, in the order of the forward pass.
    pub blocks: Vec<BlockTimes>,
    /// Tensor-parallel ranks exchange something beside its kernels: their times do not hold it.
    pub exchanges: bool,
    /// What it keeps for the backward pass.
    pub activations: Activations,
    /// Its floating-point operations for one sample, by all ranks together, forward and backward by
    /// the field's convention.
    pub flops: f64,
}

/// What is computed again of a part on a stage that recomputes its layers so: embedding and head keep
/// what they need.
pub(crate) fn recompute_of(part: Part, layers: Recompute) -> Recompute {
    match part {
        Part::Layer(_) => layers,
        Part::Embedding | Part::Head => Recompute::None,
    }
}

/// The kernel times of one model and training on the cards that a plan may use.
#[derive(Debug)]
pub struct KernelTimes<'a> {
    model: &'a Model,
    training: &'a Training,
    kernels: Vec<KernelModel<'a>>,
    /// Kind of card by node group of the cluster; `None` where no card of the group is used.
    kind_of_group: Vec<Option<CardKind>>,
    cluster: &'a Cluster,
    measured: Measured<'a>,
    collectives: CollectiveTimes,
    cache: RefCell<HashMap<(CardKind, Shard, Part), Rc<PartTimes>>>,
}

impl<'a> KernelTimes<'a> {
    /// Prepares the kernel models of all cards among `gpus`. What `profile` has counts instead of what
    /// they predict.
    ///
    /// # Errors
    /// One for each kind of card that cannot run the training.
    pub fn new(
        cluster: &'a Cluster,
        catalog: &'a Catalog,
        model: &'a Model,
        training: &'a Training,
        profile: Option<&'a Profile>,
        gpus: impl IntoIterator<Item = GpuId>,
    ) -> Result<Self, Vec<PlanError>> {
        let mut times = Self {
            model,
            training,
            kernels: Vec::new(),
            kind_of_group: vec![None; cluster.spec().groups.len()],
            cluster,
            measured: Measured::new(profile),
            collectives: CollectiveTimes::new(profile),
            cache: RefCell::default(),
        };
        let gpus: Vec<GpuId> = gpus.into_iter().collect();
        let errors = check_precision(cluster, catalog, training, gpus.iter().copied());
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut kinds: Vec<&str> = Vec::new();
        for gpu in gpus {
            let group = cluster.group_of(gpu);
            if times.kind_of_group[group].is_some() {
                continue;
            }
            let device = cluster.device(gpu);
            let known = kinds.iter().position(|&id| id == device.id);
            times.kind_of_group[group] = Some(CardKind(known.unwrap_or(kinds.len()) as u32));
            if known.is_none()
                && let Some(architecture) = catalog.architecture(&device.architecture)
                && let Ok(path) = card_path(device, architecture, training)
            {
                kinds.push(&device.id);
                times.kernels.push(KernelModel::new(device, architecture, path));
            }
        }
        Ok(times)
    }

    /// The same as if all cards were of the kind that this one is of.
    ///
    /// # Panics
    /// As [`KernelTimes::kind`].
    #[must_use]
    pub fn all_as(mut self, gpu: GpuId) -> Self {
        let kind = self.kind(gpu);
        self.kind_of_group.iter_mut().flatten().for_each(|known| *known = kind);
        self
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// The training.
    pub fn training(&self) -> &'a Training {
        self.training
    }

    /// The kind of a card.
    ///
    /// # Panics
    /// If the card was not among those named in [`KernelTimes::new`].
    pub fn kind(&self, gpu: GpuId) -> CardKind {
        self.kind_of_group[self.cluster.group_of(gpu)]
            .expect("asked only of the cards it was made for")
    }

    /// How a kind of card runs the training.
    pub fn path(&self, kind: CardKind) -> &CardPath {
        self.kernels[kind.0 as usize].path()
    }

    /// The card that a kind is of.
    pub fn device(&self, kind: CardKind) -> &Device {
        self.kernels[kind.0 as usize].device()
    }

    /// The memory of a kind of card.
    pub fn memory(&self, kind: CardKind) -> Bytes {
        *self.kernels[kind.0 as usize].device().memory.get()
    }

    /// A part of one micro-batch on one rank.
    pub fn part(&self, kind: CardKind, shard: Shard, part: Part) -> Rc<PartTimes> {
        let key = (kind, shard, part);
        if let Some(known) = self.cache.borrow().get(&key) {
            return Rc::clone(known);
        }
        let path = self.path(kind);
        let list = blocks(self.model, part, self.training, path, &shard);
        let pieces = if shard.sequence_parallel { shard.tensor_parallel } else { 1 };
        let layer = self.measured.layer(&self.kernels[kind.0 as usize], &shard, part);
        let mut blocks: Vec<BlockTimes> = self.measured.within_layer(layer.is_some(), || {
            list.iter().map(|block| self.block(kind, block, pieces)).collect()
        });
        if let Some(layer) = layer {
            take_as_measured(&mut blocks, layer);
        }
        let exchanges = layer.is_none_or(|layer| layer.tensor_exchange == TensorExchange::Excluded);
        if !exchanges {
            blocks.iter_mut().for_each(BlockTimes::exchange_nothing);
        }
        let times = Rc::new(PartTimes {
            blocks,
            exchanges,
            activations: Activations::of(self.model, part, self.training, path, &shard, &list),
            flops: flops(self.model, part, self.training, Pass::Forward).0
                + flops(self.model, part, self.training, Pass::Backward).0,
        });
        self.cache.borrow_mut().insert(key, Rc::clone(&times));
        times
    }

    fn block(&self, kind: CardKind, block: &Block, pieces: u32) -> BlockTimes {
        let pass = |pass: Pass| {
            let operators = block.operators(pass);
            let ends = self.ends(kind, operators, pieces, self.launch(pass));
            BlockPass {
                ends,
                ..self.pass(kind, operators, block.exchanges(pass), self.launch(pass))
            }
        };
        let launch = self.launch(Pass::Forward);
        let again = |repeat: &Repeat| RepeatTimes {
            pass: BlockPass {
                ends: self.ends(kind, &repeat.operators, pieces, launch),
                ..self.pass(kind, &repeat.operators, &repeat.inside, launch)
            },
            repeat: repeat.clone(),
        };
        BlockTimes {
            forward: pass(Pass::Forward),
            backward: pass(Pass::Backward),
            repeats: block.repeats.iter().map(again).collect(),
            exchange: block.exchange,
        }
    }

    /// The first and the last product among kernels that must be done in order, cut in `pieces`. Where
    /// experts multiply, nothing is cut: their rows are in no order of tokens.
    fn ends(
        &self,
        kind: CardKind,
        operators: &[Operator],
        pieces: u32,
        host: Time,
    ) -> [Option<CutProduct>; 2] {
        let experts = |operator: &Operator| matches!(operator.work, Work::GroupedGemm(_));
        if pieces <= 1 || operators.iter().any(experts) {
            return [None; 2];
        }
        let kernels = &self.kernels[kind.0 as usize];
        let cut = |operator: &Operator| {
            let Work::Gemm { m, n, k, batch: 1 } = operator.work else { return None };
            let m = m.div_ceil(u64::from(pieces));
            let piece = Operator { work: Work::Gemm { m, n, k, batch: 1 }, ..operator.clone() };
            let time = |operator: &Operator| Time::from(self.measured.time(kernels, operator));
            Some(CutProduct { whole: time(operator), piece: time(&piece), host })
        };
        let product = |operator: &&Operator| {
            operator.deferral == Deferral::None && matches!(operator.work, Work::Gemm { .. })
        };
        let first = operators.iter().position(|operator| product(&operator));
        let last = operators.iter().rposition(|operator| product(&operator));
        // A product at both ends is cut once.
        let last = last.filter(|_| last != first);
        [first, last].map(|position| position.and_then(|position| cut(&operators[position])))
    }

    /// Time of the optimizer step on so many parameters of one card, `quantised` of which linear
    /// layers multiply in copies.
    pub fn optimizer(&self, kind: CardKind, parameters: f64, quantised: f64) -> KernelRun {
        let update =
            self.measured.update(&self.kernels[kind.0 as usize], self.model, self.training);
        if let Some(seconds) = update {
            let mut run = KernelRun::default();
            run.add(Seconds(seconds * parameters), Time::ZERO);
            return run;
        }
        let step = optimizer_step(self.training, self.path(kind), parameters, quantised);
        self.sum(kind, &step).by_itself()
    }

    /// Where the kernel times came from that were asked for so far.
    pub fn sources(&self) -> KernelSources {
        self.measured.sources()
    }

    /// The times of collectives.
    pub(crate) fn collectives(&self) -> &CollectiveTimes {
        &self.collectives
    }

    /// Every kernel and every collective whose time was asked for, with the time, in a fixed order. Those
    /// that no profile can have are left out.
    pub fn into_asked(self) -> (Vec<ProfiledKernel>, Vec<ProfiledCollective>) {
        (self.measured.into_asked(), self.collectives.asked(self.cluster))
    }

    /// Time of the optimizer step on so many parameters of one card by the processors of its node, which
    /// step for `ranks` cards at once.
    pub fn host_optimizer(&self, parameters: f64, ranks: u32) -> KernelRun {
        let mut run = KernelRun::default();
        let step = host_optimizer_step(self.training.optimizer, parameters * f64::from(ranks));
        run.add(step, Time::ZERO);
        run
    }

    /// Time of a kernel that streams so many bytes through the card's memory.
    pub fn stream_bytes(&self, kind: CardKind, bytes: f64) -> KernelRun {
        let copy = Operator {
            name: "copy",
            work: Work::Elementwise { bytes: Bytes(bytes) },
            operands: Operands::Stored,
            deferral: Deferral::None,
        };
        self.sum(kind, &[copy])
    }

    /// The host's time to launch a kernel of a pass.
    fn launch(&self, pass: Pass) -> Time {
        Time::from(self.training.host_launch.kernel(pass))
    }

    /// The host's time for a call of a process group.
    pub fn call(&self) -> Time {
        Time::from(self.training.host_launch.call())
    }

    /// Kernels outside of backward passes.
    fn sum(&self, kind: CardKind, operators: &[Operator]) -> KernelRun {
        self.pass(kind, operators, &[], self.launch(Pass::Forward)).all()
    }

    /// A pass of these kernels, each launched in `host`, with what is exchanged in the middle of it.
    fn pass(
        &self,
        kind: CardKind,
        operators: &[Operator],
        exchanges: &[InnerExchange],
        host: Time,
    ) -> BlockPass {
        let mut pass = BlockPass::default();
        let mut begun = 0;
        // Begun exchanges by the kernel that needs them.
        let mut open: Vec<(usize, u16)> = Vec::new();
        let mut next = exchanges.iter().peekable();
        for position in 0..=operators.len() {
            loop {
                if let Some(done) = open.iter().position(|&(needed, _)| needed == position) {
                    pass.pieces.push(BlockPiece::Finish(open.remove(done).1));
                } else if let Some(exchange) = next.next_if(|other| other.begins == position) {
                    if exchange.needed > position {
                        open.push((exchange.needed, begun));
                        begun += 1;
                        pass.pieces.push(BlockPiece::Begin(*exchange));
                    } else {
                        pass.pieces.push(BlockPiece::Exchange(*exchange));
                    }
                } else {
                    break;
                }
            }
            let Some(operator) = operators.get(position) else { break };
            let time = self.measured.time(&self.kernels[kind.0 as usize], operator);
            match operator.deferral {
                Deferral::None => pass.run(|main, _| main.add(time, host)),
                Deferral::WeightPass => pass.run(|_, weights| weights.add(time, host)),
                Deferral::Exchange => pass.first_weight.add(time, host),
            }
        }
        pass
    }
}

/// The speed of tensor-parallel groups by their compute alone: what proportional splits balance.
#[derive(Debug)]
pub struct ComputeSpeed<'a> {
    /// Kernel times.
    pub times: &'a KernelTimes<'a>,
    /// What one card of a group works on.
    pub shard: Shard,
    /// See [`crate::Stage::recompute`].
    pub recompute: Recompute,
}

impl ComputeSpeed<'_> {
    /// Forward and backward time of a part; the slowest card of the group sets the pace. Layers pay
    /// for what is computed again.
    fn slowest(&self, gpus: &[GpuId], part: Part) -> Seconds {
        let recompute = recompute_of(part, self.recompute);
        let time = |&gpu: &GpuId| {
            let times = self.times.part(self.times.kind(gpu), self.shard, part);
            let blocks = times.blocks.iter().map(|block| block.seconds(recompute));
            let [forward, again, backward] = blocks.fold([0.0; 3], |sum, block| {
                [sum[0] + block[0], sum[1] + block[1], sum[2] + block[2]]
            });
            forward + again + backward
        };
        Seconds(gpus.iter().map(time).fold(0.0, f64::max))
    }
}

impl Speed for ComputeSpeed<'_> {
    fn part(&self, gpus: &[GpuId], part: Part) -> Seconds {
        self.slowest(gpus, part)
    }
}
