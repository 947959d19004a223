//! Communicators.

use motley_hardware::FabricTechnology;
use motley_job::{Call, Footprint};
use motley_topology::{Cluster, GpuId, PathClass, RouteError};
use motley_units::{Seconds, Time};

use crate::connections::Connections;
use crate::cost::{Cost, Members, cost};
use crate::membership::{Local, by_node};
use crate::plan::Plan;
use crate::tuning::{DEEPEP_NVLINK, DEEPEP_PORT, EXCHANGE_NVLINK, Generation};
use crate::{Algorithm, CollectiveKind, Protocol, exchange, nvls, rails, ring, tree};

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
    /// The one kind that it is for, where it is an exchange.
    exchange: Option<CollectiveKind>,
    plan: Plan,
    /// Beside links and protocol, bytes per second and connection.
    limit: f64,
}

impl Laid {
    fn carries(&self, kind: CollectiveKind) -> bool {
        self.exchange == kind.is_exchange().then_some(kind)
    }
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
    /// The communicator of `members`, in rank order, for all collectives but exchanges.
    ///
    /// # Errors
    /// No member, a card twice, a card that does not exist, cards of two vendors, or a card that
    /// cannot leave its node.
    pub fn new(cluster: &Cluster, members: &[GpuId]) -> Result<Self, RouteError> {
        Self::lay(cluster, members, &Scope::of([CollectiveKind::AllReduce]))
    }

    /// The communicator of `members`, in rank order, with no more of it than collectives of these
    /// kinds need.
    ///
    /// # Errors
    /// As [`Group::new`].
    pub fn of_kinds(
        cluster: &Cluster,
        members: &[GpuId],
        kinds: impl IntoIterator<Item = CollectiveKind>,
    ) -> Result<Self, RouteError> {
        Self::lay(cluster, members, &Scope::of(kinds))
    }

    /// The same, but with no more of it than `scope` says.
    pub(crate) fn lay(
        cluster: &Cluster,
        members: &[GpuId],
        scope: &Scope,
    ) -> Result<Self, RouteError> {
        // A few bytes go by way of the hosts, whose libraries (Gloo, MPI) know no vendors.
        let by_hosts = scope.passing == Passing::OneChannel && scope.exchanges.is_empty();
        let nodes = by_node(cluster, members, by_hosts)?;
        let sm_version = |card: &GpuId| cluster.device(*card).sm_version();
        let generation = Generation::of(members.iter().map(sm_version).min().unwrap_or(0));
        let mut algorithms = lay(cluster, &nodes, generation, scope.passing)?;
        for &kind in &scope.exchanges {
            algorithms.extend(exchange(cluster, members, &nodes, kind)?);
        }
        let mut facts = Members {
            count: members.len(),
            nodes: nodes.len(),
            per_node: nodes.iter().map(|local| local.cards.len()).max().unwrap_or(0),
            generation,
            protocols: [false, false, true],
            memory: members
                .iter()
                .map(|&card| cluster.device(card).memory_bandwidth.get().0)
                .fold(f64::INFINITY, f64::min),
            processors: members
                .iter()
                .map(|&card| f64::from(*cluster.device(card).sm_count.get()))
                .fold(f64::INFINITY, f64::min),
        };
        if let Some(first) = algorithms.first() {
            let flagged = facts.nodes == 1 || allows_flags(cluster, &nodes, generation);
            let ll128 = allows_ll128(cluster, members, facts.nodes, first.plan.inside);
            facts.protocols = [flagged, flagged && ll128, true];
        }
        let footprints = if algorithms.is_empty() {
            vec![Footprint::default()]
        } else {
            algorithms.iter_mut().map(|laid| std::mem::take(&mut laid.plan.footprint)).collect()
        };
        Ok(Self { members: facts, algorithms, footprints })
    }

    /// The links that each algorithm crosses: the ring's first, then those of the tree, of NVLS and of
    /// exchanges as far as the members have them. A call names the one it uses. One empty footprint for
    /// a communicator of one.
    pub fn footprints(&self) -> &[Footprint] {
        &self.footprints
    }

