//! What is computed again in the backward pass instead of kept from the forward pass.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// What is computed again in the backward pass instead of kept from the forward pass
/// (Korthikanti et al. 2022, arXiv 2205.05198; of single modules as Megatron-Core does).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Recompute {
    /// Nothing.
    None,
    /// The attention core: scores, softmax, dropout, values. The same as `Modules([CoreAttn])`.
    Selective,
    /// These modules of every layer.
    Modules(RecomputeModules),
    /// Every layer, from its input.
    Full,
}

impl Recompute {
    /// The modules that are computed again; of whole layers none is told apart.
    pub fn modules(self) -> RecomputeModules {
        match self {
            Self::None | Self::Full => RecomputeModules::NONE,
            Self::Selective => RecomputeModules::of(RecomputeModule::CoreAttn),
            Self::Modules(modules) => modules,
        }
    }
}

/// `none`, `selective`, `full`, or the modules as Megatron-Core calls them.
impl fmt::Display for Recompute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Selective => f.write_str("selective"),
            Self::Full => f.write_str("full"),
            Self::Modules(modules) => {
                for (count, module) in modules.iter().enumerate() {
                    write!(f, "{}{}", if count > 0 { " " } else { "" }, module.name())?;
                }
                Ok(())
            }
        }
    }
}

/// A module of a layer that can be computed again by itself (Megatron-Core's
/// `--recompute-modules`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RecomputeModule {
    /// Scores, softmax, dropout, values of unfused attention. FlashAttention's backward kernel
    /// does it anyway.
    CoreAttn,
    /// The activation function of experts: its output is dropped.
    MoeAct,
    /// The norms before attention and feed-forward: their outputs are dropped.
    LayerNorm,
    /// Queries, keys and values out of the latents of latent attention, with their norms and
    /// rotation: queries, keys and values are dropped.
    MlaUpProj,
    /// The MLP of layers without experts.
    Mlp,
    /// Router, dispatch, experts, combine, shared expert.
    Moe,
    /// The MLP that every token visits beside its experts.
    SharedExperts,
}

impl RecomputeModule {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CoreAttn,
        Self::MoeAct,
        Self::LayerNorm,
        Self::MlaUpProj,
        Self::Mlp,
        Self::Moe,
        Self::SharedExperts,
    ];

    /// What Megatron-Core calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CoreAttn => "core_attn",
            Self::MoeAct => "moe_act",
            Self::LayerNorm => "layernorm",
            Self::MlaUpProj => "mla_up_proj",
            Self::Mlp => "mlp",
            Self::Moe => "moe",
            Self::SharedExperts => "shared_experts",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Modules that are computed again. Written as a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecomputeModules(u8);

impl RecomputeModules {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// One of them.
    pub fn of(module: RecomputeModule) -> Self {
        Self(module.bit())
    }

    /// These and `module`.
    #[must_use]
    pub fn and(self, module: RecomputeModule) -> Self {
        Self(self.0 | module.bit())
    }

    /// Whether `module` is one of them.
    pub fn contains(self, module: RecomputeModule) -> bool {
        self.0 & module.bit() != 0
    }

    /// Whether some are among `others`.
    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = RecomputeModule> {
        RecomputeModule::ALL.into_iter().filter(move |&module| self.contains(module))
    }
}

impl FromIterator<RecomputeModule> for RecomputeModules {
    fn from_iter<I: IntoIterator<Item = RecomputeModule>>(modules: I) -> Self {
        modules.into_iter().fold(Self::NONE, Self::and)
    }
}

impl Serialize for RecomputeModules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for RecomputeModules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Modules;
        impl<'de> Visitor<'de> for Modules {
            type Value = RecomputeModules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of modules, `[LayerNorm, MlaUpProj]`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut modules = RecomputeModules::NONE;
                while let Some(module) = items.next_element()? {
                    modules = modules.and(module);
                }
                Ok(modules)
            }
        }
        deserializer.deserialize_seq(Modules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        for choice in 0..1_u8 << RecomputeModule::ALL.len() {
            let chosen = |module: &RecomputeModule| choice >> (*module as u8) & 1 == 1;
            let list: Vec<_> = RecomputeModule::ALL.into_iter().filter(chosen).collect();
            let modules: RecomputeModules = list.iter().copied().collect();
            assert_eq!(modules.iter().collect::<Vec<_>>(), list);
            assert_eq!(modules.is_empty(), list.is_empty());
            let text = ron::to_string(&modules).unwrap();
            assert_eq!(ron::from_str::<RecomputeModules>(&text).unwrap(), modules, "{text}");
        }
    }
}
