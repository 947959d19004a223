//! What the host takes to launch kernels.

use motley_units::Seconds;
use serde::{Deserialize, Serialize};

use crate::Pass;

/// How the host launches kernels. It runs ahead of the card as long as kernels are long; where they
/// are short the card waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum HostLaunch {
    /// Python calls layers that are a few large functions each: Megatron-LM, Transformer Engine.
    #[default]
    Megatron,
    /// Python calls every operation, through modules, hooks and checkpoints: PyTorch as most models run
    /// on it, DeepSpeed around Megatron-LM, nanotron.
    Eager,
    /// CUDA graphs: one launch for many kernels, which takes nothing.
    Graphs,
    /// Other times.
    Each {
        /// For a kernel of a forward pass, and for a call of a process group.
        forward: Seconds,
        /// For a kernel of a backward pass.
        backward: Seconds,
    },
}

/// Seconds for one kernel of a forward pass under [`HostLaunch::Eager`]: Python, dispatcher, autograd's
/// bookkeeping, allocator and driver, and the Python between operations.
///
/// vTrain's measurements (github.com/VIA-Research/vTrain, one node of A100, Megatron-DeepSpeed) of GPTs
/// of width 1024 without pipeline take the same time whether a micro-batch has one sample or two: 3.0 to
/// 3.2 ms a layer, forward and back, which is this for each kernel and half of it for each of the
/// backward pass. An unfused layer of AMP (github.com/DachengLi1/AMP) takes 3.9 ms forward on a V100,
/// a third of it kernels. Without autograd an eager model launches 1185 kernels in 53.7 ms,
/// 45 us each (github.com/facebookresearch/sam2, issue 768, A6000).
const EAGER: f64 = 100e-6;

/// The same under [`HostLaunch::Megatron`], a judgement: from a Python call to the driver an operation
/// takes 5 to 25 us, and a little more with what is around it. Published runs of Megatron-Core on H100
/// bound it: at 45 us some would wait for their hosts.
const MEGATRON: f64 = 30e-6;

/// A kernel of a backward pass takes so much of that: autograd's engine walks through it in C++, twice
/// as many kernels in about the time of the forward pass. A judgement.
const BACKWARD: f64 = 0.5;

impl HostLaunch {
    /// The host's time for one kernel of a pass.
    pub fn kernel(self, pass: Pass) -> Seconds {
        let [forward, backward] = match self {
            Self::Megatron => [MEGATRON, MEGATRON * BACKWARD],
            Self::Eager => [EAGER, EAGER * BACKWARD],
            Self::Graphs => [0.0; 2],
            Self::Each { forward, backward } => [forward.0, backward.0],
        };
        Seconds(match pass {
            Pass::Forward => forward,
            Pass::Backward => backward,
        })
    }

    /// The host's time for one call of a process group: `torch.distributed` is Python in both passes.
    pub fn call(self) -> Seconds {
        self.kernel(Pass::Forward)
    }
}
