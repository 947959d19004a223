//! What the host takes to launch kernels.

use motley_units::Seconds;
use serde::{Deserialize, Serialize};

use crate::Pass;

/// How the host launches kernels. It runs ahead of the card as long as kernels are long; where they
/// are short the card waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum HostLaunch {
    /// Python calls one operator after the other, as Megatron-LM, Transformer Engine and all that runs
    /// PyTorch eagerly does; autograd's engine goes back without it.
    #[default]
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

/// Seconds in which Python, dispatcher, autograd's bookkeeping, allocator and driver bring one kernel
/// of a forward pass onto its way.
const EAGER_FORWARD: f64 = 45e-6;

/// The same of a backward pass, which autograd's C++ engine walks through.
const EAGER_BACKWARD: f64 = EAGER_FORWARD / 2.0;

impl HostLaunch {
    /// The host's time for one kernel of a pass.
    pub fn kernel(self, pass: Pass) -> Seconds {
        if let Ok(us) = std::env::var("TMPHOST") { let us: f64 = us.parse().unwrap_or(0.0); return Seconds(us * 1e-6 * if pass == Pass::Forward { 1.0 } else { 0.5 }); }
        Seconds(match (self, pass) {
            (Self::Graphs, _) => 0.0,
            (Self::Eager, Pass::Forward) => EAGER_FORWARD,
            (Self::Eager, Pass::Backward) => EAGER_BACKWARD,
            (Self::Each { forward, .. }, Pass::Forward) => forward.0,
            (Self::Each { backward, .. }, Pass::Backward) => backward.0,
        })
    }

    /// The host's time for one call of a process group: `torch.distributed` is Python in both passes.
    pub fn call(self) -> Seconds {
        self.kernel(Pass::Forward)
    }
}
