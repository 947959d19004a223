//! The names of collectives, algorithms and protocols.

/// What a collective computes. Sizes are of the full buffer, as nccl-tests prints them: for
/// all-gather and reduce-scatter the buffer that all ranks' parts make up together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CollectiveKind {
    /// Every rank ends with the sum of all buffers.
    AllReduce,
    /// Every rank ends with the parts of all ranks.
    AllGather,
    /// Every rank ends with its part of the sum.
    ReduceScatter,
    /// Every rank ends with the first rank's buffer.
    Broadcast,
}

/// How the members are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Rings through all members.
    Ring,
    /// Two binary trees over the nodes, chains inside them; all-reduce over several nodes.
    Tree,
    /// The NVSwitches of one node reduce and multicast; all-reduce.
    Nvls,
    /// NVSwitches inside each node, two binary trees between them; all-reduce over several nodes.
    NvlsTree,
}

/// How data and its arrival are signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// A flag with every 4 bytes: lowest latency, half the bandwidth.
    Ll,
    /// A flag with every 120 bytes; needs NVLink and equal cards.
    Ll128,
    /// Flags apart from data: full bandwidth, highest latency.
    Simple,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ring, Self::Tree, Self::Nvls, Self::NvlsTree];
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ll, Self::Ll128, Self::Simple];
}
