//! The time of one collective on idle links, in NCCL's form.

use crate::plan::Plan;
use crate::tuning::{self, Generation, Hop};
use crate::{Algorithm, CollectiveKind, Protocol};

pub(crate) const MICRO: f64 = 1e-6;

/// What the cost depends on beside the links.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    pub(crate) count: usize,
    pub(crate) nodes: usize,
    /// In the node that has most.
    pub(crate) per_node: usize,
    /// Of the oldest card.
    pub(crate) generation: Generation,
    /// Whether the cards, paths and NICs allow LL, LL128 and Simple.
    pub(crate) protocols: [bool; 3],
    /// Bandwidth of the slowest memory of a card, bytes per second.
    pub(crate) memory: f64,
    /// Streaming multiprocessors of the card that has fewest.
    pub(crate) processors: f64,
}

impl Members {
    /// The processors that so many blocks take of each card: one each, but one is left to compute.
    pub(crate) fn processors_for(&self, blocks: f64) -> f64 {
        blocks.min(self.processors - 1.0).max(0.0)
    }
}

/// What a call amounts to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds before the first byte counts.
    pub(crate) latency: f64,
    /// Of one connection.
    pub(crate) bytes: f64,
    /// Of one connection, bytes per second.
    pub(crate) rate_cap: f64,
    /// Streaming multiprocessors of each member that it runs on: one for a channel.
    pub(crate) processors: f64,
}

/// Whether NCCL runs `kind` so: trees and switches reduce to all only, and the switches know Simple
/// only.
fn enabled(
    members: &Members,
    kind: CollectiveKind,
    algorithm: Algorithm,
    protocol: Protocol,
) -> bool {
    match (algorithm, kind) {
        (Algorithm::Ring, _) | (Algorithm::Tree, CollectiveKind::AllReduce) => {
            members.protocols[protocol as usize]
        }
        (Algorithm::Nvls | Algorithm::NvlsTree, CollectiveKind::AllReduce) => {
            protocol == Protocol::Simple
        }
        _ => false,
    }
}

/// The cost of `bytes` by a ring, trees or NVLS and one protocol; `limit` is what the algorithm allows
/// a connection beside links and protocol. `None` where NCCL does not run it.
pub(crate) fn cost(
    members: &Members,
    (algorithm, plan, limit): (Algorithm, &Plan, f64),
    (kind, bytes): (CollectiveKind, f64),
    protocol: Protocol,
) -> Option<Cost> {
    if !enabled(members, kind, algorithm, protocol) {
        return None;
    }
    let n = members.count as f64;
    // Bus bandwidth in NCCL's sense per byte per second of a connection, and the bytes of one.
    let (bus_per_rate, per_connection) = match algorithm {
        Algorithm::Ring => {
            let volume = match kind {
                CollectiveKind::AllReduce => 2.0 * (n - 1.0) / n,
                CollectiveKind::Broadcast => 1.0,
                _ => (n - 1.0) / n,
            };
            (plan.channels, volume * bytes / plan.channels)
        }
        Algorithm::Tree | Algorithm::NvlsTree => {
            (4.0 * plan.channels, bytes / (2.0 * plan.channels))
        }
        _ => (1.0, bytes),
    };
    let bus = plan.idle_rate * bus_per_rate;
    let channels = (bus / members.generation.channel_rate()).max(tuning::FEWEST_CHANNELS);
    let reached = bandwidth(members, algorithm, protocol, bus, channels) / bus_per_rate;
    let rate = reached.min(limit);
    // The part that no link carries costs time as if the connection were so much slower.
    let copied = match (algorithm, kind) {
        (Algorithm::Ring, CollectiveKind::Broadcast) => 0.0,
        (Algorithm::Ring, _) => bytes / n / (tuning::LOCAL_COPY * members.memory),
        _ => 0.0,
    };
    let rate_cap =
        if copied > 0.0 { per_connection / (per_connection / rate + copied) } else { rate };
    let mut latency = steps(members, algorithm, protocol, kind, plan) * MICRO;
    if protocol == Protocol::Simple && matches!(algorithm, Algorithm::Ring | Algorithm::Tree) {
        latency += tuning::SIMPLE_FILL * channels / bus;
    }
    if members.nodes > 1 {
        latency += net_fill(plan, protocol, per_connection / rate, bytes / per_connection);
    }
    let blocks = match algorithm {
        Algorithm::Ring | Algorithm::Tree => channels.min(tuning::MOST_CHANNELS),
        Algorithm::Nvls | Algorithm::NvlsTree => members.generation.nvls_channels(),
        Algorithm::Direct | Algorithm::Rails => return None,
    };
    let processors = members.processors_for(blocks);
    Some(Cost { latency, bytes: per_connection, rate_cap, processors })
}

