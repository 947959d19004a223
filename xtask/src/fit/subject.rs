//! What is fitted: sets of constants of an architecture, and the numbers in them that may move.

use motley_hardware::{Architecture, AttentionEfficiency, Cited, GemmEfficiency, MathPath};
use motley_units::Seconds;

use super::kernels::{Kind, Point};
use super::search::Free;

/// Shorter products are bound by their launch, which training does not wait for.
const LEAST_FLOPS: f64 = (1_u64 << 28) as f64;

/// A set of constants that are fitted together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Subject {
    /// Matrix products on one unit.
    Gemm {
        math: MathPath,
        /// Units that get the same constants, as these are of the same tensor cores.
        also: &'static [MathPath],
        /// The unit whose launch and share of memory bandwidth count, where the points say nothing of
        /// them.
        streams: Option<MathPath>,
    },
    /// FlashAttention of one version, by those of its constants that the points tell.
    Attention { version: u8, terms: &'static [Term] },
}

/// A constant of FlashAttention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Term {
    Forward,
    Sequence,
    Head,
    Blocks,
}

impl Term {
    fn free(self) -> Free {
        let (least, most) = match self {
            Self::Forward => (0.1, 1.0),
            Self::Sequence => (10.0, 2000.0),
            Self::Head => (1.0, 200.0),
            Self::Blocks => (0.1, 10.0),
        };
        Free { least, most }
    }

    fn of(self, attention: &mut AttentionEfficiency) -> &mut Cited<f64> {
        match self {
            Self::Forward => &mut attention.forward_fraction,
            Self::Sequence => &mut attention.half_sequence,
            Self::Head => &mut attention.half_head,
            Self::Blocks => &mut attention.half_blocks,
        }
    }
}

use Term::{Blocks, Forward, Head, Sequence};

const TENSOR: &[MathPath] = &[MathPath::Fp16Tensor, MathPath::Tf32];

const fn gemm(math: MathPath) -> Subject {
    Subject::Gemm { math, also: &[], streams: None }
}

/// What is fitted of each architecture, in this order. Sets of which there are a few dozen points stay as
/// they were found by hand and are evaluated: FlashAttention 2 and 4, products with scales of blocks.
pub(crate) const SUBJECTS: &[(&str, &[Subject])] = &[
    ("pascal", &[gemm(MathPath::Fp32), gemm(MathPath::Fp16Vector)]),
    ("volta", &[gemm(MathPath::Fp32), gemm(MathPath::Fp16Tensor)]),
    ("turing", &[gemm(MathPath::Fp32), gemm(MathPath::Fp16Tensor)]),
    (
        "ada",
        &[
            Subject::Gemm { math: MathPath::Bf16Tensor, also: TENSOR, streams: None },
            Subject::Gemm {
                math: MathPath::Fp8Tensor,
                also: &[],
                streams: Some(MathPath::Bf16Tensor),
            },
        ],
    ),
    (
        "ampere",
        &[
            Subject::Gemm { math: MathPath::Bf16Tensor, also: TENSOR, streams: None },
            Subject::Gemm { math: MathPath::Fp32, also: &[], streams: Some(MathPath::Bf16Tensor) },
        ],
    ),
    (
        "hopper",
        &[
            Subject::Gemm { math: MathPath::Bf16Tensor, also: TENSOR, streams: None },
            Subject::Gemm {
                math: MathPath::Fp8Tensor,
                also: &[],
                streams: Some(MathPath::Bf16Tensor),
            },
            // Of backward passes there are no figures.
            Subject::Attention { version: 3, terms: &[Forward, Sequence, Head, Blocks] },
        ],
    ),
    (
        "blackwell",
        &[
            Subject::Gemm { math: MathPath::Bf16Tensor, also: TENSOR, streams: None },
            Subject::Gemm {
                math: MathPath::Fp8Tensor,
                also: &[MathPath::Fp8BlockTensor, MathPath::Mxfp8Tensor],
                streams: Some(MathPath::Bf16Tensor),
            },
        ],
    ),
];

/// Products whose constants an earlier search found. This one comes out no better on points that are
/// kept to test, so files keep them unless all are asked for.
const KEPT: &[(&str, MathPath)] = &[
    ("pascal", MathPath::Fp32),
    ("pascal", MathPath::Fp16Vector),
    ("volta", MathPath::Fp32),
    ("volta", MathPath::Fp16Tensor),
    ("ampere", MathPath::Bf16Tensor),
    ("hopper", MathPath::Bf16Tensor),
    ("hopper", MathPath::Fp8Tensor),
    ("blackwell", MathPath::Bf16Tensor),
    ("blackwell", MathPath::Fp8Tensor),
];

