//! Models as files say what they are: presets and scenarios have one language.

mod check;
mod dense;
mod error;
mod stack;

use ron::extensions::Extensions;
use ron::ser::PrettyConfig;
use serde::{Deserialize, Serialize};

pub use dense::{DenseShape, LearnedOrRotary};
pub use error::{FieldPath, FieldStep, ModelError};
pub use stack::{Run, Stack};

use crate::{Model, Preset};

/// What a model is, as a file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Model")]
pub enum Description {
    /// A published model by its name.
    Preset(String),
    /// A dense transformer of equal layers.
    Shape(DenseShape),
    /// Any model, written out.
    Stack(Stack),
}

/// What readers and writers of descriptions take for granted: `Some(..)` is left out, and so are
/// the inner parentheses of `Shape((..))`.
pub const RON_EXTENSIONS: Extensions =
    Extensions::IMPLICIT_SOME.union(Extensions::UNWRAP_VARIANT_NEWTYPES);

impl Description {
    /// The model.
    ///
    /// # Errors
    /// All that is wrong with the description.
    pub fn build(&self) -> Result<Model, Vec<ModelError>> {
        match self {
            Self::Preset(name) => match Preset::find(name) {
                Some(preset) => preset.model.build(),
                None => Err(vec![ModelError::new(
                    FieldPath::default(),
                    format!("there is no model preset `{name}`"),
                )]),
            },
            Self::Shape(shape) => shape.build(),
            Self::Stack(stack) => stack.build(),
        }
    }

    /// What the model is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Preset(name) => name,
            Self::Shape(shape) => &shape.name,
            Self::Stack(stack) => &stack.name,
        }
    }

    /// The description that a text holds.
    ///
    /// # Errors
    /// If the text is no description.
    pub fn from_ron(text: &str) -> Result<Self, ron::error::SpannedError> {
        ron::Options::default().with_default_extension(RON_EXTENSIONS).from_str(text)
    }

    /// The description as a scenario can hold it.
    ///
    /// # Panics
    /// Never: all of these types can be written.
    pub fn to_ron(&self) -> String {
        let style =
            PrettyConfig::new().struct_names(false).extensions(RON_EXTENSIONS).new_line("\n");
        ron::Options::default()
            .with_default_extension(RON_EXTENSIONS)
            .to_string_pretty(self, style)
            .expect("these types hold nothing that RON cannot write")
    }
}
