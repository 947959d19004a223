//! `motley compare`.

use motley::{load, prepare};
use motley_attribution::{Order, compare as comparison_of, comparison_text};

use crate::args::Compare;
use crate::exit::{CommandFailure, Exit, answer, gate, warn};

pub(crate) fn compare(arguments: &Compare) -> Result<Exit, CommandFailure> {
    let paths = [&arguments.first, &arguments.second];
    let [first, second] = paths.map(|path| load(path, &arguments.set));
    let (first, second) = (first?, second?);
    let both = [&first, &second];
    both.into_iter().for_each(warn);
    let prepared = [prepare(&first)?, prepare(&second)?];
    let order = if arguments.shapley { Order::Shapley } else { Order::Ordered };
    let comparison = comparison_of([&prepared[0], &prepared[1]], order)?;
    answer(arguments.format, &first, &comparison, || {
        let names = paths.map(|path| path.display().to_string());
        comparison_text(&comparison, [&names[0], &names[1]])
    })?;
    let [first, second] = prepared.each_ref().map(gate);
    Ok(if first == Exit::Ok { second } else { first })
}
