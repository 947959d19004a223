//! Every constant of the cost model.
//!
//! Three sources. [NCCL]: the tables in `src/graph/tuning.cc` and `src/graph/topo.h` of NCCL 2.30.
//! [AIC]: nccl-tests sweeps of one node with 2, 4 and 8 A100, H100 or B200 that NVIDIA publishes
//! with its aiconfigurator (`nccl_perf`), to which the constants that NCCL's ranking model leaves
//! optimistic are fitted; NCCL itself predicts 10-40 % less time than these measure. The kernels of
//! DeepEP (github.com/deepseek-ai/DeepEP): the rates that its documentation publishes.

use motley_topology::PathClass;

use crate::{Algorithm, Protocol};

/// The rows of NCCL's tables, by the lowest compute capability in the communicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Volta and older, and what is not NVIDIA's.
    Volta,
    Ampere,
    Hopper,
    Blackwell,
}

/// What a step crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    NvLink,
    Pci,
    Net,
}

impl Hop {
    /// Of a path between two cards.
    pub(crate) fn of(class: PathClass) -> Self {
        match class {
            PathClass::Net => Self::Net,
            class if class <= PathClass::Nvb => Self::NvLink,
            _ => Self::Pci,
        }
    }
}

impl Generation {
    /// Of a compute capability times ten.
    pub(crate) fn of(sm_version: u32) -> Self {
        match sm_version {
            100.. => Self::Blackwell,
            90..100 => Self::Hopper,
            80..90 => Self::Ampere,
            _ => Self::Volta,
        }
    }

    fn pick<T: Copy>(self, rows: [T; 4]) -> T {
        rows[self as usize]
    }

    /// Base latency, us. Exchanges: [AIC], all-to-alls, at the floor and where Simple takes over from
    /// LL. LL: [AIC] floors at 512 B to 8 KiB against the number of steps, intercept
    /// (Volta as Ampere: no sweep below 1 MiB was found); LL128 and Simple: [NCCL].
    pub(crate) fn base(self, algorithm: Algorithm, protocol: Protocol) -> f64 {
        match (algorithm, protocol) {
            (Algorithm::Ring | Algorithm::Tree, Protocol::Ll) => self.pick([8.0, 8.0, 4.5, 7.6]),
            (Algorithm::Direct | Algorithm::Rails, Protocol::Ll) => {
                self.pick([10.9, 10.9, 5.7, 8.5])
            }
            (Algorithm::Direct | Algorithm::Rails, _) => self.pick([10.0, 10.0, 8.7, 12.6]),
            (Algorithm::Ring | Algorithm::Tree, Protocol::Ll128) => 14.0,
            (Algorithm::Ring | Algorithm::Tree, Protocol::Simple) => 8.4,
            // [NCCL] has 0 here and 25 for the step; [AIC], all-reduce of 8 H100 from 32 MiB to
            // 512 MiB: a straight line with an intercept of 70.
            (Algorithm::Nvls | Algorithm::NvlsTree, _) => 45.0,
        }
    }

    /// Latency of a step, us. A send is a step of a ring. LL on NVLink: [AIC], slope of the floors over the number of steps,
    /// PCI as much above it as in [NCCL]; the rest [NCCL].
    pub(crate) fn step(self, algorithm: Algorithm, protocol: Protocol, hop: Hop) -> f64 {
        let ll = self.pick([0.97, 0.97, 0.82, 1.3]);
        // NVLink, PCI, network.
        let row = match (algorithm, protocol) {
            (Algorithm::Ring | Algorithm::Direct | Algorithm::Rails, Protocol::Ll) => {
                [ll, ll + 0.4, 2.7]
            }
            (Algorithm::Ring | Algorithm::Direct | Algorithm::Rails, Protocol::Ll128) => {
                [1.9, 2.5, 4.0]
            }
            (Algorithm::Ring | Algorithm::Direct | Algorithm::Rails, Protocol::Simple) => {
                [3.4, 5.7, 14.0]
            }
            (Algorithm::Tree, Protocol::Ll) => [ll, ll + 0.4, 5.0],
            (Algorithm::Tree, Protocol::Ll128) => [1.25, 1.9, 8.5],
            (Algorithm::Tree, Protocol::Simple) => [4.0, 4.0, 14.0],
            (Algorithm::Nvls, _) => [25.0, 25.0, 18.0],
            (Algorithm::NvlsTree, _) => [25.0, 25.0, 20.9],
        };
        row[hop as usize]
    }

