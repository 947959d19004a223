//! Models with published shapes, compiled in from `data/models.ron`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::Model;

/// A published model shape.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The shape; its name is the preset's name.
    pub model: Model,
    /// What it is, in a line.
    pub description: String,
    /// Where the shape was published.
    pub source: String,
}

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    ron::from_str(include_str!("../data/models.ron"))
        .expect("the file is compiled in and read by the tests")
});

impl Model {
    /// The preset of that name.
    pub fn preset(name: &str) -> Option<Self> {
        Self::presets().find(|preset| preset.model.name == name).map(|preset| preset.model.clone())
    }

    /// All presets, in the order of `data/models.ron`: by family, small to large.
    pub fn presets() -> impl Iterator<Item = &'static Preset> {
        PRESETS.iter()
    }
}
