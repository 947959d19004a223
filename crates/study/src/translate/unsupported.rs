//! Why no scenario stands for a row.

use serde::Serialize;

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// The row does not say what a replay needs.
    NotStated,
    /// The row contradicts itself.
    Contradiction,
    /// The row has fields that the schema lacks.
    UnknownField,
    /// The run is no training.
    NotTraining,
    /// A card, a node design or a network that the catalogue lacks.
    Hardware,
    /// The model.
    Model,
    /// The arithmetic.
    Precision,
    /// The optimizer, batches, adapters.
    Training,
    /// ZeRO and FSDP.
    Sharding,
    /// The order of passes.
    Schedule,
    /// Layers over stages, stages over cards.
    Plan,
    /// motley is at fault.
    Defect,
}

impl Concern {
    /// The name, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotStated => "not stated",
            Self::Contradiction => "contradiction in the row",
            Self::UnknownField => "unknown field",
            Self::NotTraining => "not training",
            Self::Hardware => "hardware",
            Self::Model => "model",
            Self::Precision => "precision",
            Self::Training => "training",
            Self::Sharding => "ZeRO",
            Self::Schedule => "schedule",
            Self::Plan => "plan",
            Self::Defect => "defect of motley",
        }
    }
}

/// Why no scenario stands for a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unsupported {
    /// What stands in the way.
    pub concern: Concern,
    /// The reason, one sentence.
    pub reason: String,
}

impl Unsupported {
    pub(crate) fn new(concern: Concern, reason: impl Into<String>) -> Self {
        Self { concern, reason: reason.into() }
    }

    /// A field that no rule can fill in.
    pub(super) fn not_stated(field: &str) -> Self {
        Self::new(Concern::NotStated, format!("`{field}` is not stated"))
    }
}
