//! The names of collectives, algorithms and protocols.

use crate::tuning;

/// What a collective computes. Sizes are of the full buffer, as nccl-tests prints them: for
/// all-gather and reduce-scatter the buffer that all ranks' parts make up together, for exchanges
/// what one rank sends in all.
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
    /// Every rank sends each rank, itself too, an equal part of its buffer.
    AllToAll,
    /// Every rank sends its buffer to the next, the last to the first: a step of ring attention.
    Shift,
    /// Tokens go to the ranks of their experts, as by DeepEP: what is bound for several ranks of one
    /// other node crosses the network once, to the card of the same index, which forwards it. The
    /// buffer is what a rank would send in all if nothing were sent once for several, its own part
    /// included: a copy of a token for every rank that it goes to.
    Dispatch(Crossing),
    /// The way back of [`CollectiveKind::Dispatch`]: a card sums up what the ranks of its node have
    /// for a token before it crosses the network.
    Combine(Crossing),
}

/// Of what is bound for ranks of other nodes, the share that crosses the network: copies of tokens
/// for other nodes over copies for ranks of other nodes. Between 0 and 1, kept to one part in 2^30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Crossing(u32);

impl Crossing {
    /// Nothing is sent once for several ranks.
    pub const ALL: Self = Self(Self::ONE);

    const ONE: u32 = 1 << 30;

    /// The nearest share between 0 and 1.
    pub fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * f64::from(Self::ONE)).round() as u32)
    }

    /// As a number between 0 and 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ONE)
    }
}

impl CollectiveKind {
    /// Whether members send to each other rather than pass on.
    pub(crate) fn is_exchange(self) -> bool {
        matches!(self, Self::AllToAll | Self::Shift | Self::Dispatch(_) | Self::Combine(_))
    }

    /// The streaming multiprocessors that it keeps from compute beside it, where the software sets a
    /// number; `None` for NCCL, which goes by its channels.
    pub fn multiprocessors(self) -> Option<u32> {
        match self {
            Self::Dispatch(_) | Self::Combine(_) => Some(tuning::DEEPEP_SMS),
            _ => None,
        }
    }
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
    /// A send for each pair that has something to exchange: all-to-all, shift.
    Direct,
    /// Between nodes along rails, inside them over NVLink: dispatch, combine.
    Rails,
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
    pub const ALL: [Self; 6] =
        [Self::Ring, Self::Tree, Self::Nvls, Self::NvlsTree, Self::Direct, Self::Rails];
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ll, Self::Ll128, Self::Simple];
}
