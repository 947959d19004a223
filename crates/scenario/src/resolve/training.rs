//! How the model is trained: counts in range, defaults filled in.

use motley_workload::Training;

use super::{Resolver, limits};
use crate::code;
use crate::raw::RawTraining;
use crate::syntax::Path;

impl Resolver<'_> {
    /// The training, unless a number is out of range.
    pub(super) fn training(&mut self, raw: &RawTraining) -> Option<Training> {
        let path = Path::ROOT.field("training");
        let before = self.diagnostics.len();
        self.count(&path.field("global_batch"), raw.global_batch, limits::SEQUENCES);
        self.count(&path.field("sequence_length"), raw.sequence_length, limits::TOKENS);
        if !matches!(raw.gradient_bytes, 2 | 4) {
            let path = path.field("gradient_bytes");
            let message = format!("`{path}` is {}, expected 2 or 4", raw.gradient_bytes);
            self.error(code::OUT_OF_RANGE, &path, message, "2 is 16 bits, 4 is fp32");
        }
        let (attention, attention_fallback) = raw.attention.kernel();
        (self.diagnostics.len() == before).then(|| Training {
            sequence_length: raw.sequence_length,
            precision: raw.precision,
            fallback: raw.fallback,
            attention,
            attention_fallback,
            optimizer: raw.optimizer.into(),
            gradient_bytes: raw.gradient_bytes,
            fused_gradient_accumulation: raw.fused_gradient_accumulation,
        })
    }
}
