//! `motley losses`.

use motley::{load, prepare};
use motley_attribution::{Order, losses as losses_of, losses_text};
use motley_engine::Silent;

use crate::args::Losses;
use crate::exit::{CommandFailure, Exit, answer, gate, warn};

pub(crate) fn losses(arguments: &Losses) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let prepared = prepare(&scenario)?;
    let replays = prepared.replay(&mut Silent, &|| {})?;
    let order = if arguments.shapley { Order::Shapley } else { Order::Ordered };
    let losses = losses_of(&prepared, &replays, order)?;
    answer(arguments.format, &scenario, &losses, || losses_text(&losses))?;
    Ok(gate(&prepared))
}
