//! The feed-forward part of a layer: one MLP, or a bank of experts.

use serde::{Deserialize, Serialize};

use super::spread::Spread;
use super::weight::{Projection, Weight};

/// What follows attention in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedForward {
    /// One MLP for all tokens.
    Dense(Mlp),
    /// Each token is routed to a few of many MLPs.
    Experts(Experts),
}

/// Two products with an activation function between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Inner width.
    pub ffn: u32,
    /// A gate is multiplied with the input (`SwiGLU`): three matrices instead of two.
    #[serde(default)]
    pub gated: bool,
    /// The products add biases.
    #[serde(default)]
    pub bias: bool,
}

/// A mixture of experts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experts {
    /// How many experts there are.
    pub experts: u32,
    /// How many of them each token visits.
    pub top_k: u32,
    /// One expert.
    pub expert: Mlp,
    /// How the router scores experts.
    #[serde(default)]
    pub router: Router,
    /// The router's scores have a bias for each expert.
    #[serde(default)]
    pub router_bias: bool,
    /// An MLP that every token visits beside its experts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedExpert>,
}

/// How a router scores experts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Router {
    /// A softmax over all experts.
    #[default]
    Softmax,
    /// A softmax; only the best groups of experts stand for election (DeepSeek-V2).
    GroupedSoftmax {
        /// Groups of equal size.
        groups: u32,
        /// Groups that a token may choose from.
        top_groups: u32,
    },
    /// A sigmoid for each expert.
    Sigmoid,
    /// A sigmoid; only the best groups of experts stand for election (DeepSeek-V3).
    GroupedSigmoid {
        /// Groups of equal size.
        groups: u32,
        /// Groups that a token may choose from.
        top_groups: u32,
    },
}

impl Router {
    /// Groups and how many of them a token may choose from, where it is asked to.
    pub fn groups(self) -> Option<(u32, u32)> {
        match self {
            Self::Softmax | Self::Sigmoid => None,
            Self::GroupedSoftmax { groups, top_groups }
            | Self::GroupedSigmoid { groups, top_groups } => Some((groups, top_groups)),
        }
    }
}

/// An MLP that every token visits beside its experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedExpert {
    /// Inner width, of all shared experts together.
    pub ffn: u32,
    /// Its output is multiplied with a learned gate of each token (Qwen2-MoE).
    #[serde(default)]
    pub gate: bool,
}

impl Mlp {
    /// Width that the first product puts out: twice `ffn` with a gate.
    pub fn up_width(self) -> u64 {
        u64::from(self.ffn) * if self.gated { 2 } else { 1 }
    }

    /// The matrices of the first product.
    pub(crate) fn up(self, hidden: u64) -> Vec<Weight> {
        let matrix = Weight::columns(hidden, self.ffn.into(), self.bias);
        let gate = self.gated.then(|| matrix.named(Projection::Gate));
        gate.into_iter().chain([matrix.named(Projection::Up)]).collect()
    }

    /// Both.
    fn weights(self, hidden: u64) -> Vec<Weight> {
        let mut weights = self.up(hidden);
        weights.push(self.down(hidden));
        weights
    }

    /// The matrix of the second product.
    pub(crate) fn down(self, hidden: u64) -> Weight {
        Weight::rows(self.ffn.into(), hidden, self.bias).named(Projection::Down)
    }
}

impl Experts {
    /// What a token chooses from.
    pub fn spread(&self) -> Spread {
        let groups = self.router.groups().unwrap_or((1, 1));
        Spread { experts: self.experts, top_k: self.top_k, groups }
    }

    /// Experts behind a plain softmax router, without a shared one.
    pub fn new(experts: u32, top_k: u32, expert: Mlp) -> Self {
        Self { experts, top_k, expert, router: Router::default(), router_bias: false, shared: None }
    }

    /// The shared expert as an MLP: gated and with biases where the experts are.
    pub(crate) fn shared_mlp(&self) -> Option<Mlp> {
        self.shared.map(|shared| Mlp { ffn: shared.ffn, ..self.expert })
    }

    /// The matrix that scores experts.
    pub(crate) fn router_weight(&self, hidden: u64) -> Weight {
        Weight::whole(hidden, self.experts.into(), self.router_bias).never_quantised()
    }

    /// The matrices of the shared expert and its gate.
    pub(crate) fn shared_weights(&self, hidden: u64) -> Vec<Weight> {
        let mut weights: Vec<Weight> =
            self.shared_mlp().into_iter().flat_map(|mlp| mlp.weights(hidden)).collect();
        weights.extend(self.shared_gate(hidden));
        weights
    }

    /// The matrix of the shared expert's gate.
    pub(crate) fn shared_gate(&self, hidden: u64) -> Option<Weight> {
        let gate = self.shared.is_some_and(|shared| shared.gate);
        gate.then(|| Weight::whole(hidden, 1, false).never_quantised())
    }
}

impl FeedForward {
    /// All matrices.
    pub(crate) fn weights(&self, hidden: u64) -> Vec<Weight> {
        match self {
            Self::Dense(mlp) => mlp.weights(hidden),
            Self::Experts(bank) => {
                let mut weights = vec![bank.router_weight(hidden)];
                let expert = |weight: Weight| weight.of_experts(bank.experts, bank.top_k);
                weights.extend(bank.expert.weights(hidden).into_iter().map(expert));
                weights.extend(bank.shared_weights(hidden));
                weights
            }
        }
    }
}
