//! Numbers as people read them.

/// Suffixes of the SI from a million; thousands are written out.
const SUFFIXES: [(f64, &str); 4] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")];

/// Beyond these, powers of ten are easier to read.
const HUGE: f64 = 1e18;
const TINY: f64 = 1e-4;

fn suffix(magnitude: f64) -> (f64, &'static str) {
    SUFFIXES.into_iter().find(|&(factor, _)| magnitude >= factor).unwrap_or((1.0, ""))
}

/// A number by itself, with at most four significant digits.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    if !(TINY..HUGE).contains(&magnitude) {
        let scientific = format!("{value:.3e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return format!("{}e{exponent}", trimmed(digits));
    }
    let (factor, name) = suffix(magnitude);
    let shown = value / factor;
    let whole = libm::floor(libm::log10(shown.abs())) as i32 + 1;
    let decimals = (4 - whole).clamp(0, 7) as usize;
    format!("{}{name}", grouped(trimmed(&format!("{shown:.decimals$}"))))
}

/// Numbers of one axis, with one suffix and as many decimals as tell them apart.
pub(crate) fn numbers(values: &[f64]) -> Vec<String> {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let (factor, name) = if largest < HUGE { suffix(largest) } else { (1.0, "") };
    let exact = |decimals: usize| {
        values.iter().all(|value| {
            let shown = format!("{:.decimals$}", value / factor).parse::<f64>();
            shown.is_ok_and(|shown| (shown * factor - value).abs() <= largest * 1e-9)
        })
    };
    let decimals = (0..=8).find(|&decimals| exact(decimals));
    match decimals {
        Some(decimals) if largest < HUGE && (largest >= TINY || largest == 0.0) => values
            .iter()
            .map(|&value| {
                // Minus zero is zero.
                let text = format!("{:.decimals$}", value / factor + 0.0);
                let name = if value == 0.0 { "" } else { name };
                let text = if value == 0.0 { "0" } else { &text };
                format!("{}{name}", grouped(text))
            })
            .collect(),
        _ => values.iter().map(|&value| number(value)).collect(),
    }
}

/// Decimals without the zeros at their end.
fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Commas between thousands, from ten thousand on.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let (whole, rest) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
    if whole.len() < 5 {
        return format!("{sign}{whole}{rest}");
    }
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::{number, numbers};

    #[test]
    fn numbers_alone() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (0.000_5, "0.0005"),
            (0.012_345_6, "0.01235"),
            (999.96, "1000"),
            (1234.5, "1234"),
            (12_345.0, "12,345"),
            (999_999.0, "999,999"),
            (1e6, "1M"),
            (2.5e9, "2.5G"),
            (1e20, "1e20"),
            (-1.5e-7, "-1.5e-7"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn numbers_of_one_axis() {
        for (values, texts) in [
            (&[0.0, 0.5, 1.0][..], &["0", "0.5", "1.0"][..]),
            (&[0.0, 500_000.0, 1e6], &["0", "0.5M", "1.0M"]),
            (&[-0.2, -0.1, 0.1 + 0.2 - 0.3, 0.1], &["-0.2", "-0.1", "0.0", "0.1"]),
            (&[10_000.0, 20_000.0], &["10,000", "20,000"]),
            (&[1e30, 2e30], &["1e30", "2e30"]),
        ] {
            assert_eq!(numbers(values), texts);
        }
    }
}
