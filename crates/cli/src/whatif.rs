//! `motley whatif`.

use motley::{Failure, Scenario, load, prepare};
use motley_attribution::{WhatIfError, Wishes, what_if, whatif_text};

use crate::args::{ScenarioArguments, WhatIf};
use crate::exit::{CommandFailure, Exit, answer, gate, warn};

pub(crate) fn whatif(arguments: &WhatIf) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let swaps: Result<_, _> = arguments.swap.iter().map(|text| swap(text)).collect();
    let other = |text: &String| Ok((text.clone(), changed(&arguments.scenario, text)?));
    let others: Result<_, CommandFailure> = arguments.others.iter().map(other).collect();
    let wishes = Wishes { swaps: swaps?, nics: arguments.nic.clone(), others: others? };
    let prepared = prepare(&scenario)?;
    let gains = what_if(&prepared, &wishes).map_err(|error| match error {
        WhatIfError::Simulate(error) => error.into(),
        other => CommandFailure::input(other.to_string()),
    })?;
    answer(arguments.format, &scenario, &gains, || whatif_text(&gains))?;
    Ok(gate(&prepared))
}

fn swap(text: &str) -> Result<(String, String), CommandFailure> {
    let Some((old, new)) = text.split_once('=') else {
        return Err(CommandFailure::input(format!(
            "--swap: `{text}` is not CARD=CARD; write for example --swap v100-sxm2-32=a100-sxm-80"
        )));
    };
    Ok((old.trim().to_owned(), new.trim().to_owned()))
}

/// The scenario with further overrides, or the first reason why there is none.
fn changed(
    arguments: &ScenarioArguments,
    text: &str,
) -> Result<Result<Scenario, String>, CommandFailure> {
    let mut overrides = arguments.set.clone();
    overrides.extend(text.split(';').map(|each| each.trim().to_owned()));
    match load(&arguments.scenario, &overrides) {
        Ok(scenario) => Ok(Ok(scenario)),
        Err(Failure::Rejected(rejected)) => {
            let first = rejected.diagnostics.iter().next();
            Ok(Err(first.map_or_else(String::new, |diagnostic| diagnostic.message.clone())))
        }
        Err(failure) => Err(failure.into()),
    }
}
