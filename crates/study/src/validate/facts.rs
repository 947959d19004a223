//! What tells rows apart.

use std::collections::BTreeMap;

use crate::runs::Row;

/// A fact about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The first word of its id.
    Source,
    /// Its card, `mixed` of several.
    Device,
    /// The family of its card: `A100` of all forms and sizes.
    Family,
    /// What it is split by: `dp+tp+pp zero1`.
    Strategy,
    /// How many cards it has, from a step to the next.
    Scale,
    /// Its model's name.
    Model,
    /// Its id.
    Id,
    /// How much of it the source states.
    Replayable,
}

/// All facts about a row.
pub type Facts = BTreeMap<Key, String>;

impl Key {
    /// What users call it.
    pub const ALL: [(&str, Self); 8] = [
        ("source", Self::Source),
        ("device", Self::Device),
        ("family", Self::Family),
        ("strategy", Self::Strategy),
        ("scale", Self::Scale),
        ("model", Self::Model),
        ("id", Self::Id),
        ("replayable", Self::Replayable),
    ];

    /// The key of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
    }

    pub(super) fn of(self, row: &Row) -> String {
        match self {
            Self::Source => prefix(row).to_owned(),
            Self::Device => device(row).to_owned(),
            Self::Family => family(device(row)),
            Self::Strategy => strategy(row),
            Self::Scale => scale(row.hardware.gpus).to_owned(),
            Self::Model => row.model.name.as_deref().unwrap_or("?").to_owned(),
            Self::Id => row.id.clone(),
            Self::Replayable => row.replayable.as_deref().unwrap_or("?").to_owned(),
        }
    }
}

/// All that is known of a row.
pub(super) fn facts(row: &Row) -> Facts {
    Key::ALL.iter().map(|(_, key)| (*key, key.of(row))).collect()
}

/// The first word of a row's id, which names its source.
pub(super) fn prefix(row: &Row) -> &str {
    row.id.split('-').next().unwrap_or_default()
}

fn device(row: &Row) -> &str {
    row.hardware.device.as_deref().unwrap_or("mixed")
}

/// The first word of a card's id, as vendors write it.
fn family(device: &str) -> String {
    let word = device.split('-').next().unwrap_or_default();
    if word == "mixed" { word.to_owned() } else { word.to_uppercase() }
}

fn scale(cards: Option<u32>) -> &'static str {
    match cards {
        None | Some(0) => "?",
        Some(1) => "1 card",
        Some(2..=8) => "2-8 cards",
        Some(9..=64) => "9-64 cards",
        Some(65..=512) => "65-512 cards",
        Some(513..=4096) => "513-4096 cards",
        Some(4097..=9999) => "4097-9999 cards",
        Some(10_000..) => "10000- cards",
    }
}

fn strategy(row: &Row) -> String {
    let parallel = &row.parallel;
    let degrees = [
        ("dp", parallel.dp),
        ("tp", parallel.tp),
        ("pp", parallel.pp),
        ("cp", parallel.cp),
        ("ep", parallel.ep),
    ];
    let split: Vec<&str> = degrees
        .iter()
        .filter(|(_, degree)| degree.is_some_and(|degree| degree > 1))
        .map(|(name, _)| *name)
        .collect();
    let split = if split.is_empty() { "single".to_owned() } else { split.join("+") };
    match parallel.zero {
        Some(stage @ 1..) => format!("{split} zero{stage}"),
        _ => split,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_scales() {
        let check = |device: &str, cards: u32, expected: [&str; 2]| {
            assert_eq!([family(device).as_str(), scale(Some(cards))], expected);
        };
        check("a100-sxm-80", 1, ["A100", "1 card"]);
        check("h100-sxm", 8, ["H100", "2-8 cards"]);
        check("t4", 9, ["T4", "9-64 cards"]);
        check("gb200", 512, ["GB200", "65-512 cards"]);
        check("mixed", 4097, ["mixed", "4097-9999 cards"]);
        check("h100", 10_000, ["H100", "10000- cards"]);
    }
}
