//! Dispatch and combine of tokens over rails, as DeepEP's kernels for training do them
//! (github.com/deepseek-ai/DeepEP, `csrc/kernels/internode.cu` and `intranode.cu`).
//!
//! A card sends what is bound for another node to the card of the same index there, once however
//! many ranks of the node want it; that card forwards it over NVLink. Combine takes the same way
//! back. Both stages are pipelined, so they move at the same time.

use motley_topology::{Cluster, GpuId, RouteError};

use crate::cost::{Cost, MICRO, Members};
use crate::membership::Local;
use crate::plan::{Crossings, Plan};
use crate::tuning::{DEEPEP_SMS, Hop};
use crate::{Algorithm, Crossing, Protocol};

/// The card of `to` through which `card`, at this place among the members of its node, reaches it:
/// that of the same index in the node; where that is no member, members take turns.
fn entry(cluster: &Cluster, card: GpuId, place: usize, to: &Local) -> GpuId {
    let index = cluster.local_index(card);
    let same = to.cards.iter().find(|&&other| cluster.local_index(other) == index);
    same.copied().unwrap_or(to.cards[place % to.cards.len()])
}

/// The plan of a dispatch, or of the way `back`, in units of what one rank has for one other: a message
/// of `crossing` times the members of a node along a rail, then one for each member.
pub(crate) fn across(
    cluster: &Cluster,
    nodes: &[Local],
    crossing: Crossing,
    back: bool,
) -> Result<Plan, RouteError> {
    let mut crossings = Crossings::new(cluster);
    let mut connect = |from, to, count| {
        let (from, to) = if back { (to, from) } else { (from, to) };
        crossings.repeat(from, to, count)
    };
    for local in nodes {
        // For how many ranks each member distributes: for itself, and for those that enter by it.
        let mut sources = vec![1.0; local.cards.len()];
        for other in nodes.iter().filter(|other| other.node != local.node) {
            for (place, &from) in other.cards.iter().enumerate() {
                let entry = entry(cluster, from, place, local);
                connect(from, entry, crossing.share() * local.cards.len() as f64)?;
                let at = local.cards.iter().position(|&card| card == entry);
                sources[at.unwrap_or(0)] += 1.0;
            }
        }
        for (&from, count) in local.cards.iter().zip(sources) {
            for &to in local.cards.iter().filter(|&&to| to != from) {
                connect(from, to, count)?;
            }
        }
    }
    Ok(crossings.finish(1.0))
}

/// The cost of `bytes`; `limit` is what the kernels reach of the links. Before the tokens the ranks
/// tell each other how many will come, a round of a few bytes of its own.
pub(crate) fn cost(
    members: &Members,
    (plan, limit): (&Plan, f64),
    bytes: f64,
    protocol: Protocol,
) -> Option<Cost> {
    if protocol != Protocol::Simple {
        return None;
    }
    let generation = members.generation;
    let step = |hop| generation.step(Algorithm::Rails, Protocol::Ll, hop);
    let inside = step(Hop::of(plan.inside));
    let between = if members.nodes > 1 { step(Hop::Net) } else { 0.0 };
    let round = generation.base(Algorithm::Rails, Protocol::Ll) + inside + between;
    let latency = 2.0 * (round * MICRO + plan.net_latency);
    let rate_cap = plan.idle_rate.min(limit);
    let processors = members.processors_for(f64::from(DEEPEP_SMS));
    Some(Cost { latency, bytes: bytes / members.count as f64, rate_cap, processors })
}
