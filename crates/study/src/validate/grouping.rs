//! How rows are put together.

use super::facts::{Facts, Key};

/// By what rows are put together: any keys, `source` and `device` unless said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping(pub Vec<Key>);

impl Default for Grouping {
    fn default() -> Self {
        Self(vec![Key::Source, Key::Device])
    }
}

impl Grouping {
    /// The group of a row.
    pub(super) fn of(&self, facts: &Facts) -> String {
        let known = self.0.iter().filter_map(|key| facts.get(key).map(String::as_str));
        known.collect::<Vec<_>>().join(" ")
    }
}

/// Groups are listed by the number that their name begins with, if there is one, then by name.
pub(super) fn order(name: &str) -> (u64, &str) {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    (name[..digits].parse().unwrap_or(0), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_their_order() {
        let mut names = ["65-512 cards", "?", "1 card", "a100", "9-64 cards"];
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["?", "a100", "1 card", "9-64 cards", "65-512 cards"]);
    }
}
