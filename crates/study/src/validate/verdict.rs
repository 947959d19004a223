//! What came out for one row.

use motley::{Evaluator, Report, SimulateError};
use motley_job::RankId;
use motley_scenario::{Rejected, Severity, code};
use motley_workload::MemoryUse;
use serde::Serialize;

use crate::runs::Row;
use crate::translate::{self, Concern, Figure, Unsupported, measured_bytes, memory_figure};
use crate::validate::Grouping;
use crate::validate::facts::{Facts, facts, prefix};

/// So many parts are said to take most of a time.
const DOMINANT: usize = 2;

/// A part below half a per cent takes most of nothing.
const LEAST_SHARE: f64 = 0.005;

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Predicted to fit, and compared.
    Ok,
    /// Predicted not to fit into memory.
    Oom,
    /// Predicted to fit; the row has nothing to compare with.
    Fits,
    /// No scenario stands for it.
    Unsupported,
}

/// What a memory figure counts.
pub type MemoryFigure = Figure;

/// A part of the predicted time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Which: `compute`, `exposed DP`.
    pub part: &'static str,
    /// Its share.
    pub share_ratio: f64,
}

/// What came out for one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The row's id.
    pub id: String,
    /// Where it was published.
    pub source: String,
    /// The address of that.
    pub url: Option<String>,
    /// What tells it apart from others.
    pub facts: Facts,
    /// Its group.
    pub group: String,
    /// Rows of one model on one cluster, whose order can be compared.
    pub sweep: String,
    /// How it ended.
    pub status: Status,
    /// The scenario's hash.
    pub scenario_hash: Option<String>,
    /// Seconds of an iteration.
    pub predicted_s: Option<f64>,
    /// What takes most of the predicted time: the two largest parts, the larger first.
    pub dominated_by: Vec<Part>,
    /// Seconds of an iteration, measured.
    pub measured_s: Option<f64>,
    /// Samples of an iteration.
    pub samples: Option<u32>,
    /// Why no scenario stands for it, or what does not fit.
    pub reason: Option<String>,
    /// What stands in the way of a scenario.
    pub concern: Option<Concern>,
    /// Memory of the fullest card, of what `memory_figure` counts.
    pub predicted_memory_bytes: Option<f64>,
    /// The same, measured.
    pub measured_memory_bytes: Option<f64>,
    /// What both memory figures count.
    pub memory_figure: MemoryFigure,
    /// Whether the run fitted into memory; none where the row does not say.
    pub fitted: Option<bool>,
    /// What the row leaves open, and what was taken.
    pub assumptions: Vec<String>,
}

impl Verdict {
    /// `predicted / measured - 1` of the iteration time.
    pub fn error_ratio(&self) -> Option<f64> {
        Some(self.predicted_s? / self.measured_s? - 1.0)
    }

    /// The same of memory.
    pub fn memory_error_ratio(&self) -> Option<f64> {
        Some(self.predicted_memory_bytes? / self.measured_memory_bytes? - 1.0)
    }

    pub(super) fn of(
        row: &Row,
        unknown: &[String],
        grouping: &Grouping,
        evaluator: &mut Evaluator,
    ) -> Self {
        let measured_s = measured_s(row);
        let known = facts(row);
        let blank = Self {
            id: row.id.clone(),
            source: row.source.name.clone(),
            url: row.source.url.clone(),
            group: grouping.of(&known),
            facts: known,
            sweep: sweep(row),
            status: Status::Unsupported,
            scenario_hash: None,
            predicted_s: None,
            dominated_by: Vec::new(),
            measured_s,
            samples: row.parallel.gbs,
            reason: None,
            concern: None,
            predicted_memory_bytes: None,
            measured_memory_bytes: measured_bytes(row),
            memory_figure: memory_figure(row),
            fitted: fitted(row, measured_s),
            assumptions: Vec::new(),
        };
        if let [first, ..] = unknown {
            let reason = format!("`{first}` is not a field of the schema, and may change anything");
            return blank.refused(Unsupported::new(Concern::UnknownField, reason));
        }
        let scenario = match translate::scenario(row) {
            Ok(scenario) => scenario,
            Err(unsupported) => return blank.refused(unsupported),
        };
        let blank = Self { assumptions: scenario.assumptions, ..blank };
        match blank.clone().predicted(scenario.raw, evaluator) {
            Ok(verdict) => verdict,
            Err(unsupported) => blank.refused(unsupported),
        }
    }

    fn refused(self, unsupported: Unsupported) -> Self {
        let Unsupported { concern, reason } = unsupported;
        Self { status: Status::Unsupported, reason: Some(reason), concern: Some(concern), ..self }
    }

