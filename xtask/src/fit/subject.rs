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
        /// The unit whose tiles count, where the points are too few to tell tiles apart.
        tiles: Option<MathPath>,
    },
    /// FlashAttention of one version; `backward` says whether backward passes were measured.
    Attention { version: u8, backward: bool },
}

const TENSOR: &[MathPath] = &[MathPath::Fp16Tensor, MathPath::Tf32];

const fn gemm(math: MathPath) -> Subject {
    Subject::Gemm { math, also: &[], streams: None, tiles: None }
}

/// What is fitted of each architecture, in this order.
pub(crate) const SUBJECTS: &[(&str, &[Subject])] = &[
    ("pascal", &[gemm(MathPath::Fp32), gemm(MathPath::Fp16Vector)]),
    ("volta", &[gemm(MathPath::Fp32), gemm(MathPath::Fp16Tensor)]),
    ("turing", &[gemm(MathPath::Fp32), gemm(MathPath::Fp16Tensor)]),
    (
        "ampere",
        &[
            Subject::Gemm { math: MathPath::Bf16Tensor, also: TENSOR, streams: None, tiles: None },
            Subject::Gemm {
                math: MathPath::Fp32,
                also: &[],
                streams: Some(MathPath::Bf16Tensor),
                tiles: None,
            },
            Subject::Attention { version: 2, backward: true },
        ],
    ),
    (
        "hopper",
        &[
            Subject::Gemm { math: MathPath::Bf16Tensor, also: TENSOR, streams: None, tiles: None },
            Subject::Gemm {
                math: MathPath::Fp8Tensor,
                also: &[],
                streams: Some(MathPath::Bf16Tensor),
                tiles: None,
            },
            Subject::Gemm {
                math: MathPath::Fp8BlockTensor,
                also: &[],
                streams: None,
                tiles: Some(MathPath::Bf16Tensor),
            },
            Subject::Attention { version: 3, backward: false },
            Subject::Attention { version: 2, backward: true },
        ],
    ),
    (
        "blackwell",
        &[
            Subject::Gemm { math: MathPath::Bf16Tensor, also: TENSOR, streams: None, tiles: None },
            Subject::Gemm {
                math: MathPath::Fp8Tensor,
                also: &[MathPath::Fp8BlockTensor, MathPath::Mxfp8Tensor],
                streams: Some(MathPath::Bf16Tensor),
                tiles: None,
            },
            Subject::Attention { version: 4, backward: true },
        ],
    ),
];

impl Subject {
    /// Whether the constants are behind a point's time.
    pub(crate) fn concerns(&self, architecture: &Architecture, point: &Point) -> bool {
        match *self {
            Self::Gemm { math, .. } => point.kind == Kind::Gemm && point.math() == math,
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
            Self::Gemm { math, streams, tiles, .. } => {
                let mut all = vec![free(0.2, 1.0), free(1.0, 1000.0)];
                if tiles.is_none() {
                    let known =
                        architecture.gemm.get(&math).map_or(0, |gemm| gemm.tiles.get().len());
                    all.extend((1..known).map(|_| free(0.3, 1.0)));
                }
                if streams.is_none() {
                    all.extend([free(0.3, 0.95), free(1e-6, 20e-6)]);
                }
                all
            }
            Self::Attention { backward, .. } => {
                let terms = [free(10.0, 2000.0), free(1.0, 200.0), free(0.1, 10.0)];
                let shares = if backward { 2 } else { 1 };
                (0..shares).map(|_| free(0.1, 1.0)).chain(terms).collect()
            }
        }
    }

    /// The architecture with these numbers in place, rounded as files have them.
    pub(crate) fn apply(&self, architecture: &mut Architecture, numbers: &[f64], says: &str) {
        let cite = |value: f64| Cited::Derived(value, says.to_owned());
        match *self {
            Self::Gemm { math, also, streams, tiles } => {
                let mut numbers = numbers.iter().copied();
                let mut next = || numbers.next().unwrap_or_default();
                let other = |math: Option<MathPath>| {
                    math.and_then(|math| architecture.gemm.get(&math).cloned().map(|of| (math, of)))
                };
                let (streams, tiles) = (other(streams), other(tiles));
                let Some(gemm) = architecture.gemm.get_mut(&math) else { return };
                gemm.peak_fraction = cite(next());
                gemm.half_k = cite(next());
                gemm.tiles = if let Some((of, other)) = tiles {
                    Cited::Derived(other.tiles.get().clone(), as_other(of))
                } else {
                    let mut all = gemm.tiles.get().clone();
                    all.iter_mut().skip(1).for_each(|tile| tile.rate = next());
                    Cited::Derived(all, says.to_owned())
                };
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
            Self::Attention { version, backward } => {
                let Some(attention) = attention_mut(architecture, version) else { return };
                let mut numbers = numbers.iter().copied();
                let mut next = || cite(numbers.next().unwrap_or_default());
                attention.forward_fraction = next();
                if backward {
                    attention.backward_fraction = next();
                }
                attention.half_sequence = next();
                attention.half_head = next();
                attention.half_blocks = next();
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
