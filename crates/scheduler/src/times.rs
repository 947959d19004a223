//! Kernel times of a model's blocks on the cards of a cluster, computed once for each kind.

use std::cell::RefCell;
use std::collections::HashMap;

use motley_hardware::Catalog;
use motley_topology::{Cluster, GpuId};
use motley_units::{Bytes, Seconds, Time};
use motley_workload::{
    Block, CardPath, Deferral, KernelModel, Model, Operator, Pass, Recompute, Shard, Training,
    attention_core_forward, card_path, operators, optimizer_step,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Block(Block, Pass),
    AttentionCore,
}

/// A piece of work on a kind of card: tensor-parallel degree, sequence parallelism, micro-batch size.
type PieceKey = (CardKind, u32, bool, u32, Piece);

/// The kernel times of one model and training on the cards that a plan may use.
#[derive(Debug)]
pub struct KernelTimes<'a> {
    model: &'a Model,
    training: &'a Training,
    kernels: Vec<KernelModel<'a>>,
    /// Kind of card by node group of the cluster; `None` where no card of the group is used.
    kind_of_group: Vec<Option<CardKind>>,
    cluster: &'a Cluster,
    cache: RefCell<HashMap<PieceKey, BlockTime>>,
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

    /// Time of a block of one micro-batch.
    pub fn block(&self, kind: CardKind, shard: Shard, block: Block, pass: Pass) -> BlockTime {
        self.piece(kind, shard, Piece::Block(block, pass))
    }

    /// Time of what selective recomputation repeats in one layer.
    pub fn attention_core(&self, kind: CardKind, shard: Shard) -> KernelRun {
        self.piece(kind, shard, Piece::AttentionCore).main
    }

    /// Time of the optimizer step on so many parameters of one card.
    pub fn optimizer(&self, kind: CardKind, parameters: f64) -> KernelRun {
        self.sum(kind, &optimizer_step(self.training, parameters)).main
    }

    /// Time of a kernel that streams so many bytes through the card's memory.
    pub fn stream_bytes(&self, kind: CardKind, bytes: f64) -> KernelRun {
        let copy = Operator {
            name: "copy",
            work: motley_workload::Work::Elementwise { bytes: Bytes(bytes) },
            deferral: Deferral::None,
        };
        self.sum(kind, &[copy]).main
    }

    fn piece(&self, kind: CardKind, shard: Shard, piece: Piece) -> BlockTime {
        let Shard { tensor_parallel, sequence_parallel, micro_batch_size } = shard;
        let key = (kind, tensor_parallel, sequence_parallel, micro_batch_size, piece);
        if let Some(&known) = self.cache.borrow().get(&key) {
            return known;
        }
        let path = self.path(kind);
        let list = match piece {
            Piece::Block(block, pass) => {
                operators(self.model, self.training, path, block, pass, &shard)
            }
            Piece::AttentionCore => attention_core_forward(self.model, self.training, path, &shard),
        };
        let time = self.sum(kind, &list);
        self.cache.borrow_mut().insert(key, time);
        time
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
    /// Forward and backward time of `blocks`; the slowest card of the group sets the pace. Layers
    /// pay for what is computed again.
    fn slowest(&self, gpus: &[GpuId], blocks: &[Block]) -> Seconds {
        let shard = Shard {
            tensor_parallel: gpus.len() as u32,
            sequence_parallel: self.sequence_parallel,
            micro_batch_size: self.micro_batch_size,
        };
        let layer = blocks.contains(&Block::Attention);
        let time = |&gpu: &GpuId| {
            let kind = self.times.kind(gpu);
            let pass =
                |block, pass| self.times.block(kind, shard, block, pass).all().time.as_secs_f64();
            let forward: f64 = blocks.iter().map(|&block| pass(block, Pass::Forward)).sum();
            let backward: f64 = blocks.iter().map(|&block| pass(block, Pass::Backward)).sum();
            let again = match self.recompute {
                Recompute::Full if layer => forward,
                Recompute::Selective if layer => {
                    self.times.attention_core(kind, shard).time.as_secs_f64()
                }
                _ => 0.0,
            };
            forward + again + backward
        };
        Seconds(gpus.iter().map(time).fold(0.0, f64::max))
    }
}

impl Speed for ComputeSpeed<'_> {
    fn layer(&self, gpus: &[GpuId]) -> Seconds {
        self.slowest(gpus, &[Block::Attention, Block::Mlp])
    }

    fn embedding(&self, gpus: &[GpuId]) -> Seconds {
        self.slowest(gpus, &[Block::Embedding])
    }

    fn head(&self, gpus: &[GpuId]) -> Seconds {
        self.slowest(gpus, &[Block::Head])
    }
}
