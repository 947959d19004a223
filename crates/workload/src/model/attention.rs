//! Attention: heads, projections, who sees whom.

use serde::{Deserialize, Serialize};

use super::Norm;
use super::weight::{Projection, Weight};
use crate::{AttentionKernel, CardPath};

/// The attention of a layer.
#[expect(clippy::struct_excessive_bools, reason = "independent yes-no facts of an architecture")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Query heads.
    pub heads: u32,
    /// How queries, keys and values come from the stream.
    pub projections: Projections,
    /// How positions enter the scores.
    pub positions: Positions,
    /// Which positions a position sees.
    #[serde(default = "causal")]
    pub mask: AttentionMask,
    /// A position sees only so many tokens, itself the last of them; all, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Queries and keys are normalised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qk_norm: Option<QkNorm>,
    /// The projections to queries, keys and values add biases.
    #[serde(default)]
    pub qkv_bias: bool,
    /// The projection of the output adds a bias.
    #[serde(default)]
    pub output_bias: bool,
    /// Each head has a learned score that no token carries (attention sinks).
    #[serde(default)]
    pub sinks: bool,
    /// Scores pass through a tangent before the softmax.
    #[serde(default)]
    pub softcap: bool,
    /// Dropout of the probabilities.
    #[serde(default)]
    pub dropout: bool,
}

fn causal() -> AttentionMask {
    AttentionMask::Causal
}

/// How queries, keys and values come from the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projections {
    /// Key and value heads that several query heads share: as many as query heads is multi-head
    /// attention, one is multi-query attention.
    Grouped {
        /// Key and value heads.
        kv_heads: u32,
        /// Width of a head.
        head_dim: u32,
    },
    /// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): keys and values
    /// of all heads are expanded from a narrow latent, one rotated key is shared by all heads.
    Latent {
        /// Width of the query's latent; the stream is projected directly, unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        q_rank: Option<u32>,
        /// Width of the latent of keys and values.
        kv_rank: u32,
        /// Width of a query or key that is not rotated.
        nope_dim: u32,
        /// Width of a query or key that is rotated.
        rope_dim: u32,
        /// Width of a value.
        v_dim: u32,
    },
}

/// How positions enter the scores of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Positions {
    /// Not at all: the embedding has added them to the stream, if anything tells them apart.
    Embedded,
    /// Rotation of queries and keys; no parameters.
    Rotary,
    /// Rotation of a part of each head.
    PartialRotary {
        /// How many elements of a head are rotated.
        dim: u32,
    },
    /// A slope by distance, added to the scores; no parameters (Press et al. 2021, arXiv
    /// 2108.12409).
    Alibi,
    /// A learned bias by distance, the same in all layers of a stack (T5). No FlashAttention
    /// takes it.
    RelativeBias {
        /// Rows of its table, one column a head.
        buckets: u32,
    },
}

/// Which positions a position sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttentionMask {
    /// Itself and those before it.
    Causal,
    /// All.
    Bidirectional,
}

/// Normalisation of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QkNorm {
    /// Of each head, all heads with one scale.
    PerHead,
    /// Of all heads together.
    AllHeads,
}

/// The matrices of latent attention before its core.
pub(crate) struct Latents {
    /// From the stream: into the latents, or, of queries without a latent, past them.
    pub(crate) into: Vec<Weight>,
    /// From the latents into queries, keys and values.
    pub(crate) out_of: Vec<Weight>,
}

impl Attention {
    /// Causal attention, as a file describes it that says no more.
    pub fn new(heads: u32, projections: Projections, positions: Positions) -> Self {
        Self {
            heads,
            projections,
            positions,
            mask: causal(),
            window: None,
            qk_norm: None,
            qkv_bias: false,
            output_bias: false,
            sinks: false,
            softcap: false,
            dropout: false,
        }
    }

    /// Width of a query or key of one head.
    pub fn key_dim(&self) -> u64 {
        u64::from(match self.projections {
            Projections::Grouped { head_dim, .. } => head_dim,
            Projections::Latent { nope_dim, rope_dim, .. } => nope_dim + rope_dim,
        })
    }

    /// Width of a value of one head.
    pub fn value_dim(&self) -> u64 {
        u64::from(match self.projections {
            Projections::Grouped { head_dim, .. } => head_dim,
            Projections::Latent { v_dim, .. } => v_dim,
        })
    }

