//! The nodes in which a card comes.

use motley_hardware::{Catalog, Device, Nic, NodeDesign};
use motley_scenario::raw::RawGroup;

use crate::EquivalenceError;

/// Nodes of one card, as a scenario may name them.
#[derive(Clone, Debug, PartialEq)]
pub struct Nodes {
    /// The design.
    pub design: &'static NodeDesign,
    /// The card in its slots.
    pub device: &'static Device,
    /// Its NICs.
    pub nic: &'static Nic,
}

impl Nodes {
    /// The nodes of a device: `design` if given, else the design of the catalogue that is built for it,
    /// of several the one with the most cards, then the first by name. Its own NICs unless `nic` is given.
    ///
    /// # Errors
    /// If the catalogue lacks one of these, or has no design with this card.
    pub fn of(
        device: &str,
        design: Option<&str>,
        nic: Option<&str>,
    ) -> Result<Self, EquivalenceError> {
        let catalog = Catalog::builtin();
        let card =
            catalog.device(device).ok_or_else(|| EquivalenceError::unknown("card", device))?;
        let design = match design {
            Some(id) => {
                catalog.node(id).ok_or_else(|| EquivalenceError::unknown("node design", id))?
            }
            None => Self::natural(device).ok_or_else(|| {
                EquivalenceError::Asked(format!(
                    "no node design of the catalogue is built for `{device}`; name one that takes \
                     it with --node, such as --node pcie8-dual-root"
                ))
            })?,
        };
        Self::with_nic(design, card, nic)
    }

    /// The nodes that a word means: a node design, a card in the nodes that are built for it, or the
    /// first part of both, such as `v100`, if all cards of that name come in one design.
    ///
    /// # Errors
    /// If the catalogue has no such nodes, or several.
    pub fn meant(word: &str, nic: Option<&str>) -> Result<Self, EquivalenceError> {
        let catalog = Catalog::builtin();
        if let Some(design) = catalog.node(word) {
            let card = catalog
                .device(&design.device)
                .ok_or_else(|| EquivalenceError::unknown("card", &design.device))?;
            return Self::with_nic(design, card, nic);
        }
        if catalog.device(word).is_some() {
            return Self::of(word, None, nic);
        }
        let family = format!("{word}-");
        let mut designs: Vec<&'static NodeDesign> = catalog
            .devices
            .keys()
            .filter(|id| id.starts_with(&family))
            .filter_map(|id| Self::natural(id))
            .collect();
        designs.sort_by(|a, b| a.id.cmp(&b.id));
        designs.dedup_by(|a, b| a.id == b.id);
        match designs.as_slice() {
            [] => Err(EquivalenceError::unknown("node design", word)),
            [design] => Self::meant(&design.id, nic),
            several => {
                let ids: Vec<String> =
                    several.iter().map(|design| format!("`{}`", design.id)).collect();
                Err(EquivalenceError::Asked(format!(
                    "`{word}` may mean nodes of several designs: {}",
                    ids.join(", ")
                )))
            }
        }
    }

    fn natural(device: &str) -> Option<&'static NodeDesign> {
        let built = Catalog::builtin().nodes.values().filter(|node| node.device == device);
        built.min_by(|a, b| b.gpus.cmp(&a.gpus).then(a.id.cmp(&b.id)))
    }

    fn with_nic(
        design: &'static NodeDesign,
        device: &'static Device,
        nic: Option<&str>,
    ) -> Result<Self, EquivalenceError> {
        let id = nic.unwrap_or(&design.nic);
        let nic = Catalog::builtin().nic(id).ok_or_else(|| EquivalenceError::unknown("NIC", id))?;
        Ok(Self { design, device, nic })
    }

    /// Cards of a node.
    pub fn gpus(&self) -> u32 {
        self.design.gpus
    }

    /// So many of them, as a scenario names them.
    pub fn group(&self, count: u32) -> RawGroup {
        let own = self.design.device == self.device.id;
        RawGroup {
            name: None,
            design: self.design.id.clone(),
            count,
            device: (!own).then(|| self.device.id.clone()),
            nic: (self.nic.id != self.design.nic).then(|| self.nic.id.clone()),
            scale: None,
        }
    }

    /// What they cost an hour, US dollars, if the card has a price.
    pub fn usd_per_hour(&self) -> Option<f64> {
        let price = self.device.price.as_ref()?;
        Some(f64::from(self.gpus()) * price.usd_per_hour.get())
    }

    /// What a node draws at most, watts, if the catalogue knows.
    pub fn rated_power_w(&self) -> Option<f64> {
        self.design.power.as_ref().map(|power| power.get().0)
    }
}

/// A NIC of the catalogue.
pub(crate) fn nic(id: &str) -> Result<&'static Nic, EquivalenceError> {
    Catalog::builtin().nic(id).ok_or_else(|| EquivalenceError::unknown("NIC", id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_nodes() {
        let check = |word: &str, design: &str| match Nodes::meant(word, None) {
            Ok(nodes) => assert_eq!(nodes.design.id, design, "{word}"),
            Err(error) => panic!("{word}: {error}"),
        };
        check("dgx1-v100", "dgx1-v100");
        check("h800-sxm", "hgx-h800");
        check("a100-sxm-80", "dgx-a100");
        let refused = |word: &str, part: &str| {
            let error = Nodes::meant(word, None).expect_err(word).to_string();
            assert!(error.contains(part), "{error}");
        };
        refused("a100", "`dgx-a100`");
        refused("hgx-h80", "did you mean `hgx-h800`");
        refused("x", "no node design");
    }
}
