//! The machines: node designs by card, link and NICs; which cards of them a run uses.

use motley_hardware::{Catalog, Device, FabricShape, FabricTechnology, Nic, NodeDesign, ScaleUp};
use motley_scenario::nearest;
use motley_scenario::raw::{RawCluster, RawFabric, RawGroup, WrittenFabric};
use motley_units::BytesPerSec;

use super::assumptions::Assumptions;
use super::plan::CARDS;
use super::{Concern, Unsupported, rack};
use crate::runs::{Fabric, Hardware, Row};

/// Rates closer than this are the same.
const SAME_RATE: f64 = 0.01;

/// What rows call cards without links of their own.
const PCIE: &str = "pcie";

/// Nodes below a leaf of an oversubscribed fabric whose shape is not stated, and its spines.
const NODES_PER_LEAF: u32 = 16;
const SPINES: u32 = 8;

/// A cluster and the cards of it that a run uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Machine {
    /// The cluster, as a file would say it.
    pub(super) cluster: RawCluster,
    /// The cards in rank order, each with its catalogue id.
    pub(super) cards: Vec<Card>,
    /// No card stays idle.
    pub(super) whole: bool,
}

/// A card that a run uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// Its number in the cluster.
    pub(super) gpu: u32,
    /// Its catalogue id.
    pub(super) device: String,
}

/// Equal nodes, as a row states them.
struct Nodes<'r> {
    device: &'r str,
    count: u32,
    /// Cards of a node that the run uses.
    used: u32,
    /// Nodes of the row in one of these: trays in a part of a rack.
    trays: u32,
}

pub(super) fn machine(row: &Row, assumptions: &mut Assumptions) -> Result<Machine, Unsupported> {
    let hardware = &row.hardware;
    let nodes = match &hardware.groups {
        Some(_) => mixed(hardware)?,
        None => vec![alike(hardware, assumptions)?],
    };
    let several = nodes.len() > 1 || nodes.iter().any(|group| group.count > 1);
    let network = match &hardware.fabric {
        Some(fabric) if several => {
            // Mixed clusters have no racks.
            let trays = nodes.first().map_or(1, |group| group.trays);
            Some(Network::of(fabric, trays, assumptions)?)
        }
        None if several => {
            assumptions.note("network not stated: the node design's own NICs");
            Some(Network { technology: None, node_rate: None, oversubscription: 1.0 })
        }
        _ => None,
    };
    let cards: u64 = nodes.iter().map(|group| u64::from(group.count) * u64::from(group.used)).sum();
    if cards > u64::from(CARDS) {
        let reason = format!("{cards} cards are more than {CARDS}");
        return Err(Unsupported::new(Concern::Hardware, reason));
    }
    let mut groups: Vec<RawGroup> = Vec::new();
    let mut designs = Vec::new();
    let mut cards = Vec::new();
    let (mut first, mut whole) = (0, true);
    for group in &nodes {
        let design = design(hardware, group, network.as_ref(), assumptions)?;
        designs.push(design);
        let device = (design.device != group.device).then(|| group.device.to_owned());
        for _ in 0..group.count {
            let used = (first..first + group.used)
                .map(|gpu| Card { gpu, device: group.device.to_owned() });
            cards.extend(used);
            first += design.gpus;
        }
        whole &= group.used == design.gpus;
        groups.push(RawGroup {
            // Groups of one design may follow one another with another between them.
            name: (nodes.len() > 1).then(|| format!("nodes {}", groups.len())),
            design: design.id.clone(),
            count: group.count,
            device,
            nic: None,
            scale: None,
        });
    }
    let fabric = match &network {
        Some(network) => Some(network.lay(&designs, &mut groups, assumptions)?),
        None => None,
    };
    Ok(Machine { cluster: RawCluster { groups, fabric }, cards, whole })
}

