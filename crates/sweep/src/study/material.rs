//! All texts that a study depends on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use motley_scenario::{Failure, Profiles, read_text};

use super::{Base, Study, raw, read};

/// All texts that a study depends on: whoever has them needs no other file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// What messages call the study.
    pub study_name: String,
    /// The study file.
    pub study: String,
    /// What messages call the base scenario.
    pub base_name: String,
    /// The base scenario.
    pub base: String,
    /// The profiles that its points name.
    pub profiles: BTreeMap<String, String>,
}

/// What the hash is made of; a change of the form changes all hashes.
const FORM: &str = "motley sweep 1";

impl Material {
    /// Identifies the points and what is made of them: BLAKE3 of all texts and of motley's version, in
    /// hexadecimal. Names do not matter.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(FORM);
        add(env!("CARGO_PKG_VERSION"));
        add(&self.study);
        add(&self.base);
        for (name, text) in &self.profiles {
            add(name);
            add(text);
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl Study {
    /// Reads a study file, with the base scenario and the profiles that it names, and checks every axis
    /// against them.
    ///
    /// # Errors
    /// A file that cannot be read, else all that is wrong.
    pub fn read(path: &Path) -> Result<(Self, Material), Failure> {
        let name = path.display().to_string();
        let text = read_text(path)?;
        let rejected = |rejected| Failure::Rejected(Box::new(rejected));
        let raw: raw::RawStudy = read::raw(&name, &text).map_err(rejected)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let base_path = folder.join(&raw.base);
        let base = match read_text(&base_path) {
            Ok(base) => base,
            Err(Failure::Io { error, .. }) => {
                return Err(rejected(read::no_base(&name, &text, &base_path, &error)));
            }
            Err(other) => return Err(other),
        };
        let base = Base {
            name: base_path.display().to_string(),
            text: base,
            profiles: Profiles::in_folder(base_path.parent().unwrap_or(Path::new(""))),
            clusters: Arc::default(),
        };
        let study = Self::of(&name, &text, raw, base).map_err(rejected)?;
        study.check(&name, &text).map_err(rejected)?;
        let material = Material {
            study_name: name,
            study: text,
            base_name: study.base.name.clone(),
            base: study.base.text.clone(),
            profiles: study.base.profiles(),
        };
        Ok((study, material))
    }

    /// The same study from the texts, which were checked before.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn from_material(material: &Material) -> Result<Self, Failure> {
        let rejected = |rejected| Failure::Rejected(Box::new(rejected));
        let raw = read::raw(&material.study_name, &material.study).map_err(rejected)?;
        let base = Base {
            name: material.base_name.clone(),
            text: material.base.clone(),
            profiles: Profiles::of_texts(material.profiles.clone()),
            clusters: Arc::default(),
        };
        Self::of(&material.study_name, &material.study, raw, base).map_err(rejected)
    }
}
