//! Whether entries agree with each other and with physics, for the built-in files and for those
//! that a user brings alike.
//!
//! Only what a simulation could not survive or would silently compute nonsense from is checked;
//! whether a figure is right is the business of its citation.

use crate::{
    Catalog, Citation, Device, Fabric, FabricShape, Inconsistency, Nic, NodeDesign, ScaleUp,
};

impl Catalog {
    /// Every contradiction, in the order of the entries; empty when all is well.
    pub fn inconsistencies(&self) -> Vec<Inconsistency> {
        let mut found = Vec::new();
        for device in self.devices.values() {
            let entry = format!("device `{}`", device.id);
            self.check_citations(&entry, &device.citations(), &mut found);
            if self.architecture(&device.architecture).is_none() {
                found.push(Inconsistency::UnknownArchitecture {
                    device: device.id.clone(),
                    architecture: device.architecture.clone(),
                });
            }
            found.extend(device.inconsistencies());
        }
        for architecture in self.architectures.values() {
            let entry = format!("architecture `{}`", architecture.id);
            self.check_citations(&entry, &architecture.citations(), &mut found);
        }
        for node in self.nodes.values() {
            let entry = format!("node `{}`", node.id);
            self.check_citations(&entry, &node.citations(), &mut found);
            if let Some(device) = self.device(&node.device) {
                found.extend(node.inconsistencies(device));
            } else {
                found.push(Inconsistency::UnknownDevice {
                    node: node.id.clone(),
                    device: node.device.clone(),
                });
            }
            if self.nic(&node.nic).is_none() {
                found.push(Inconsistency::UnknownNic { entry, nic: node.nic.clone() });
            }
        }
        for nic in self.nics.values() {
            let entry = format!("NIC `{}`", nic.id);
            self.check_citations(&entry, &nic.citations(), &mut found);
            found.extend(nic.inconsistencies());
        }
        for fabric in self.fabrics.values() {
            let entry = format!("fabric `{}`", fabric.id);
            self.check_citations(&entry, &fabric.citations(), &mut found);
            found.extend(fabric.inconsistencies());
            let nic = fabric.nic.get();
            match self.nic(nic) {
                Some(known) if known.technology != *fabric.technology.get() => {
                    found.push(Inconsistency::FabricTechnology {
                        fabric: fabric.id.clone(),
                        technology: *fabric.technology.get(),
                        nic: nic.clone(),
                        speaks: known.technology,
                    });
                }
                Some(_) => {}
                None => found.push(Inconsistency::UnknownNic { entry, nic: nic.clone() }),
            }
        }
        found
    }

