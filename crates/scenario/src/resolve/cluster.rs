//! The machines: catalogue look-ups, counts, the fabric.

use std::collections::BTreeMap;
use std::sync::Arc;

use motley_hardware::{Device, FabricShape, FabricTechnology, Routing, Scale};
use motley_topology::{Cluster, ClusterSpec, Clusters, FabricSpec, NodeGroup, TopologyError};

use super::{Resolver, limits};
use crate::code;
use crate::raw::{RawCluster, RawFabric, RawGroup, WrittenFabric};
use crate::syntax::Path;

fn group_path(index: usize) -> Path {
    Path::ROOT.field("cluster").field("groups").index(index)
}

fn fabric_path() -> Path {
    Path::ROOT.field("cluster").field("fabric")
}

/// What a fabric does unless it is told otherwise. EFA's transport spreads the packets of every
/// message over many paths (Shalev et al. 2020, A Cloud-Optimized Transport Protocol for Elastic and
/// Scalable HPC, IEEE Micro 40(6)); the others have to be set up for it.
fn default_routing(technology: FabricTechnology) -> Routing {
    match technology {
        FabricTechnology::Efa => Routing::Adaptive,
        FabricTechnology::InfiniBand | FabricTechnology::RoCE | FabricTechnology::Ethernet => {
            Routing::Ecmp
        }
    }
}