    /// Memory, and the time of an iteration if there is one to compare with.
    fn predicted(
        self,
        raw: motley_scenario::raw::RawScenario,
        evaluator: &mut Evaluator,
    ) -> Result<Self, Unsupported> {
        let samples = raw.training.global_batch;
        // A first stage that was put before the row's own is none that anybody measured.
        let logged = self.memory_figure != Figure::Step || !translate::begins_empty(&raw.plan);
        let measured_memory_bytes = self.measured_memory_bytes.filter(|_| logged);
        let scenario = raw.resolve().map_err(|rejected| because_rejected(&rejected))?;
        let prepared = evaluator.prepare(&scenario).map_err(because)?;
        let short = prepared.out_of_memory();
        let lowered = &prepared.lowered;
        let figure = |(rank, memory): (usize, &MemoryUse)| {
            let rank = RankId(rank as u32);
            match self.memory_figure {
                Figure::Device => {
                    let card = prepared.cluster.device(lowered.place(rank).gpu);
                    memory.shown(*card.memory.get()).0
                }
                Figure::Allocated => memory.allocated().0,
                Figure::Step => lowered.course(rank).step.allocated().0,
            }
        };
        // nanotron logs the first stage's.
        let stages = |&(rank, _): &(usize, &MemoryUse)| {
            self.memory_figure != Figure::Step || lowered.places[rank].stage == 0
        };
        let figures = lowered.memory.iter().enumerate().filter(stages).map(figure);
        let predicted_memory_bytes = Some(figures.fold(0.0, f64::max));
        let (predicted_s, dominated_by) = match self.measured_s {
            Some(_) => {
                let report = prepared.conclude().map_err(because)?;
                (Some(report.iteration_time.mean.as_secs_f64()), dominated_by(&report))
            }
            None => (None, Vec::new()),
        };
        let status = match (short.first(), self.measured_s) {
            (Some(_), _) => Status::Oom,
            (None, Some(_)) => Status::Ok,
            (None, None) => Status::Fits,
        };
        Ok(Self {
            status,
            scenario_hash: Some(scenario.hash.clone()),
            predicted_s,
            dominated_by,
            samples: Some(samples),
            reason: short.first().map(ToString::to_string),
            predicted_memory_bytes,
            measured_memory_bytes,
            ..self
        })
    }
}

fn dominated_by(report: &Report) -> Vec<Part> {
    let largest = report.breakdown.shares().into_iter().take(DOMINANT);
    largest
        .filter(|(_, share)| *share >= LEAST_SHARE)
        .map(|(part, share_ratio)| Part { part, share_ratio })
        .collect()
}

fn because(error: SimulateError) -> Unsupported {
    match error {
        SimulateError::Plan(rejected) => because_rejected(&rejected),
        other if other.is_input() => Unsupported::new(Concern::Plan, other.to_string()),
        other => Unsupported::new(Concern::Defect, other.to_string()),
    }
}

/// The first mistake; the others often follow from it.
fn because_rejected(rejected: &Rejected) -> Unsupported {
    let first = rejected.diagnostics.iter().find(|found| found.severity == Severity::Error);
    let Some(first) = first else {
        return Unsupported::new(Concern::Defect, "the scenario was refused without a reason");
    };
    let concern = match first.code {
        code::PRECISION => Concern::Precision,
        code::MODEL => Concern::Model,
        code::PLAN => Concern::Plan,
        code::CLUSTER | code::UNKNOWN_NAME => Concern::Hardware,
        _ => Concern::Contradiction,
    };
    Unsupported::new(concern, first.message.clone())
}

/// Seconds of an iteration: printed, or from samples or tokens per second. Never from FLOP/s, which
/// sources count differently.
pub(super) fn measured_s(row: &Row) -> Option<f64> {
    let measured = &row.measured;
    let samples = f64::from(row.parallel.gbs?);
    let tokens = || Some(samples * f64::from(row.model.seq?));
    let seconds = measured
        .iter_s
        .or_else(|| Some(tokens()? / measured.tokens_s?))
        .or_else(|| Some(samples / measured.samples_s?))
        .or_else(|| Some(tokens()? / (measured.tokens_s_gpu? * f64::from(row.hardware.gpus?))));
    seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0)
}

/// A run that was measured fitted; one whose status tells of memory did not. Others failed for
/// reasons that have nothing to do with memory.
fn fitted(row: &Row, measured_s: Option<f64>) -> Option<bool> {
    match row.status.as_deref() {
        Some(status) => {
            let words = status.to_lowercase();
            (words.contains("oom") || words.contains("out of memory")).then_some(false)
        }
        None => measured_s.map(|_| true),
    }
}

/// One model on one cluster.
fn sweep(row: &Row) -> String {
    let number =
        |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let (model, hardware) = (&row.model, &row.hardware);
    [
        prefix(row),
        model.name.as_deref().unwrap_or("?"),
        &number(model.layers),
        &number(model.hidden),
        &number(model.seq),
        hardware.device.as_deref().unwrap_or("mixed"),
        &number(hardware.gpus),
    ]
    .join("/")
}