/// The nodes of a cluster of one kind of card.
fn alike<'r>(
    hardware: &'r Hardware,
    assumptions: &mut Assumptions,
) -> Result<Nodes<'r>, Unsupported> {
    let device = hardware.device.as_deref();
    let device = device.ok_or_else(|| Unsupported::not_stated("hardware.device"))?;
    let cards = hardware.gpus.ok_or_else(|| Unsupported::not_stated("hardware.gpus"))?;
    let per_node = hardware.gpus_per_node.unwrap_or_else(|| cards.min(8)).max(1);
    let count = hardware.nodes.unwrap_or_else(|| cards.div_ceil(per_node)).max(1);
    if cards == 0 || !cards.is_multiple_of(count) || cards / count > per_node {
        let reason = format!("{cards} cards are not {count} nodes of up to {per_node}");
        return Err(Unsupported::new(Concern::Contradiction, reason));
    }
    let used = cards / count;
    if hardware.gpu_link.as_deref() == Some(rack::LINK)
        && let Some(parts) = rack::parts(device, cards, used, assumptions)
    {
        return Ok(Nodes { device, count: parts, used: cards / parts, trays: count / parts });
    }
    Ok(Nodes { device, count, used, trays: 1 })
}

/// The nodes of a mixed cluster, in rank order.
fn mixed(hardware: &Hardware) -> Result<Vec<Nodes<'_>>, Unsupported> {
    let groups = hardware.groups.as_deref().unwrap_or_default();
    let mut placed: Vec<(u32, &str, u32)> = Vec::new();
    for group in groups {
        let device = group.device.as_deref();
        let device = device.ok_or_else(|| Unsupported::not_stated("hardware.groups.device"))?;
        let per_node = group.gpus_per_node.or(hardware.gpus_per_node);
        let used = match (per_node, group.gpus, group.nodes) {
            (Some(cards), _, _) => cards,
            (None, Some(cards), Some(nodes @ 1..)) => cards / nodes,
            _ => return Err(Unsupported::not_stated("hardware.groups.gpus_per_node")),
        };
        let nodes = group.nodes.or_else(|| Some(group.gpus? / used.max(1)));
        let nodes = nodes.ok_or_else(|| Unsupported::not_stated("hardware.groups.nodes"))?;
        if nodes > CARDS || used > CARDS {
            let reason = format!("{nodes} nodes of {used} cards are more than {CARDS}");
            return Err(Unsupported::new(Concern::Hardware, reason));
        }
        match &group.node_index {
            Some(places) if places.len() == nodes as usize => {
                placed.extend(places.iter().map(|&place| (place, device, used)));
            }
            Some(_) => {
                let reason = format!("`node_index` of {device} does not name its {nodes} nodes");
                return Err(Unsupported::new(Concern::Contradiction, reason));
            }
            None => {
                let next =
                    placed.iter().map(|(place, ..)| place.saturating_add(1)).max().unwrap_or(0);
                placed
                    .extend((next..next.saturating_add(nodes)).map(|place| (place, device, used)));
            }
        }
    }
    placed.sort_by_key(|(place, ..)| *place);
    let mut nodes: Vec<Nodes<'_>> = Vec::new();
    for (_, device, used) in placed {
        match nodes.last_mut() {
            Some(last) if last.device == device && last.used == used => last.count += 1,
            _ => nodes.push(Nodes { device, count: 1, used, trays: 1 }),
        }
    }
    Ok(nodes)
}

