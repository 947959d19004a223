//! How many ranks or nodes a token's experts lie on.

/// The choice of a token: so many of all experts, perhaps of some groups of them only. Every expert of
/// a group that stands for election is taken to be as likely as every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spread {
    /// Experts of the layer.
    pub experts: u32,
    /// Experts that a token visits.
    pub top_k: u32,
    /// Groups of experts, and how many of them a token may choose from.
    pub groups: (u32, u32),
}

impl Spread {
    /// Of `parts` equal parts of all experts in their order, how many a token visits on the average.
    pub fn parts_met(&self, parts: f64) -> f64 {
        let parts = parts.clamp(1.0, f64::from(self.experts.max(1)));
        parts * (1.0 - self.missed(parts))
    }

    /// How likely it is that none of a token's experts lies in a given part.
    fn missed(&self, parts: f64) -> f64 {
        let (groups, chosen) = self.groups;
        let (groups, chosen) = (f64::from(groups.max(1)), f64::from(chosen.min(groups).max(1)));
        let standing = f64::from(self.experts) * chosen / groups;
        let none_of = |experts: f64| none_of(standing, experts, self.top_k);
        let of_part = f64::from(self.experts) / parts;
        if parts >= groups {
            // Several parts lie in one group.
            return 1.0 - chosen / groups * (1.0 - none_of(of_part));
        }
        // Several groups lie in one part: so many of them may stand for election.
        let own = (groups / parts).round();
        let per_group = f64::from(self.experts) / groups;
        (0..=own as u32)
            .map(|standing_here| {
                let here = f64::from(standing_here);
                hypergeometric(groups, own, chosen, here) * none_of(here * per_group)
            })
            .sum()
    }
}

/// How likely it is that `draws` out of `all`, none twice, hit none of `marked`.
fn none_of(all: f64, marked: f64, draws: u32) -> f64 {
    (0..draws)
        .map(f64::from)
        .map(|drawn| ((all - marked - drawn) / (all - drawn).max(1.0)).max(0.0))
        .product()
}

/// How likely it is that `draws` out of `all`, none twice, hit exactly `hits` of `marked`.
fn hypergeometric(all: f64, marked: f64, draws: f64, hits: f64) -> f64 {
    let choose = |n: f64, k: f64| -> f64 {
        if k < 0.0 || k > n {
            return 0.0;
        }
        (0..k as u32).map(f64::from).map(|i| (n - i) / (k - i)).product()
    };
    choose(marked, hits) * choose(all - marked, draws - hits) / choose(all, draws)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean over all choices, one by one.
    fn counted(spread: Spread, parts: u32) -> f64 {
        let Spread { experts, top_k, groups: (groups, chosen) } = spread;
        let (mut sum, mut choices) = (0.0, 0.0);
        for elected in (0_u32..1 << groups).filter(|set| set.count_ones() == chosen) {
            for set in (0_u32..1 << experts).filter(|set| set.count_ones() == top_k) {
                let members = (0..experts).filter(|expert| set >> expert & 1 == 1);
                let group = |expert: u32| expert * groups / experts;
                if members.clone().any(|expert| elected >> group(expert) & 1 == 0) {
                    continue;
                }
                let mut met: Vec<u32> = members.map(|expert| expert * parts / experts).collect();
                met.dedup();
                sum += met.len() as f64;
                choices += 1.0;
            }
        }
        sum / choices
    }

    #[test]
    fn parts_met_are_those_of_all_choices() {
        let cases = [((1, 1), 8), ((4, 2), 2), ((4, 2), 4), ((4, 2), 8), ((2, 1), 4), ((4, 3), 1)];
        for (groups, parts) in cases {
            for top_k in [1, 2, 3] {
                let spread = Spread { experts: 8, top_k, groups };
                if spread.experts / groups.0 * groups.1 < top_k {
                    continue;
                }
                let (found, expected) =
                    (spread.parts_met(f64::from(parts)), counted(spread, parts));
                assert!((found - expected).abs() < 1e-9, "{spread:?} {parts}: {found} {expected}");
            }
        }
    }
}