impl Subject {
    /// Whether files keep the constants that they have.
    pub(crate) fn is_kept(&self, architecture: &str) -> bool {
        matches!(self, Self::Gemm { math, .. } if KEPT.contains(&(architecture, *math)))
    }

    /// Whether the constants are behind a point's time.
    pub(crate) fn concerns(&self, architecture: &Architecture, point: &Point) -> bool {
        match *self {
            Self::Gemm { math, .. } => {
                matches!(point.kind, Kind::Gemm | Kind::GroupedGemm) && point.math() == math
            }
            Self::Attention { version, .. } => {
                let run = architecture.flash_attention(point.path.flash_version);
                !matches!(point.kind, Kind::Gemm | Kind::GroupedGemm)
                    && run.is_some_and(|attention| attention.version == version)
            }
        }
    }

    /// The numbers that move, and where they begin.
    pub(crate) fn free(&self, architecture: &Architecture) -> Vec<Free> {
        let free = |least, most| Free { least, most };
        match *self {
            Self::Gemm { math, streams, .. } => {
                let mut all = vec![free(0.2, 1.0), free(1.0, 1000.0)];
                let known = architecture.gemm.get(&math).map_or(0, |gemm| gemm.tiles.get().len());
                all.extend((1..known).map(|_| free(0.6, 1.0)));
                if streams.is_none() {
                    all.extend([free(0.3, 0.95), free(1e-6, 20e-6)]);
                }
                all
            }
            Self::Attention { terms, .. } => terms.iter().map(|term| term.free()).collect(),
        }
    }

    /// The architecture with these numbers in place, rounded as files have them.
    pub(crate) fn apply(&self, architecture: &mut Architecture, numbers: &[f64], says: &str) {
        let cite = |value: f64| Cited::Derived(value, says.to_owned());
        match *self {
            Self::Gemm { math, also, streams } => {
                let mut numbers = numbers.iter().copied();
                let mut next = || numbers.next().unwrap_or_default();
                let streams =
                    streams.and_then(|of| Some((of, architecture.gemm.get(&of).cloned()?)));
                let Some(gemm) = architecture.gemm.get_mut(&math) else { return };
                gemm.peak_fraction = cite(next());
                gemm.half_k = cite(next());
                let mut tiles = gemm.tiles.get().clone();
                tiles.iter_mut().skip(1).for_each(|tile| tile.rate = next());
                gemm.tiles = Cited::Derived(tiles, says.to_owned());
                if let Some((of, other)) = streams {
                    gemm.memory_fraction =
                        Cited::Derived(*other.memory_fraction.get(), as_other(of));
                    gemm.launch = Cited::Derived(*other.launch.get(), as_other(of));
                } else {
                    gemm.memory_fraction = cite(next());
                    gemm.launch = Cited::Derived(Seconds(next()), says.to_owned());
                }
                let gemm = gemm.clone();
                for like in also {
                    if let Some(place) = architecture.gemm.get_mut(like) {
                        *place = with_source(&gemm, &as_other(math));
                    }
                }
            }
            Self::Attention { version, terms } => {
                let Some(attention) = attention_mut(architecture, version) else { return };
                for (term, number) in terms.iter().zip(numbers) {
                    *term.of(attention) = cite(*number);
                }
            }
        }
    }

    /// Whether such a point is long enough.
    pub(crate) fn long_enough(point: &Point) -> bool {
        point.flops() >= LEAST_FLOPS
    }
}
fn as_other(math: MathPath) -> String {
    format!("as {math:?}")
}

fn with_source(gemm: &GemmEfficiency, says: &str) -> GemmEfficiency {
    let derived = |value: &f64| Cited::Derived(*value, says.to_owned());
    GemmEfficiency {
        peak_fraction: derived(gemm.peak_fraction.get()),
        half_k: derived(gemm.half_k.get()),
        tiles: Cited::Derived(gemm.tiles.get().clone(), says.to_owned()),
        memory_fraction: derived(gemm.memory_fraction.get()),
        launch: Cited::Derived(*gemm.launch.get(), says.to_owned()),
    }
}

fn attention_mut(architecture: &mut Architecture, version: u8) -> Option<&mut AttentionEfficiency> {
    let newest = architecture.flash_attention.iter_mut();
    newest
        .chain(&mut architecture.earlier_flash_attention)
        .find(|attention| attention.version == version)
}
