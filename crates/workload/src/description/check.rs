//! What every description must satisfy before anything is computed from it.

use super::{FieldPath, ModelError};

/// Beyond what any model has, and beyond what the arithmetic is checked for.
pub(super) mod limits {
    pub(crate) const LAYERS: u32 = 10_000;
    pub(crate) const WIDTH: u32 = 1_000_000;
    pub(crate) const FFN: u32 = 10_000_000;
    pub(crate) const HEADS: u32 = 100_000;
    pub(crate) const ROWS: u32 = 100_000_000;
    pub(crate) const EXPERTS: u32 = 100_000;
    pub(crate) const PREDICTED: u32 = 100;
}

/// Collects what is wrong.
pub(super) struct Checker<'a> {
    model: &'a str,
    pub(super) errors: Vec<ModelError>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(model: &'a str) -> Self {
        Self { model, errors: Vec::new() }
    }

    /// Notes a mistake, the message being about the model.
    pub(super) fn error(&mut self, path: &FieldPath, message: &str) {
        self.errors
            .push(ModelError::new(path.clone(), format!("model `{}`: {message}", self.model)));
    }

    /// A size that must be positive.
    pub(super) fn size(&mut self, path: &FieldPath, value: u32, limit: u32) {
        if value == 0 {
            self.error(path, &format!("`{path}` is 0; give it a positive value"));
        } else {
            self.size_or_none(path, value, limit);
        }
    }

    /// A size that may be zero.
    pub(super) fn size_or_none(&mut self, path: &FieldPath, value: u32, limit: u32) {
        if value > limit {
            self.error(path, &format!("`{path}` is {value}, above the limit of {limit}"));
        }
    }

    /// Query heads share key and value heads evenly.
    pub(super) fn groups(&mut self, path: &FieldPath, heads: u32, kv_heads: u32) {
        if kv_heads > 0 && !heads.is_multiple_of(kv_heads) {
            self.error(
                path,
                &format!(
                    "{heads} heads cannot share {kv_heads} kv_heads evenly; kv_heads must divide \
                     heads"
                ),
            );
        }
    }

    /// Heads that are together wider or narrower than the residual stream by more than a `factor`
    /// are surely a slip.
    pub(super) fn head_width(
        &mut self,
        path: &FieldPath,
        heads: u32,
        head_dim: u32,
        hidden: u32,
        factor: u64,
    ) {
        let (width, stream) = (u64::from(heads) * u64::from(head_dim), u64::from(hidden));
        if stream > 0 && (width > factor * stream || factor * width < stream) {
            self.error(
                path,
                &format!(
                    "{heads} heads of {head_dim} make {width}, far from hidden {hidden}; most \
                     models have heads * head_dim = hidden"
                ),
            );
        }
    }
}
