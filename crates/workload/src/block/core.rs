//! The core of attention, scores, softmax and values, and the projection of its output.

use motley_units::Bytes;

use super::context::Context;
use super::linear::{Linear, Names, gemm};
use super::piece::Piece;
use super::repeat::Repeat;
use super::rows::{Rows, elementwise};
use super::unfused;
use crate::activation::Kept;
use crate::model::{Attention, AttentionMask, Positions};
use crate::{AttentionKernel, FlashAttention, Operator, Pass, RecomputeModule, Work};

const PROJECTION: Names = Names {
    forward: "projection",
    input: "projection input gradient",
    weight: "projection weight gradient",
};

/// The core of an attention on one rank, with the projection behind it.
pub(super) struct Core<'a> {
    rows: &'a Rows<'a>,
    attention: &'a Attention,
    /// How tokens meet those on other ranks.
    context: Context,
    /// Query heads on this rank.
    heads: u64,
    /// Tokens of a sequence that ask.
    queries: u64,
    /// Tokens of a sequence that are asked.
    keys: u64,
    /// Of those of all sequences, the ones whose keys and values are computed on this rank.
    own_keys: u64,
    /// The encoder's tokens are asked.
    across: bool,
    projection: Linear<'a>,
}

impl<'a> Core<'a> {
    pub(super) fn within(rows: &'a Rows<'a>, attention: &'a Attention) -> Self {
        let context = Context::of(rows);
        let heads = context.heads(rows.share(u64::from(attention.heads)));
        let (queries, keys) = (context.queries(rows), rows.sequence);
        let projection = Linear::new(rows, PROJECTION, &[attention.output(rows.hidden)]);
        // FlashAttention keeps its output.
        let projection = match attention.kernel(rows.path) {
            AttentionKernel::Flash => projection.sharing_input(),
            AttentionKernel::Unfused => projection,
        };
        let own_keys = rows.tokens;
        Self { rows, attention, context, heads, queries, keys, own_keys, across: false, projection }
    }

    pub(super) fn across(rows: &'a Rows<'a>, source: &Rows, attention: &'a Attention) -> Self {
        let (keys, own_keys) = (source.sequence, source.tokens);
        Self { keys, own_keys, across: true, ..Self::within(rows, attention) }
    }

    /// Adds core and projection to a piece, at the place where their passes stand.
    pub(super) fn forward_into(&self, piece: &mut Piece) {
        self.context.before(self, piece, Pass::Forward);
        match self.kernel() {
            AttentionKernel::Flash => self.flash_into(piece, Pass::Forward),
            AttentionKernel::Unfused => {
                let core = self.unfused_forward();
                let repeat =
                    Repeat::new(RecomputeModule::CoreAttn, self.kept_scores(), core.clone());
                piece.repeats.push(repeat);
                piece.forward.extend(core);
            }
        }
        self.context.after(self, piece, Pass::Forward);
        piece.forward.extend(self.projection.forward());
        piece.kept = piece.kept.and(self.kept());
    }

    pub(super) fn backward_into(&self, piece: &mut Piece) {
        piece.backward.extend(self.projection.backward());
        self.context.before(self, piece, Pass::Backward);
        match self.kernel() {
            AttentionKernel::Flash => self.flash_into(piece, Pass::Backward),
            AttentionKernel::Unfused => piece.backward.extend(self.unfused_backward()),
        }
        self.context.after(self, piece, Pass::Backward);
    }

    /// FlashAttention, in a ring step by step beside what travels.
    fn flash_into(&self, piece: &mut Piece, pass: Pass) {
        let steps = self.context.steps();
        for step in 0..steps {
            let travels = (step + 1 < steps).then(|| Context::step(self, piece, pass));
            let kernel = self.flash(pass, self.keys.div_ceil(steps));
            match pass {
                Pass::Forward => piece.forward.push(kernel),
                Pass::Backward => piece.backward.push(kernel),
            }
            if let Some(begun) = travels {
                piece.finish(pass, begun);
            }
        }
    }

    /// Elements of this rank's own queries, of its keys and values, and of its outputs.
    pub(super) fn own_elements(&self) -> [f64; 3] {
        let (rows, attention) = (self.rows, self.attention);
        let of = |heads: u32, width: u64, tokens: u64| {
            rows.share(u64::from(heads)) as f64 * width as f64 * tokens as f64
        };
        let (key, value) = (attention.key_dim(), attention.value_dim());
        [
            of(attention.heads, key, rows.tokens),
            of(attention.kv_heads(), key + value, self.own_keys),
            of(attention.heads, value, rows.tokens),
        ]
    }

    fn kernel(&self) -> AttentionKernel {
        self.attention.kernel(self.rows.path)
    }

    fn flash(&self, pass: Pass, keys: u64) -> Operator {
        let visible = if self.across { 1.0 } else { self.attention.visible(self.rows.sequence) };
        let kv_heads = self.rows.share(u64::from(self.attention.kv_heads()));
        let work = Work::FlashAttention(FlashAttention {
            batch: self.rows.batch,
            heads: self.heads,
            kv_heads: self.context.heads(kv_heads),
            queries: self.queries,
            keys,
            key_dim: self.attention.key_dim(),
            value_dim: self.attention.value_dim(),
            visible,
            pass,
        });
        let name = match pass {
            Pass::Forward => "flash attention",
            Pass::Backward => "flash attention backward",
        };
        Operator::new(name, work)
    }

