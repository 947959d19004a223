//! Bars, one below the other.

use crate::Axis;

/// Bars with their names to the left and their values at their ends, from the first at the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What their lengths show; a linear axis always has zero in its range, a logarithmic one begins at the
    /// power of ten below the shortest.
    pub axis: Axis,
    /// The bars.
    pub bars: Vec<Bar>,
    /// Numbers that all bars are held against, with what is written there.
    pub references: Vec<(f64, String)>,
}

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What is written to its left.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// The lower and the upper end of what the value may be.
    pub interval: Option<(f64, f64)>,
    /// What is written at its end; the value if `None`.
    pub label: Option<String>,
    /// Bars of one group have one colour, which the legend explains; empty if there are no groups.
    pub group: String,
}

impl Bar {
    /// A bar without interval and group, with its value at its end.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, interval: None, label: None, group: String::new() }
    }
}
