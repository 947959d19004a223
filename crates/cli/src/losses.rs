//! `motley losses`.

use motley::{json, load, prepare};
use motley_attribution::{Order, losses as losses_of, losses_text};
use motley_engine::Silent;

use crate::args::{Format, Losses};
use crate::exit::{CommandFailure, Exit, gate, print, provenance, warn};

pub(crate) fn losses(arguments: &Losses) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let prepared = prepare(&scenario)?;
    let replays = prepared.replay(&mut Silent, &|| {})?;
    let order = if arguments.shapley { Order::Shapley } else { Order::Ordered };
    let losses = losses_of(&prepared, &replays, order)?;
    match arguments.format {
        Format::Text => print(&losses_text(&losses))?,
        Format::Json => {
            print(&json(&losses, &provenance(&scenario)).map_err(anyhow::Error::from)?)?;
        }
    }
    Ok(gate(&prepared))
}
