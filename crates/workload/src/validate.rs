//! What a model shape must satisfy before anything is computed from it.

use thiserror::Error;

use crate::{Model, Positions};

/// A model shape that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A size is zero.
    #[error("model `{model}`: `{field}` is 0; give it a positive value")]
    Zero {
        /// The model's name.
        model: String,
        /// The field that is wrong.
        field: &'static str,
    },
    /// A size is beyond what any model has, and beyond what the arithmetic is checked for.
    #[error("model `{model}`: `{field}` is {value}, above the limit of {limit}")]
    TooLarge {
        /// The model's name.
        model: String,
        /// The field that is wrong.
        field: &'static str,
        /// What it is.
        value: u32,
        /// The most that is allowed.
        limit: u32,
    },
    /// Query heads cannot be shared out evenly over key and value heads.
    #[error(
        "model `{model}`: {heads} heads cannot share {kv_heads} kv_heads evenly; \
         kv_heads must divide heads"
    )]
    UnevenGroups {
        /// The model's name.
        model: String,
        /// Query heads.
        heads: u32,
        /// Key and value heads.
        kv_heads: u32,
    },
    /// The heads together are wider or narrower than the residual stream by more than a factor
    /// of four: surely a slip.
    #[error(
        "model `{model}`: {heads} heads of {head_dim} make {width}, far from hidden {hidden}; \
         most models have heads * head_dim = hidden"
    )]
    HeadWidth {
        /// The model's name.
        model: String,
        /// Query heads.
        heads: u32,
        /// Width of a head.
        head_dim: u32,
        /// Both multiplied.
        width: u64,
        /// The width of the residual stream.
        hidden: u32,
    },
}

impl Model {
    /// Everything that is wrong with the shape; empty if nothing is.
    pub fn validate(&self) -> Vec<ModelError> {
        let positions = match self.positions {
            Positions::Learned { max } => Some(("positions.max", max, 100_000_000)),
            Positions::Rotary => None,
        };
        let sizes = [
            ("layers", self.layers, 10_000),
            ("hidden", self.hidden, 1_000_000),
            ("ffn", self.ffn, 10_000_000),
            ("heads", self.heads, 100_000),
            ("kv_heads", self.kv_heads, 100_000),
            ("head_dim", self.head_dim, 100_000),
            ("vocab", self.vocab, 100_000_000),
        ];
        let mut errors = Vec::new();
        for (field, value, limit) in sizes.into_iter().chain(positions) {
            if value == 0 {
                errors.push(ModelError::Zero { model: self.name.clone(), field });
            } else if value > limit {
                errors.push(ModelError::TooLarge { model: self.name.clone(), field, value, limit });
            }
        }
        let token_types = ("token_types", self.token_types, 1_000_000);
        if self.token_types > token_types.2 {
            errors.push(ModelError::TooLarge {
                model: self.name.clone(),
                field: token_types.0,
                value: token_types.1,
                limit: token_types.2,
            });
        }
        if self.kv_heads > 0 && !self.heads.is_multiple_of(self.kv_heads) {
            errors.push(ModelError::UnevenGroups {
                model: self.name.clone(),
                heads: self.heads,
                kv_heads: self.kv_heads,
            });
        }
        let (width, hidden) = (self.query_width(), u64::from(self.hidden));
        if width > 4 * hidden || 4 * width < hidden {
            errors.push(ModelError::HeadWidth {
                model: self.name.clone(),
                heads: self.heads,
                head_dim: self.head_dim,
                width,
                hidden: self.hidden,
            });
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Model), expected: &[&str]) {
        let mut model = Model::preset("llama-2-7b").unwrap();
        change(&mut model);
        let found: Vec<String> = model.validate().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (message, part) in found.iter().zip(expected) {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn each_slip_is_named() {
        check(|_| (), &[]);
        check(|m| m.layers = 0, &["`layers` is 0"]);
        check(|m| m.layers = 10_001, &["`layers` is 10001"]);
        check(|m| m.kv_heads = 5, &["kv_heads must divide"]);
        check(|m| m.kv_heads = 0, &["`kv_heads` is 0"]);
        check(|m| m.positions = Positions::Learned { max: 0 }, &["`positions.max` is 0"]);
        check(|m| m.head_dim = 1280, &["far from hidden"]);
        check(|m| m.head_dim = 0, &["`head_dim` is 0", "far from hidden"]);
        check(|m| m.token_types = u32::MAX, &["`token_types`"]);
    }

    #[test]
    fn presets_are_valid() {
        for preset in Model::presets() {
            assert_eq!(preset.model.validate(), [], "{}", preset.model.name);
        }
    }
}