    /// The connections that make up a footprint of [`Group::footprints`], each with the links that it
    /// crosses itself: every ring edge of every channel, both directions of every tree edge of every
    /// channel, both directions of every card's link to switches that reduce, every pair of an exchange.
    /// Each moves the bytes that a call has for one connection. None for a communicator of one.
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
    ///
    /// # Panics
    /// If several members were laid for other kinds only.
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
        assert!(best.is_some() || self.members.count == 1, "{kind:?} of a group laid without it");
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
        let fits = |laid: &Laid| laid.algorithm == algorithm && laid.carries(kind);
        let index = self.algorithms.iter().position(fits)?;
        let Laid { plan, limit, .. } = &self.algorithms[index];
        let (members, bytes) = (&self.members, bytes.max(0.0));
        let Cost { latency, bytes, rate_cap, processors } = match algorithm {
            Algorithm::Direct => exchange::cost(members, (plan, *limit), (kind, bytes), protocol),
            Algorithm::Rails => rails::cost(members, (plan, *limit), bytes, protocol),
            _ => cost(members, (algorithm, plan, *limit), (kind, bytes), protocol),
        }?;
        let latency = Time::from_secs_f64(latency);
        let call = Call { bytes, latency, rate_cap, footprint: index as u8, processors };
        Some(CollectiveCall { algorithm, protocol, call })
    }

    /// How long a call takes when nothing else moves.
    pub fn uncontended(&self, call: &CollectiveCall) -> Seconds {
        self.idle_time(&call.call)
    }

    pub(crate) fn idle_time(&self, call: &Call) -> Seconds {
        let idle = self
            .algorithms
            .get(usize::from(call.footprint))
            .map_or(f64::INFINITY, |laid| laid.plan.idle_rate);
        let rate = idle.min(call.rate_cap);
        let moving = if call.bytes > 0.0 { call.bytes / rate } else { 0.0 };
        Seconds(call.latency.as_secs_f64() + moving)
    }

    /// The same call, but as long as `time`, which was measured when nothing else moved: what comes before
    /// the first byte and what each connection moves are stretched by one factor. So a collective that
    /// takes twice as long as predicted also fills its links twice as long, and what shares them with it
    /// waits as if they had half the bandwidth that they were thought to have.
    #[must_use]
    pub fn lasting(&self, call: Call, time: Seconds) -> Call {
        let predicted = self.idle_time(&call);
        if predicted.0 <= 0.0 || predicted == time {
            return call;
        }
        let factor = time.0 / predicted.0;
        Call { bytes: call.bytes * factor, latency: call.latency.scale(factor), ..call }
    }

    /// The bandwidth of the rings when nothing else moves, all channels together, bytes per
    /// second: what nccl-tests calls bus bandwidth, before protocols and latencies. Infinite for a
    /// communicator of one and where only exchanges are laid.
    pub fn ring_bandwidth(&self) -> f64 {
        self.algorithms
            .iter()
            .find(|laid| laid.algorithm == Algorithm::Ring)
            .map_or(f64::INFINITY, |ring| ring.plan.idle_rate * ring.plan.channels)
    }
}

/// How much of a communicator is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    passing: Passing,
    /// Ascending, each once.
    exchanges: Vec<CollectiveKind>,
}

/// What is wanted of the algorithms in which members pass on what they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Passing {
    /// None: there are exchanges only.
    Nothing,
    /// Rings alone, where nothing is reduced to all.
    Rings,
    /// All algorithms.
    Everything,
    /// All algorithms on one channel: messages of a few bytes take no more.
    OneChannel,
}

impl Scope {
    /// What collectives of these kinds need.
    pub(crate) fn of(kinds: impl IntoIterator<Item = CollectiveKind>) -> Self {
        let mut scope = Self { passing: Passing::Nothing, exchanges: Vec::new() };
        for kind in kinds {
            match kind {
                kind if kind.is_exchange() => scope.exchanges.push(kind),
                CollectiveKind::AllReduce => scope.passing = Passing::Everything,
                _ if scope.passing == Passing::Nothing => scope.passing = Passing::Rings,
                _ => {}
            }
        }
        scope.exchanges.sort_unstable();
        scope.exchanges.dedup();
        scope
    }

    /// An all-reduce of a few bytes.
    pub(crate) fn agreement() -> Self {
        Self { passing: Passing::OneChannel, exchanges: Vec::new() }
    }
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

/// An exchange of this kind; none for one member.
fn exchange(
    cluster: &Cluster,
    members: &[GpuId],
    nodes: &[Local],
    kind: CollectiveKind,
) -> Result<Option<Laid>, RouteError> {
    if members.len() < 2 {
        return Ok(None);
    }
    let (algorithm, plan) = match kind {
        CollectiveKind::Dispatch(crossing) => {
            (Algorithm::Rails, rails::across(cluster, nodes, crossing, false)?)
        }
        CollectiveKind::Combine(crossing) => {
            (Algorithm::Rails, rails::across(cluster, nodes, crossing, true)?)
        }
        CollectiveKind::Shift => (Algorithm::Direct, exchange::shift(cluster, members)?),
        _ => (Algorithm::Direct, exchange::all_to_all(cluster, members)?),
    };
    let (nvlink, port) = match algorithm {
        Algorithm::Rails => (DEEPEP_NVLINK, DEEPEP_PORT),
        _ => (EXCHANGE_NVLINK, 1.0),
    };
    let limit = exchange::limit(cluster, &plan.footprint, nvlink, port);
    Ok(Some(Laid { algorithm, exchange: Some(kind), plan, limit }))
}

/// The algorithms in which members pass on, the ring first; none for one member.
fn lay(
    cluster: &Cluster,
    nodes: &[Local],
    generation: Generation,
    passing: Passing,
) -> Result<Vec<Laid>, RouteError> {
    if passing == Passing::Nothing {
        return Ok(Vec::new());
    }
    let laid = |algorithm, plan, limit| Laid { algorithm, exchange: None, plan, limit };
    let unlimited = |algorithm, plan| laid(algorithm, plan, f64::INFINITY);
    let reduces = passing != Passing::Rings;
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
                algorithms.push(laid(Algorithm::Nvls, plan, limit));
            }
        }
        several => {
            let channels = match passing {
                Passing::OneChannel => 1,
                _ => ring::channels(several),
            };
            let walks = ring::walks(cluster, several, channels)?;
            algorithms.push(unlimited(Algorithm::Ring, ring::across(cluster, &walks)?));
            if reduces {
                algorithms.push(unlimited(Algorithm::Tree, tree::across(cluster, &walks)?));
            }
            if by_switches {
                let (plan, limit) = nvls::across(cluster, several, &walks, generation)?;
                algorithms.push(laid(Algorithm::NvlsTree, plan, limit));
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
