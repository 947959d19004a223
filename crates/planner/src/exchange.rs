//! How long replicas of a stage exchange what each of them has, when the replicas of a stage lie on
//! neighbouring cards.

use std::collections::BTreeMap;

use motley_collectives::{CollectiveKind, Fidelity};
use motley_topology::GpuId;

use crate::combination::Combination;
use crate::costs::Pricing;
use crate::sketch::Unit;

/// Bytes for which rings are asked: long enough that latency does not count.
const BYTES: f64 = 1e9;

/// Seconds a byte, by type of card and cards of a unit, and by the number of replicas in powers of two.
pub(crate) struct Exchange {
    per_byte: BTreeMap<(usize, u32), Vec<(u32, f64)>>,
}

impl Exchange {
    /// Of all units of these combinations.
    pub(crate) fn of(pricing: &mut Pricing, combinations: &[Combination]) -> Self {
        let mut per_byte = BTreeMap::new();
        for unit in combinations.iter().flat_map(|combination| &combination.choices) {
            let unit = unit.unit;
            per_byte.entry((unit.kind, unit.cards())).or_insert_with(|| by_replicas(pricing, unit));
        }
        Self { per_byte }
    }

    /// Seconds in which so many replicas of a stage on such units exchange so many bytes a card.
    pub(crate) fn seconds(&self, unit: Unit, replicas: u32, bytes: f64) -> f64 {
        let Some(known) = self.per_byte.get(&(unit.kind, unit.cards())) else { return 0.0 };
        if replicas < 2 {
            return 0.0;
        }
        let enough = known.iter().find(|(count, _)| *count >= replicas).or(known.last());
        enough.map_or(0.0, |(_, per_byte)| per_byte * bytes)
    }
}

fn by_replicas(pricing: &mut Pricing, unit: Unit) -> Vec<(u32, f64)> {
    let card = &pricing.pool.types[unit.kind];
    let units = card.units(unit.cards());
    let firsts: Vec<GpuId> = units.iter().filter_map(|unit| unit.first().copied()).collect();
    // Every card of a unit is in a group of its own; all leave the node through its NICs.
    let nics = f64::from(card.node_size()) / card.cards_per_nic;
    let sharing = (f64::from(unit.cards()) / nics).max(1.0);
    let kind = CollectiveKind::AllReduce;
    let all = firsts.len() as u32;
    let mut counts: Vec<u32> = (1..31).map(|power| 1 << power).take_while(|n| *n < all).collect();
    counts.push(all);
    let mut seconds = |count: u32| -> Option<f64> {
        let members = &firsts[..count as usize];
        let group =
            pricing.layouts.group(pricing.cluster, members, [kind], Fidelity::Bundled).ok()?;
        let inside = members.len() <= (card.node_size() / unit.cards()) as usize;
        let bytes = if inside { BYTES } else { BYTES * sharing };
        Some(group.uncontended(&group.call(kind, bytes)).0 / BYTES)
    };
    counts
        .into_iter()
        .filter(|count| *count > 1)
        .filter_map(|count| Some((count, seconds(count)?)))
        .collect()
}
