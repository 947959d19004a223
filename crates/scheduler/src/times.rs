//! Kernel times of a model's parts on the cards of a cluster, computed once for each kind of part and
//! kind of card.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use motley_hardware::Catalog;
use motley_topology::{Cluster, GpuId};
use motley_units::{Bytes, Seconds, Time};
use motley_workload::{
    Activations, Block, CardPath, Deferral, Exchange, KernelModel, Model, Operands, Operator, Part,
    Pass, Recompute, Shard, Training, blocks, card_path, flops, optimizer_step, recomputed_flops,
};

use crate::check::check_precision;
use crate::error::PlanError;
use crate::uniform::Speed;

/// Compute time of a block, by what may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockTime {
    /// What must be done in order: everything but the weight gradients of linear layers.
    pub main: KernelRun,
    /// The weight gradients of all linear layers but the first. They may wait for a pass of weight
    /// gradients.
    pub inner_weights: KernelRun,
    /// The weight gradient of the first linear layer. It may wait as the others, or run while the
    /// input gradient travels.
    pub first_weight: KernelRun,
}

impl BlockTime {
    /// All kernels.
    pub fn all(self) -> KernelRun {
        self.main.then(self.weights())
    }

    /// All but the weight gradient of the first linear layer.
    pub fn all_but_first_weight(self) -> KernelRun {
        self.main.then(self.inner_weights)
    }

    /// All weight gradients.
    pub fn weights(self) -> KernelRun {
        self.inner_weights.then(self.first_weight)
    }
}

/// A run of kernels of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelRun {
    /// Their time together.
    pub time: Time,
    /// How many they are.
    pub kernels: u16,
}

impl KernelRun {
    fn add(&mut self, time: Seconds) {
        self.time += Time::from(time);
        self.kernels = self.kernels.saturating_add(1);
    }

    /// Both runs one after the other.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self { time: self.time + next.time, kernels: self.kernels.saturating_add(next.kernels) }
    }
}

/// A kind of card, by its place in [`KernelTimes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardKind(pub u32);

/// A part of the model on one rank of a kind of card, for one micro-batch.
#[derive(Clone, Debug, PartialEq)]
pub struct PartTimes {
    /// Its blocks, in the order of the forward pass.
    pub blocks: Vec<BlockTimes>,
    /// What it keeps for the backward pass.
    pub activations: Activations,
    /// Its floating-point operations.
    pub flops: PartFlops,
}

/// Floating-point operations of a part for one sample, by all ranks together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PartFlops {
    /// Forward and backward, by the field's convention.
    pub model: f64,
    /// What selective recomputation does a second time.
    pub selective: f64,
    /// What full recomputation does a second time.
    pub full: f64,
}

impl PartFlops {
    fn new(model: &Model, part: Part, training: &Training, path: CardPath) -> Self {
        let pass = |pass| flops(model, part, training, pass).0;
        let again = |recompute| recomputed_flops(model, part, training, &path, recompute).0;
        Self {
            model: pass(Pass::Forward) + pass(Pass::Backward),
            selective: again(Recompute::Selective),
            full: again(Recompute::Full),
        }
    }

    /// What is done a second time.
    pub fn again(self, recompute: Recompute) -> f64 {
        match recompute {
            Recompute::None => 0.0,
            Recompute::Selective => self.selective,
            Recompute::Full => self.full,
        }
    }
}

/// A block's times, and what tensor-parallel ranks exchange around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockTimes {
    /// The forward pass.
    pub forward: KernelRun,
    /// The backward pass.
    pub backward: BlockTime,
    /// What selective recomputation repeats.
    pub recomputed: KernelRun,
    /// What is exchanged around it.
    pub exchange: Exchange,
}

