//! Exchanges between pairs: all-to-all and shift, as NCCL runs grouped sends and receives.

use motley_job::Footprint;
use motley_topology::{Cluster, GpuId, LinkId, LinkKind, RouteError};

use crate::cost::{Cost, MICRO, Members, fill};
use crate::plan::{Crossings, Plan};
use crate::tuning::{self, Hop};
use crate::{Algorithm, CollectiveKind, Protocol};

/// A send for each ordered pair.
pub(crate) fn all_to_all(cluster: &Cluster, members: &[GpuId]) -> Result<Plan, RouteError> {
    let mut crossings = Crossings::new(cluster);
    for &from in members {
        for &to in members {
            crossings.connect(from, to)?;
        }
    }
    Ok(crossings.finish(1.0))
}

/// A send of each member to the next, in rank order.
pub(crate) fn shift(cluster: &Cluster, members: &[GpuId]) -> Result<Plan, RouteError> {
    let mut crossings = Crossings::new(cluster);
    for (i, &from) in members.iter().enumerate() {
        crossings.connect(from, members[(i + 1) % members.len()])?;
    }
    Ok(crossings.finish(1.0))
}

/// What software that reaches these shares of NVLinks and of network ports gets of them for one
/// connection, bytes per second; infinite without either.
pub(crate) fn limit(cluster: &Cluster, footprint: &Footprint, nvlink: f64, port: f64) -> f64 {
    let reached = |&(link, count): &(motley_job::LinkId, f64)| {
        let link = cluster.link(LinkId(link.0));
        let share = match link.kind {
            LinkKind::NvLink => nvlink,
            LinkKind::Port | LinkKind::Trunk => port,
            LinkKind::Pcie | LinkKind::Socket => 1.0,
        };
        share * link.capacity.0 / count
    };
    footprint.links.iter().map(reached).fold(f64::INFINITY, f64::min)
}

/// The cost of an exchange of `bytes` by one protocol; `limit` is what the software reaches of the
/// links. `None` where the members do not know the protocol.
pub(crate) fn cost(
    members: &Members,
    (plan, limit): (&Plan, f64),
    (kind, bytes): (CollectiveKind, f64),
    protocol: Protocol,
) -> Option<Cost> {
    let n = members.count as f64;
    // What a member sends to how many others, and what it keeps.
    let (part, peers, own) = match kind {
        CollectiveKind::Shift => (bytes, 1.0, 0.0),
        _ => (bytes / n, n - 1.0, bytes / n),
    };
    let generation = members.generation;
    let hop = if members.nodes > 1 { Hop::Net } else { Hop::of(plan.inside) };
    let latency = MICRO
        * (generation.base(Algorithm::Direct, protocol)
            + generation.step(Algorithm::Direct, protocol, hop)
            + tuning::PEER * (peers - 1.0));
    // One multiprocessor for each channel, as many as the rate out of a card takes.
    let channels = plan.idle_rate * peers / generation.channel_rate();
    let blocks = channels.clamp(tuning::FEWEST_CHANNELS, tuning::MOST_CHANNELS);
    let processors = members.processors_for(blocks);
    match protocol {
        Protocol::Ll if members.protocols[Protocol::Ll as usize] => {
            let rate_cap = (plan.idle_rate * tuning::RING_LL).min(tuning::EXCHANGE_LL);
            Some(Cost { latency: latency + plan.net_latency, bytes: part, rate_cap, processors })
        }
        Protocol::Ll | Protocol::Ll128 => None,
        Protocol::Simple => {
            let rate = plan.idle_rate.min(limit);
            let copied = own / (generation.exchange_copy() * members.memory);
            let moving = part / rate + copied;
            let fill = fill(tuning::EXCHANGE_FILL, generation.exchange_unpipelined() * moving);
            // The flush of the receiving NIC crosses once more.
            let latency = latency + 2.0 * plan.net_latency + fill;
            let rate_cap = if copied > 0.0 { part / moving } else { rate };
            Some(Cost { latency, bytes: part, rate_cap, processors })
        }
    }
}