impl Resolver<'_> {
    /// The cluster, unless something in it is unknown or out of range.
    pub(super) fn cluster(&mut self, raw: &RawCluster) -> Option<ClusterSpec> {
        let before = self.diagnostics.len();
        let groups: Vec<Option<NodeGroup>> =
            raw.groups.iter().enumerate().map(|(index, group)| self.group(index, group)).collect();
        self.group_names(raw);
        let groups: Option<Vec<NodeGroup>> = groups.into_iter().collect();
        let fabric = raw.fabric.as_ref().map(|fabric| self.fabric(fabric));
        let groups = groups?;
        self.size(&groups);
        let nodes: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
        let fabric = match (fabric, groups.first()) {
            (Some(None), _) | (None, None) => return None,
            (Some(Some(fabric)), _) => fabric,
            (None, Some(first)) if nodes <= 1 => FabricSpec {
                shape: FabricShape::SingleSwitch,
                technology: first.nic.technology,
                port: None,
                oversubscription: 1.0,
                routing: default_routing(first.nic.technology),
            },
            (None, Some(first)) => {
                let technology = first.nic.technology;
                let path = Path::ROOT.field("cluster");
                let message = format!("{nodes} nodes need a fabric between them");
                let diagnostic = self
                    .at(code::MISSING_FIELD, &path, message, "`fabric` is not given")
                    .help(format!("add `fabric: (technology: {technology:?})`"));
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        (self.diagnostics.len() == before).then_some(ClusterSpec { groups, fabric })
    }

    fn group(&mut self, index: usize, raw: &RawGroup) -> Option<NodeGroup> {
        let catalog = self.catalog;
        let path = group_path(index);
        let counted = self.count(&path.field("count"), raw.count, limits::NODES);
        let design = catalog.node(&raw.design);
        if design.is_none() {
            let known = catalog.nodes.keys().map(String::as_str);
            self.unknown_name("node design", &path.field("design"), &raw.design, known);
        }
        let device_id = raw.device.as_ref().or(design.map(|design| &design.device));
        let device = device_id.and_then(|id| catalog.device(id));
        if let (Some(id), None) = (device_id, device) {
            let known = catalog.devices.keys().map(String::as_str);
            self.unknown_name("device", &path.field("device"), id, known);
        }
        let nic_id = raw.nic.as_ref().or(design.map(|design| &design.nic));
        let nic = nic_id.and_then(|id| catalog.nic(id));
        if let (Some(id), None) = (nic_id, nic) {
            let known = catalog.nics.keys().map(String::as_str);
            self.unknown_name("nic", &path.field("nic"), id, known);
        }
        let (design, device, nic) = (design?, device?, nic?);
        let scale = raw.scale.unwrap_or_default();
        let scaled = self.scale(&path.field("scale"), &scale, device);
        let card = device.scaled(&scale);
        let name = match (&raw.name, &raw.device) {
            (Some(name), _) => name.clone(),
            (None, None) if card.id == device.id => raw.design.clone(),
            (None, _) => format!("{}/{}", raw.design, card.id),
        };
        (counted && scaled).then(|| NodeGroup {
            name,
            design: design.clone(),
            device: card,
            nic: nic.clone(),
            count: raw.count,
        })
    }

    /// Whether factors are within reason, and of something that the card has; reports it if not.
    fn scale(&mut self, path: &Path, scale: &Scale, device: &Device) -> bool {
        let before = self.diagnostics.len();
        for (field, factor) in scale.factors() {
            let path = path.field(field);
            if !limits::SCALE.contains(&factor) {
                let (low, high) = (limits::SCALE.start(), limits::SCALE.end());
                let message = format!("`{path}` is {factor}, expected {low} to {high}");
                self.error(code::OUT_OF_RANGE, &path, message, "times what the vendor prints");
            }
        }
        if device.nvlink.is_none() && self.document.has(&path.field("card_links")) {
            let message = format!("{} has no links to other cards", device.name);
            self.error(code::CLUSTER, &path.field("card_links"), message, "nothing to multiply");
        }
        self.diagnostics.len() == before
    }

    /// Two groups that were given the same name could not be told apart in reports.
    fn group_names(&mut self, raw: &RawCluster) {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, group) in raw.groups.iter().enumerate() {
            let Some(name) = &group.name else { continue };
            if let Some(&other) = first.get(name.as_str()) {
                let path = group_path(index).field("name");
                let message = format!("two groups are called \"{name}\"");
                let other = self.document.place(&group_path(other).field("name"));
                let diagnostic = self
                    .at(code::CLUSTER, &path, message, "used again")
                    .label(other, "first used here");
                self.diagnostics.push(diagnostic);
            }
            first.entry(name).or_insert(index);
        }
    }

    fn size(&mut self, groups: &[NodeGroup]) {
        let path = Path::ROOT.field("cluster").field("groups");
        let nodes: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
        let cards: u64 =
            groups.iter().map(|group| u64::from(group.count) * u64::from(group.design.gpus)).sum();
        let totals = [("node", nodes, limits::NODES), ("card", cards, limits::CARDS)];
        for (what, total, range) in totals {
            let (low, high) = (*range.start(), *range.end());
            if total < u64::from(low) || total > u64::from(high) {
                let message = format!("the cluster has {total} {what}s, expected {low} to {high}");
                self.error(code::OUT_OF_RANGE, &path, message, "all groups together");
            }
        }
    }

    /// The fabric; none if the catalogue does not have it.
    fn fabric(&mut self, raw: &RawFabric) -> Option<FabricSpec> {
        self.fabric_name(raw);
        match raw {
            RawFabric::Written(fabric) => Some(self.written_fabric(fabric)),
            RawFabric::Preset(name) => {
                let catalog = self.catalog;
                if let Some(fabric) = catalog.fabric(name) {
                    return Some(self.written_fabric(&WrittenFabric::of(fabric, catalog)));
                }
                let known = catalog.fabrics.keys().map(String::as_str);
                self.unknown_name("fabric", &fabric_path().index(0), name, known);
                None
            }
        }
    }

    /// What stands before the brackets, which reading leaves open: `Preset` before a name, nothing
    /// or `Fabric` before fields.
    fn fabric_name(&mut self, raw: &RawFabric) {
        let path = fabric_path();
        let found = self.document.found(&path).value.name();
        let found = found.map(|span| span.of(self.document.text()).to_owned());
        let (expected, label) = match (raw, found.as_deref()) {
            (RawFabric::Preset(_), Some("Preset"))
            | (RawFabric::Written(_), None | Some("Fabric")) => return,
            (RawFabric::Preset(name), _) => ("`Preset`", format!("write `Preset({name:?})`")),
            (RawFabric::Written(_), _) => ("no name", "fields stand in bare brackets".to_owned()),
        };
        let found = found.map_or_else(|| "no name".to_owned(), |name| format!("`{name}`"));
        let message = format!("`{path}`: expected {expected} before the bracket, found {found}");
        self.error(code::UNKNOWN_VARIANT, &path, message, &label);
    }

    fn written_fabric(&mut self, raw: &WrittenFabric) -> FabricSpec {
        let path = fabric_path();
        let shape = path.field("shape");
        match raw.shape {
            FabricShape::SingleSwitch => {}
            FabricShape::LeafSpine { nodes_per_leaf, spines } => {
                self.count(&shape.field("nodes_per_leaf"), nodes_per_leaf, limits::SWITCHES);
                self.count(&shape.field("spines"), spines, limits::SWITCHES);
            }
            FabricShape::RailOptimized { nodes_per_pod, spines } => {
                self.count(&shape.field("nodes_per_pod"), nodes_per_pod, limits::SWITCHES);
                self.count(&shape.field("spines"), spines, limits::SWITCHES);
            }
        }
        let oversubscription = raw.oversubscription;
        if !(1.0..=1e6).contains(&oversubscription) {
            let path = path.field("oversubscription");
            let message = format!("`{path}` is {oversubscription}, expected 1.0 or more");
            self.error(code::OUT_OF_RANGE, &path, message, "downward over upward capacity");
        }
        if raw.port.is_some_and(|port| port.0 < limits::SLOWEST_PORT.0) {
            let message =
                format!("a switch port needs a rate of at least {}", limits::SLOWEST_PORT);
            self.error(code::OUT_OF_RANGE, &path.field("port"), message, "too slow");
        }
        FabricSpec {
            shape: raw.shape,
            technology: raw.technology,
            port: raw.port,
            oversubscription,
            routing: raw.routing.unwrap_or(default_routing(raw.technology)),
        }
    }

    /// The cluster laid out; reports what does not fit together.
    pub(super) fn built(
        &mut self,
        spec: &ClusterSpec,
        clusters: &Clusters,
    ) -> Option<Arc<Cluster>> {
        let names: Vec<String> = spec.groups.iter().map(|group| group.name.clone()).collect();
        let of_group = |name: &str, field: &str| {
            let index = names.iter().position(|each| each == name);
            index.map_or(Path::ROOT.field("cluster"), |index| group_path(index).field(field))
        };
        let error = match clusters.get(spec) {
            Ok(cluster) => return Some(cluster),
            Err(error) => error,
        };
        let (path, label) = match &error {
            TopologyError::Technology { group, .. } => {
                let nic = of_group(group, "nic");
                let path = if self.document.has(&nic) { nic } else { of_group(group, "design") };
                (path, "this NIC is on the fabric")
            }
            TopologyError::Misfit { group, .. } => {
                let device = of_group(group, "device");
                let path =
                    if self.document.has(&device) { device } else { of_group(group, "design") };
                (path, "does not fit")
            }
            TopologyError::Fabric { .. } => (fabric_path(), "cannot be wired"),
            _ => (Path::ROOT.field("cluster"), "cannot be built"),
        };
        self.error(code::CLUSTER, &path, error.to_string(), label);
        None
    }
}
