//! Point-to-point sends.

use motley_job::{Call, Footprint};
use motley_topology::{Cluster, GpuId, PathClass, RouteError};
use motley_units::{Seconds, Time};

use crate::connections::Connections;
use crate::cost::MICRO;
use crate::plan::idle_rate;
use crate::tuning::{Generation, Hop};
use crate::{Algorithm, Protocol};

/// Parallel sends as one bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// The links of all sends.
    pub footprint: Footprint,
    /// What one of them moves; its footprint is number 0.
    pub call: Call,
    pub(crate) connections: Connections,
}

impl Transfer {
    /// Of `bytes_each` over each connection, after `latency` seconds; nothing but links limits it, and
    /// it takes no processors.
    pub(crate) fn new(connections: Connections, latency: f64, bytes_each: f64) -> Self {
        let call = Call {
            bytes: 0.0,
            latency: Time::from_secs_f64(latency),
            rate_cap: f64::INFINITY,
            footprint: 0,
            processors: 0.0,
        };
        Self { footprint: connections.footprint(), call, connections }.carrying(bytes_each)
    }

    /// The links of each send, but for those that cross none.
    pub fn connections(&self) -> Vec<Footprint> {
        self.connections.footprints()
    }

    /// How long it takes when nothing else moves.
    pub fn uncontended(&self, cluster: &Cluster) -> Seconds {
        let rate = idle_rate(cluster, &self.footprint).min(self.call.rate_cap);
        Seconds(self.call.latency.as_secs_f64() + self.call.bytes / rate)
    }

    /// The same sends of `bytes_each`. What crosses no link has nothing to move.
    #[must_use]
    pub fn carrying(mut self, bytes_each: f64) -> Self {
        let crosses = !self.footprint.links.is_empty();
        self.call.bytes = if crosses { bytes_each.max(0.0) } else { 0.0 };
        self
    }
}

/// Sends from the first to the second card of each pair, all at one rate and `bytes_each` long.
///
/// NCCL has no cost model for sends. Latency: that of a single step under the lowest-latency
/// protocol, whose base and steps are fitted to floors that measured all-to-alls of two cards share
/// (10.7 us on A100, 6.4 us on H100), and the hops of the slowest route. A send of a card to itself
/// costs nothing. It takes no processors: between stages few or no multiprocessors copy (copy engines
/// inside a node, one or two channels between nodes), too few to be told from none.
///
/// # Errors
/// As [`Cluster::route`].
pub fn transfer(
    cluster: &Cluster,
    slices: &[(GpuId, GpuId)],
    bytes_each: f64,
) -> Result<Transfer, RouteError> {
    let mut connections = Connections::default();
    let mut latency: f64 = 0.0;
    for &(from, to) in slices {
        let (hops, class) = connections.connect(|links| cluster.route_onto(from, to, links))?;
        if class == PathClass::Same {
            continue;
        }
        let older = cluster.device(from).sm_version().min(cluster.device(to).sm_version());
        let generation = Generation::of(older);
        let software = generation.base(Algorithm::Ring, Protocol::Ll)
            + generation.step(Algorithm::Ring, Protocol::Ll, Hop::of(class));
        latency = latency.max(software * MICRO + hops.0);
    }
    Ok(Transfer::new(connections, latency, bytes_each))
}
