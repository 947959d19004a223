//! `motley explain`.

use motley::{json, load, prepare};
use motley_attribution::{ExplainError, explain as explanation_of, explanation_text};

use crate::args::{Explain, Format};
use crate::exit::{CommandFailure, Exit, gate, print, provenance, warn};

pub(crate) fn explain(arguments: &Explain) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let prepared = prepare(&scenario)?;
    let explanation = explanation_of(&prepared).map_err(|error| match error {
        ExplainError::Simulate(error) => error.into(),
        other => CommandFailure::input(other.to_string()),
    })?;
    match arguments.format {
        Format::Text => print(&explanation_text(&explanation))?,
        Format::Json => {
            print(&json(&explanation, &provenance(&scenario)).map_err(anyhow::Error::from)?)?;
        }
    }
    Ok(gate(&prepared))
}
