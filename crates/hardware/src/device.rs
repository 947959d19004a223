//! Cards.

use motley_units::{Bytes, BytesPerSec, FlopsPerSec, Hertz, Watts};
use serde::{Deserialize, Serialize};

use crate::{Cited, MathPath, Vendor};

/// A card as its vendor prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The catalogue id, `a100-sxm-80`.
    pub id: String,
    /// The vendor's name for it.
    pub name: String,
    /// Who makes it.
    pub vendor: Vendor,
    /// The id of its [`crate::Architecture`].
    pub architecture: String,
    /// CUDA compute capability, major and minor; none for other vendors.
    pub compute_capability: Option<(u8, u8)>,
    /// Streaming multiprocessors, or the vendor's like.
    pub sm_count: Cited<u32>,
    /// Boost clock.
    pub boost_clock: Cited<Hertz>,
    /// Memory capacity as the driver shows it: what NVIDIA prints as 80 GB is about 80 GiB, so
    /// `GiB(80)`; GDDR6 cards lose a sixteenth to ECC, so a T4 of 16 GB has `GiB(15)`.
    pub memory: Cited<Bytes>,
    /// Peak memory bandwidth.
    pub memory_bandwidth: Cited<BytesPerSec>,
    /// Level-2 cache.
    pub l2: Cited<Bytes>,
    /// Board power limit.
    pub tdp: Cited<Watts>,
    /// Dense peaks by arithmetic path.
    pub peaks: Peaks,
    /// NVLink or the vendor's like, if any.
    pub nvlink: Option<NvLink>,
    /// The host interface.
    pub pcie: Pcie,
    /// What an hour of it costs.
    pub price: Option<Price>,
    /// Month of release, `2020-11`.
    pub release: String,
    /// What to know before using the figures: disagreements between sources, export status.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Dense peak rates; a path that the card lacks is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are named after MathPath")]
pub struct Peaks {
    pub fp32: Option<Cited<FlopsPerSec>>,
    pub tf32: Option<Cited<FlopsPerSec>>,
    pub fp16_vector: Option<Cited<FlopsPerSec>>,
    pub fp16_tensor: Option<Cited<FlopsPerSec>>,
    pub bf16_tensor: Option<Cited<FlopsPerSec>>,
    pub fp8_tensor: Option<Cited<FlopsPerSec>>,
    pub mxfp8_tensor: Option<Cited<FlopsPerSec>>,
    pub fp4_tensor: Option<Cited<FlopsPerSec>>,
}

/// The links of a card to its peers in the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NvLink {
    /// The generation, 1 to 5.
    pub generation: u8,
    /// Links of a card.
    pub links: Cited<u32>,
    /// Nominal rate of one link in one direction.
    pub per_link: Cited<BytesPerSec>,
    /// The share of the nominal rate that kernels achieve.
    pub achieved: Cited<f64>,
}

/// The host interface of a card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pcie {
    /// PCI Express generation.
    pub generation: u8,
    /// Lanes.
    pub lanes: u8,
}

/// What a card costs to use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// US dollars for one card and hour.
    pub usd_per_hour: Cited<f64>,
}

impl Peaks {
    /// The peaks that are given, with the name of the field, in the order of the fields.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, MathPath, &Cited<FlopsPerSec>)> {
        [
            ("peaks.fp32", MathPath::Fp32, &self.fp32),
            ("peaks.tf32", MathPath::Tf32, &self.tf32),
            ("peaks.fp16_vector", MathPath::Fp16Vector, &self.fp16_vector),
            ("peaks.fp16_tensor", MathPath::Fp16Tensor, &self.fp16_tensor),
            ("peaks.bf16_tensor", MathPath::Bf16Tensor, &self.bf16_tensor),
            ("peaks.fp8_tensor", MathPath::Fp8Tensor, &self.fp8_tensor),
            ("peaks.mxfp8_tensor", MathPath::Mxfp8Tensor, &self.mxfp8_tensor),
            ("peaks.fp4_tensor", MathPath::Fp4Tensor, &self.fp4_tensor),
        ]
        .into_iter()
        .filter_map(|(field, path, peak)| Some((field, path, peak.as_ref()?)))
    }

    /// The same to be changed.
    pub(crate) fn given_mut(&mut self) -> impl Iterator<Item = &mut Cited<FlopsPerSec>> {
        [
            &mut self.fp32,
            &mut self.tf32,
            &mut self.fp16_vector,
            &mut self.fp16_tensor,
            &mut self.bf16_tensor,
            &mut self.fp8_tensor,
            &mut self.mxfp8_tensor,
            &mut self.fp4_tensor,
        ]
        .into_iter()
        .flatten()
    }
}

impl Device {
    /// The peak rate of an arithmetic path, `None` if the card lacks it. Scales of blocks are
    /// software's: their unit is that of fp8.
    pub fn peak(&self, path: MathPath) -> Option<FlopsPerSec> {
        let path = if path == MathPath::Fp8BlockTensor { MathPath::Fp8Tensor } else { path };
        self.peaks.given().find(|(_, of, _)| *of == path).map(|(_, _, peak)| *peak.get())
    }

    /// Compute capability as one number, 80 for (8, 0); zero for cards that have none.
    pub fn sm_version(&self) -> u32 {
        self.compute_capability.map_or(0, |(major, minor)| u32::from(major) * 10 + u32::from(minor))
    }
}
