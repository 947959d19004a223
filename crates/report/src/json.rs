//! Answers as JSON.

use serde::Serialize;

/// The version of the JSON's shape: it grows when a key is renamed, removed or changes meaning.
pub const SCHEMA_VERSION: u32 = 2;

/// What the report was made from and by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance<'a> {
    /// The version of the tool.
    pub tool_version: &'a str,
    /// A hash of the scenario as it was run.
    pub scenario_hash: &'a str,
    /// The seed of all random draws.
    pub seed: u64,
}

#[derive(Serialize)]
struct Document<'a, P, A> {
    schema_version: u32,
    #[serde(flatten)]
    provenance: &'a P,
    #[serde(flatten)]
    answer: &'a A,
}

/// An answer, such as a [`crate::Report`], as JSON, keys in fixed order, with a newline at the end. Equal
/// answers give equal bytes; there is no wall-clock figure in it. What they are made from and by, such as
/// [`Provenance`], stands before them.
///
/// # Errors
/// None that an answer of this crate could cause; the serialiser's interface has them.
pub fn json(
    answer: &impl Serialize,
    provenance: &impl Serialize,
) -> Result<String, serde_json::Error> {
    let document = Document { schema_version: SCHEMA_VERSION, provenance, answer };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
