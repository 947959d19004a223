//! What can be wrong with a description, and where.

use std::fmt;

/// The place of a value in a description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(pub Vec<FieldStep>);

/// A step towards a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldStep {
    /// Into a field.
    Field(&'static str),
    /// To an item of a list.
    Index(usize),
}

impl FieldPath {
    /// The place of a field.
    #[must_use]
    pub fn field(&self, name: &'static str) -> Self {
        self.step(FieldStep::Field(name))
    }

    /// The place of an item.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(FieldStep::Index(index))
    }

    fn step(&self, step: FieldStep) -> Self {
        Self(self.0.iter().copied().chain([step]).collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                FieldStep::Field(name) if position == 0 => write!(f, "{name}")?,
                FieldStep::Field(name) => write!(f, ".{name}")?,
                FieldStep::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// One thing that is wrong with a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// Where.
    pub path: FieldPath,
    /// What was found and what was expected.
    pub message: String,
}

impl ModelError {
    pub(crate) fn new(path: FieldPath, message: String) -> Self {
        Self { path, message }
    }
}
