//! What a card has of each resource, and what a single one can explain.

use motley::Scenario;
use motley_hardware::{Catalog, Scale};
use motley_topology::pcie_rate;
use motley_units::FlopsPerSec;
use motley_workload::card_peak;
use serde::Serialize;

/// A resource of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Peak arithmetic in the precision that the card trains in.
    Compute,
    /// Memory bandwidth.
    MemoryBandwidth,
    /// Memory capacity.
    Memory,
    /// Links between cards of a node; PCIe where there are none.
    CardLinks,
    /// NICs of a node, shared by its cards.
    Network,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Compute, Self::MemoryBandwidth, Self::Memory, Self::CardLinks, Self::Network];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::MemoryBandwidth => "memory bandwidth",
            Self::Memory => "memory",
            Self::CardLinks => "card links",
            Self::Network => "network",
        }
    }

    /// What gives a card so many times as much, if a scale of its figures does.
    pub(crate) fn scale(self, factor: f64) -> Option<Scale> {
        let same = Scale::default();
        match self {
            Self::Compute => Some(Scale { compute: factor, ..same }),
            Self::MemoryBandwidth => Some(Scale { memory_bandwidth: factor, ..same }),
            Self::Memory => Some(Scale { memory: factor, ..same }),
            Self::CardLinks => Some(Scale { card_links: factor, ..same }),
            Self::Network => None,
        }
    }
}

/// What a card has of each resource, in the order of [`Resource::ALL`]: FLOP/s, byte/s, byte, byte/s,
/// byte/s; the mean over the cards of a cluster that can train.
pub(crate) fn per_card(scenario: &Scenario) -> [f64; 5] {
    let catalog = Catalog::builtin();
    let mut sums = [0.0; 5];
    let mut cards = 0.0;
    for group in &scenario.cluster.groups {
        let device = &group.device;
        let architecture = catalog.architecture(&device.architecture);
        let peak = architecture.and_then(|known| card_peak(device, known, &scenario.training));
        let Some(FlopsPerSec(peak)) = peak else { continue };
        let count = f64::from(group.gpus());
        let pcie = group.design.pcie.get();
        let links = device.nvlink.as_ref().map_or_else(
            || pcie_rate(device.pcie.generation.min(pcie.generation), device.pcie.lanes).0.0,
            |nvlink| f64::from(*nvlink.links.get()) * nvlink.per_link.get().0,
        );
        let nics = f64::from(pcie.nics()) * group.nic.rate.get().0 / f64::from(group.design.gpus);
        let own = [peak, device.memory_bandwidth.get().0, device.memory.get().0, links, nics];
        sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += count * own);
        cards += count;
    }
    sums.map(|sum| sum / f64::max(cards, 1.0))
}

/// How many cards a resource can make necessary, if work is divided among them without loss and nothing
/// but that resource counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HardBound {
    /// Which.
    pub resource: Resource,
    /// What a card of the reference has over what the other has.
    pub ratio: f64,
    /// So many times the cards of the reference.
    pub count: f64,
}

/// The bounds of all resources.
pub(crate) fn hard_bounds(reference: [f64; 5], other: [f64; 5], cards: f64) -> Vec<HardBound> {
    Resource::ALL
        .into_iter()
        .zip(reference.iter().zip(other))
        .filter(|(_, (own, other))| **own > 0.0 && *other > 0.0)
        .map(|(resource, (own, other))| HardBound {
            resource,
            ratio: own / other,
            count: cards * own / other,
        })
        .collect()
}
