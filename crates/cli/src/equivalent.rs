//! `motley equivalent`, `motley value` and `motley design`.

use std::collections::BTreeMap;

use motley::load;
use motley_equivalence::{
    self as equivalence, Addition, EquivalenceError, Nodes, Offer, Order, Question,
};
use motley_hardware::Catalog;

use crate::args::{Design, Equivalent, Value};
use crate::exit::{CommandFailure, Exit, answer, warn};
use crate::spinner::Spinner;

/// `motley equivalent`.
pub(crate) fn equivalent(arguments: &Equivalent) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let question = Question {
        nodes: Nodes::of(&arguments.with, arguments.node.as_deref(), arguments.nic.as_deref())?,
        budget_s: arguments.budget,
        most: arguments.most,
        models: arguments.models.clone(),
        multiples: arguments.times.clone(),
    };
    let spinner = Spinner::new();
    let found =
        equivalence::equivalent(&scenario, &question, &|what, plans| spinner.tell(what, plans));
    spinner.finish();
    let found = found?;
    answer(arguments.format, &scenario, &found.document(), || {
        equivalence::equivalent_text(&found)
    })?;
    Ok(if found.count.is_some() { Exit::Ok } else { Exit::Gate })
}

/// `motley value`.
pub(crate) fn value(arguments: &Value) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let addition = Addition::read(&arguments.add, arguments.nic.as_deref())?;
    let spinner = Spinner::new();
    let found = equivalence::value(&scenario, &addition, arguments.budget, &|what, plans| {
        spinner.tell(what, plans);
    });
    spinner.finish();
    let found = found?;
    answer(arguments.format, &scenario, &found.document(), || equivalence::value_text(&found))?;
    Ok(Exit::Ok)
}

/// `motley design`.
pub(crate) fn design(arguments: &Design) -> Result<Exit, CommandFailure> {
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    let per_sample = scenario.training.sequence_length.map_or(1.0, f64::from);
    let order = Order {
        samples: arguments.tokens / per_sample,
        days: arguments.days,
        offers: offers(arguments)?,
        most: arguments.most,
        budget_s: arguments.budget,
    };
    let spinner = Spinner::new();
    let found = equivalence::design(&scenario, &order, &|what, plans| spinner.tell(what, plans));
    spinner.finish();
    let found = found?;
    answer(arguments.format, &scenario, &found.document(), || equivalence::design_text(&found))?;
    Ok(if found.pools.is_empty() { Exit::Gate } else { Exit::Ok })
}

/// What may be bought: the cards that are named, else all that have a price and nodes, and what is in stock.
fn offers(arguments: &Design) -> Result<Vec<Offer>, CommandFailure> {
    let stocks = arguments.stock.iter().map(|text| {
        text.split_once('=')
            .and_then(|(card, count)| Some((card.trim().to_owned(), count.trim().parse().ok()?)))
            .ok_or_else(|| {
                CommandFailure::input(format!(
                    "--stock: `{text}` is not CARD=COUNT; write for example --stock a100-sxm-80=256"
                ))
            })
    });
    let stocks: BTreeMap<String, u32> = stocks.collect::<Result<_, _>>()?;
    let mut cards = arguments.cards.clone();
    if cards.is_empty() {
        let priced = Catalog::builtin().devices.values().filter(|device| device.price.is_some());
        let sold = priced.filter(|device| Nodes::of(&device.id, None, None).is_ok());
        cards = sold.map(|device| device.id.clone()).collect();
        cards.extend(
            stocks.keys().filter(|card| !cards.contains(card)).cloned().collect::<Vec<_>>(),
        );
    }
    if let Some(other) = stocks.keys().find(|card| !cards.contains(card)) {
        return Err(CommandFailure::input(format!("--stock: `{other}` is not among --cards")));
    }
    let offer = |card: &String| {
        Ok(Offer { nodes: Nodes::of(card, None, None)?, stock: stocks.get(card).copied() })
    };
    cards.iter().map(offer).collect()
}

impl From<EquivalenceError> for CommandFailure {
    fn from(error: EquivalenceError) -> Self {
        match error {
            EquivalenceError::Simulate(error) => error.into(),
            other => Self::input(other.to_string()),
        }
    }
}
