//! What a card makes of the training asked for: precision rules.
//!
//! | precision | runs on | needs | lacking it |
//! |---|---|---|---|
//! | fp32 | CUDA cores | any card | - |
//! | tf32 | tensor cores | Ampere and later | refused, or the fallback |
//! | fp16 | tensor cores | Volta and later | CUDA cores: fp32's rate on half the bytes (P100) |
//! | bf16 | tensor cores | Ampere and later | refused, or the fallback |
//! | fp8 | tensor cores | Hopper and later | refused, or the fallback |
//! | mxfp8, nvfp4 | tensor cores | Blackwell | refused, or the fallback |
//!
//! | attention | needs | lacking it |
//! |---|---|---|
//! | unfused | nothing | - |
//! | flash | FlashAttention 2, so Ampere and later, and a 16-bit precision | refused, or unfused if the fallback is on |
//!
//! What a card has is read from its catalogue entry, not from its age: a tensor-core peak in
//! [`Device::peaks`](motley_hardware::Device), kernel constants and FlashAttention in its
//! [`Architecture`]. Nothing is ever run in another precision than asked for, or than the
//! fallback that was named.

use motley_hardware::{Architecture, Device, MathPath};
use motley_units::FlopsPerSec;
use thiserror::Error;

use crate::{AttentionKernel, Fp8Recipe, Precision, Quantisation, Training};

/// What a card really runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CardPath {
    /// The precision: the one asked for, or the fallback.
    pub precision: Precision,
    /// The arithmetic unit; where linear layers are quantised, theirs.
    pub math: MathPath,
    /// How the operands of linear layers are quantised, if so.
    pub quantisation: Option<Quantisation>,
    /// The attention kernel.
    pub attention: AttentionKernel,
    /// The newest version of FlashAttention that the software has; the card's own unless given.
    pub flash_version: Option<u8>,
    /// See [`Training::communication_multiprocessors`].
    pub communication_multiprocessors: u32,
}

impl CardPath {
    /// The unit of products whose operands are as they are stored.
    pub fn stored_math(&self) -> MathPath {
        if self.quantisation.is_some() { MathPath::Bf16Tensor } else { self.math }
    }

    /// Bytes of an element that ranks gather as the operand of a linear layer: its input in the
    /// forward pass, the gradient of its output in the backward pass. It travels quantised where it
    /// is multiplied so; sums are exchanged in [`Precision::element_bytes`].
    pub fn gathered_bytes(&self) -> f64 {
        let stored = f64::from(self.precision.element_bytes());
        self.quantisation.map_or(stored, Quantisation::operand_bytes)
    }

    /// Bytes of a parameter that ranks gather which share out parameters or their updates: as it is
    /// stored. Quantised copies are made where they are multiplied.
    pub fn parameter_bytes(&self) -> f64 {
        f64::from(self.precision.element_bytes())
    }
}

/// Something that a card cannot do, why, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{device}: {obstacle}; {remedy}")]
pub struct Unsupported {
    /// The card's catalogue id.
    pub device: String,
    /// What is in the way.
    pub obstacle: Obstacle,
    /// What to change.
    pub remedy: String,
}

/// What keeps a card from running what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// No unit for the precision.
    #[error("the card has no {0:?} arithmetic")]
    Precision(Precision),
    /// A unit, but nothing is known of how fast its kernels are.
    #[error("the catalogue has no kernel constants for {0:?} on this architecture")]
    Constants(Precision),
    /// No FlashAttention 2 for the architecture.
    #[error("there is no FlashAttention 2 for this architecture")]
    Flash,
    /// Communication has all multiprocessors.
    #[error("it has {has} multiprocessors, and {asked} are kept for communication")]
    Multiprocessors {
        /// Of the card.
        has: u32,
        /// By the training.
        asked: u32,
    },
    /// FlashAttention has no fp32 kernels.
    #[error("FlashAttention runs in fp16 and bf16 only, not in {0:?}")]
    FlashPrecision(Precision),
}

