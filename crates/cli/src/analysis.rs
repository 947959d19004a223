//! `motley best`, `motley sensitivity` and `motley break-even`.

use motley_sweep::Table;
use motley_sweep::analysis::{
    self, Against, AnalysisError, Direction, Goal, best_text, break_even_text, sensitivity_text,
};
use serde::Serialize;

use crate::args;
use crate::exit::{CommandFailure, Exit, answer_from};

/// What an answer about a table is made from and by.
#[derive(Serialize)]
struct Origin<'a> {
    tool_version: &'static str,
    plan_hash: Option<&'a str>,
    seed: Option<u64>,
}

impl<'a> Origin<'a> {
    fn of(table: &'a Table) -> Self {
        let provenance = table.provenance.as_ref();
        Self {
            tool_version: env!("CARGO_PKG_VERSION"),
            plan_hash: provenance.map(|provenance| provenance.plan_hash.as_str()),
            seed: provenance.map(|provenance| provenance.seed),
        }
    }
}

impl From<AnalysisError> for CommandFailure {
    fn from(error: AnalysisError) -> Self {
        Self::input(error.to_string())
    }
}

pub(crate) fn best(arguments: &args::Best) -> Result<Exit, CommandFailure> {
    let table = Table::read(&arguments.results)?;
    let goals: Vec<Goal> = if arguments.pareto.is_empty() {
        let direction = match (arguments.minimize, arguments.maximize) {
            (true, _) => Direction::Minimize,
            (_, true) => Direction::Maximize,
            _ => Direction::usual(&arguments.by),
        };
        vec![Goal { metric: arguments.by.clone(), direction }]
    } else {
        arguments.pareto.iter().map(|text| goal(text)).collect::<Result<_, _>>()?
    };
    let found = analysis::best(&table, &goals, arguments.top as usize)?;
    answer_from(arguments.format, &Origin::of(&table), &found, || best_text(&found))?;
    Ok(Exit::Ok)
}

/// `METRIC`, `METRIC:min` or `METRIC:max`.
fn goal(text: &str) -> Result<Goal, CommandFailure> {
    let (metric, direction) = match text.split_once(':') {
        None => (text, Direction::usual(text)),
        Some((metric, "min")) => (metric, Direction::Minimize),
        Some((metric, "max")) => (metric, Direction::Maximize),
        Some((_, other)) => {
            let message =
                format!("--pareto: expected `min` or `max` behind the metric, not `{other}`");
            return Err(CommandFailure::input(message));
        }
    };
    Ok(Goal { metric: metric.to_owned(), direction })
}

pub(crate) fn sensitivity(arguments: &args::Sensitivity) -> Result<Exit, CommandFailure> {
    let table = Table::read(&arguments.results)?;
    let found = analysis::sensitivity(&table, &arguments.metric)?;
    answer_from(arguments.format, &Origin::of(&table), &found, || sensitivity_text(&found))?;
    Ok(Exit::Ok)
}

pub(crate) fn break_even(arguments: &args::BreakEven) -> Result<Exit, CommandFailure> {
    let table = Table::read(&arguments.results)?;
    let against = against(&arguments.against)?;
    let found = analysis::break_even(&table, &arguments.axis, &arguments.metric, &against)?;
    answer_from(arguments.format, &Origin::of(&table), &found, || break_even_text(&found))?;
    Ok(Exit::Ok)
}

/// A number, `METRIC`, or `AXIS=VALUE:VALUE`.
fn against(text: &str) -> Result<Against, CommandFailure> {
    if let Ok(level) = text.parse::<f64>() {
        return Ok(Against::Level(level));
    }
    let Some((axis, values)) = text.split_once('=') else {
        return Ok(Against::Metric(text.to_owned()));
    };
    let (of, against) = values.split_once(':').ok_or_else(|| {
        let message = format!("--against: expected two values, `{axis}=A:B`, found `{values}`");
        CommandFailure::input(message)
    })?;
    Ok(Against::Values { axis: axis.to_owned(), of: of.to_owned(), against: against.to_owned() })
}
