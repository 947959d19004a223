//! Published models, compiled in from `data/models`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::description::RON_EXTENSIONS;
use crate::{Description, Model};

/// A published model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The model; its name is the preset's name.
    pub model: Description,
    /// What it is, in a line.
    pub description: String,
    /// Where the shape was published.
    pub source: String,
    /// How many parameters it has by its publication.
    pub published: PublishedCount,
}

/// Parameters as a publication counts them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedCount {
    /// All of them.
    pub parameters: f64,
    /// The relative difference that the publication's rounding, or its way of counting, allows.
    pub tolerance: f64,
    /// Those that one token meets, where that is not all.
    #[serde(default)]
    pub active: Option<ActiveCount>,
    /// What the publication counts in another way.
    #[serde(default)]
    pub remark: Option<String>,
}

/// The files, in the order in which presets are listed.
const FILES: [&str; 8] = [
    include_str!("../data/models/gpt.ron"),
    include_str!("../data/models/bert.ron"),
    include_str!("../data/models/t5.ron"),
    include_str!("../data/models/llama.ron"),
    include_str!("../data/models/qwen.ron"),
    include_str!("../data/models/experts.ron"),
    include_str!("../data/models/other.ron"),
    include_str!("../data/models/vision.ron"),
];

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let options = ron::Options::default().with_default_extension(RON_EXTENSIONS);
    let parse = |text: &&str| -> Vec<Preset> {
        options.from_str(text).expect("the files are compiled in and read by the tests")
    };
    FILES.iter().flat_map(parse).collect()
});

/// Parameters that one token meets, as a publication counts them.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActiveCount {
    /// How many.
    pub parameters: f64,
    /// The relative difference that the publication's rounding allows.
    pub tolerance: f64,
    /// The word embedding is not counted: it is looked up, not multiplied.
    #[serde(default)]
    pub without_embedding: bool,
}

impl Preset {
    /// All presets: by family, small to large.
    pub fn all() -> &'static [Self] {
        &PRESETS
    }

    /// The preset of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|preset| preset.name() == name)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// The model.
    ///
    /// # Panics
    /// Never: the tests build every preset.
    pub fn build(&self) -> Model {
        self.model.build().expect("every preset is valid")
    }
}

impl Model {
    /// The preset of that name.
    pub fn preset(name: &str) -> Option<Self> {
        Preset::find(name).map(Preset::build)
    }
}