/// The design that suits the nodes best: it takes the card, has its links and enough slots; among
/// those that do, the one made for the card, with NICs for the network, as many slots as are used,
/// and NICs of the right rate.
fn design(
    hardware: &Hardware,
    nodes: &Nodes<'_>,
    network: Option<&Network>,
    assumptions: &mut Assumptions,
) -> Result<&'static NodeDesign, Unsupported> {
    let catalog = Catalog::builtin();
    let Some(device) = catalog.device(nodes.device) else {
        let known = catalog.devices.keys().map(String::as_str);
        let meant = nearest(nodes.device, known).filter(|id| *id != nodes.device);
        let meant = meant.map(|id| format!("; did you mean `{id}`?")).unwrap_or_default();
        let reason = format!("card `{}` is not in the catalogue{meant}", nodes.device);
        return Err(Unsupported::new(Concern::Hardware, reason));
    };
    // The link of a mixed cluster is that of its worst nodes; that of a single card joins nothing.
    let joined = hardware.groups.is_none() && hardware.gpus != Some(1);
    let link = hardware.gpu_link.as_deref().filter(|_| joined);
    let slots = nodes.used.max(hardware.gpus_per_node.filter(|_| link.is_some()).unwrap_or(0));
    let fits = |design: &&NodeDesign| {
        (takes(catalog, design, device) || link == Some(PCIE) && holds(design, device))
            && design.gpus >= nodes.used
            && link.is_none_or(|link| joins(design.scale_up.get(), link))
    };
    let mismatch = |design: &&'static NodeDesign| {
        let nic = catalog.nic(&design.nic);
        let other_network = network
            .and_then(|network| network.technology)
            .is_some_and(|wanted| nic.is_some_and(|nic| nic.technology != wanted));
        let rate = nic.map_or(0.0, |nic| nic.rate.get().0) * f64::from(design.pcie.get().nics());
        let off = network
            .and_then(|network| network.node_rate)
            .map_or(0.0, |wanted| (rate / wanted).ln().abs());
        let strange = !takes(catalog, design, device);
        let own = design.device == device.id;
        ((strange, !own), other_network, design.gpus.abs_diff(slots), off)
    };
    let best = catalog.nodes.values().filter(fits).min_by(|a, b| {
        let (a, b) = (mismatch(a), mismatch(b));
        (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)).then(a.3.total_cmp(&b.3))
    });
    let Some(best) = best else {
        let link = link.map(|link| format!(" joined by `{link}`")).unwrap_or_default();
        let reason = format!(
            "no node design in the catalogue holds {} cards `{}`{link}",
            nodes.used, nodes.device
        );
        return Err(Unsupported::new(Concern::Hardware, reason));
    };
    if best.gpus > nodes.used {
        assumptions
            .note(format!("{} of the {} cards of {} in use", nodes.used, best.gpus, best.id));
    } else {
        assumptions.note(format!("node design: {}", best.id));
    }
    Ok(best)
}

/// Whether a design takes a card: its own, or another of the same architecture and form.
fn takes(catalog: &Catalog, design: &NodeDesign, device: &Device) -> bool {
    catalog.device(&design.device).is_some_and(|own| {
        own.id == device.id
            || own.architecture == device.architecture
                && own.nvlink.is_some() == device.nvlink.is_some()
                && own.pcie == device.pcie
    })
}

/// Whether a design without links of its own has slots for a card of any architecture: a row that says
/// `pcie` of cards that could have links says that these have none.
fn holds(design: &NodeDesign, device: &Device) -> bool {
    *design.scale_up.get() == ScaleUp::None
        && design.pcie.get().generation == device.pcie.generation
}

/// Whether cards that are joined so are what a row says.
fn joins(scale_up: &ScaleUp, link: &str) -> bool {
    match scale_up {
        ScaleUp::None => link == PCIE,
        ScaleUp::NvSwitch { .. } => link == "nvswitch" || link == rack::LINK,
        ScaleUp::Mesh(links) => {
            let full = links
                .iter()
                .enumerate()
                .all(|(i, row)| row.iter().enumerate().all(|(j, count)| i == j || *count > 0));
            link == if full { "nvlink-full-mesh" } else { "nvlink-cube-mesh" }
        }
    }
}

/// What a row says of the network.
struct Network {
    technology: Option<FabricTechnology>,
    /// Bytes per second of a node, one direction.
    node_rate: Option<f64>,
    oversubscription: f64,
}

impl Network {
    /// The network between nodes of so many of the row's nodes each.
    fn of(fabric: &Fabric, trays: u32, assumptions: &mut Assumptions) -> Result<Self, Unsupported> {
        let technology = match fabric.kind.as_deref() {
            None => None,
            Some("infiniband") => Some(FabricTechnology::InfiniBand),
            Some("roce") => Some(FabricTechnology::RoCE),
            Some("ethernet") => Some(FabricTechnology::Ethernet),
            Some("efa") => Some(FabricTechnology::Efa),
            Some("omni-path") => {
                assumptions.note("Omni-Path taken as InfiniBand of its rate");
                Some(FabricTechnology::InfiniBand)
            }
            Some("slingshot") => {
                assumptions.note("Slingshot taken as RoCE of its rate");
                Some(FabricTechnology::RoCE)
            }
            Some(other) => {
                let reason = format!("a fabric of kind `{other}` is not known");
                return Err(Unsupported::new(Concern::Hardware, reason));
            }
        };
        let node_rate = fabric.gbps_per_node.filter(|rate| *rate > 0.0 && rate.is_finite());
        match node_rate {
            None => assumptions.note("rate of the network not stated: that of the node design"),
            Some(rate) if fabric.stated == Some(false) => {
                assumptions.note(format!("rate of the network from memory: {rate} Gb/s a node"));
            }
            Some(_) => {}
        }
        Ok(Self {
            technology,
            node_rate: node_rate.map(|gigabits| gigabits * f64::from(trays) * 1e9 / 8.0),
            oversubscription: fabric.oversubscription.unwrap_or(1.0).max(1.0),
        })
    }

