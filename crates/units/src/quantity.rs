//! The quantities, how they are written in files and how they are shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a written quantity was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QuantityError {
    /// NaN or infinite.
    NotFinite,
    /// Below zero.
    Negative(f64),
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite => write!(f, "a quantity must be a finite number"),
            Self::Negative(value) => write!(f, "a quantity cannot be negative, found {value}"),
        }
    }
}

impl std::error::Error for QuantityError {}

fn checked(value: f64) -> Result<f64, QuantityError> {
    if !value.is_finite() {
        Err(QuantityError::NotFinite)
    } else if value < 0.0 {
        Err(QuantityError::Negative(value))
    } else {
        Ok(value)
    }
}

/// Defines a quantity held in SI units and the spellings by which files write it; `$si` is the
/// spelling that serialisation uses. `$name` is `Copy` and orders as its number does.
macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident written $written:ident, $written_name:literal, si $si:ident {
        $($unit:ident = $factor:expr),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = $written_name, into = $written_name)]
        pub struct $name(pub f64);

        #[derive(Serialize, Deserialize)]
        #[allow(clippy::upper_case_acronyms, reason = "units are spelt as people write them")]
        enum $written {
            $($unit(f64)),+
        }

        impl TryFrom<$written> for $name {
            type Error = QuantityError;
            fn try_from(written: $written) -> Result<Self, QuantityError> {
                let value = match written { $($written::$unit(value) => checked(value)? * $factor),+ };
                checked(value).map(Self)
            }
        }

        impl From<$name> for $written {
            fn from(quantity: $name) -> Self {
                Self::$si(quantity.0)
            }
        }

        impl $name {
            /// The spellings that a file may use, as `Unit(number)`.
            pub const UNITS: &'static [&'static str] = &[$(stringify!($unit)),+];
        }
    };
}

const KI: f64 = 1024.0;

quantity! {
    /// A size in bytes. Written `B`, `KB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`,
    /// `GiB`, `TiB` (powers of 1024).
    Bytes written WrittenBytes, "WrittenBytes", si B {
        B = 1.0, KB = 1e3, MB = 1e6, GB = 1e9, TB = 1e12,
        KiB = KI, MiB = KI * KI, GiB = KI * KI * KI, TiB = KI * KI * KI * KI,
    }
}
quantity! {
    /// A rate in bytes per second. Written in bits, `Mbps`, `Gbps`, `Tbps`, or in bytes, `Bps`,
    /// `MBps`, `GBps`, `TBps`.
    BytesPerSec written WrittenRate, "WrittenRate", si Bps {
        Bps = 1.0, MBps = 1e6, GBps = 1e9, TBps = 1e12,
        Mbps = 1e6 / 8.0, Gbps = 1e9 / 8.0, Tbps = 1e12 / 8.0,
    }
}
quantity! {
    /// A duration in seconds, for formulae; simulated time is [`crate::Time`]. Written `S`, `Ms`,
    /// `Us`, `Ns`, `Minutes`, `Hours`, `Days`.
    Seconds written WrittenSeconds, "WrittenSeconds", si S {
        S = 1.0, Ms = 1e-3, Us = 1e-6, Ns = 1e-9,
        Minutes = 60.0, Hours = 3600.0, Days = 86_400.0,
    }
}
quantity! {
    /// A rate of floating-point operations per second (a multiply-add counts two). Written
    /// `GFlops`, `TFlops`, `PFlops`.
    FlopsPerSec written WrittenFlops, "WrittenFlops", si Flops {
        Flops = 1.0, GFlops = 1e9, TFlops = 1e12, PFlops = 1e15,
    }
}
quantity! {
    /// A frequency in hertz. Written `MHz` or `GHz`.
    Hertz written WrittenHertz, "WrittenHertz", si Hz { Hz = 1.0, MHz = 1e6, GHz = 1e9 }
}
quantity! {
    /// A power in watts. Written `W` or `KW`.
    Watts written WrittenWatts, "WrittenWatts", si W { W = 1.0, KW = 1e3 }
}

/// A count of floating-point operations; a multiply-add counts two.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Flops(pub f64);

/// `value` with three significant digits and the largest of `scale` that leaves at least one
/// before the point.
fn engineering(f: &mut fmt::Formatter<'_>, value: f64, scale: &[(f64, &str)]) -> fmt::Result {
    let (factor, unit) = scale
        .iter()
        .copied()
        .find(|(factor, _)| value.abs() >= *factor)
        .unwrap_or_else(|| scale.last().copied().unwrap_or((1.0, "")));
    let scaled = value / factor;
    let decimals = if scaled.abs() >= 99.95 || scaled == 0.0 {
        0
    } else if scaled.abs() >= 9.995 {
        1
    } else {
        2
    };
    f.pad(&format!("{scaled:.decimals$} {unit}"))
}

macro_rules! display {
    ($name:ident, $scale:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                engineering(f, self.0, $scale)
            }
        }
    };
}

const GI: f64 = KI * KI * KI;
display!(Bytes, &[(KI * GI, "TiB"), (GI, "GiB"), (KI * KI, "MiB"), (KI, "KiB"), (1.0, "B")]);
display!(BytesPerSec, &[(1e12, "TB/s"), (1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")]);
display!(Seconds, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")]);
display!(
    FlopsPerSec,
    &[(1e18, "EFLOP/s"), (1e15, "PFLOP/s"), (1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1.0, "FLOP/s")]
);
display!(
    Flops,
    &[(1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1.0, "FLOP")]
);
display!(Hertz, &[(1e9, "GHz"), (1e6, "MHz"), (1.0, "Hz")]);
display!(Watts, &[(1e6, "MW"), (1e3, "kW"), (1.0, "W")]);

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(text: &str, expected: f64)
    where
        T: serde::de::DeserializeOwned + Into<f64>,
    {
        let parsed: T = ron::from_str(text).unwrap();
        let value: f64 = parsed.into();
        assert!((value - expected).abs() <= expected * 1e-15, "{text}: {value} != {expected}");
    }

    macro_rules! into_f64 {
        ($($name:ident),+) => { $(impl From<$name> for f64 { fn from(q: $name) -> f64 { q.0 } })+ };
    }
    into_f64!(Bytes, BytesPerSec, Seconds, FlopsPerSec, Hertz, Watts);

    #[test]
    fn every_spelling_is_converted() {
        check::<Bytes>("GiB(80)", 85_899_345_920.0);
        check::<Bytes>("GB(80)", 8e10);
        check::<BytesPerSec>("Gbps(200)", 25e9);
        check::<BytesPerSec>("GBps(25)", 25e9);
        check::<Seconds>("Us(3.5)", 3.5e-6);
        check::<FlopsPerSec>("TFlops(312)", 312e12);
        check::<Hertz>("MHz(1410)", 1.41e9);
        check::<Watts>("KW(6.5)", 6500.0);
    }

    #[test]
    fn bare_negative_and_unfinite_numbers_are_refused() {
        for text in ["80", "GiB(-1)", "GiB(NaN)", "GiB(inf)", "Gib(80)", "TiB(1e300)"] {
            assert!(ron::from_str::<Bytes>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_with_three_digits() {
        assert_eq!(Bytes(80.0 * GI).to_string(), "80.0 GiB");
        assert_eq!(Seconds(0.001_234).to_string(), "1.23 ms");
        assert_eq!(FlopsPerSec(312e12).to_string(), "312 TFLOP/s");
        assert_eq!(Bytes(0.0).to_string(), "0 B");
    }
}
