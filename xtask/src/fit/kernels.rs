//! Measured kernels: from a line of the file to what motley would predict.

use anyhow::{Context, Result, bail};
use motley_hardware::{Catalog, Device, MathPath};
use motley_workload::{
    AttentionKernel, CardPath, FlashAttention, Fp8Recipe, GroupedGemm, Operands, Operator, Pass,
    Precision, Quantisation, Work,
};
use serde::Deserialize;

use super::lenient::{Number, Switch};
use super::lines;
use super::split::{Split, split};

/// A line of the file of measured kernels. See `docs/fit.md`.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    id: String,
    kind: String,
    gpu: String,
    #[serde(default)]
    dtype: Option<String>,
    #[serde(default)]
    shape: Option<Shape>,
    #[serde(default)]
    ms: Option<f64>,
    #[serde(default)]
    tflops: Option<f64>,
    source: String,
}

/// The shape of a kernel, in the names of its source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Shape {
    #[serde(alias = "M", alias = "M_per_group")]
    m: Option<Number>,
    #[serde(alias = "N")]
    n: Option<Number>,
    #[serde(alias = "K")]
    k: Option<Number>,
    #[serde(alias = "ng")]
    groups: Option<Number>,
    /// Of the weight gradients of experts: the sums' width in the gradient buffer.
    stage: Option<String>,
    batch: Option<Number>,
    #[serde(alias = "seq_len")]
    seq: Option<Number>,
    #[serde(alias = "head_num")]
    heads: Option<Number>,
    #[serde(alias = "kv_head_num")]
    kv_heads: Option<Number>,
    #[serde(alias = "qk_head_dim")]
    head_dim: Option<Number>,
    v_head_dim: Option<Number>,
    causal: Option<Switch>,
    total_tokens: Option<Number>,
}

/// What kind of kernel a point is of, as constants are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Gemm,
    GroupedGemm,
    AttentionForward,
    AttentionBackward,
    /// One after the other, timed together.
    AttentionBoth,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gemm => "matrix product",
            Self::GroupedGemm => "grouped product",
            Self::AttentionForward => "attention, forward",
            Self::AttentionBackward => "attention, backward",
            Self::AttentionBoth => "attention, both",
        }
    }
}

/// A measured kernel, or a few that were timed together.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) device: &'static Device,
    pub(crate) kind: Kind,
    pub(crate) path: CardPath,
    /// What ran.
    pub(crate) operators: Vec<Operator>,
    /// Elements of the operand that a measurement of quantised products converts first; of keys and
    /// values, for attention.
    pub(crate) input: f64,
    pub(crate) seconds: f64,
    pub(crate) source: String,
    pub(crate) split: Split,
}

impl Point {
    pub(crate) fn flops(&self) -> f64 {
        self.operators.iter().map(|op| op.work.flops().0).sum()
    }

    pub(crate) fn math(&self) -> MathPath {
        self.path.math
    }
}

/// The points of a file, one JSON object a line; lines that no constant depends on are left out.
///
/// # Errors
///
/// A line that is not what it should be, with its number.
pub(crate) fn read(text: &str) -> Result<Vec<Point>> {
    lines::read(text, |row: &Row| row.id.clone(), point)
}

/// Catalogue ids of cards as sources call them; ids themselves are understood, too.
const CARDS: &[(&str, &str)] = &[
    ("A100-PCIe-80GB", "a100-pcie-80"),
    ("A100-SXM4-40GB", "a100-sxm-40"),
    ("A100-SXM4-80GB", "a100-sxm-80"),
    ("B200-SXM", "b200"),
    ("GB200", "gb200"),
    ("H100-SXM5-80GB", "h100-sxm"),
    ("H200-SXM", "h200-sxm"),
    ("H800-SXM5", "h800-sxm"),
    ("L40S", "l40s"),
    ("NVIDIA A100-PCIE-40GB", "a100-pcie-40"),
    ("P100-PCIe-16GB", "p100-pcie-16"),
    ("T4", "t4"),
    ("Tesla P100-PCIE-16GB", "p100-pcie-16"),
    ("Tesla T4", "t4"),
    ("Tesla V100-PCIE-32GB", "v100-pcie-16"),
    ("V100-SXM2 (DGX-1)", "v100-sxm2-16"),
];

fn card(name: &str) -> Option<&'static Device> {
    let id = CARDS.iter().find(|(called, _)| *called == name).map_or(name, |(_, id)| *id);
    Catalog::builtin().device(id)
}