    /// Key and value heads that the attention's core reads.
    pub fn kv_heads(&self) -> u32 {
        match self.projections {
            Projections::Grouped { kv_heads, .. } => kv_heads,
            Projections::Latent { .. } => self.heads,
        }
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> u64 {
        u64::from(self.heads) * self.key_dim()
    }

    /// Width of all key heads that the core reads together.
    pub fn key_width(&self) -> u64 {
        u64::from(self.kv_heads()) * self.key_dim()
    }

    /// Width of the outputs of all heads together.
    pub fn output_width(&self) -> u64 {
        u64::from(self.heads) * self.value_dim()
    }

    /// Elements of a head that are rotated.
    pub(crate) fn rotated(&self) -> u64 {
        u64::from(match (self.positions, self.projections) {
            (Positions::Rotary, Projections::Latent { rope_dim, .. }) => rope_dim,
            (Positions::Rotary, Projections::Grouped { head_dim, .. }) => head_dim,
            (Positions::PartialRotary { dim }, _) => dim,
            (Positions::Embedded | Positions::Alibi | Positions::RelativeBias { .. }, _) => 0,
        })
    }

    /// The kernel that a card of `path` runs it with.
    pub fn kernel(&self, path: &CardPath) -> AttentionKernel {
        match self.positions {
            Positions::RelativeBias { .. } => AttentionKernel::Unfused,
            _ => path.attention,
        }
    }

    /// Keys that a query sees or is computed against, of `keys`: the window cuts them off.
    pub(crate) fn reach(&self, keys: u64) -> u64 {
        self.window.map_or(keys, |window| keys.min(u64::from(window)))
    }

    /// The share of the square of scores that the mask and the window let through, for equal
    /// numbers of queries and keys.
    pub(crate) fn visible(&self, sequence: u64) -> f64 {
        let whole = match self.mask {
            AttentionMask::Causal => 0.5,
            AttentionMask::Bidirectional => 1.0,
        };
        let (s, w) = (sequence as f64, self.reach(sequence) as f64);
        if w >= s {
            return whole;
        }
        match self.mask {
            // A band below the diagonal, its first rows cut short.
            AttentionMask::Causal => (w * s - 0.5 * w * w) / (s * s),
            AttentionMask::Bidirectional => w / s,
        }
    }

    /// The matrices that feed the core: queries, keys, values, in that order, or those that lead
    /// to the latents and from them.
    pub(crate) fn inputs(&self, hidden: u64) -> Vec<Weight> {
        if let Some(latents) = self.latents(hidden) {
            let Latents { into, out_of } = latents;
            return into.into_iter().chain(out_of).collect();
        }
        let bias = self.qkv_bias;
        vec![
            Weight::columns(hidden, self.query_width(), bias).named(Projection::Query),
            Weight::columns(hidden, self.key_width(), bias).named(Projection::Key),
            Weight::columns(hidden, self.key_width(), bias).named(Projection::Value),
        ]
    }

    /// The matrices around the latents, if it has such.
    pub(crate) fn latents(&self, hidden: u64) -> Option<Latents> {
        let Projections::Latent { q_rank, kv_rank, nope_dim, rope_dim, v_dim } = self.projections
        else {
            return None;
        };
        let bias = self.qkv_bias;
        let (kv_rank, rope_dim) = (u64::from(kv_rank), u64::from(rope_dim));
        let expanded = u64::from(self.heads) * (u64::from(nope_dim) + u64::from(v_dim));
        let queries =
            |inputs| Weight::columns(inputs, self.query_width(), bias).named(Projection::Query);
        let mut into = vec![Weight::whole(hidden, kv_rank + rope_dim, bias)];
        let mut out_of = vec![Weight::columns(kv_rank, expanded, false).named(Projection::Key)];
        match q_rank.map(u64::from) {
            Some(rank) => {
                into.push(Weight::whole(hidden, rank, bias));
                out_of.push(queries(rank));
            }
            None => into.push(queries(hidden)),
        }
        Some(Latents { into, out_of })
    }

    /// The matrix behind the core.
    pub(crate) fn output(&self, hidden: u64) -> Weight {
        Weight::rows(self.output_width(), hidden, self.output_bias).named(Projection::Output)
    }

    /// Parameters that are not of matrices, the norm before the block aside.
    pub(crate) fn vectors(&self, norm: Norm) -> f64 {
        let latents = match self.projections {
            Projections::Latent { q_rank, kv_rank, .. } => {
                norm.per_channel() * f64::from(q_rank.unwrap_or(0) + kv_rank)
            }
            Projections::Grouped { .. } => 0.0,
        };
        let qk_norm = norm.per_channel()
            * match self.qk_norm {
                None => 0.0,
                Some(QkNorm::PerHead) => 2.0 * self.key_dim() as f64,
                Some(QkNorm::AllHeads) => (self.query_width() + self.key_width()) as f64,
            };
        let sinks = if self.sinks { f64::from(self.heads) } else { 0.0 };
        latents + qk_norm + sinks
    }

    /// Entries of the table of relative positions.
    pub(crate) fn relative_bias(&self) -> f64 {
        match self.positions {
            Positions::RelativeBias { buckets } => f64::from(buckets) * f64::from(self.heads),
            _ => 0.0,
        }
    }
}
