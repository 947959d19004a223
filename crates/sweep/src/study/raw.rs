//! What a study file may say.

use motley_units::Seconds;
use ron::value::RawValue;
use serde::Deserialize;

use super::sample::Method;

/// A study as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Study")]
pub(crate) struct RawStudy {
    /// What it asks, for people.
    pub question: Option<String>,
    /// The scenario that is varied: a path from the folder of the study.
    pub base: String,
    /// Overrides that hold for all points.
    #[serde(default)]
    pub set: Vec<String>,
    /// What varies, slowest first. Each with each.
    pub axes: Vec<RawDimension>,
    /// Conditions; points for which one holds are left out.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Columns of results; the usual ones if left out.
    pub metrics: Option<Vec<String>>,
    /// How often each point is simulated, each time with the next seed.
    #[serde(default = "one")]
    pub replicas: u32,
    /// Whose plan each point is evaluated with.
    #[serde(default)]
    pub plans: Plans,
}

fn one() -> u32 {
    1
}

/// Whose plan each point is evaluated with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Plans {
    /// The scenario's.
    #[default]
    Own,
    /// The best that the planner finds within a budget, which is counted in work.
    Best {
        /// What two cores do in that time.
        budget: Seconds,
    },
}

/// Something that varies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum RawDimension {
    /// One value.
    Axis {
        /// The name of its column, and in expressions.
        name: String,
        /// Overrides with expressions in braces; `{}` is the axis' own value.
        set: Vec<String>,
        /// The values.
        values: RawValues,
    },
    /// Overrides that go together, each lot with a name.
    Cases {
        /// The name of its column, and in expressions.
        name: String,
        /// The lots.
        cases: Vec<RawCase>,
    },
    /// Axes of equally many values that move side by side.
    Zip(Vec<RawDimension>),
    /// Points spread over all values of some axes.
    Sample {
        /// How many points.
        count: u32,
        /// How they are spread.
        #[serde(default)]
        method: Method,
        /// Another seed gives other points.
        #[serde(default)]
        seed: u64,
        /// The axes.
        axes: Vec<RawDimension>,
    },
}

/// One lot of overrides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCase {
    /// Its name: a text, or a number if all labels are numbers.
    pub label: Box<RawValue>,
    /// The overrides; none is the base.
    #[serde(default)]
    pub set: Vec<String>,
}

/// Values of an axis.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum RawValues {
    /// As they are written.
    List(Vec<Box<RawValue>>),
    /// At equal distances.
    Linear {
        /// The first.
        from: f64,
        /// The last.
        to: f64,
        /// How many.
        count: Option<u32>,
        /// The distance, instead of how many.
        step: Option<f64>,
        /// Rounded to whole numbers.
        #[serde(default)]
        whole: bool,
    },
    /// At equal ratios.
    Log {
        /// The first.
        from: f64,
        /// The last.
        to: f64,
        /// How many.
        count: Option<u32>,
        /// Rounded to whole numbers.
        #[serde(default)]
        whole: bool,
    },
    /// Names of the catalogue.
    Catalog {
        /// Of which kind.
        of: CatalogKind,
        /// Only names that hold this text.
        #[serde(default)]
        having: String,
    },
}

/// Kinds of names in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum CatalogKind {
    /// Cards.
    Devices,
    /// Node designs.
    Nodes,
    /// Network interfaces.
    Nics,
    /// Networks of known clusters.
    Fabrics,
    /// Model presets.
    Models,
}
