//! `motley explain`.

use motley::{load, prepare};
use motley_attribution::{ExplainError, explain as explanation_of, explanation_text};

use crate::args::Explain;
use crate::exit::{CommandFailure, Exit, answer, gate, warn};

pub(crate) fn explain(arguments: &Explain) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let prepared = prepare(&scenario)?;
    let explanation = explanation_of(&prepared).map_err(|error| match error {
        ExplainError::Simulate(error) => error.into(),
        other => CommandFailure::input(other.to_string()),
    })?;
    answer(arguments.format, &scenario, &explanation, || explanation_text(&explanation))?;
    Ok(gate(&prepared))
}
