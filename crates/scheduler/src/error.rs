//! What can be wrong with a plan, and where it is written.

use std::fmt;

/// The place of a plan that an error is about, for whoever knows the file it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanPath {
    /// The plan as a whole.
    Plan,
    /// A field of the plan (of the shorthand, or of the explicit form).
    Field(&'static str),
    /// A field of the training section.
    Training(&'static str),
    /// A pipeline of the explicit form.
    Pipeline(usize),
    /// A field of a pipeline.
    PipelineField(usize, &'static str),
    /// A stage: pipeline, stage.
    Stage(usize, usize),
    /// A field of a stage: pipeline, stage, field.
    StageField(usize, usize, &'static str),
}

impl fmt::Display for PlanPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => write!(f, "plan"),
            Self::Field(field) => write!(f, "plan.{field}"),
            Self::Training(field) => write!(f, "training.{field}"),
            Self::Pipeline(p) => write!(f, "plan.pipelines[{p}]"),
            Self::PipelineField(p, field) => write!(f, "plan.pipelines[{p}].{field}"),
            Self::Stage(p, s) => write!(f, "plan.pipelines[{p}].stages[{s}]"),
            Self::StageField(p, s, field) => write!(f, "plan.pipelines[{p}].stages[{s}].{field}"),
        }
    }
}

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct PlanError {
    /// Where.
    pub path: PlanPath,
    /// What was found and what was expected.
    pub message: String,
    /// What would help.
    pub help: Option<String>,
}

impl PlanError {
    /// An error without advice.
    pub fn new(path: PlanPath, message: impl Into<String>) -> Self {
        Self { path, message: message.into(), help: None }
    }

    /// The same error with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
