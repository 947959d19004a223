//! Memory of one card: by what it is held for, and what of it who counts.
//!
//! Three figures are called "memory" in the field, and differ by gigabytes:
//!
//! | figure | is | method |
//! |---|---|---|
//! | allocated | PyTorch's tensors (`torch.cuda.max_memory_allocated`) | [`MemoryUse::allocated`] |
//! | reserved | with what its caching allocator keeps (`max_memory_reserved`) | [`MemoryUse::reserved`] |
//! | shown | with CUDA's context and NCCL's buffers (`nvidia-smi`) | [`MemoryUse::shown`] |
//!
//! What must fit into the card is less than what it shows: [`MemoryUse::total`].

use motley_hardware::Device;
use motley_units::Bytes;

use crate::{CardPath, Optimizer, Training};

/// CUDA context with the loaded kernels of PyTorch and its libraries. A process on an H100 holds
/// 1.06 GB before its first collective, PyTorch's tensors not counted (NCCL issue 1685); older cards
/// with fewer SMs hold less (a judgement).
const CONTEXT: [(u8, f64); 2] = [(9, 1.06e9), (0, 0.8 * GIB)];

/// NCCL's buffers for a communicator of two ranks, and of more: measured on four A100 joined by
/// 12 links of NVLink each (NCCL issue 964), 544 and 688 MiB. They grow with the channels (issue 986), of
/// which NCCL makes as many as its links carry.
const COMMUNICATOR: [f64; 2] = [544.0 * MIB, 688.0 * MIB];

/// NVLinks from which on a card has as many channels as those of that measurement; without any it has a
/// sixth (NCCL's least number of channels over PCIe, 4 of 24; a judgement).
const LINKS: [f64; 2] = [12.0, 2.0];

/// cuBLAS's workspaces, which PyTorch allocates as tensors: one for each thread that calls it, of which
/// the backward pass is another; `:4096:2:16:8` KiB, from Hopper on `:4096:8`
/// (`aten/src/ATen/cuda/CublasHandlePool.cpp`).
const WORKSPACES: [(u8, f64); 2] = [(9, 2.0 * 32.0 * MIB), (0, 2.0 * 8.125 * MIB)];

/// What the caching allocator can never give out, over all that comes and goes in a pass: it splits blocks,
/// and some of the pieces fit no later tensor. A judgement.
const FRAGMENTS: f64 = 0.1;

/// What it keeps beside as long as the card has room: blocks that no tensor has asked for again, or that
/// another stream is not yet done with. With the fragments 0.3: where both are published, reserved memory
/// exceeds allocated memory by 0.31 of what comes and goes in the median of nanotron's 222 runs
/// (Ultra-Scale Playbook, H100), by 0.42 in that of SimuMax's 26 (Megatron-LM, B200). When the card is full
/// the allocator gives these blocks back and tries again (`release_cached_blocks` in
/// `c10/cuda/CUDACachingAllocator.cpp`), so that they need not fit.
const CACHED: f64 = 0.2;

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

/// What a stage holds on one of its cards between iterations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageLoad {
    /// Parameters on this card, of all the stage's parts, adapters included; those that are gathered
    /// from others while they are used, too.
    pub parameters: f64,
    /// Parameters with gradients on this card.
    pub gradients: f64,
    /// Parameters whose gradients are averaged with those of other cards.
    pub averaged: f64,
    /// Parameters whose optimizer states are on this card.
    pub stepped: f64,
    /// Parameters on this card that linear layers multiply in quantised copies, where the card does so.
    pub quantised_parameters: f64,
    /// Whether other cards hold the rest of these states.
    pub shared: bool,
    /// Activations between two layers, as tensor ranks gather them; nothing where they are whole.
    pub gathered: Bytes,
    /// Parameters of one layer of each kind and of the head, without experts: those of which Transformer
    /// Engine keeps a placeholder for the gradient.
    pub distinct: f64,
    /// Communicators that the card is a member of: of two ranks, of more.
    pub communicators: [u32; 2],
}

/// Where the memory of one card goes at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryUse {
    /// Parameters as they are stored, and their quantised copies, which stay from one optimizer step
    /// to the next.
    pub parameters: Bytes,
    /// The gradient buffer, and all other gradients.
    pub gradients: Bytes,
    /// Master parameters, if mixed precision has them, and moments.
    pub optimizer: Bytes,
    /// Activations of all micro-batches in flight.
    pub activations: Bytes,
    /// What passes: loss in fp32, a layer that is computed again with its gradients, copies that the
    /// optimizer step makes; and the workspaces of libraries.
    pub workspace: Bytes,
    /// What the allocator holds and can never give out.
    pub fragments: Bytes,
    /// What it keeps as long as the card has room; no part of what must fit.
    pub cached: Bytes,
    /// The CUDA context.
    pub context: Bytes,
    /// NCCL's buffers.
    pub communication: Bytes,
}

