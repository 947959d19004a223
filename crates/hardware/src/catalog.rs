//! All entries together, read from the files that are compiled in.
//!
//! Owns how files become entries and the look-ups. Whether the entries agree with each other is
//! the matter of [`crate::Inconsistency`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ron::extensions::Extensions;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Architecture, Device, Fabric, Fit, Nic, NodeDesign};

/// Path below `data/` and text of every file, in the order of the paths.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog_files.rs"));

/// Where a value was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// An address, or `none` for values from memory.
    pub url: String,
    /// What it is.
    pub what: String,
}

/// Everything that the project knows of hardware, each kind by id, ordered by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Cards.
    pub devices: BTreeMap<String, Device>,
    /// Kernel constants by architecture.
    pub architectures: BTreeMap<String, Architecture>,
    /// How well the constants of architectures meet measured kernels, by architecture.
    pub fits: BTreeMap<String, Fit>,
    /// Node designs.
    pub nodes: BTreeMap<String, NodeDesign>,
    /// NICs.
    pub nics: BTreeMap<String, Nic>,
    /// Networks of known clusters.
    pub fabrics: BTreeMap<String, Fabric>,
    /// What the source keys stand for.
    pub sources: BTreeMap<String, Source>,
}

/// A catalogue file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The file is not what it should be.
    #[error("{file}:{line}:{column}: {message}")]
    Malformed {
        /// Which file.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// The file is named after another entry than the one in it.
    #[error("{file}: holds the entry `{id}`, so it must be named `{id}.ron`")]
    Misnamed {
        /// Which file.
        file: String,
        /// The id in it.
        id: String,
    },
    /// The file is in no folder of the catalogue.
    #[error(
        "{file}: a catalogue file is `sources.ron` or lies in `devices/`, `architectures/`, \
         `fits/`, `nodes/`, `nics/` or `fabrics/`"
    )]
    Misplaced {
        /// Which file.
        file: String,
    },
    /// The file was given twice.
    #[error("{file}: given twice; keep one of the two")]
    Duplicate {
        /// Which file.
        file: String,
    },
}

impl Catalog {
    /// The catalogue that is compiled into the library.
    ///
    /// # Panics
    ///
    /// Never with a library that passed its tests: they parse these very files.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
            Catalog::parse(FILES.iter().copied()).expect("the built-in catalogue is tested")
        });
        &BUILTIN
    }

    /// Reads files, each as its path below the catalogue's folder, `devices/t4.ron`, and its text.
    /// A file holds one entry and is named after its id; `sources.ron` holds a map of all sources.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn parse<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        for (path, text) in files {
            catalog.read(path, text)?;
        }
        Ok(catalog)
    }

    /// Adds one file.
    fn read(&mut self, path: &str, text: &str) -> Result<(), CatalogError> {
        match path.split_once('/') {
            Some(("devices", _)) => insert(&mut self.devices, path, text, |entry| &entry.id),
            Some(("architectures", _)) => {
                insert(&mut self.architectures, path, text, |entry| &entry.id)
            }
            Some(("fits", _)) => insert(&mut self.fits, path, text, |entry| &entry.id),
            Some(("nodes", _)) => insert(&mut self.nodes, path, text, |entry| &entry.id),
            Some(("nics", _)) => insert(&mut self.nics, path, text, |entry| &entry.id),
            Some(("fabrics", _)) => insert(&mut self.fabrics, path, text, |entry| &entry.id),
            None if path == "sources.ron" => {
                let sources: BTreeMap<String, Source> = entry(path, text)?;
                if self.sources.is_empty() {
                    self.sources = sources;
                    Ok(())
                } else {
                    Err(CatalogError::Duplicate { file: path.to_owned() })
                }
            }
            _ => Err(CatalogError::Misplaced { file: path.to_owned() }),
        }
    }

    /// A card by its id, `a100-sxm-80`.
    pub fn device(&self, id: &str) -> Option<&Device> {
        self.devices.get(id)
    }

    /// The kernel constants of an architecture by its id, `ampere`.
    pub fn architecture(&self, id: &str) -> Option<&Architecture> {
        self.architectures.get(id)
    }

    /// How well the constants of an architecture meet measured kernels, by its id, `ampere`.
    pub fn fit(&self, id: &str) -> Option<&Fit> {
        self.fits.get(id)
    }

    /// A node design by its id, `dgx-a100`.
    pub fn node(&self, id: &str) -> Option<&NodeDesign> {
        self.nodes.get(id)
    }

    /// A NIC by its id, `cx6-hdr`.
    pub fn nic(&self, id: &str) -> Option<&Nic> {
        self.nics.get(id)
    }

    /// The network of a known cluster by its id, `hpn7`.
    pub fn fabric(&self, id: &str) -> Option<&Fabric> {
        self.fabrics.get(id)
    }

    /// What a source key stands for.
    pub fn source(&self, key: &str) -> Option<&Source> {
        self.sources.get(key)
    }
}