/// Seconds until the pipeline between nodes is full: the time of the bytes in flight, or a multiple of
/// the transfer. `connections` is the message over the bytes of one connection.
fn net_fill(plan: &Plan, protocol: Protocol, moving: f64, connections: f64) -> f64 {
    let in_flight = tuning::net_in_flight(protocol, plan.channels);
    let full = in_flight / (plan.idle_rate * connections);
    fill(full, tuning::UNPIPELINED * moving)
}

/// Seconds until a pipeline is full: `full` for long messages, `short` for short ones, in between less
/// than either.
pub(crate) fn fill(full: f64, short: f64) -> f64 {
    if short > 0.0 { full * short / (full + short) } else { 0.0 }
}

/// The bus bandwidth that a protocol reaches of the links' `bus`.
fn bandwidth(
    members: &Members,
    algorithm: Algorithm,
    protocol: Protocol,
    bus: f64,
    channels: f64,
) -> f64 {
    let generation = members.generation;
    let ll128_limit = generation.ll128_channel_rate() * channels;
    match (algorithm, protocol) {
        (Algorithm::Ring, Protocol::Ll) => {
            (bus * tuning::RING_LL).min(generation.ll_limit(members.nodes))
        }
        (Algorithm::Ring, Protocol::Ll128) => (bus * tuning::RING_LL128).min(ll128_limit),
        (Algorithm::Tree, Protocol::Ll) => {
            (bus * tuning::TREE_LL).min(generation.ll_limit(members.nodes))
        }
        (Algorithm::Tree, Protocol::Ll128) => (bus * tuning::TREE_LL128).min(ll128_limit),
        _ => bus,
    }
}

/// Base and steps, us.
fn steps(
    members: &Members,
    algorithm: Algorithm,
    protocol: Protocol,
    kind: CollectiveKind,
    plan: &Plan,
) -> f64 {
    let step = |hop| members.generation.step(algorithm, protocol, hop);
    let inside = step(Hop::of(plan.inside));
    let simple = protocol == Protocol::Simple;
    // Simple waits for a flush of the receiving NIC.
    let between = step(Hop::Net) + plan.net_latency / MICRO * if simple { 2.0 } else { 1.0 };
    let nodes = members.nodes;
    let depth = f64::from(nodes.max(1).ilog2());
    let base = members.generation.base(algorithm, protocol);
    match algorithm {
        Algorithm::Ring => {
            let rounds = match kind {
                CollectiveKind::AllReduce => 2.0,
                CollectiveKind::Broadcast => {
                    return base + if nodes > 1 { between } else { inside };
                }
                _ => 1.0,
            };
            let all = rounds * (members.count as f64 - 1.0);
            if nodes == 1 {
                return base + all * inside;
            }
            let crossing = rounds * (nodes as f64 - 1.0);
            let overhead = tuning::NET_OVERHEAD * if simple { 3.0 } else { 1.0 };
            let latency = base + (all - crossing) * inside.max(overhead) + crossing * between;
            let plateau = simple && kind == CollectiveKind::AllReduce;
            latency * if plateau { members.generation.plateau() } else { 1.0 }
        }
        Algorithm::Tree => {
            base + 2.0 * ((members.per_node as f64 - 1.0) * inside + depth * between)
        }
        Algorithm::NvlsTree => base + inside + 2.0 * depth * between,
        _ => base + inside,
    }
}
