//! `motley compare`.

use motley::{json, load, prepare};
use motley_attribution::{Order, compare as comparison_of, comparison_text};

use crate::args::{Compare, Format};
use crate::exit::{CommandFailure, Exit, gate, print, provenance, warn};

pub(crate) fn compare(arguments: &Compare) -> Result<Exit, CommandFailure> {
    let paths = [&arguments.first, &arguments.second];
    let [first, second] = paths.map(|path| load(path, &arguments.set));
    let (first, second) = (first?, second?);
    let both = [&first, &second];
    both.into_iter().for_each(warn);
    let prepared = [prepare(&first)?, prepare(&second)?];
    let order = if arguments.shapley { Order::Shapley } else { Order::Ordered };
    let comparison = comparison_of([&prepared[0], &prepared[1]], order)?;
    match arguments.format {
        Format::Text => {
            let names = paths.map(|path| path.display().to_string());
            print(&comparison_text(&comparison, [&names[0], &names[1]]))?;
        }
        Format::Json => {
            print(&json(&comparison, &provenance(&first)).map_err(anyhow::Error::from)?)?;
        }
    }
    let [first, second] = prepared.each_ref().map(gate);
    Ok(if first == Exit::Ok { second } else { first })
}