    /// Products: sequences times heads.
    fn products(&self) -> u64 {
        self.rows.batch * self.heads
    }

    /// Scores of all heads.
    fn scores(&self) -> f64 {
        self.products() as f64 * self.queries as f64 * self.keys as f64
    }

    /// Elements of the heads' outputs.
    fn outputs(&self) -> f64 {
        self.products() as f64 * self.queries as f64 * self.attention.value_dim() as f64
    }

    /// The share of the scores that the softmax reads: half under a causal mask, whose kernel
    /// skips what lies above the diagonal but writes zeros there.
    fn read(&self) -> f64 {
        match self.attention.mask {
            AttentionMask::Causal if !self.across => 0.5,
            _ => 1.0,
        }
    }

    /// Bytes of the table of relative positions, as it is added to all scores.
    fn relative_bias(&self) -> Option<f64> {
        match self.attention.positions {
            Positions::RelativeBias { .. } if !self.across => {
                Some(self.rows.element * self.scores() / self.rows.batch as f64)
            }
            _ => None,
        }
    }

    /// Scores, softmax, dropout, values, and the copy of the heads' outputs into token order.
    fn unfused_forward(&self) -> Vec<Operator> {
        let (element, scores) = (self.rows.element, self.scores());
        let (dk, dv) = (self.attention.key_dim(), self.attention.value_dim());
        let mut ops = vec![gemm("scores", self.queries, self.keys, dk, self.products())];
        if let Some(bias) = self.relative_bias() {
            ops.push(elementwise("relative bias", 2.0 * element * scores + bias));
        }
        if self.attention.softcap {
            ops.push(elementwise("cap scores", 2.0 * element * scores));
        }
        if self.rows.training.fusion.softmax {
            let softmax = Work::Softmax { bytes: Bytes(element * (1.0 + self.read()) * scores) };
            ops.push(Operator::new("softmax", softmax));
        } else {
            ops.extend(unfused::softmax(self.rows, scores));
        }
        if self.attention.dropout {
            ops.push(self.rows.dropout_of("attention dropout", scores));
        }
        ops.push(gemm("values", self.queries, dv, self.keys, self.products()));
        ops.push(elementwise("transpose heads", 2.0 * element * self.outputs()));
        ops
    }

    fn unfused_backward(&self) -> Vec<Operator> {
        let (element, scores, products) = (self.rows.element, self.scores(), self.products());
        let (queries, keys) = (self.queries, self.keys);
        let (dk, dv) = (self.attention.key_dim(), self.attention.value_dim());
        let mut ops = vec![
            elementwise("transpose heads backward", 2.0 * element * self.outputs()),
            gemm("probabilities gradient", queries, keys, dv, products),
            gemm("values gradient", keys, dv, queries, products),
        ];
        if self.attention.dropout {
            ops.push(self.rows.dropout_gradient("attention dropout backward", scores));
        }
        if self.rows.training.fusion.softmax {
            // Reads probabilities and their gradient, writes the scores' gradient.
            let bytes = Bytes(element * (1.0 + 2.0 * self.read()) * scores);
            ops.push(Operator::new("softmax backward", Work::Softmax { bytes }));
        } else {
            ops.extend(unfused::softmax_gradient(self.rows, scores));
        }
        if self.attention.softcap {
            ops.push(elementwise("cap scores backward", 3.0 * element * scores));
        }
        if let Some(bias) = self.relative_bias() {
            // Summed up over the sequences of the batch, added to what other layers found.
            ops.push(elementwise("relative bias gradient", element * scores + 3.0 * bias));
        }
        ops.push(gemm("queries gradient", queries, dk, keys, products));
        ops.push(gemm("keys gradient", keys, dk, queries, products));
        ops
    }

    fn kept(&self) -> Kept {
        let (split, waiting) = (self.kept_output(), self.projection.waiting());
        match self.kernel() {
            // The logarithm of the softmax's sum of each row, in fp32.
            AttentionKernel::Flash => {
                let rows = self.products() as f64 * self.queries as f64;
                Kept { split: split + 4.0 * rows, waiting, ..Kept::default() }
            }
            AttentionKernel::Unfused => Kept {
                split: split + self.kept_scores(),
                widest: self.scores(),
                waiting,
                ..Kept::default()
            },
        }
    }

    /// Bytes that unfused attention keeps of its scores: probabilities, dropout's mask and output; the
    /// capped scores.
    fn kept_scores(&self) -> f64 {
        let element = self.rows.element;
        let mask = if self.attention.dropout { element + 1.0 } else { 0.0 };
        let capped = if self.attention.softcap { element } else { 0.0 };
        (element + capped + mask) * self.scores()
    }

    /// Bytes that are kept of the core's output, which FlashAttention and the projection want; the
    /// projection in a quantised copy where it multiplies such and cannot write it again.
    fn kept_output(&self) -> f64 {
        let (rows, projection) = (self.rows, &self.projection);
        let whole = rows.element * rows.tokens as f64 * projection.inputs as f64;
        let copy = projection.quantised_input() * rows.tokens as f64 * projection.inputs as f64;
        if self.kernel() == AttentionKernel::Flash || projection.keeps_input() {
            whole + copy + projection.kept_inside()
        } else {
            copy
        }
    }
}
