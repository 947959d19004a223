//! How the model is trained: counts in range, defaults filled in.

use motley_workload::{Capacity, ExpertLoad, Training};

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
        for (field, length) in
            [("sequence_length", raw.sequence_length), ("target_length", raw.target_length)]
        {
            if let Some(length) = length {
                self.count(&path.field(field), length, limits::TOKENS);
            }
        }
        self.expert_load(&path.field("expert_load"), raw.expert_load);
        if let Some(adapters) = &raw.adapters {
            self.count(&path.field("adapters").field("rank"), adapters.rank, limits::RANK);
        }
        if raw.holds.gather_buffers > limits::GATHER_BUFFERS {
            let path = path.field("holds").field("gather_buffers");
            let limit = limits::GATHER_BUFFERS;
            let count = raw.holds.gather_buffers;
            let message = format!("`{path}` is {count}, expected up to {limit}");
            self.error(code::OUT_OF_RANGE, &path, message, "Megatron-LM has 1");
        }
        let bytes =
            [("gradient_bytes", Some(raw.gradient_bytes)), ("reduce_bytes", raw.reduce_bytes)];
        for (field, bytes) in bytes {
            if let Some(bytes) = bytes.filter(|bytes| !matches!(bytes, 2 | 4)) {
                let path = path.field(field);
                let message = format!("`{path}` is {bytes}, expected 2 or 4");
                self.error(code::OUT_OF_RANGE, &path, message, "2 is 16 bits, 4 is fp32");
            }
        }
        if let Some(version) = raw.flash_version.filter(|version| !(1..=4).contains(version)) {
            let path = path.field("flash_version");
            let message = format!("`{path}` is {version}, expected 1 to 4");
            self.error(code::OUT_OF_RANGE, &path, message, "4 are kernels for Blackwell");
        }
        let (attention, attention_fallback) = raw.attention.kernel();
        (self.diagnostics.len() == before).then(|| Training {
            sequence_length: raw.sequence_length,
            target_length: raw.target_length,
            precision: raw.precision,
            fallback: raw.fallback,
            attention,
            attention_fallback,
            flash_version: raw.flash_version,
            optimizer: raw.optimizer.into(),
            gradient_bytes: raw.gradient_bytes,
            reduce_bytes: raw.reduce_bytes,
            master_weights: raw.master_weights,
            fused_gradient_accumulation: raw.fused_gradient_accumulation,
            fusion: raw.fusion,
            host_launch: raw.host_launch,
            expert_load: raw.expert_load,
            expert_dispatch: raw.expert_dispatch,
            communication_multiprocessors: raw.communication_multiprocessors,
            holds: raw.holds,
            adapters: raw.adapters.clone(),
        })
    }

    fn expert_load(&mut self, path: &Path, load: ExpertLoad) {
        let limit = limits::IMBALANCE;
        if !(1.0..=limit).contains(&load.imbalance) {
            let path = path.field("imbalance");
            let message = format!("`{path}` is {}, expected 1 to {limit}", load.imbalance);
            self.error(code::OUT_OF_RANGE, &path, message, "1 is balanced");
        }
        if let Capacity::Padded(factor) = load.capacity
            && !(factor > 0.0 && factor <= limit)
        {
            let path = path.field("capacity");
            let message = format!("`{path}` is {factor} times the mean, expected up to {limit}");
            self.error(code::OUT_OF_RANGE, &path, message, "1.25 leaves room for a quarter more");
        }
    }
}
