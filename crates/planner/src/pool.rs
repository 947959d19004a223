//! The cards of a cluster by type, and the units that stages are made of.

use motley_hardware::{Catalog, Vendor};
use motley_scenario::Scenario;
use motley_scheduler::check_precision;
use motley_topology::{Cluster, GpuId, NodeId};
use motley_workload::card_peak;

/// Cards that the planner takes as equal: one device in one node design behind the same NICs.
#[derive(Clone, Debug, PartialEq)]
pub struct CardType {
    /// The catalogue id of the card.
    pub id: String,
    /// Its vendor's name for it.
    pub name: String,
    /// The catalogue id of the design of its nodes.
    pub design: String,
    /// The catalogue id of their NICs.
    pub nic: String,
    /// Who makes it.
    pub vendor: Vendor,
    /// Its memory, bytes.
    pub memory_bytes: f64,
    /// Its peak in the precision that it trains in, FLOP/s, as its vendor prints it.
    pub peak: f64,
    /// Cards of each node, node by node.
    pub nodes: Vec<Vec<GpuId>>,
    /// Cards of a node that share one NIC.
    pub cards_per_nic: f64,
}

impl CardType {
    /// How many cards.
    pub fn cards(&self) -> u32 {
        self.nodes.iter().map(|node| node.len() as u32).sum()
    }

    /// Cards of a node.
    pub fn node_size(&self) -> u32 {
        self.nodes.iter().map(|node| node.len() as u32).max().unwrap_or(0)
    }

    /// Units of so many neighbouring cards of a node, in card order; what does not divide is left out.
    pub fn units(&self, size: u32) -> Vec<Vec<GpuId>> {
        let whole = |node: &Vec<GpuId>| -> Vec<Vec<GpuId>> {
            node.chunks_exact(size.max(1) as usize).map(<[GpuId]>::to_vec).collect()
        };
        self.nodes.iter().flat_map(whole).collect()
    }
}

/// What there is to plan with.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Types of cards that can run the training.
    pub types: Vec<CardType>,
    /// Those that cannot, with the reason.
    pub refused: Vec<(String, String)>,
    /// By card, its type.
    types_of: Vec<Option<usize>>,
}

impl Pool {
    /// Sorts the cards of a scenario's cluster.
    pub fn new(scenario: &Scenario, cluster: &Cluster) -> Self {
        let types_of = vec![None; cluster.gpu_count() as usize];
        let mut pool = Self { types: Vec::new(), refused: Vec::new(), types_of };
        let mut keys: Vec<(String, String, String)> = Vec::new();
        let catalog = Catalog::builtin();
        for node in (0..cluster.node_count()).map(NodeId) {
            let cards: Vec<GpuId> = cluster.node_gpus(node).map(GpuId).collect();
            let Some(&first) = cards.first() else { continue };
            let device = cluster.device(first);
            let design = cluster.design(node);
            let key = (design.id.clone(), device.id.clone(), cluster.nic(node).id.clone());
            if let Some(known) = keys.iter().position(|other| *other == key) {
                pool.types[known].nodes.push(cards);
                continue;
            }
            let refusal = check_precision(cluster, catalog, &scenario.training, [first]);
            if let Some(refusal) = refusal.into_iter().next() {
                if !pool.refused.iter().any(|(name, _)| *name == device.name) {
                    pool.refused.push((device.name.clone(), refusal.message));
                }
                continue;
            }
            let peak = catalog
                .architecture(&device.architecture)
                .and_then(|architecture| card_peak(device, architecture, &scenario.training))
                .map_or(0.0, |peak| peak.0);
            let nics = design.pcie.get().nics().max(1);
            keys.push(key);
            pool.types.push(CardType {
                id: device.id.clone(),
                name: device.name.clone(),
                design: design.id.clone(),
                nic: cluster.nic(node).id.clone(),
                vendor: device.vendor,
                memory_bytes: device.memory.get().0,
                peak,
                cards_per_nic: f64::from(cards.len() as u32) / f64::from(nics),
                nodes: vec![cards],
            });
        }
        for (kind, card) in pool.types.iter().enumerate() {
            for gpu in card.nodes.iter().flatten() {
                pool.types_of[gpu.0 as usize] = Some(kind);
            }
        }
        pool
    }

    /// The type of a card.
    pub fn type_of(&self, gpu: GpuId) -> Option<usize> {
        self.types_of.get(gpu.0 as usize).copied().flatten()
    }
}
