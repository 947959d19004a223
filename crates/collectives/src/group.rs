//! Communicators.

use motley_hardware::FabricTechnology;
use motley_job::{Call, Footprint};
use motley_topology::{Cluster, GpuId, PathClass, RouteError};
use motley_units::{Seconds, Time};

use crate::connections::Connections;
use crate::cost::{Cost, Members, cost};
use crate::membership::{Local, by_node};
use crate::plan::Plan;
use crate::tuning::{Generation, LOCAL_COPY};
use crate::{Algorithm, CollectiveKind, Protocol, nvls, ring, tree};

/// A communicator, laid over the links of the cluster.
#[derive(Clone, Debug)]
pub struct Group {
    members: Members,
    algorithms: Vec<Laid>,
    footprints: Vec<Footprint>,
}

/// An algorithm that the members can run. Its footprint is kept apart, in [`Group::footprints`].
#[derive(Clone, Debug)]
struct Laid {
    algorithm: Algorithm,
    plan: Plan,
    /// Beside links and protocol, bytes per second and connection.
    limit: f64,
}

/// A collective as NCCL would run it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollectiveCall {
    /// How the members are joined.
    pub algorithm: Algorithm,
    /// How data is signalled.
    pub protocol: Protocol,
    /// What it moves, for a communicator whose footprints are [`Group::footprints`].
    pub call: Call,
}

impl Group {
    /// The communicator of `members`, in rank order.
    ///
    /// # Errors
    /// No member, a card twice, a card that does not exist, cards of two vendors, or a card that
    /// cannot leave its node.
    pub fn new(cluster: &Cluster, members: &[GpuId]) -> Result<Self, RouteError> {
        Self::lay(cluster, members, Scope::Everything)
    }

    /// The same, but with no more of it than `scope` says.
    pub(crate) fn lay(
        cluster: &Cluster,
        members: &[GpuId],
        scope: Scope,
    ) -> Result<Self, RouteError> {
        let nodes = by_node(cluster, members)?;
        let sm_version = |card: &GpuId| cluster.device(*card).sm_version();
        let generation = Generation::of(members.iter().map(sm_version).min().unwrap_or(0));
        let mut algorithms = lay(cluster, &nodes, generation, scope)?;
        let mut facts = Members {
            count: members.len(),
            nodes: nodes.len(),
            per_node: nodes.iter().map(|local| local.cards.len()).max().unwrap_or(0),
            generation,
            protocols: [false, false, true],
            processors: members
                .iter()
                .map(|&card| f64::from(*cluster.device(card).sm_count.get()))
                .fold(f64::INFINITY, f64::min),
            local_copy: LOCAL_COPY
                * members
                    .iter()
                    .map(|&card| cluster.device(card).memory_bandwidth.get().0)
                    .fold(f64::INFINITY, f64::min),
        };
        if let Some(ring) = algorithms.first() {
            let flagged = facts.nodes == 1 || allows_flags(cluster, &nodes, generation);
            let ll128 = allows_ll128(cluster, members, facts.nodes, ring.plan.inside);
            facts.protocols = [flagged, flagged && ll128, true];
        }
        let footprints = if algorithms.is_empty() {
            vec![Footprint::default()]
        } else {
            algorithms.iter_mut().map(|laid| std::mem::take(&mut laid.plan.footprint)).collect()
        };
        Ok(Self { members: facts, algorithms, footprints })
    }

    /// The links that each algorithm crosses: the ring's first, then those of the tree and of NVLS
    /// as far as the members have them. A call names the one it uses. One empty footprint for a
    /// communicator of one.
    pub fn footprints(&self) -> &[Footprint] {
        &self.footprints
    }

    /// The connections that make up a footprint of [`Group::footprints`], each with the links that it
    /// crosses itself: every ring edge of every channel, both directions of every tree edge of every
    /// channel, both directions of every card's link to switches that reduce. Each moves the bytes
    /// that a call has for one connection. None for a communicator of one.
    pub fn connections(&self, footprint: u8) -> Vec<Footprint> {
        let laid = self.algorithms.get(usize::from(footprint));
        laid.map_or_else(Vec::new, |laid| laid.plan.connections.footprints())
    }

    /// Keeps no more than bundles need.
    pub(crate) fn forget_connections(&mut self) {
        for laid in &mut self.algorithms {
            laid.plan.connections = Connections::default();
        }
    }

    /// The collective as NCCL would choose to run it: of all algorithms and protocols that are
    /// enabled, the one that takes least time when nothing else moves.
    pub fn call(&self, kind: CollectiveKind, bytes: f64) -> CollectiveCall {
        let mut best: Option<(f64, CollectiveCall)> = None;
        for laid in &self.algorithms {
            for protocol in Protocol::ALL {
                if let Some(call) = self.call_with(kind, bytes, laid.algorithm, protocol) {
                    let time = self.uncontended(&call).0;
                    if best.is_none_or(|(least, _)| time < least) {
                        best = Some((time, call));
                    }
                }
            }
        }
        best.map_or(ALONE, |(_, call)| call)
    }