    /// The bandwidth of one channel, bytes per second, once NCCL has doubled the channels of its
    /// graph: half of 20, 20, 30 and 90 GB/s, the speeds per channel at which [NCCL]'s search
    /// settles on DGX machines of these generations.
    pub(crate) fn channel_rate(self) -> f64 {
        self.pick([10e9, 10e9, 15e9, 45e9])
    }

    /// What one channel reaches under LL128, bytes per second: [AIC], all-reduce from 2 to 16 MiB.
    /// On Ampere, 24 channels reach 150 GB/s and not the 221 of [NCCL]; the same per channel fits
    /// V100 sweeps (vTrain's published nccl-tests tables of a DGX-1). On Hopper the links bind
    /// first.
    pub(crate) fn ll128_channel_rate(self) -> f64 {
        self.pick([6.2e9, 6.2e9, 18.4e9, 40e9])
    }

    /// The most that LL reaches, bytes per second of bus bandwidth, by number of nodes [NCCL]: the
    /// card's row on one node, the row of Intel hosts between nodes.
    pub(crate) fn ll_limit(self, nodes: usize) -> f64 {
        match nodes {
            1 => self.pick([39e9, 87.7e9, 141e9, 282e9]),
            2 => 39e9,
            _ => 20.4e9,
        }
    }

    /// NVLS: the share of the links' rate [NCCL]. With it and the bytes that NVLS moves, 5, 6, 7
    /// and 8 H200 come to 420, 450, 473 and 490 GB/s of bus bandwidth; measured 414, 436, 460 and
    /// 473-482 (ml-engineering, nccl-tests 272).
    pub(crate) fn nvls_efficiency(self) -> f64 {
        self.pick([0.0, 0.0, 0.85, 0.74])
    }

    /// The share of a card's memory bandwidth at which an all-to-all copies a card's own part: [AIC],
    /// 2, 4 and 8 cards. On Hopper it costs next to nothing.
    pub(crate) fn exchange_copy(self) -> f64 {
        self.pick([0.4, 0.4, 1.0, 0.1])
    }

    /// How many times its own length an exchange takes that is too short to be pipelined: [AIC],
    /// all-to-alls from 1 to 16 MiB.
    pub(crate) fn exchange_unpipelined(self) -> f64 {
        self.pick([2.0, 2.0, 0.33, 0.3])
    }

    /// The channels of NVLS [NCCL].
    pub(crate) fn nvls_channels(self) -> f64 {
        self.pick([0.0, 0.0, 16.0, 32.0])
    }

    /// The factor on the latency of a multi-node ring all-reduce under Simple [NCCL].
    pub(crate) fn plateau(self) -> f64 {
        self.pick([1.9, 1.4, 1.4, 1.4])
    }
}

/// Bytes that a channel moves before the pipeline of Simple is full: with the channel rates above,
/// 26 us on A100 and 18 us on H100, what [AIC] has above [NCCL]'s latency from 16 MiB on, for all
/// of 2, 4 and 8 cards and all three collectives.
pub(crate) const SIMPLE_FILL: f64 = 262_144.0;

/// Buffer of a channel towards a NIC, bytes of payload: LL, LL128, Simple [NCCL].
const NET_BUFFER: [f64; 3] = [262_144.0, 4_608_000.0, 4_194_304.0];

/// What is under way between nodes when the pipeline is full: the buffers of the two channels that
/// each of `channels` NIC paths has [NCCL].
pub(crate) fn net_in_flight(protocol: Protocol, channels: f64) -> f64 {
    2.0 * channels * NET_BUFFER[protocol as usize]
}