    fn check_citations(&self, entry: &str, all: &[Citation<'_>], found: &mut Vec<Inconsistency>) {
        for citation in all {
            if citation.source.trim().is_empty() {
                found.push(Inconsistency::Unexplained {
                    entry: entry.to_owned(),
                    field: citation.field.clone(),
                });
            }
            for key in citation.keys().filter(|key| self.source(key).is_none()) {
                found.push(Inconsistency::UnknownSource {
                    entry: entry.to_owned(),
                    field: citation.field.clone(),
                    key: key.to_owned(),
                });
            }
        }
    }
}

/// Adds what is wrong with quantities that must be above zero.
fn check_positive(entry: &str, fields: &[(&'static str, f64)], found: &mut Vec<Inconsistency>) {
    let zero = fields.iter().filter(|(_, value)| value.is_nan() || *value <= 0.0);
    found.extend(
        zero.map(|(field, _)| Inconsistency::NotPositive { entry: entry.to_owned(), field }),
    );
}

fn check_share(entry: &str, field: &'static str, value: f64, found: &mut Vec<Inconsistency>) {
    if !(value > 0.0 && value <= 1.0) {
        found.push(Inconsistency::NotAShare { entry: entry.to_owned(), field, value });
    }
}

impl Device {
    /// What contradicts itself in the card alone.
    pub fn inconsistencies(&self) -> Vec<Inconsistency> {
        let entry = format!("device `{}`", self.id);
        let mut found = Vec::new();
        let mut fields = vec![
            ("sm_count", f64::from(*self.sm_count.get())),
            ("boost_clock", self.boost_clock.get().0),
            ("memory", self.memory.get().0),
            ("memory_bandwidth", self.memory_bandwidth.get().0),
            ("l2", self.l2.get().0),
            ("tdp", self.tdp.get().0),
            ("pcie.generation", f64::from(self.pcie.generation)),
            ("pcie.lanes", f64::from(self.pcie.lanes)),
        ];
        fields.extend(self.peaks.given().map(|(field, _, peak)| (field, peak.get().0)));
        if self.peaks.given().next().is_none() {
            found.push(Inconsistency::NoPeak { device: self.id.clone() });
        }
        if let Some(nvlink) = &self.nvlink {
            fields.push(("nvlink.links", f64::from(*nvlink.links.get())));
            fields.push(("nvlink.per_link", nvlink.per_link.get().0));
            check_share(&entry, "nvlink.achieved", *nvlink.achieved.get(), &mut found);
        }
        check_positive(&entry, &fields, &mut found);
        found
    }
}

impl Nic {
    /// What contradicts itself in the NIC alone.
    pub fn inconsistencies(&self) -> Vec<Inconsistency> {
        let entry = format!("NIC `{}`", self.id);
        let mut found = Vec::new();
        check_positive(&entry, &[("rate", self.rate.get().0)], &mut found);
        check_share(&entry, "achieved", *self.achieved.get(), &mut found);
        found
    }
}

impl Fabric {
    /// What contradicts itself in the fabric alone.
    pub fn inconsistencies(&self) -> Vec<Inconsistency> {
        let entry = format!("fabric `{}`", self.id);
        let mut found = Vec::new();
        let counts = match *self.shape.get() {
            FabricShape::SingleSwitch => vec![],
            FabricShape::LeafSpine { nodes_per_leaf, spines } => {
                vec![("nodes_per_leaf", f64::from(nodes_per_leaf)), ("spines", f64::from(spines))]
            }
            FabricShape::RailOptimized { nodes_per_pod, spines } => {
                vec![("nodes_per_pod", f64::from(nodes_per_pod)), ("spines", f64::from(spines))]
            }
        };
        check_positive(&entry, &counts, &mut found);
        let oversubscription = *self.oversubscription.get();
        if !(oversubscription.is_finite() && oversubscription >= 1.0) {
            found
                .push(Inconsistency::Undersubscribed { fabric: self.id.clone(), oversubscription });
        }
        found
    }
}

impl NodeDesign {
    /// What contradicts itself in the node when it carries `device`, its own or the one that a
    /// scenario puts in.
    pub fn inconsistencies(&self, device: &Device) -> Vec<Inconsistency> {
        let mut found = Vec::new();
        self.check_scale_up(device, &mut found);
        self.check_pcie(&mut found);
        found
    }

    fn check_scale_up(&self, device: &Device, found: &mut Vec<Inconsistency>) {
        let node = || self.id.clone();
        let links = device.nvlink.as_ref().map(|nvlink| *nvlink.links.get());
        let (scale_up, links) = match (self.scale_up.get(), links) {
            (ScaleUp::None, _) => return,
            (_, None) => {
                found.push(Inconsistency::NoLinks { node: node(), device: device.id.clone() });
                return;
            }
            (scale_up, Some(links)) => (scale_up, links),
        };
        match scale_up {
            ScaleUp::None => {}
            ScaleUp::NvSwitch { switches, .. } => {
                if *switches == 0 || *switches > links {
                    found.push(Inconsistency::SwitchCount {
                        node: node(),
                        switches: *switches,
                        links,
                    });
                }
            }
            ScaleUp::Mesh(rows) => {
                let gpus = self.gpus as usize;
                if rows.len() != gpus || rows.iter().any(|row| row.len() != gpus) {
                    found.push(Inconsistency::MeshShape { node: node(), gpus: self.gpus });
                    return;
                }
                for (gpu, row) in rows.iter().enumerate() {
                    if row[gpu] != 0 {
                        found.push(Inconsistency::MeshSelfLink { node: node(), gpu });
                    }
                    for (column, &forth) in row.iter().enumerate().take(gpu) {
                        let back = rows[column][gpu];
                        if forth != back {
                            found.push(Inconsistency::MeshAsymmetric {
                                node: node(),
                                row: gpu,
                                column,
                                forth,
                                back,
                            });
                        }
                    }
                    let used = row.iter().fold(0u32, |sum, &links| sum.saturating_add(links));
                    if used > links {
                        found.push(Inconsistency::MeshOverfull {
                            node: node(),
                            gpu,
                            used,
                            device: device.id.clone(),
                            available: links,
                        });
                    }
                }
            }
        }
    }

    fn check_pcie(&self, found: &mut Vec<Inconsistency>) {
        let entry = format!("node `{}`", self.id);
        let layout = self.pcie.get();
        let mut fields = vec![
            ("gpus", f64::from(self.gpus)),
            ("pcie.generation", f64::from(layout.generation)),
            ("pcie.sockets", f64::from(layout.sockets)),
        ];
        if layout.sockets > 1 {
            fields.push(("pcie.socket_link", layout.socket_link.0));
        }
        check_positive(&entry, &fields, found);
        for (switch, below) in layout.switches.iter().enumerate() {
            if below.socket >= layout.sockets {
                found.push(Inconsistency::NoSuchSocket {
                    node: self.id.clone(),
                    switch,
                    socket: below.socket,
                    sockets: layout.sockets,
                });
            }
        }
        let gpus: Vec<u32> =
            layout.switches.iter().flat_map(|below| &below.gpus).copied().collect();
        for (gpu, times) in misplaced(&gpus, self.gpus) {
            found.push(Inconsistency::GpuPlacement {
                node: self.id.clone(),
                gpu,
                gpus: self.gpus,
                times,
            });
        }
        let placed: Vec<u32> =
            layout.switches.iter().flat_map(|below| &below.nics).copied().collect();
        let nics = layout.nics();
        for (nic, times) in misplaced(&placed, nics) {
            found.push(Inconsistency::NicPlacement { node: self.id.clone(), nic, nics, times });
        }
    }
}

/// The indices that are in `placed` more than once or are not below `count`, and the first of each
/// gap below `count`, with how often they are there; ascending.
fn misplaced(placed: &[u32], count: u32) -> Vec<(u32, usize)> {
    let mut sorted = placed.to_vec();
    sorted.sort_unstable();
    let mut wrong = Vec::new();
    let mut next = 0;
    for same in sorted.chunk_by(|a, b| a == b) {
        let index = same[0];
        if index > next && next < count {
            wrong.push((next, 0));
        }
        if same.len() > 1 || index >= count {
            wrong.push((index, same.len()));
        }
        next = index.saturating_add(1);
    }
    if next < count {
        wrong.push((next, 0));
    }
    wrong
}
