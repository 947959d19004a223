//! The plan of a sweep and the folder that holds it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use motley_scenario::read_text;
use serde::{Deserialize, Serialize};

use super::SweepError;
use crate::files::put;
use crate::study::{Material, Study};
use crate::table::{Provenance, SCHEMA_VERSION};

/// The version of the folder's form.
const FORMAT: u32 = 1;

const PLAN: &str = "plan.json";
const STUDY: &str = "study.ron";
const BASE: &str = "base.ron";
const PARTS: &str = "parts";

/// What stands in `plan.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the file")]
struct Plan {
    format: u32,
    tool_version: String,
    plan_hash: String,
    /// Numbers of points, those that are skipped included.
    points: u64,
    shards: u32,
    study_name: String,
    base_name: String,
    profiles: Vec<PlannedProfile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PlannedProfile {
    name: String,
    file: String,
}

/// A sweep in its folder.
#[derive(Debug)]
pub struct Sweep {
    /// The study.
    pub study: Study,
    folder: PathBuf,
    hash: String,
    shards: u32,
}

impl Sweep {
    /// Plans a sweep in a folder, which is made if it is not there. A folder that holds the same sweep is
    /// left as it is, with what is done.
    ///
    /// # Errors
    /// If the study cannot be used, the folder holds another sweep, or a file cannot be written.
    pub fn plan(study: &Path, folder: &Path, shards: u32) -> Result<Self, SweepError> {
        let (study, material) = Study::read(study)?;
        let hash = material.hash();
        let plan_path = folder.join(PLAN);
        if let Some(plan) = read_plan(&plan_path)? {
            if plan.plan_hash != hash {
                let what = "holds a sweep of another study, or of the same before it, its base or \
                            motley changed; choose another folder, or remove this one";
                return Err(SweepError::folder(folder, what));
            }
            if plan.shards != shards {
                let what = format!(
                    "is planned in {} shards; ask for as many, or choose another folder",
                    plan.shards
                );
                return Err(SweepError::folder(folder, what));
            }
            return Self::open(folder);
        }
        let parts = folder.join(PARTS);
        fs::create_dir_all(&parts).map_err(|error| SweepError::io(&parts, error))?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            put(&path, text.as_bytes()).map_err(|error| SweepError::io(&path, error))
        };
        write(STUDY, &material.study)?;
        write(BASE, &material.base)?;
        let mut profiles = Vec::new();
        for (number, (name, text)) in material.profiles.iter().enumerate() {
            let file = format!("profile-{number}.ron");
            write(&file, text)?;
            profiles.push(PlannedProfile { name: name.clone(), file });
        }
        let plan = Plan {
            format: FORMAT,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            plan_hash: hash.clone(),
            points: study.size(),
            shards,
            study_name: material.study_name,
            base_name: material.base_name,
            profiles,
        };
        let text = serde_json::to_string_pretty(&plan)
            .map_err(|error| SweepError::io(&plan_path, error.into()))?;
        // The plan comes last: where it is, all is.
        write(PLAN, &(text + "\n"))?;
        Ok(Self { study, folder: folder.to_owned(), hash, shards })
    }

    /// The sweep that a folder holds.
    ///
    /// # Errors
    /// If it holds none, or its files were changed.
    pub fn open(folder: &Path) -> Result<Self, SweepError> {
        let path = folder.join(PLAN);
        let plan = read_plan(&path)?.ok_or_else(|| {
            let what = "no sweep is planned here; `motley sweep plan STUDY.ron -o DIR` does";
            SweepError::folder(folder, what)
        })?;
        if plan.tool_version != env!("CARGO_PKG_VERSION") {
            let what = format!(
                "was planned by motley {}, this is {}; plan it again in another folder",
                plan.tool_version,
                env!("CARGO_PKG_VERSION")
            );
            return Err(SweepError::folder(folder, what));
        }
        let read = |name: &str| read_text(&folder.join(name));
        let mut profiles = BTreeMap::new();
        for profile in &plan.profiles {
            profiles.insert(profile.name.clone(), read(&profile.file)?);
        }
        let material = Material {
            study_name: plan.study_name,
            study: read(STUDY)?,
            base_name: plan.base_name,
            base: read(BASE)?,
            profiles,
        };
        let changed = || SweepError::folder(folder, "its files were changed after it was planned");
        if plan.format != FORMAT || material.hash() != plan.plan_hash || plan.shards == 0 {
            return Err(changed());
        }
        let study = Study::from_material(&material)?;
        if study.size() != plan.points {
            return Err(changed());
        }
        let sweep =
            Self { study, folder: folder.to_owned(), hash: plan.plan_hash, shards: plan.shards };
        Ok(sweep)
    }

    /// Whether a folder holds a sweep.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(PLAN).exists()
    }

    /// Identifies study, base, profiles and version.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// How many shards there are.
    pub fn shards(&self) -> u32 {
        self.shards
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The numbers of the points of a shard.
    pub fn range(&self, shard: u32) -> Range<u64> {
        let edge = |shard: u32| {
            let points = u128::from(self.study.size()) * u128::from(shard);
            (points / u128::from(self.shards)) as u64
        };
        edge(shard)..edge(shard + 1)
    }

    /// How many points there are, those that are skipped left out.
    pub fn row_count(&self) -> u64 {
        (0..self.study.size()).filter(|&index| self.study.has(index)).count() as u64
    }

    pub(super) fn path(&self, shard: u32, ending: &str) -> PathBuf {
        self.folder.join(PARTS).join(format!("part-{shard:05}.{ending}"))
    }

    pub(super) fn provenance(&self) -> Provenance {
        Provenance {
            schema_version: SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            plan_hash: self.hash.clone(),
            seed: self.study.seed,
            question: self.study.question.clone(),
        }
    }
}

fn read_plan(path: &Path) -> Result<Option<Plan>, SweepError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| SweepError::folder(path, format!("not a plan of a sweep: {error}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SweepError::io(path, error)),
    }
}