/// How many times its own length a message takes that is too short to be pipelined between nodes.
/// nccl-tests sweeps of two p4de and two p5 nodes that AWS publishes: above floor and bandwidth
/// they show 0.8 ms and 0.4 ms for large messages, the time of the buffers above, and 4 to 5 times
/// the transfer for messages of 1 to 8 MiB.
pub(crate) const UNPIPELINED: f64 = 5.0;

/// The fewest channels of a communicator [NCCL].
pub(crate) const FEWEST_CHANNELS: f64 = 2.0;

/// The most channels of a communicator [NCCL].
pub(crate) const MOST_CHANNELS: f64 = 64.0;

/// The share of a card's memory bandwidth at which a collective reads and writes its own part, the
/// one that no link carries. [AIC]: the bus bandwidths of 2, 4 and 8 cards differ as if each
/// collective had, beside its steps over links, one over memory at 0.6 TB/s on A100 and 1 TB/s on
/// H100.
pub(crate) const LOCAL_COPY: f64 = 0.3;

/// Host overhead of a network step, us, times 3 for Simple [NCCL], Intel hosts.
pub(crate) const NET_OVERHEAD: f64 = 1.0;

/// Shares of the bus bandwidth [NCCL]. Its 0.92 for trees under Simple and its correction by size
/// are left out: they stand in a ranking for what [`net_in_flight`] has a mechanism for, and the
/// sweeps named at [`UNPIPELINED`] are met with a median error of 5 % (p4de) and 11 % (p5) without them.
pub(crate) const RING_LL: f64 = 0.5;
pub(crate) const RING_LL128: f64 = 0.92;
pub(crate) const TREE_LL: f64 = 1.0 / 3.8;
pub(crate) const TREE_LL128: f64 = 120.0 / 128.0;

/// The share of NVLink that grouped sends reach: [AIC], all-to-alls from 64 MiB of A100, H100, H200
/// and B200, between 0.88 and 0.95.
pub(crate) const EXCHANGE_NVLINK: f64 = 0.9;

/// Seconds that the pipeline of grouped sends takes to fill: [AIC], all-to-alls of 64 MiB and more
/// are late by 30 to 60 us.
pub(crate) const EXCHANGE_FILL: f64 = 45e-6;

/// What LL moves to one peer, by one channel, bytes per second: [AIC], all-to-alls of 2 to 8 cards
/// from 16 to 128 KiB, 5.7 to 6.1 GB/s on A100, H100 and B200.
pub(crate) const EXCHANGE_LL: f64 = 6e9;

/// What each further peer adds, us: [AIC], floors of 2, 4 and 8 cards.
pub(crate) const PEER: f64 = 0.15;

/// The share of NVLinks that DeepEP's kernels for training reach: its documentation has 153 GB/s
/// (dispatch) and 158 GB/s (combine) for 8 H800, counting the 1/8 that stays on the card; without it
/// 136 GB/s of the 160 that the links of an H800 reach.
pub(crate) const DEEPEP_NVLINK: f64 = 0.85;

/// The share of network ports that DeepEP's kernels for training reach: 58 and 57 GB/s for 4 nodes,
/// 51 and 50 GB/s for 8 nodes, counting the 1/4 and 1/8 that stay in the node; without it 43.6 GB/s of
/// the 48.5 that 400 Gb/s reach.
pub(crate) const DEEPEP_PORT: f64 = 0.9;

/// The streaming multiprocessors that DeepEP's kernels for training take: what its documentation sets
/// and its published rates were measured with (`Buffer.set_num_sms(24)`); DeepSeek-V3 was trained with
/// 20 (section 3.2.2 of its report). Its second version gets by with 4 to 12.
pub(crate) const DEEPEP_SMS: u32 = 24;

/// Seconds before a copy between card and host moves: 5 to 7 us a call of `cudaMemcpyAsync` (Wu et al.,
/// arXiv 2602.21548, section 5.2).
pub(crate) const HOST_COPY: f64 = 6e-6;
