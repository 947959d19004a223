//! From names of columns to what people read on axes.

/// How a column is shown: its name in words, and the factor of its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) factor: f64,
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Ends of names that are units: what is shown instead, and the factor to get there.
const UNITS: [(&str, &str, f64); 9] = [
    ("_bytes", "GiB", 1.0 / GIB),
    ("_ratio", "%", 100.0),
    ("_usd", "USD", 1.0),
    ("_gbps", "Gb/s", 1.0),
    ("_ms", "ms", 1.0),
    ("_us", "µs", 1.0),
    ("_ns", "ns", 1.0),
    ("_s", "s", 1.0),
    ("_w", "W", 1.0),
];

/// Words that are written otherwise than in names of columns.
const WORDS: [(&str, &str); 3] = [("mfu", "MFU"), ("hfu", "HFU"), ("flops", "FLOPs")];

impl Label {
    /// The label of a column by its name without `axis_`: `iteration_time_s` is `iteration time (s)`,
    /// `tokens_per_s` is `tokens/s`.
    pub(super) fn of(name: &str) -> Self {
        let rate = name.ends_with("_per_s");
        let unit =
            UNITS.iter().find(|(end, ..)| !rate && name.len() > end.len() && name.ends_with(end));
        let (name, unit, factor) = match unit {
            Some(&(end, unit, factor)) => (&name[..name.len() - end.len()], Some(unit), factor),
            None => (name, None, 1.0),
        };
        let words: Vec<String> = name.split("_per_").map(words).collect();
        let text = words.join("/");
        let text = unit.map_or(text.clone(), |unit| format!("{text} ({unit})"));
        Self { text, factor }
    }
}

fn words(name: &str) -> String {
    let word = |word: &str| {
        let known = WORDS.iter().find(|(written, _)| *written == word);
        known.map_or_else(|| word.to_owned(), |(_, shown)| (*shown).to_owned())
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{GIB, Label};

    #[test]
    fn units_are_those_of_the_name() {
        for (name, text, factor) in [
            ("iteration_time_s", "iteration time (s)", 1.0),
            ("tokens_per_s", "tokens/s", 1.0),
            ("model_flops_per_card_per_s", "model FLOPs/card/s", 1.0),
            ("peak_memory_bytes", "peak memory (GiB)", 1.0 / GIB),
            ("heterogeneous_mfu_ratio", "heterogeneous MFU (%)", 100.0),
            ("cost_per_million_tokens_usd", "cost/million tokens (USD)", 1.0),
            ("idle_card_count", "idle card count", 1.0),
            ("tp", "tp", 1.0),
            ("_s", " s", 1.0),
        ] {
            assert_eq!(Label::of(name), Label { text: text.to_owned(), factor }, "{name}");
        }
    }
}
