//! From a point to its row.

use std::panic::{AssertUnwindSafe, catch_unwind};

use motley::{Evaluator, Prepared, Scenario, SimulateError};
use motley_planner::{Found, Options, search};
use motley_scenario::Diagnostics;

use crate::metric::{Metric, Ran};
use crate::study::{Plans, Point, Study};
use crate::table::{Cell, Heading, Storage};

/// How a point ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has all figures.
    Ok,
    /// It does not fit into memory: it has figures of memory alone.
    OutOfMemory,
    /// There is no such scenario.
    Invalid,
    /// motley is at fault.
    Failed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::OutOfMemory, Self::Invalid, Self::Failed];

    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OutOfMemory => "out_of_memory",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether the point has no answer. That it does not fit is one.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Invalid | Self::Failed)
    }
}

/// What came out of a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The number of the point.
    pub index: u64,
    /// How it ended.
    pub status: Status,
    /// One cell for each metric of the study.
    pub metrics: Vec<Cell>,
    /// Why it has no figures.
    pub error: Option<String>,
}

impl Row {
    /// The row of the table, with the cells that number and name its point.
    pub(crate) fn cells(self, point: Point) -> Vec<Cell> {
        let mut cells = point.cells;
        cells.push(Cell::Text(self.status.name().to_owned()));
        cells.extend(self.metrics);
        cells.push(self.error.map_or(Cell::None, Cell::Text));
        cells
    }
}

impl Study {
    /// The columns of the whole table.
    pub fn headings(&self) -> Vec<Heading> {
        let text = |name: &str| Heading { name: name.to_owned(), storage: Storage::Text };
        let mut headings = self.point_headings();
        headings.push(text("status"));
        headings.extend(self.metrics().iter().map(|metric| metric.heading()));
        headings.push(text("error"));
        headings
    }

    /// Simulates a point. Whatever happens becomes its row.
    pub fn evaluate(&self, evaluator: &mut Evaluator, point: &Point) -> Row {
        let evaluated = catch_unwind(AssertUnwindSafe(|| self.outcome(evaluator, point)));
        let outcome = evaluated.unwrap_or_else(|_| {
            // It may hold half of something.
            *evaluator = self.evaluator();
            Outcome::without(Status::Failed, "motley failed, which is a defect".to_owned())
        });
        let metrics = if outcome.metrics.is_empty() {
            vec![Cell::None; self.metrics().len()]
        } else {
            outcome.metrics
        };
        Row { index: point.index, status: outcome.status, metrics, error: outcome.error }
    }

    fn outcome(&self, evaluator: &mut Evaluator, point: &Point) -> Outcome {
        let Some(overrides) = &point.overrides else {
            let message = "an override has a number that cannot be computed".to_owned();
            return Outcome::without(Status::Invalid, message);
        };
        let scenario = match self.scenario(overrides) {
            Ok(scenario) => scenario,
            Err(rejected) => {
                return Outcome::without(Status::Invalid, brief(&rejected.diagnostics));
            }
        };
        let simulated = match self.plans {
            Plans::Own => self.own_plan(evaluator, &scenario),
            Plans::Best { budget } => self.best_plan(evaluator, &scenario, budget.0),
        };
        simulated.unwrap_or_else(|error| {
            let status = if error.is_input() { Status::Invalid } else { Status::Failed };
            let message = match &error {
                SimulateError::Plan(rejected) => brief(&rejected.diagnostics),
                other => other.to_string(),
            };
            Outcome::without(status, message)
        })
    }

    fn own_plan(
        &self,
        evaluator: &mut Evaluator,
        scenario: &Scenario,
    ) -> Result<Outcome, SimulateError> {
        self.conclude(&evaluator.prepare(scenario)?, None)
    }

    fn best_plan(
        &self,
        evaluator: &mut Evaluator,
        scenario: &Scenario,
        budget_s: f64,
    ) -> Result<Outcome, SimulateError> {
        let found = search(scenario, &Options { budget_s, ..Options::default() }, &|_| {})?;
        let Some(best) = found.best() else {
            let message = "the planner found no plan that fits".to_owned();
            return Ok(Outcome::without(Status::OutOfMemory, message));
        };
        let prepared = evaluator.prepare_plan(scenario, best.plan.clone())?;
        self.conclude(&prepared, Some(&found))
    }

    fn conclude(
        &self,
        prepared: &Prepared,
        found: Option<&Found>,
    ) -> Result<Outcome, SimulateError> {
        // That is known without a replay, whose times would be those of cards with more memory.
        let short = prepared.out_of_memory();
        if let Some(worst) = short.first() {
            let metrics = self.metrics().iter().map(|metric| metric.of_shortage(&short)).collect();
            let error = Some(worst.to_string());
            return Ok(Outcome { status: Status::OutOfMemory, metrics, error });
        }
        let report = if self.metrics().iter().any(|metric| metric.is_balanced()) {
            prepared.conclude()?
        } else {
            prepared.conclude_unbalanced()?
        };
        let ran = Ran { report: &report, found };
        let metrics = self.metrics().iter().map(|metric: &Metric| metric.of(&ran)).collect();
        Ok(Outcome { status: Status::Ok, metrics, error: None })
    }
}

struct Outcome {
    status: Status,
    /// Empty if there are none at all.
    metrics: Vec<Cell>,
    error: Option<String>,
}

impl Outcome {
    fn without(status: Status, error: String) -> Self {
        Self { status, metrics: Vec::new(), error: Some(error) }
    }
}

/// The first message with its code, and how many there are more.
fn brief(diagnostics: &Diagnostics) -> String {
    let code = diagnostics.iter().next().map_or("", |first| first.code);
    format!("[{code}] {}", diagnostics.brief())
}
