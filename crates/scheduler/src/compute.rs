//! The names of compute operations in jobs, for whoever tells them apart.

/// What a compute operation of a pass does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Activity {
    /// A forward pass.
    Forward,
    /// Forward work done again in a backward pass.
    Recompute,
    /// A whole backward pass, but for weight gradients that run beside communication.
    Backward,
    /// A backward pass without the weight gradients.
    InputGradient,
    /// Weight gradients apart from the rest of the backward pass.
    WeightGradient,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Forward, Self::Recompute, Self::Backward, Self::InputGradient, Self::WeightGradient];

    fn base(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Recompute => "recompute",
            Self::Backward => "backward",
            Self::InputGradient => "input gradient",
            Self::WeightGradient => "weight gradient",
        }
    }

    /// The name of the activity in a stage's `chunk`-th model chunk.
    pub fn name(self, chunk: u32) -> String {
        match chunk {
            0 => self.base().to_owned(),
            _ => format!("{}{CHUNK}{chunk}", self.base()),
        }
    }

    /// The activity and the chunk that a name stands for; none for operations outside of passes.
    pub fn of_name(name: &str) -> Option<(Self, u32)> {
        let (base, chunk) = match name.split_once(CHUNK) {
            Some((base, chunk)) => (base, chunk.parse().ok()?),
            None => (name, 0),
        };
        Self::ALL.into_iter().find(|activity| activity.base() == base).map(|found| (found, chunk))
    }
}

/// What copying gradients into the order of shards is called, where copies of the same parameters are
/// cut in unlike ways.
pub const RESHARDING: &str = "reshard gradients";

const CHUNK: &str = ", chunk ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for activity in Activity::ALL {
            for chunk in [0, 1, 17] {
                assert_eq!(Activity::of_name(&activity.name(chunk)), Some((activity, chunk)));
            }
        }
        for other in ["optimizer", "forwards", "forward, chunk x", ""] {
            assert_eq!(Activity::of_name(other), None);
        }
    }
}
