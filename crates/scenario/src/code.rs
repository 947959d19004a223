//! The stable identifiers of messages, and what each means.
//!
//! A new code needs a [`Page`]; a test walks all of them.

mod page;
mod pages;

pub use page::{Mistake, Page, is_code};
pub use pages::PAGES;

/// The text is not RON.
pub const SYNTAX: &str = "E0101";
/// Values are nested deeper than any scenario.
pub const TOO_DEEP: &str = "E0102";
/// The file is not UTF-8.
pub const ENCODING: &str = "E0103";
/// A field that does not exist.
pub const UNKNOWN_FIELD: &str = "E0201";
/// A variant that does not exist.
pub const UNKNOWN_VARIANT: &str = "E0202";
/// A field that has no default is not there.
pub const MISSING_FIELD: &str = "E0203";
/// A field is there twice.
pub const DUPLICATE_FIELD: &str = "E0204";
/// A value of another kind than expected.
pub const WRONG_KIND: &str = "E0205";
/// A quantity without its unit, or with one that does not exist.
pub const UNIT: &str = "E0206";
/// A number that is out of its range, or not one.
pub const OUT_OF_RANGE: &str = "E0207";
/// An override that cannot be applied.
pub const OVERRIDE: &str = "E0301";
/// A name that the catalogue does not have.
pub const UNKNOWN_NAME: &str = "E0401";
/// A combination of hardware that cannot be built.
pub const CLUSTER: &str = "E0402";
/// A model shape that does not fit together.
pub const MODEL: &str = "E0403";
/// A card that lacks the asked precision.
pub const PRECISION: &str = "E0404";
/// A profile that cannot be read, or says two things of one.
pub const PROFILE: &str = "E0405";
/// A plan that does not fit the cluster or the model.
pub const PLAN: &str = "E0501";
/// A tensor-parallel group on several nodes.
pub const GROUP_ACROSS_NODES: &str = "W0501";
/// A study whose parts do not fit together: an axis without values, names given twice.
pub const STUDY: &str = "E0601";
/// An expression of a study that cannot be computed.
pub const EXPRESSION: &str = "E0602";