impl BlockTimes {
    /// Forward pass, what is computed again of a layer, backward pass.
    fn seconds(&self, recompute: Recompute) -> [f64; 3] {
        let seconds = |run: KernelRun| run.time.as_secs_f64();
        let again = match recompute {
            Recompute::None => 0.0,
            Recompute::Selective => seconds(self.recomputed),
            Recompute::Full => seconds(self.forward),
        };
        [seconds(self.forward), again, seconds(self.backward.all())]
    }
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
    cache: RefCell<HashMap<(CardKind, Shard, Part), Rc<PartTimes>>>,
}

impl<'a> KernelTimes<'a> {
    /// Prepares the kernel models of all cards among `gpus`.
    ///
    /// # Errors
    /// One for each kind of card that cannot run the training.
    pub fn new(
        cluster: &'a Cluster,
        catalog: &'a Catalog,
        model: &'a Model,
        training: &'a Training,
        gpus: impl IntoIterator<Item = GpuId>,
    ) -> Result<Self, Vec<PlanError>> {
        let mut times = Self {
            model,
            training,
            kernels: Vec::new(),
            kind_of_group: vec![None; cluster.spec().groups.len()],
            cluster,
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
        let times = Rc::new(PartTimes {
            blocks: list.iter().map(|block| self.block(kind, block)).collect(),
            activations: Activations::of(self.model, part, self.training, path, &shard, &list),
            flops: PartFlops::new(self.model, part, self.training, *path),
        });
        self.cache.borrow_mut().insert(key, Rc::clone(&times));
        times
    }

    fn block(&self, kind: CardKind, block: &Block) -> BlockTimes {
        BlockTimes {
            forward: self.sum(kind, block.operators(Pass::Forward)).all(),
            backward: self.sum(kind, block.operators(Pass::Backward)),
            recomputed: self.sum(kind, &block.recomputed).all(),
            exchange: block.exchange,
        }
    }

    /// Time of the optimizer step on so many parameters of one card, `quantised` of which linear
    /// layers multiply in copies.
    pub fn optimizer(&self, kind: CardKind, parameters: f64, quantised: f64) -> KernelRun {
        self.sum(kind, &optimizer_step(self.training, self.path(kind), parameters, quantised)).main
    }

    /// Time of a kernel that streams so many bytes through the card's memory.
    pub fn stream_bytes(&self, kind: CardKind, bytes: f64) -> KernelRun {
        let copy = Operator {
            name: "copy",
            work: motley_workload::Work::Elementwise { bytes: Bytes(bytes) },
            operands: Operands::Stored,
            deferral: Deferral::None,
        };
        self.sum(kind, &[copy]).main
    }

    fn sum(&self, kind: CardKind, operators: &[Operator]) -> BlockTime {
        let mut total = BlockTime::default();
        for operator in operators {
            let run = match operator.deferral {
                Deferral::None => &mut total.main,
                Deferral::WeightPass => &mut total.inner_weights,
                Deferral::Exchange => &mut total.first_weight,
            };
            run.add(self.kernels[kind.0 as usize].time(operator));
        }
        total
    }
}

/// The speed of tensor-parallel groups by their compute alone: what proportional splits balance.
#[derive(Debug)]
pub struct ComputeSpeed<'a> {
    /// Kernel times.
    pub times: &'a KernelTimes<'a>,
    /// Sequences in a micro-batch.
    pub micro_batch_size: u32,
    /// See [`crate::Plan::sequence_parallel`].
    pub sequence_parallel: bool,
    /// See [`crate::Stage::recompute`].
    pub recompute: Recompute,
}

impl ComputeSpeed<'_> {
    /// Forward and backward time of a part; the slowest card of the group sets the pace. Layers pay
    /// for what is computed again.
    fn slowest(&self, gpus: &[GpuId], part: Part) -> Seconds {
        let shard = Shard::new(gpus.len() as u32, self.sequence_parallel, self.micro_batch_size);
        let recompute = recompute_of(part, self.recompute);
        let time = |&gpu: &GpuId| {
            let times = self.times.part(self.times.kind(gpu), shard, part);
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
