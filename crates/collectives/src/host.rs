//! Copies between cards and the memory of their hosts.

use motley_topology::{Cluster, GpuId, LinkId, RouteError};

use crate::connections::Connections;
use crate::{Transfer, tuning};

/// Which way a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostCopy {
    /// From the card to host memory.
    ToHost,
    /// From host memory to the card.
    ToCard,
}

/// Copies of `bytes_each` between each of `cards` and the memory of the CPU socket that its PCIe leads
/// to, by the cards' copy engines, from or to pinned memory. They cross the PCIe links that lie between,
/// so that cards behind one switch share its uplink; the two directions do not meet. A card that is
/// named twice copies twice.
///
/// What pinned memory reaches of PCIe is the capacity of the links: 12, 24 and 48 GB/s for 16 lanes of
/// generation 3, 4 and 5 where 12, 26 and 55 are measured. The bandwidth of host memory does not
/// bind.
///
/// # Errors
/// A number that is no card.
pub fn host_copies(
    cluster: &Cluster,
    cards: &[GpuId],
    direction: HostCopy,
    bytes_each: f64,
) -> Result<Transfer, RouteError> {
    let mut connections = Connections::default();
    let mut latency: f64 = 0.0;
    for &card in cards {
        let route = cluster.host_route(card)?;
        latency = latency.max(tuning::HOST_COPY + route.latency.0);
        connections.connect(|links: &mut Vec<LinkId>| match direction {
            HostCopy::ToHost => links.extend(route.links),
            HostCopy::ToCard => links.extend(route.links.iter().rev().map(|link| link.reverse())),
        });
    }
    // Copy engines move the bytes.
    Ok(Transfer::new(connections, latency, bytes_each))
}
