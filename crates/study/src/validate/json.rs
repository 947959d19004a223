//! The answer for programs.

use serde::Serialize;

use super::{CrossValidation, Part, Status, Summary, Validation, Verdict};

/// The version of the JSON's shape: it grows when a key is renamed, removed or changes meaning.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'v> {
    schema_version: u32,
    tool_version: &'v str,
    summary: &'v Summary,
    groups: Vec<Group<'v>>,
    cross_validation: CrossValidation,
    rows: Vec<Line<'v>>,
}

#[derive(Serialize)]
struct Group<'v> {
    group: &'v str,
    #[serde(flatten)]
    summary: &'v Summary,
}

#[derive(Serialize)]
struct Line<'v> {
    id: &'v str,
    group: &'v str,
    source: &'v str,
    url: Option<&'v str>,
    status: Status,
    predicted_s: Option<f64>,
    measured_s: Option<f64>,
    error_ratio: Option<f64>,
    dominated_by: &'v [Part],
    reason: Option<&'v str>,
    predicted_memory_bytes: Option<f64>,
    measured_memory_bytes: Option<f64>,
    memory_error_ratio: Option<f64>,
    memory_figure: &'static str,
    fitted: Option<bool>,
    scenario_hash: Option<&'v str>,
    assumptions: &'v [String],
}

impl<'v> From<&'v Verdict> for Line<'v> {
    fn from(verdict: &'v Verdict) -> Self {
        Self {
            id: &verdict.id,
            group: &verdict.group,
            source: &verdict.source,
            url: verdict.url.as_deref(),
            status: verdict.status,
            predicted_s: verdict.predicted_s,
            measured_s: verdict.measured_s,
            error_ratio: verdict.error_ratio(),
            dominated_by: &verdict.dominated_by,
            reason: verdict.reason.as_deref(),
            predicted_memory_bytes: verdict.predicted_memory_bytes,
            measured_memory_bytes: verdict.measured_memory_bytes,
            memory_error_ratio: verdict.memory_error_ratio(),
            memory_figure: verdict.memory_figure.name(),
            fitted: verdict.fitted,
            scenario_hash: verdict.scenario_hash.as_deref(),
            assumptions: &verdict.assumptions,
        }
    }
}

/// The answer as JSON, with a newline at the end. Equal answers give equal bytes.
///
/// # Errors
/// None that an answer could cause; the serialiser's interface has them.
pub fn json(validation: &Validation, tool_version: &str) -> Result<String, serde_json::Error> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        tool_version,
        summary: &validation.summary,
        groups: validation.groups.iter().map(|(group, summary)| Group { group, summary }).collect(),
        cross_validation: CrossValidation::of(validation),
        rows: validation.verdicts.iter().map(Line::from).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