impl MemoryUse {
    /// What tensors occupy.
    pub fn allocated(&self) -> Bytes {
        let states = self.parameters.0 + self.gradients.0 + self.optimizer.0;
        Bytes(states + self.activations.0 + self.workspace.0)
    }

    /// What the framework's allocator holds.
    pub fn reserved(&self) -> Bytes {
        Bytes(self.allocated().0 + self.fragments.0 + self.cached.0)
    }

    /// What must fit into the card: everything but what the allocator gives back when it is full.
    pub fn total(&self) -> Bytes {
        let held = self.allocated().0 + self.fragments.0;
        Bytes(held + self.context.0 + self.communication.0)
    }

    /// What a card of this capacity shows to be in use.
    pub fn shown(&self, capacity: Bytes) -> Bytes {
        let most = self.total().0 + self.cached.0;
        Bytes(most.min(capacity.0.max(self.total().0)))
    }

    /// The same with what comes and goes in a pass: activations, gradients that autograd leaves, what
    /// passes.
    #[must_use]
    pub fn with(&self, activations: f64, gradients: f64, passing: f64) -> Self {
        let plus = |bytes: Bytes, more: f64| Bytes(bytes.0 + more);
        Self {
            activations: plus(self.activations, activations),
            gradients: plus(self.gradients, gradients),
            workspace: plus(self.workspace, passing),
            fragments: plus(self.fragments, FRAGMENTS * (activations + gradients + passing)),
            cached: plus(self.cached, CACHED * (activations + gradients + passing)),
            ..*self
        }
    }
}

/// The memory that `load` needs between passes on a card that runs `path`.
pub fn memory(
    training: &Training,
    path: &CardPath,
    device: &Device,
    load: &StageLoad,
) -> MemoryUse {
    let holds = &training.holds;
    let capability = device.compute_capability.map_or(0, |(first, _)| first);
    let links = device.nvlink.as_ref().map_or(0.0, |nvlink| f64::from(*nvlink.links.get()));
    let channels = links.clamp(LINKS[1], LINKS[0]) / LINKS[0];
    let element = f64::from(path.precision.element_bytes());
    let copies = path.quantisation.map_or(0.0, |quantisation| {
        f64::from(quantisation.copies()) * quantisation.operand_bytes()
    });
    let states = training.master_bytes(path) + training.optimizer.moment_bytes();
    let buffer = f64::from(training.gradient_bytes);
    let mut gradients = buffer * load.gradients;
    if holds.bucket_copies {
        gradients += element * load.averaged;
    }
    if load.averaged > 0.0 && holds.reduce_buffer.0 > 0.0 {
        gradients += holds.reduce_buffer.0;
        if load.shared {
            gradients += buffer * load.stepped;
        }
    }
    if holds.placeholder_gradients && training.fused_gradient_accumulation {
        gradients += element * load.distinct;
    }
    let stored = if holds.quantised_parameters_only && path.quantisation.is_some() {
        (load.parameters - load.quantised_parameters).max(0.0)
    } else {
        load.parameters
    };
    let [pairs, groups] = load.communicators.map(f64::from);
    MemoryUse {
        parameters: Bytes(element * stored + copies * load.quantised_parameters),
        gradients: Bytes(gradients),
        optimizer: Bytes(states * load.stepped),
        activations: Bytes(0.0),
        workspace: Bytes(
            of_capability(WORKSPACES, capability)
                + f64::from(holds.gather_buffers) * load.gathered.0,
        ),
        fragments: Bytes(0.0),
        cached: Bytes(0.0),
        context: Bytes(of_capability(CONTEXT, capability)),
        communication: Bytes(channels * (pairs * COMMUNICATOR[0] + groups * COMMUNICATOR[1])),
    }
}

/// What the optimizer step needs beside: fp32 copies of 16-bit gradients whose states lie here; the
/// denominators of an Adam that is not one kernel (PyTorch's `foreach`, about the size of its
/// parameters); the flat copy through which new parameters are gathered.
pub fn step_memory(training: &Training, path: &CardPath, load: &StageLoad) -> Bytes {
    let element = f64::from(path.precision.element_bytes());
    let copies = if training.gradient_bytes < 4 { 4.0 * load.stepped } else { 0.0 };
    let denominators = match training.optimizer {
        Optimizer::Adam { fused: false, .. } => 4.0 * load.stepped,
        Optimizer::Adam { fused: true, .. } | Optimizer::Sgd => 0.0,
    };
    let gathered = if training.holds.parameter_copy && load.shared {
        element * (load.averaged + load.stepped)
    } else {
        0.0
    };
    Bytes((copies + denominators).max(gathered))
}

fn of_capability(values: [(u8, f64); 2], capability: u8) -> f64 {
    let known = values.iter().find(|(from, _)| capability >= *from);
    known.map_or(0.0, |(_, value)| *value)
}
