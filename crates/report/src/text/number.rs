//! Numbers as people read them.

use motley_units::Seconds;

/// A count with thousands set apart.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Four significant digits, thousands set apart.
pub fn four_digits(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if rounded.abs() >= 1000.0 {
        return count(rounded.round() as u64);
    }
    if rounded == 0.0 {
        return "0".to_owned();
    }
    let decimals = 3.0 - rounded.abs().log10().floor();
    format!("{rounded:.*}", decimals.clamp(0.0, 9.0) as usize)
}

/// A duration with four significant digits.
pub fn seconds(value: f64) -> String {
    let (factor, unit) = [(1.0, "s"), (1e-3, "ms"), (1e-6, "us")]
        .into_iter()
        .find(|&(factor, _)| value >= factor)
        .unwrap_or((1e-9, "ns"));
    if value == 0.0 {
        return Seconds(0.0).to_string();
    }
    format!("{} {unit}", four_digits(value / factor))
}

/// A share, with one decimal.
pub fn percent(ratio: f64) -> String {
    format!("{:.1} %", 100.0 * ratio)
}

/// A share that an error is, with its sign.
pub fn signed_percent(ratio: f64) -> String {
    format!("{:+.1} %", 100.0 * ratio)
}

/// GiB without the unit: one decimal, but for very small sizes three and for large ones none.
pub fn gib(bytes: f64) -> String {
    let gib = bytes / (1024.0 * 1024.0 * 1024.0);
    if gib >= 99_999.5 {
        return format!("{gib:.1e}");
    }
    let decimals = if gib >= 99.95 {
        0
    } else if gib >= 0.095 || bytes == 0.0 {
        1
    } else {
        3
    };
    format!("{gib:.decimals$}")
}

/// Parameters: `2.53B`.
pub fn parameters(value: f64) -> String {
    let (factor, unit) = [(1e12, "T"), (1e9, "B"), (1e6, "M")]
        .into_iter()
        .find(|&(factor, _)| value >= factor)
        .unwrap_or((1e3, "K"));
    let scaled = value / factor;
    let decimals = if scaled >= 99.95 {
        0
    } else if scaled >= 9.995 {
        1
    } else {
        2
    };
    format!("{scaled:.decimals$}{unit}")
}

/// `4`, or `4 to 12` if they differ; empty of nothing.
pub fn span(values: impl IntoIterator<Item = u32> + Clone) -> String {
    let (least, most) = (values.clone().into_iter().min(), values.into_iter().max());
    match (least, most) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
        (Some(least), _) => least.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(four_digits(42_317.0), "42,320");
        assert_eq!(four_digits(999.96), "1,000");
        assert_eq!(four_digits(99.996), "100.0");
        assert_eq!(four_digits(0.031_24), "0.03124");
        assert_eq!(four_digits(0.0), "0");
        assert_eq!(seconds(12.345_6), "12.35 s");
        assert_eq!(seconds(0.001_234_5), "1.234 ms");
        assert_eq!(seconds(0.0), "0 ns");
        assert_eq!(percent(0.123_45), "12.3 %");
        assert_eq!(signed_percent(0.025), "+2.5 %");
        assert_eq!(parameters(174.6e9), "175B");
        assert_eq!(parameters(2.534e9), "2.53B");
        assert_eq!(span([4, 4]), "4");
        assert_eq!(span([12, 4]), "4 to 12");
    }
}
