//! `motley explain`.

use std::path::Path;

use motley::{load, prepare};
use motley_attribution::{ExplainError, explain as explanation_of, explanation_text};

use motley_scenario::code::is_code;

use crate::args::{Explain, Format};
use crate::codes;
use crate::exit::{CommandFailure, Exit, answer, gate, warn};

/// The critical path of a scenario, or what a code means. What looks like a code is one, also if there is a
/// file of that name: otherwise an answer would depend on where it is asked for.
pub(crate) fn explain(arguments: &Explain) -> Result<Exit, CommandFailure> {
    let Some(what) = &arguments.what else { return codes::list(arguments.format) };
    match what.to_str().filter(|what| is_code(what)) {
        Some(_) if !arguments.set.is_empty() => {
            Err(CommandFailure::input("--set changes scenarios, not what codes mean"))
        }
        Some(code) => codes::page(code, arguments.format),
        None => path(what, &arguments.set, arguments.format),
    }
}

/// The critical path of a scenario.
fn path(scenario: &Path, set: &[String], format: Format) -> Result<Exit, CommandFailure> {
    let scenario = load(scenario, set)?;
    warn(&scenario);
    let prepared = prepare(&scenario)?;
    let explanation = explanation_of(&prepared).map_err(|error| match error {
        ExplainError::Simulate(error) => error.into(),
        other => CommandFailure::input(other.to_string()),
    })?;
    answer(format, &scenario, &explanation, || explanation_text(&explanation))?;
    Ok(gate(&prepared))
}
