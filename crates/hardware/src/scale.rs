//! Cards that nobody sells: a known one with more or less of something.

use motley_units::{Bytes, BytesPerSec, FlopsPerSec, Hertz};
use serde::{Deserialize, Serialize};

use crate::{Cited, Device};

/// How many times what its vendor prints a card has; 1 where nothing is said. For power caps, for cards
/// yet to come, and for asking where in a mix a card's speed begins to hurt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename = "Scale")]
pub struct Scale {
    /// Peaks of all arithmetic paths, and the clock.
    pub compute: f64,
    /// Memory bandwidth.
    pub memory_bandwidth: f64,
    /// Memory capacity.
    pub memory: f64,
    /// Rate of each link to other cards of the node.
    pub card_links: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { compute: 1.0, memory_bandwidth: 1.0, memory: 1.0, card_links: 1.0 }
    }
}

impl Scale {
    /// The factors with the names of their fields.
    pub fn factors(&self) -> [(&'static str, f64); 4] {
        [
            ("compute", self.compute),
            ("memory_bandwidth", self.memory_bandwidth),
            ("memory", self.memory),
            ("card_links", self.card_links),
        ]
    }
}

/// Replaces a figure by so many times as much.
fn multiply<T>(figure: &mut Cited<T>, factor: f64, times: impl Fn(&T, f64) -> T) {
    let said = format!("{factor} times what {} says", figure.source());
    *figure = Cited::Assumed(times(figure.get(), factor), said);
}

impl Device {
    /// The card with so many times of each; its id and name say so. Constants of its architecture, price
    /// and power stay what they are.
    #[must_use]
    pub fn scaled(&self, scale: &Scale) -> Self {
        let changed: Vec<String> = scale
            .factors()
            .into_iter()
            .filter(|(_, factor)| factor.to_bits() != 1.0_f64.to_bits())
            .map(|(field, factor)| format!("{} x {factor}", field.replace('_', " ")))
            .collect();
        let mut card = self.clone();
        if changed.is_empty() {
            return card;
        }
        let changed = changed.join(", ");
        card.id = format!("{} ({changed})", self.id);
        card.name = format!("{} ({changed})", self.name);
        for peak in card.peaks.given_mut() {
            multiply(peak, scale.compute, |peak, by| FlopsPerSec(peak.0 * by));
        }
        multiply(&mut card.boost_clock, scale.compute, |clock, by| Hertz(clock.0 * by));
        multiply(&mut card.memory_bandwidth, scale.memory_bandwidth, |rate, by| {
            BytesPerSec(rate.0 * by)
        });
        multiply(&mut card.memory, scale.memory, |memory, by| Bytes(memory.0 * by));
        if let Some(links) = &mut card.nvlink {
            multiply(&mut links.per_link, scale.card_links, |rate, by| BytesPerSec(rate.0 * by));
        }
        card
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, MathPath};

    #[test]
    fn a_scaled_card_has_so_many_times_of_each_and_says_so() {
        let card = Catalog::builtin().device("a800-sxm-80").expect("known");
        let scale = Scale { compute: 0.5, memory: 2.0, card_links: 1.5, ..Scale::default() };
        let scaled = card.scaled(&scale);
        assert_eq!(scaled.id, "a800-sxm-80 (compute x 0.5, memory x 2, card links x 1.5)");
        for path in [MathPath::Fp32, MathPath::Bf16Tensor] {
            let [before, after] = [card, &scaled].map(|card| card.peak(path).expect("has it").0);
            assert_eq!(after.to_bits(), (0.5 * before).to_bits());
        }
        let memory = |card: &Device| card.memory.get().0;
        assert_eq!(memory(&scaled).to_bits(), (2.0 * memory(card)).to_bits());
        assert_eq!(scaled.memory_bandwidth.get(), card.memory_bandwidth.get());
        let rate = |card: &Device| card.nvlink.as_ref().expect("has links").per_link.get().0;
        assert_eq!(rate(&scaled).to_bits(), (1.5 * rate(card)).to_bits());
        assert_eq!(&card.scaled(&Scale::default()), card);
    }
}
