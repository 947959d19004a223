//! Runs of kernels: how long the passes of a block take.

use motley_units::{Seconds, Time};
use motley_workload::{Exchange, InnerExchange, Recompute, Repeat};

use crate::measured::{LayerTimes, scaled};

/// A piece of a pass through a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlockPiece {
    /// Kernels.
    Run {
        /// What must be done in order: everything but the weight gradients of linear layers.
        main: KernelRun,
        /// Weight gradients of linear layers that are not the block's first. They may wait for a
        /// pass of weight gradients.
        weights: KernelRun,
    },
    /// What follows needs the result of an exchange.
    Exchange(InnerExchange),
    /// An exchange runs beside what follows.
    Begin(InnerExchange),
    /// What follows needs the result of the pass's so-many-th [`BlockPiece::Begin`].
    Finish(u16),
}

/// Compute time of a pass through a block, by what may wait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockPass {
    /// All but the weight gradient of the first linear layer, in order.
    pub pieces: Vec<BlockPiece>,
    /// The weight gradient of the first linear layer. It may wait as the others, or run while the
    /// input gradient travels.
    pub first_weight: KernelRun,
    /// The first and the last product of the pass, if they can be cut along the tokens: what tensor
    /// ranks gather before and add up after them can then travel beside them, piece by piece.
    pub ends: [Option<CutProduct>; 2],
}

/// A product in one piece, and in as many pieces as there are tensor ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutProduct {
    /// Time of the whole product.
    pub whole: Time,
    /// Time of a piece.
    pub piece: Time,
    /// The host's time to launch it, or a piece of it.
    pub host: Time,
}

impl CutProduct {
    /// So many pieces.
    pub fn times(self, pieces: u32) -> KernelRun {
        let times = |time: Time| Time::from_picos(time.as_picos() * u64::from(pieces));
        let kernels = u16::try_from(pieces).unwrap_or(u16::MAX);
        KernelRun { time: times(self.piece), kernels, host: times(self.host) }
    }
}

impl BlockPass {
    /// All kernels that must be done in order.
    pub fn main(&self) -> KernelRun {
        self.runs().fold(KernelRun::default(), |sum, (main, _)| sum.then(main))
    }

    /// The weight gradients of all linear layers but the first.
    pub fn inner_weights(&self) -> KernelRun {
        self.runs().fold(KernelRun::default(), |sum, (_, weights)| sum.then(weights))
    }

    /// All weight gradients.
    pub fn weights(&self) -> KernelRun {
        self.inner_weights().then(self.first_weight)
    }

    /// All kernels.
    pub fn all(&self) -> KernelRun {
        self.main().then(self.weights())
    }

    fn runs(&self) -> impl Iterator<Item = (KernelRun, KernelRun)> {
        self.pieces.iter().filter_map(|piece| match *piece {
            BlockPiece::Run { main, weights } => Some((main, weights)),
            _ => None,
        })
    }
}

/// A run of kernels of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelRun {
    /// Their time together.
    pub time: Time,
    /// How many they are.
    pub kernels: u16,
    /// The host's time to launch them.
    pub host: Time,
}

impl KernelRun {
    pub(super) fn add(&mut self, time: Seconds, host: Time) {
        self.time += Time::from(time);
        self.kernels = self.kernels.saturating_add(1);
        self.host += host;
    }

    /// Both runs one after the other.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            time: self.time + next.time,
            kernels: self.kernels.saturating_add(next.kernels),
            host: self.host + next.host,
        }
    }

    /// The same between two points at which host and card wait for each other, with nothing else on the
    /// card: the host runs ahead of it, or it waits for the host.
    #[must_use]
    pub fn by_itself(self) -> Self {
        Self { time: self.time.max(self.host), ..self }
    }
}

/// A block's times, and what tensor-parallel ranks exchange around it.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockTimes {
    /// The forward pass.
    pub forward: BlockPass,
    /// The backward pass.
    pub backward: BlockPass,
    /// What its backward pass begins with if modules are computed again.
    pub repeats: Vec<RepeatTimes>,
    /// What is exchanged around it.
    pub exchange: Exchange,
}

/// The times of a [`Repeat`].
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatTimes {
    /// What is repeated, and when.
    pub repeat: Repeat,
    /// Its kernels and what is exchanged in the middle of them.
    pub pass: BlockPass,
}

impl BlockTimes {
    /// Takes away what tensor-parallel ranks exchange around it.
    pub(super) fn exchange_nothing(&mut self) {
        self.exchange = Exchange { gathered: 0.0, reduced: 0.0 };
        for RepeatTimes { repeat, .. } in &mut self.repeats {
            repeat.exchange = self.exchange;
        }
    }

    /// What its backward pass begins with.
    pub(crate) fn repeats(&self, recompute: Recompute) -> impl Iterator<Item = &RepeatTimes> {
        let modules = recompute.modules();
        self.repeats.iter().filter(move |times| times.repeat.is_done(modules))
    }

    /// Forward pass, what is computed again of a layer, backward pass.
    pub(super) fn seconds(&self, recompute: Recompute) -> [f64; 3] {
        let seconds = |run: KernelRun| run.time.as_secs_f64();
        let again = match recompute {
            Recompute::Full => seconds(self.forward.all()),
            _ => self.repeats(recompute).map(|times| seconds(times.pass.all())).sum(),
        };
        [seconds(self.forward.all()), again, seconds(self.backward.all())]
    }
}

impl KernelRun {
    /// The same kernels, as measured: so many times as long, without a host to wait for.
    fn scaled(self, factor: f64) -> Self {
        Self { time: scaled(self.time, factor), host: Time::ZERO, ..self }
    }
}

impl BlockPass {
    /// See [`KernelRun::scaled`].
    fn scale(&mut self, factor: f64) {
        for piece in &mut self.pieces {
            if let BlockPiece::Run { main, weights } = piece {
                *main = main.scaled(factor);
                *weights = weights.scaled(factor);
            }
        }
        self.first_weight = self.first_weight.scaled(factor);
        for cut in self.ends.iter_mut().flatten() {
            let (whole, piece) = (scaled(cut.whole, factor), scaled(cut.piece, factor));
            *cut = CutProduct { whole, piece, host: Time::ZERO };
        }
    }

    /// Adds to the run at the end.
    pub(super) fn run(&mut self, add: impl FnOnce(&mut KernelRun, &mut KernelRun)) {
        if !matches!(self.pieces.last(), Some(BlockPiece::Run { .. })) {
            let (main, weights) = (KernelRun::default(), KernelRun::default());
            self.pieces.push(BlockPiece::Run { main, weights });
        }
        if let Some(BlockPiece::Run { main, weights }) = self.pieces.last_mut() {
            add(main, weights);
        }
    }
}

/// Makes the kernels of a part take as long in all as the part was measured to: each in proportion to
/// what it is predicted to take. What was measured holds the waits for the host.
pub(super) fn take_as_measured(blocks: &mut [BlockTimes], layer: LayerTimes) {
    let sum = |of: fn(&BlockTimes) -> &BlockPass| -> f64 {
        blocks.iter().map(|block| of(block).all().time.as_secs_f64()).sum()
    };
    let factor = |measured: Seconds, predicted: f64| {
        if predicted > 0.0 { measured.0 / predicted } else { 1.0 }
    };
    let forward = factor(layer.forward, sum(|block| &block.forward));
    let backward = factor(layer.backward, sum(|block| &block.backward));
    for block in blocks {
        block.forward.scale(forward);
        block.backward.scale(backward);
        for repeat in &mut block.repeats {
            repeat.pass.scale(forward);
        }
    }
}