/// What `device` runs when asked for `training`.
///
/// # Errors
///
/// [`Unsupported`] if the card can run neither the precision nor its fallback, lacks FlashAttention
/// where unfused attention was not allowed, or has no multiprocessors beside those of communication.
pub fn card_path(
    device: &Device,
    architecture: &Architecture,
    training: &Training,
) -> Result<CardPath, Unsupported> {
    let refuse = |obstacle, remedy| Unsupported { device: device.id.clone(), obstacle, remedy };
    let (has, asked) = (*device.sm_count.get(), training.communication_multiprocessors);
    if asked > 0 && asked >= has {
        let remedy = "set communication_multiprocessors lower".to_owned();
        return Err(refuse(Obstacle::Multiprocessors { has, asked }, remedy));
    }
    let (precision, math) = match math_path(device, architecture, training.precision) {
        Ok(math) => (training.precision, math),
        Err(obstacle) => {
            let fallback = training
                .fallback
                .filter(|fallback| *fallback != training.precision)
                .ok_or_else(|| refuse(obstacle, precision_remedy(device, architecture)))?;
            let math = math_path(device, architecture, fallback)
                .map_err(|obstacle| refuse(obstacle, precision_remedy(device, architecture)))?;
            (fallback, math)
        }
    };
    let attention = match (training.attention, flash_obstacle(architecture, precision)) {
        (AttentionKernel::Flash, Some(obstacle)) if !training.attention_fallback => {
            let remedy = "set attention to Unfused, or to FlashWhereSupported".to_owned();
            return Err(refuse(obstacle, remedy));
        }
        (AttentionKernel::Flash, None) => AttentionKernel::Flash,
        (AttentionKernel::Unfused, _) | (AttentionKernel::Flash, Some(_)) => {
            AttentionKernel::Unfused
        }
    };
    // Tensor cores of Blackwell, the first with scales of their own, take either order.
    let either_order = device.peak(MathPath::Mxfp8Tensor).is_some();
    let quantisation = Quantisation::new(precision, either_order);
    Ok(CardPath {
        precision,
        math,
        quantisation,
        attention,
        flash_version: training.flash_version,
        communication_multiprocessors: asked,
    })
}

/// The unit that `precision` runs on.
fn math_path(
    device: &Device,
    architecture: &Architecture,
    precision: Precision,
) -> Result<MathPath, Obstacle> {
    let has = |math: MathPath| device.peak(math).is_some();
    let math = match precision {
        Precision::Fp32 if has(MathPath::Fp32) => MathPath::Fp32,
        Precision::Tf32 if has(MathPath::Tf32) => MathPath::Tf32,
        Precision::Fp16 if has(MathPath::Fp16Tensor) => MathPath::Fp16Tensor,
        Precision::Fp16 if has(MathPath::Fp16Vector) => MathPath::Fp16Vector,
        Precision::Bf16 if has(MathPath::Bf16Tensor) => MathPath::Bf16Tensor,
        Precision::Fp8(Fp8Recipe::Block) if has(MathPath::Fp8BlockTensor) => {
            MathPath::Fp8BlockTensor
        }
        Precision::Fp8(_) if has(MathPath::Fp8Tensor) => MathPath::Fp8Tensor,
        Precision::Mxfp8 if has(MathPath::Mxfp8Tensor) => MathPath::Mxfp8Tensor,
        Precision::Nvfp4 if has(MathPath::Fp4Tensor) => MathPath::Fp4Tensor,
        _ => return Err(Obstacle::Precision(precision)),
    };
    // What is not quantised runs in bf16.
    let beside = Quantisation::new(precision, false).map(|_| MathPath::Bf16Tensor);
    if beside.is_some_and(|beside| !has(beside)) {
        return Err(Obstacle::Precision(Precision::Bf16));
    }
    let known = |math: &MathPath| architecture.gemm.contains_key(math);
    if known(&math) && beside.as_ref().is_none_or(known) {
        Ok(math)
    } else {
        Err(Obstacle::Constants(precision))
    }
}

/// Why FlashAttention cannot run, if so.
fn flash_obstacle(architecture: &Architecture, precision: Precision) -> Option<Obstacle> {
    if architecture.flash_attention.is_none() {
        Some(Obstacle::Flash)
    } else if precision.mixed() {
        None
    } else {
        Some(Obstacle::FlashPrecision(precision))
    }
}

fn precision_remedy(device: &Device, architecture: &Architecture) -> String {
    let fp8 = [Fp8Recipe::Delayed, Fp8Recipe::Current, Fp8Recipe::Block].map(Precision::Fp8);
    let runs = [Precision::Fp16, Precision::Bf16, Precision::Tf32, Precision::Fp32]
        .into_iter()
        .chain(fp8)
        .chain([Precision::Mxfp8, Precision::Nvfp4])
        .filter(|precision| math_path(device, architecture, *precision).is_ok())
        .map(|precision| format!("{precision:?}"))
        .collect::<Vec<_>>();
    if runs.is_empty() {
        "no precision that is modelled runs on it: use another card".to_owned()
    } else {
        format!("ask for, or name as fallback, one of: {}", runs.join(", "))
    }
}

/// The peak of the arithmetic that a card trains in, as its vendor prints it; none if it cannot train so.
pub fn card_peak(
    device: &Device,
    architecture: &Architecture,
    training: &Training,
) -> Option<FlopsPerSec> {
    device.peak(card_path(device, architecture, training).ok()?.math)
}
