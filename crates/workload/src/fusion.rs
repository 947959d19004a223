//! Which chains of operations run as one kernel.

use serde::{Deserialize, Serialize};

/// Which chains of operations, and which products of one input, run as one kernel; what does not runs as a
/// kernel for each operation, as eager PyTorch has it. The default is Megatron-LM's, where all do.
#[expect(clippy::struct_excessive_bools, reason = "independent choices")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fusion {
    /// RMS norm. PyTorch's layer norm is one kernel anyway.
    pub norm: bool,
    /// Rotation of queries and keys.
    pub rotary: bool,
    /// The bias of the MLP's first product and the activation function, or gate and activation.
    pub activation: bool,
    /// The bias of a block's last product, dropout and residual.
    pub residual: bool,
    /// Scale, mask and softmax of unfused attention.
    pub softmax: bool,
    /// Queries, keys and values of self-attention are one product. Else each is a layer of its own, for
    /// whose input's gradient tensor ranks exchange sums without sequence parallelism.
    pub qkv: bool,
    /// So are the gate of a gated MLP and what it gates.
    pub gate: bool,
}

impl Fusion {
    /// A kernel for each operation.
    pub const NOTHING: Self = Self {
        norm: false,
        rotary: false,
        activation: false,
        residual: false,
        softmax: false,
        qkv: false,
        gate: false,
    };
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            norm: true,
            rotary: true,
            activation: true,
            residual: true,
            softmax: true,
            qkv: true,
            gate: true,
        }
    }
}
