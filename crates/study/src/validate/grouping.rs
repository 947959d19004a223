//! How rows are put together.

use crate::runs::Row;

/// By what rows are put together: any of `source`, `device`, `strategy`, `model`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping(pub Vec<Key>);

/// A fact about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The first word of its id.
    Source,
    /// Its card, `mixed` of several.
    Device,
    /// What it is split by: `dp+tp+pp zero1`.
    Strategy,
    /// Its model's name.
    Model,
    /// Its id.
    Id,
    /// How much of it the source states.
    Replayable,
}

impl Key {
    /// What users call it.
    pub const ALL: [(&str, Self); 6] = [
        ("source", Self::Source),
        ("device", Self::Device),
        ("strategy", Self::Strategy),
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
            Self::Device => row.hardware.device.as_deref().unwrap_or("mixed").to_owned(),
            Self::Strategy => strategy(row),
            Self::Model => row.model.name.as_deref().unwrap_or("?").to_owned(),
            Self::Id => row.id.clone(),
            Self::Replayable => row.replayable.as_deref().unwrap_or("?").to_owned(),
        }
    }
}

impl Default for Grouping {
    fn default() -> Self {
        Self(vec![Key::Source, Key::Device])
    }
}

impl Grouping {
    /// The group of a row.
    pub(super) fn of(&self, row: &Row) -> String {
        self.0.iter().map(|key| key.of(row)).collect::<Vec<_>>().join(" ")
    }
}

/// The first word of a row's id, which names its source.
pub(super) fn prefix(row: &Row) -> &str {
    row.id.split('-').next().unwrap_or_default()
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