    /// The fabric; gives every group the NICs for it.
    fn lay(
        &self,
        designs: &[&NodeDesign],
        groups: &mut [RawGroup],
        assumptions: &mut Assumptions,
    ) -> Result<RawFabric, Unsupported> {
        let catalog = Catalog::builtin();
        let own = |design: &NodeDesign| catalog.nic(&design.nic);
        let technology = self.technology.or_else(|| Some(own(designs.first()?)?.technology));
        let technology =
            technology.ok_or_else(|| Unsupported::not_stated("hardware.fabric.kind"))?;
        let mut port: Option<f64> = None;
        for (design, group) in designs.iter().zip(groups) {
            let nics = design.pcie.get().nics().max(1);
            let wanted = match (self.node_rate, own(design)) {
                (Some(rate), _) => rate / f64::from(nics),
                (None, Some(nic)) => nic.rate.get().0,
                (None, None) => 0.0,
            };
            let nic = own(design)
                .filter(|nic| nic.technology == technology && same(nic.rate.get().0, wanted))
                .or_else(|| nic_for(catalog, technology, wanted));
            let Some(nic) = nic else {
                let reason = format!("the catalogue has no NIC for {technology:?}");
                return Err(Unsupported::new(Concern::Hardware, reason));
            };
            if nic.id != design.nic {
                group.nic = Some(nic.id.clone());
            }
            let rate = nic.rate.get().0;
            // What such a NIC achieves of its rate was measured.
            let achieved = wanted < rate && wanted >= rate * nic.achieved.get() * (1.0 - SAME_RATE);
            if self.node_rate.is_some() && achieved {
                assumptions.note(format!("NICs of {}: what {} achieves", design.id, nic.name));
            } else if self.node_rate.is_some() && !same(rate, wanted) {
                let gigabits = rate.min(wanted) * 8.0 / 1e9;
                assumptions.note(format!("NICs of {}: {nics} at {gigabits} Gb/s", design.id));
                if rate > wanted {
                    port = Some(port.map_or(wanted, |port| port.min(wanted)));
                }
            }
        }
        let shape = if self.oversubscription > 1.0 {
            assumptions.note(format!(
                "shape of the oversubscribed fabric not stated: leaves of {NODES_PER_LEAF} nodes, \
                 {SPINES} spines"
            ));
            FabricShape::LeafSpine { nodes_per_leaf: NODES_PER_LEAF, spines: SPINES }
        } else {
            FabricShape::SingleSwitch
        };
        Ok(RawFabric::Written(WrittenFabric {
            technology,
            shape,
            port: port.map(BytesPerSec),
            oversubscription: self.oversubscription,
            routing: None,
        }))
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME_RATE * a.max(b)
}

/// The slowest NIC that reaches a rate, or the fastest if none does.
fn nic_for(
    catalog: &'static Catalog,
    technology: FabricTechnology,
    rate: f64,
) -> Option<&'static Nic> {
    let of_kind = || catalog.nics.values().filter(|nic| nic.technology == technology);
    let nominal = |nic: &&Nic| nic.rate.get().0;
    of_kind()
        .filter(|nic| nominal(nic) >= rate * (1.0 - SAME_RATE))
        .min_by(|a, b| nominal(a).total_cmp(&nominal(b)))
        .or_else(|| of_kind().max_by(|a, b| nominal(a).total_cmp(&nominal(b))))
}