/// How catalogue files are written: RON in which `Some(...)` may be left out.
fn notation() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// The one value that a file holds.
fn entry<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, CatalogError> {
    notation().from_str(text).map_err(|error| CatalogError::Malformed {
        file: path.to_owned(),
        line: error.span.start.line,
        column: error.span.start.col,
        message: error.code.to_string(),
    })
}

fn insert<T: DeserializeOwned>(
    entries: &mut BTreeMap<String, T>,
    path: &str,
    text: &str,
    id: impl Fn(&T) -> &str,
) -> Result<(), CatalogError> {
    let value: T = entry(path, text)?;
    let id = id(&value).to_owned();
    let stem = path.rsplit('/').next().and_then(|name| name.strip_suffix(".ron"));
    if stem != Some(id.as_str()) {
        return Err(CatalogError::Misnamed { file: path.to_owned(), id });
    }
    match entries.insert(id, value) {
        None => Ok(()),
        Some(_) => Err(CatalogError::Duplicate { file: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIC: &str = r#"(
        id: "eth-10",
        name: "10 GbE",
        technology: Ethernet,
        rate: Verified(Gbps(10), "here"),
        achieved: Assumed(0.9, "a test"),
        latency: Assumed(Us(10), "a test"),
        gpu_direct: Verified(false, "here"),
    )"#;

    fn check(files: &[(&str, &str)], expected: &str) {
        let error = Catalog::parse(files.iter().copied()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn a_new_file_is_a_new_entry() {
        let sources = r#"{ "here": (url: "none", what: "a test") }"#;
        let catalog = Catalog::parse([("nics/eth-10.ron", NIC), ("sources.ron", sources)]).unwrap();
        assert_eq!(catalog.nic("eth-10").unwrap().name, "10 GbE");
        assert_eq!(catalog.source("here").unwrap().what, "a test");
        assert!(catalog.inconsistencies().is_empty());
        assert!(catalog.nic("eth-11").is_none());
    }

    #[test]
    fn unusable_files_are_named() {
        let bare = NIC.replace("Gbps(10)", "10");
        let unknown = NIC.replace("name:", "speed: 3,\n        name:");
        check(&[("nics/eth-10.ron", &bare)], "nics/eth-10.ron:5:");
        check(&[("nics/eth-10.ron", &unknown)], "nics/eth-10.ron:3:");
        check(&[("nics/eth-11.ron", NIC)], "nics/eth-11.ron: holds the entry `eth-10`");
        check(
            &[("nics/eth-10.ron", NIC), ("nics/eth-10.ron", NIC)],
            "nics/eth-10.ron: given twice",
        );
        check(&[("cards/eth-10.ron", NIC)], "cards/eth-10.ron: a catalogue file is");
        check(&[("eth-10.ron", NIC)], "eth-10.ron: a catalogue file is");
    }

    #[test]
    fn every_compiled_file_is_an_entry() {
        let catalog = Catalog::builtin();
        let entries = catalog.devices.len()
            + catalog.architectures.len()
            + catalog.fits.len()
            + catalog.nodes.len()
            + catalog.nics.len()
            + catalog.fabrics.len();
        assert_eq!(entries + 1, FILES.len());
    }
}
