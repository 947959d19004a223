//! Modules of a block that can be computed again in its backward pass instead of kept.
//!
//! Two kinds, as in Megatron-Core. Of a *checkpointed* module (core of attention, MLP, mixture of
//! experts, shared expert) everything inside is dropped and its input kept. Of norms, activation
//! functions and the up-projection of latent attention the *output* is dropped, which would be kept
//! only as the input of what follows.

use super::{Exchange, InnerExchange};
use crate::{Operator, RecomputeModule, RecomputeModules};

/// When something of a module is computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    module: RecomputeModule,
    unless: RecomputeModules,
}

impl Condition {
    /// Whether it is, if these modules are computed again.
    pub(crate) fn holds(self, modules: RecomputeModules) -> bool {
        modules.contains(self.module) && !modules.meets(self.unless)
    }
}

/// What the backward pass of a block computes again if a module was not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    pub(crate) condition: Condition,
    /// The kernels, in launch order.
    pub operators: Vec<Operator>,
    /// What tensor-parallel ranks exchange around them.
    pub exchange: Exchange,
    /// What ranks exchange in the middle of them.
    pub inside: Vec<InnerExchange>,
    /// Bytes that are not kept in turn. Below zero where the input of a checkpointed module is kept
    /// for it alone.
    pub(crate) dropped: f64,
}

impl Repeat {
    /// Kernels that bring so many bytes back.
    pub(super) fn new(module: RecomputeModule, dropped: f64, operators: Vec<Operator>) -> Self {
        Self {
            condition: Condition { module, unless: RecomputeModules::NONE },
            operators,
            exchange: Exchange::default(),
            inside: Vec::new(),
            dropped,
        }
    }

    /// The same, but not if one of these modules is computed again, too, and brings it back.
    pub(super) fn unless(mut self, others: impl IntoIterator<Item = RecomputeModule>) -> Self {
        self.condition.unless = others.into_iter().collect();
        self
    }

    /// Whether it is done if these modules are computed again.
    pub fn is_done(&self, modules: RecomputeModules) -> bool {
        self.condition.holds(modules)
    }
}