/// The point of a row; none if no card of the catalogue or no kernel of the model was measured.
fn point(row: Row) -> Result<Option<Point>> {
    let kind = match row.kind.split(' ').next().unwrap_or_default() {
        "gemm" => Kind::Gemm,
        "grouped_gemm" => Kind::GroupedGemm,
        "attention_fwd" => Kind::AttentionForward,
        "attention_bwd" => Kind::AttentionBackward,
        "attention_fwd+bwd" => Kind::AttentionBoth,
        _ => return Ok(None),
    };
    let (Some(device), Some(shape)) = (card(&row.gpu), &row.shape) else { return Ok(None) };
    let dtype = row.dtype.as_deref().context("no `dtype`")?;
    let (precision, math) = precision(dtype, kind).context("a `dtype` that is not known")?;
    let path = CardPath {
        precision,
        math,
        quantisation: Quantisation::new(precision, device.peak(MathPath::Mxfp8Tensor).is_some()),
        attention: AttentionKernel::Flash,
        communication_multiprocessors: 0,
        flash_version: row.id.strip_prefix("fa").and_then(|rest| rest[..1].parse().ok()),
    };
    let (works, input, counted) = match kind {
        Kind::Gemm => product(shape)?,
        Kind::GroupedGemm => grouped(shape)?,
        _ => attention(shape, kind)?,
    };
    let operands = if path.quantisation.is_some() { Operands::Quantised } else { Operands::Stored };
    let name = kind.name();
    let operators = works
        .into_iter()
        .map(|work| Operator { name, work, operands, deferral: motley_workload::Deferral::None })
        .collect();
    let seconds = match (row.ms, row.tflops) {
        (Some(ms), _) => ms * 1e-3,
        (None, Some(tflops)) if tflops > 0.0 => counted / (tflops * 1e12),
        _ => bail!("neither `ms` nor `tflops`"),
    };
    if seconds.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
        bail!("a time must be above zero, found {seconds}");
    }
    let what = format!("{kind:?} {math:?} {shape:?}");
    Ok(Some(Point {
        device,
        kind,
        path,
        operators,
        input,
        seconds,
        source: row.source,
        split: split(&what),
    }))
}

/// What a source's name of a precision stands for.
fn precision(dtype: &str, kind: Kind) -> Option<(Precision, MathPath)> {
    let first = dtype.split([' ', '/']).next()?;
    Some(match first {
        "fp32" => (Precision::Fp32, MathPath::Fp32),
        "tf32" => (Precision::Tf32, MathPath::Tf32),
        "fp16" if dtype.contains("fp32 math") => (Precision::Fp16, MathPath::Fp16Vector),
        "fp16" if dtype.contains("bf16") => (Precision::Bf16, MathPath::Bf16Tensor),
        "fp16" => (Precision::Fp16, MathPath::Fp16Tensor),
        "bf16" => (Precision::Bf16, MathPath::Bf16Tensor),
        // DeepGEMM's grouped products have the scales of its others.
        "fp8" if dtype.contains("128x128") || kind == Kind::GroupedGemm => {
            (Precision::Fp8(Fp8Recipe::Block), MathPath::Fp8BlockTensor)
        }
        "fp8" => (Precision::Fp8(Fp8Recipe::Delayed), MathPath::Fp8Tensor),
        _ => return None,
    })
}

fn given(field: Option<Number>, name: &str) -> Result<u64> {
    let value = field.with_context(|| format!("no `shape.{name}`"))?.0;
    if value < 1.0 || value.fract() != 0.0 || value > 1e9 {
        bail!("`shape.{name}` must be a whole number, found {value}");
    }
    Ok(value as u64)
}

/// What runs, the elements of its input, and the FLOPs that rates are counted by.
type Measured = (Vec<Work>, f64, f64);

fn product(shape: &Shape) -> Result<Measured> {
    let (m, n, k) = (given(shape.m, "m")?, given(shape.n, "n")?, given(shape.k, "k")?);
    let work = Work::Gemm { m, n, k, batch: 1 };
    Ok((vec![work], m as f64 * k as f64, work.flops().0))
}

fn grouped(shape: &Shape) -> Result<Measured> {
    let (m, n, k) = (given(shape.m, "m")?, given(shape.n, "n")?, given(shape.k, "k")?);
    let (m, n, k) = (m as f64, n as f64, k as f64);
    let groups = given(shape.groups, "groups")?;
    // SimuMax names rows, outputs and inputs of an expert's product in all three passes.
    let product = match shape.stage.as_deref() {
        Some("bwd_grad_act") => GroupedGemm { m, n: k, k: n, groups, sum_bytes: None },
        Some("bwd_grad_w") => GroupedGemm { m: n, n: k, k: m, groups, sum_bytes: Some(4) },
        _ => GroupedGemm { m, n, k, groups, sum_bytes: None },
    };
    let work = Work::GroupedGemm(product);
    Ok((vec![work], m * k * groups as f64, work.flops().0))
}

