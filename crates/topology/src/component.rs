//! The vertices of the cluster graph and the numbers of cards and nodes.

use std::fmt;

/// A card of the cluster, counted from zero: group by group, node by node, by index in the node.
/// This is rank order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GpuId(pub u32);

/// A node of the cluster, counted from zero, group by group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A vertex of the cluster graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "`node` is the node, `local` and `index` count inside it")]
pub enum Component {
    /// A card.
    Gpu { node: NodeId, local: u32 },
    /// All NVSwitches of a node together: they share a card's links evenly and do not block, so
    /// in a fluid model they are one vertex with one link to each card.
    NvSwitch { node: NodeId, index: u32 },
    /// A PCIe switch chip.
    PcieSwitch { node: NodeId, index: u32 },
    /// A CPU socket with its memory.
    Socket { node: NodeId, index: u32 },
    /// A NIC.
    Nic { node: NodeId, index: u32 },
    /// A fabric switch that NICs are on.
    Leaf { index: u32 },
    /// A fabric switch between leaves.
    Spine { index: u32 },
}

impl Component {
    /// The node that it is in, `None` for a fabric switch.
    pub fn node(self) -> Option<NodeId> {
        match self {
            Self::Gpu { node, .. }
            | Self::NvSwitch { node, .. }
            | Self::PcieSwitch { node, .. }
            | Self::Socket { node, .. }
            | Self::Nic { node, .. } => Some(node),
            Self::Leaf { .. } | Self::Spine { .. } => None,
        }
    }

    /// The same place in another node; a fabric switch stays.
    #[must_use]
    pub(crate) fn moved_to(self, node: NodeId) -> Self {
        match self {
            Self::Gpu { local, .. } => Self::Gpu { node, local },
            Self::NvSwitch { index, .. } => Self::NvSwitch { node, index },
            Self::PcieSwitch { index, .. } => Self::PcieSwitch { node, index },
            Self::Socket { index, .. } => Self::Socket { node, index },
            Self::Nic { index, .. } => Self::Nic { node, index },
            switch @ (Self::Leaf { .. } | Self::Spine { .. }) => switch,
        }
    }
}

/// Without the node: `GPU 3`, `NIC 0`, `leaf 2`.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpu { local, .. } => write!(f, "GPU {local}"),
            Self::NvSwitch { .. } => write!(f, "NVSwitch"),
            Self::PcieSwitch { index, .. } => write!(f, "PCIe switch {index}"),
            Self::Socket { index, .. } => write!(f, "socket {index}"),
            Self::Nic { index, .. } => write!(f, "NIC {index}"),
            Self::Leaf { index } => write!(f, "leaf {index}"),
            Self::Spine { index } => write!(f, "spine {index}"),
        }
    }
}
