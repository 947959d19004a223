//! How the model is trained.

use motley_scenario::raw::{RawAttention, RawOptimizer, RawTraining};
use motley_workload::{
    Adapters, Capacity, ExpertDispatch, ExpertLoad, Fusion, HostLaunch, MasterWeights, Precision,
    Projection,
};

use super::assumptions::Assumptions;
use super::holds::holds;
use super::model::reads_images;
use super::plan::Degrees;
use super::precision::precision;
use super::{Concern, Software, Unsupported, recipe};
use crate::runs::Row;

/// Rank of adapters where none is stated: MLPerf's.
const ADAPTER_RANK: u32 = 16;

pub(super) fn training(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> Result<RawTraining, Unsupported> {
    let precision = precision(row, software, assumptions)?;
    let images = reads_images(row);
    Ok(RawTraining {
        global_batch: degrees.gbs,
        sequence_length: if images { None } else { row.model.seq },
        target_length: None,
        precision,
        // Cards before Ampere run such products in fp32.
        fallback: (precision == Precision::Tf32).then_some(Precision::Fp32),
        attention: if images {
            RawAttention::default()
        } else {
            attention(row, software, precision, assumptions)
        },
        flash_version: flash_version(row, software, assumptions),
        optimizer: optimizer(row, software, images, assumptions)?,
        gradient_bytes: gradient_bytes(row, software, precision, assumptions),
        reduce_bytes: (software == Software::Scaling).then_some(4),
        master_weights: MasterWeights::default(),
        expert_dispatch: ExpertDispatch::default(),
        communication_multiprocessors: 0,
        holds: holds(row, software, precision),
        fused_gradient_accumulation: software.fuses_gradient_accumulation(),
        fusion: fusion(row, software),
        host_launch: host_launch(row, software, assumptions),
        expert_load: expert_load(row),
        adapters: adapters(row, assumptions),
    })
}

fn attention(
    row: &Row,
    software: Software,
    precision: Precision,
    assumptions: &mut Assumptions,
) -> RawAttention {
    let rule = software.flashes(row.source.year);
    match row.parallel.flash_attention {
        // Frameworks fall back by themselves.
        Some(true) if precision.element_bytes() == 4 => {
            assumptions.note("no FlashAttention in fp32 or TF32: unfused");
            RawAttention::Unfused
        }
        Some(true) => RawAttention::Flash,
        Some(false) => RawAttention::Unfused,
        None if rule => {
            let stack = software.name();
            assumptions.note(format!("attention not stated: FlashAttention, as {stack} has it"));
            RawAttention::FlashWhereSupported
        }
        None => {
            let stack = software.name();
            assumptions
                .note(format!("attention not stated: unfused, as {stack} has it unless asked"));
            RawAttention::Unfused
        }
    }
}

/// The version of FlashAttention: the source's, else the stack's; on cards that have none it means
/// nothing.
fn flash_version(row: &Row, software: Software, assumptions: &mut Assumptions) -> Option<u8> {
    let words = row.parallel.overlap_text.iter().chain(&row.model.attention);
    let words: String = words.map(|text| text.to_lowercase() + " ").collect();
    let stated = ["1", "2", "3"].iter().zip(1..).find(|(version, _)| {
        ["flash_attentionv", "flash_attention", "flashattention-", "flashattention "]
            .iter()
            .any(|name| words.contains(&format!("{name}{version}")))
    });
    if let Some((_, version)) = stated {
        return Some(version);
    }
    let version = software.flash_version(row.source.year)?;
    if row.parallel.flash_attention != Some(false) {
        assumptions
            .note(format!("FlashAttention {version} at most, as {} had it", software.name()));
    }
    Some(version)
}

/// How the host launches kernels: NVIDIA's entries to MLPerf with models of images run CUDA graphs.
fn host_launch(row: &Row, software: Software, assumptions: &mut Assumptions) -> HostLaunch {
    let graphs = reads_images(row) && row.source.name.contains("MLPerf");
    let launch = if graphs { HostLaunch::Graphs } else { software.host_launch() };
    assumptions.note(format!("kernels launched as by {launch:?}"));
    launch
}

/// What runs as one kernel: as the stack has it, unless the source names a kernel.
fn fusion(row: &Row, software: Software) -> Fusion {
    let words = row.parallel.overlap_text.as_deref().unwrap_or_default().to_lowercase();
    let stack = software.fusion();
    Fusion {
        norm: stack.norm || words.contains("rms kernel"),
        softmax: stack.softmax || words.contains("kernel variant: fused"),
        // llm-foundry's `Wqkv`.
        qkv: stack.qkv || software.is_llm_foundry(row),
        ..stack
    }
}

fn optimizer(
    row: &Row,
    software: Software,
    images: bool,
    assumptions: &mut Assumptions,
) -> Result<RawOptimizer, Unsupported> {
    let stated = row.parallel.optimizer.as_deref().map(str::to_lowercase);
    match stated.as_deref() {
        None if images => {
            assumptions.note("optimizer not stated: SGD with momentum, as for images");
            Ok(RawOptimizer::Sgd)
        }
        None | Some("adam" | "adamw") => Ok(RawOptimizer::Adam {
            fused: true,
            moments: recipe::moments(row, software, assumptions),
        }),
        Some("sgd") => Ok(RawOptimizer::Sgd),
        Some("lamb") => {
            assumptions.note("LAMB taken as Adam: the same states, without the norms of tensors");
            Ok(RawOptimizer::default())
        }
        Some(other) => {
            let reason = format!("optimizer `{other}` is not modelled");
            Err(Unsupported::new(Concern::Training, reason))
        }
    }
}

fn gradient_bytes(
    row: &Row,
    software: Software,
    precision: Precision,
    assumptions: &mut Assumptions,
) -> u32 {
    let words = row.parallel.precision_text.as_deref().unwrap_or_default().to_lowercase();
    if precision.element_bytes() == 4
        || words.contains("fp32 grad")
        || words.contains("fp32 main grad")
    {
        return 4;
    }
    let bytes = match precision {
        Precision::Fp16 => 2,
        _ => software.bf16_gradient_bytes(),
    };
    assumptions.note(format!("gradients of {bytes} bytes, as {} has them", software.name()));
    bytes
}

fn expert_load(row: &Row) -> ExpertLoad {
    let factor = row.model.moe.as_ref().and_then(|moe| moe.capacity_factor);
    ExpertLoad {
        capacity: factor.map_or(Capacity::Dropless, Capacity::Padded),
        ..ExpertLoad::default()
    }
}

/// Adapters of runs that are tagged so, on the attention's matrices.
fn adapters(row: &Row, assumptions: &mut Assumptions) -> Option<Adapters> {
    row.tags.iter().any(|tag| tag.eq_ignore_ascii_case("lora")).then(|| {
        assumptions.note(format!("adapters of rank {ADAPTER_RANK} on the attention's matrices"));
        Adapters {
            rank: ADAPTER_RANK,
            targets: vec![
                Projection::Query,
                Projection::Key,
                Projection::Value,
                Projection::Output,
            ],
        }
    })
}