fn attention(shape: &Shape, kind: Kind) -> Result<Measured> {
    let sequence = given(shape.seq, "seq")?;
    let key_dim = given(shape.head_dim, "head_dim")?;
    let value_dim = shape.v_head_dim.map_or(Ok(key_dim), |dim| given(Some(dim), "v_head_dim"))?;
    // Figures of FlashAttention: so many tokens in all, a hidden width of 2048.
    let (batch, heads) = match shape.total_tokens {
        Some(tokens) => (given(Some(tokens), "total_tokens")? / sequence, 2048 / key_dim),
        None => (given(shape.batch, "batch")?, given(shape.heads, "heads")?),
    };
    let kv_heads = shape.kv_heads.map_or(Ok(heads), |heads| given(Some(heads), "kv_heads"))?;
    // SimuMax's kernels are causal and counted over the full square.
    let visible = if shape.causal.is_none_or(|causal| causal.0) { 0.5 } else { 1.0 };
    let kernel = |pass| {
        Work::FlashAttention(FlashAttention {
            batch,
            heads,
            kv_heads,
            queries: sequence,
            keys: sequence,
            key_dim,
            value_dim,
            visible,
            pass,
        })
    };
    let works = match kind {
        Kind::AttentionForward => vec![kernel(Pass::Forward)],
        Kind::AttentionBackward => vec![kernel(Pass::Backward)],
        _ => vec![kernel(Pass::Forward), kernel(Pass::Backward)],
    };
    let done: f64 = works.iter().map(|work| work.flops().0).sum();
    let counted = match (shape.causal, kind) {
        (Some(_), _) => done,
        // Its backward passes are counted as 2.5 forward passes.
        (None, Kind::AttentionBackward) => 5.0 * kernel(Pass::Forward).flops().0,
        (None, _) => 2.0 * done,
    };
    let keys = (batch * kv_heads * sequence * (key_dim + value_dim)) as f64;
    Ok((works, keys, counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(Kind, MathPath, f64, f64), &str>) {
        match (read(line), expected) {
            (Ok(points), Ok((kind, math, flops, seconds))) => {
                let [point] = points.as_slice() else { panic!("{line}: {points:?}") };
                assert_eq!((point.kind, point.math()), (kind, math), "{line}");
                assert!((point.flops() / flops - 1.0).abs() < 1e-12, "{line}: {}", point.flops());
                assert!((point.seconds / seconds - 1.0).abs() < 1e-12, "{line}: {}", point.seconds);
            }
            (Err(error), Err(expected)) => {
                let error = format!("{error:#}");
                assert!(error.contains(expected), "{line}: {error}");
            }
            (found, expected) => panic!("{line}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn rows_of_all_sources_are_understood() {
        let product = r#"{"id": "a", "kind": "gemm", "gpu": "t4", "source": "s", "dtype": "fp32","#;
        check(
            &format!(r#"{product} "shape": {{"M": 2, "N": 3, "K": 4}}, "ms": 5.0}}"#),
            Ok((Kind::Gemm, MathPath::Fp32, 48.0, 5e-3)),
        );
        check(
            &format!(r#"{product} "shape": {{"m": "2", "n": "3", "k": "4"}}, "tflops": 48e-12}}"#),
            Ok((Kind::Gemm, MathPath::Fp32, 48.0, 1.0)),
        );
        // Half of the square is done, but the rate counts all of it; backward 2.5 times as much.
        check(
            r#"{"id": "a", "kind": "attention_bwd", "gpu": "a100-sxm-80", "source": "s", "dtype": "bf16", "shape":
                {"batch": "1", "seq_len": "10", "head_num": "1", "qk_head_dim": "3", "v_head_dim": "3"}, "tflops": 3e-9}"#
                .replace('\n', " ")
                .as_str(),
            Ok((Kind::AttentionBackward, MathPath::Bf16Tensor, 1500.0, 1.0)),
        );
        check("{\"id\": 1}", Err("line 1: invalid type"));
        check(&format!(r#"{product} "shape": {{"m": 2}}, "ms": 1}}"#), Err("`a`: no `shape.n`"));
        let shape = r#""shape": {"m": 2, "n": 2, "k": 2}"#;
        check(&format!("{product} {shape}}}"), Err("neither `ms` nor `tflops`"));
        check(&format!(r#"{product} {shape}, "ms": -1}}"#), Err("must be above zero"));
        assert!(
            read(r#"{"id": "a", "kind": "gemm", "gpu": "abacus", "source": "s"}"#)
                .unwrap()
                .is_empty()
        );
        assert!(read("\n\n").unwrap().is_empty());
    }
}
