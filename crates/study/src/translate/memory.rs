//! What a measured memory figure counts, and in which unit.

use super::Software;
use crate::runs::Row;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a measured memory figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// What PyTorch's tensors occupied at the peak (`torch.cuda.max_memory_allocated`): no CUDA
    /// context, no NCCL buffers, nothing that the allocator keeps unused.
    Allocated,
    /// The same in the optimizer step alone, before which the counter was reset.
    Step,
    /// What the driver says the process holds (`nvidia-smi`).
    Device,
}

impl Figure {
    /// By source: Megatron-LM and those who log with it print PyTorch's peak; nanotron resets the
    /// counter between backward pass and optimizer step before it logs (`log_memory`); tables of
    /// vendors, of FlagPerf and of BigScience's chronicles show what `nvidia-smi` says, as do those
    /// of Sailor (`pipe_engine.py`).
    pub(super) fn of(software: Software, row: &Row) -> Self {
        let name = row.source.name.to_lowercase();
        match software {
            Software::Nanotron => Self::Step,
            Software::Megatron | Software::EarlyMegatron => Self::Allocated,
            _ if name.contains("simumax") => Self::Allocated,
            _ => Self::Device,
        }
    }

    /// How JSON calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allocated => "allocated",
            Self::Step => "step",
            Self::Device => "device",
        }
    }
}

/// The measured figure in bytes. PyTorch and `nvidia-smi` count in powers of 1024, whatever a table
/// calls it; SimuMax prints GiB, and its rows hold the same in powers of 1000.
pub(crate) fn measured_bytes(row: &Row) -> Option<f64> {
    let unit = if row.source.name.to_lowercase().contains("simumax") { 1e9 } else { GIB };
    row.measured.mem_gb.filter(|figure| figure.is_finite() && *figure > 0.0).map(|gb| gb * unit)
}