    /// The collective by this algorithm and protocol, `None` where the communicator cannot run it
    /// so.
    pub fn call_with(
        &self,
        kind: CollectiveKind,
        bytes: f64,
        algorithm: Algorithm,
        protocol: Protocol,
    ) -> Option<CollectiveCall> {
        let index = self.algorithms.iter().position(|laid| laid.algorithm == algorithm)?;
        let laid = &self.algorithms[index];
        let Cost { latency, bytes, rate_cap, processors } = cost(
            &self.members,
            (algorithm, &laid.plan, laid.limit),
            (kind, bytes.max(0.0)),
            protocol,
        )?;
        let latency = Time::from_secs_f64(latency);
        let call = Call { bytes, latency, rate_cap, footprint: index as u8, processors };
        Some(CollectiveCall { algorithm, protocol, call })
    }

    /// How long a call takes when nothing else moves.
    pub fn uncontended(&self, call: &CollectiveCall) -> Seconds {
        let idle = self
            .algorithms
            .get(usize::from(call.call.footprint))
            .map_or(f64::INFINITY, |laid| laid.plan.idle_rate);
        let rate = idle.min(call.call.rate_cap);
        let moving = if call.call.bytes > 0.0 { call.call.bytes / rate } else { 0.0 };
        Seconds(call.call.latency.as_secs_f64() + moving)
    }

    /// The bandwidth of the rings when nothing else moves, all channels together, bytes per
    /// second: what nccl-tests calls bus bandwidth, before protocols and latencies. Infinite for a
    /// communicator of one.
    pub fn ring_bandwidth(&self) -> f64 {
        self.algorithms
            .first()
            .map_or(f64::INFINITY, |ring| ring.plan.idle_rate * ring.plan.channels)
    }
}

/// How much of a communicator is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// All algorithms.
    Everything,
    /// Rings alone, where nothing is reduced to all.
    Rings,
    /// All algorithms on one channel: messages of a few bytes take no more.
    OneChannel,
}

/// What a communicator of one member does: nothing.
const ALONE: CollectiveCall = CollectiveCall {
    algorithm: Algorithm::Ring,
    protocol: Protocol::Simple,
    call: Call {
        bytes: 0.0,
        latency: Time::ZERO,
        rate_cap: f64::INFINITY,
        footprint: 0,
        processors: 0.0,
    },
};

/// The algorithms that the members can run, the ring first; none for one member.
fn lay(
    cluster: &Cluster,
    nodes: &[Local],
    generation: Generation,
    scope: Scope,
) -> Result<Vec<Laid>, RouteError> {
    let unlimited = |algorithm, plan| Laid { algorithm, plan, limit: f64::INFINITY };
    let reduces = scope != Scope::Rings;
    let by_switches = reduces && nvls::available(cluster, nodes, generation);
    let mut algorithms = Vec::new();
    match nodes {
        [] => {}
        [local] => {
            if local.cards.len() > 1 {
                algorithms.push(unlimited(Algorithm::Ring, ring::within(cluster, local)?));
            }
            if by_switches {
                let (plan, limit) = nvls::within(cluster, local, generation)?;
                algorithms.push(Laid { algorithm: Algorithm::Nvls, plan, limit });
            }
        }
        several => {
            let channels = match scope {
                Scope::OneChannel => 1,
                Scope::Everything | Scope::Rings => ring::channels(several),
            };
            let walks = ring::walks(cluster, several, channels)?;
            algorithms.push(unlimited(Algorithm::Ring, ring::across(cluster, &walks)?));
            if reduces {
                algorithms.push(unlimited(Algorithm::Tree, tree::across(cluster, &walks)?));
            }
            if by_switches {
                let (plan, limit) = nvls::across(cluster, several, &walks, generation)?;
                algorithms.push(Laid { algorithm: Algorithm::NvlsTree, plan, limit });
            }
        }
    }
    Ok(algorithms)
}

/// LL and LL128 put flags between the data and need NICs that deliver in order. EFA does so from
/// the p5 instances (H100) on; before, its plugin sets NCCL to Simple (aws-ofi-nccl, issue 76 and
/// pull request 280).
fn allows_flags(cluster: &Cluster, nodes: &[Local], generation: Generation) -> bool {
    let efa = |local: &Local| cluster.nic(local.node).technology == FabricTechnology::Efa;
    !matches!(generation, Generation::Volta | Generation::Ampere) || !nodes.iter().any(efa)
}

/// NCCL's conditions for LL128: Volta or later, equal cards (or all Hopper or later), NVLink inside nodes,
/// NICs no farther than a PCIe switch.
fn allows_ll128(cluster: &Cluster, members: &[GpuId], nodes: usize, inside: PathClass) -> bool {
    let versions = || members.iter().map(|&card| cluster.device(card).sm_version());
    let (oldest, newest) = (versions().min().unwrap_or(0), versions().max().unwrap_or(0));
    let near_nic =
        |&card: &GpuId| cluster.nic_class(card).is_some_and(|class| class <= PathClass::Pxb);
    oldest >= 70
        && (oldest == newest || oldest >= 90)
        && inside <= PathClass::Nvb
        && (nodes == 1 || members.iter().all(near_nic))
}
