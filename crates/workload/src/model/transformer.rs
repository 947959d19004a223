//! A transformer layer.

use serde::{Deserialize, Serialize};

use super::weight::Weight;
use super::{Attention, FeedForward, Norm, Projections};
use crate::{RecomputeModule, RecomputeModules};

/// A transformer layer: attention and feed-forward, each with its norm and residual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transformer {
    /// Attention of the sequence to itself.
    pub attention: Attention,
    /// A decoder's attention to the encoder's output, between attention and feed-forward. The first
    /// layer that has one begins the decoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_attention: Option<Attention>,
    /// What follows.
    pub feed_forward: FeedForward,
    /// The normalisation.
    pub norm: Norm,
    /// Where it stands.
    #[serde(default)]
    pub norms: NormPlacement,
    /// How the parts are joined.
    #[serde(default)]
    pub residual: Residual,
    /// Dropout of each part's output.
    #[serde(default)]
    pub dropout: bool,
}

/// Where norms stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormPlacement {
    /// One for each part: before it (GPT-2 and later), or after its residual (BERT), which is the
    /// same work.
    #[default]
    One,
    /// One before and one after each part (Gemma 2).
    BeforeAndAfter,
}

/// How the parts of a layer are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Residual {
    /// One after the other.
    #[default]
    Sequential,
    /// Attention and feed-forward read the same stream, their outputs are added up together
    /// (GPT-J, Falcon).
    Parallel {
        /// Both read the output of one norm; else each has its own.
        #[serde(default)]
        shared_norm: bool,
    },
}

impl Transformer {
    /// Attention and feed-forward one after the other, as a file describes them that says no more.
    pub fn new(attention: Attention, feed_forward: FeedForward, norm: Norm) -> Self {
        Self {
            attention,
            cross_attention: None,
            feed_forward,
            norm,
            norms: NormPlacement::default(),
            residual: Residual::default(),
            dropout: false,
        }
    }

    /// All matrices.
    pub(crate) fn weights(&self, hidden: u64) -> Vec<Weight> {
        let mut weights = self.attention.inputs(hidden);
        weights.push(self.attention.output(hidden));
        if let Some(cross) = &self.cross_attention {
            weights.extend(cross_inputs(cross, hidden));
            weights.push(cross.output(hidden));
        }
        weights.extend(self.feed_forward.weights(hidden));
        weights
    }

    /// The matrices that multiply once more where modules are computed again.
    pub(crate) fn repeated_weights(&self, hidden: u64, modules: RecomputeModules) -> Vec<Weight> {
        use RecomputeModule::{MlaUpProj, Mlp, Moe, SharedExperts};
        let mut weights = Vec::new();
        if modules.contains(MlaUpProj) {
            weights.extend(self.attention.latents(hidden).into_iter().flat_map(|all| all.out_of));
        }
        match &self.feed_forward {
            FeedForward::Dense(_) if modules.contains(Mlp) => {
                weights.extend(self.feed_forward.weights(hidden));
            }
            FeedForward::Experts(_) if modules.contains(Moe) => {
                weights.extend(self.feed_forward.weights(hidden));
            }
            FeedForward::Experts(bank) if modules.contains(SharedExperts) => {
                weights.extend(bank.shared_weights(hidden));
            }
            FeedForward::Dense(_) | FeedForward::Experts(_) => {}
        }
        weights
    }

    /// Whether a layer has such a module.
    pub(crate) fn has_module(&self, module: RecomputeModule) -> bool {
        let experts = match &self.feed_forward {
            FeedForward::Dense(_) => None,
            FeedForward::Experts(bank) => Some(bank),
        };
        match module {
            RecomputeModule::CoreAttn | RecomputeModule::LayerNorm => true,
            RecomputeModule::MlaUpProj => {
                matches!(self.attention.projections, Projections::Latent { .. })
            }
            RecomputeModule::Mlp => experts.is_none(),
            RecomputeModule::Moe | RecomputeModule::MoeAct => experts.is_some(),
            RecomputeModule::SharedExperts => experts.is_some_and(|bank| bank.shared.is_some()),
        }
    }

    /// Parameters that are not of matrices.
    pub(crate) fn vectors(&self, hidden: u64) -> f64 {
        let blocks = if self.cross_attention.is_some() { 3.0 } else { 2.0 };
        let norms = match (self.norms, self.residual) {
            (NormPlacement::BeforeAndAfter, _) => 2.0 * blocks,
            (NormPlacement::One, Residual::Parallel { shared_norm: true }) => blocks - 1.0,
            (NormPlacement::One, _) => blocks,
        };
        let of_attention = |attention: &Attention| attention.vectors(self.norm);
        norms * self.norm.per_channel() * hidden as f64
            + of_attention(&self.attention)
            + self.cross_attention.as_ref().map_or(0.0, of_attention)
    }
}

/// The matrix with which a module for multi-token prediction joins the hidden state of a token and the
/// embedding of the next (DeepSeek-V3, arXiv 2412.19437, equation 21).
pub(crate) fn prediction_weight(hidden: u64) -> Weight {
    Weight::columns(2 * hidden, hidden, false)
}

/// A cross-attention's matrices before the core: keys and values come from the encoder.
pub(crate) fn cross_inputs(attention: &Attention, hidden: u64) -> Vec<Weight> {
    let mut inputs = attention.inputs(hidden);
    for weight in inputs.iter_mut().skip(1) {
        *weight = weight.of_source();
    }
    inputs
}
