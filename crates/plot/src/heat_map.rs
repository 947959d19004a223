//! A table whose cells are coloured by their values.

use crate::Scale;

/// A table whose cells are coloured by their values.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// What columns are, below the table.
    pub x: String,
    /// What rows are, to the left of the table.
    pub y: String,
    /// What values are, with the unit: beside the bar of colours.
    pub values: String,
    /// The columns' names, from left to right.
    pub columns: Vec<String>,
    /// The rows' names, from top to bottom.
    pub rows: Vec<String>,
    /// For each row a cell for each column; `None` where there is no value.
    pub cells: Vec<Vec<Option<Cell>>>,
    /// How values become colours.
    pub colours: Colours,
    /// Whether equal differences or equal factors are equally far apart in colour.
    pub scale: Scale,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The value.
    pub value: f64,
    /// What is written in it; the value if `None`.
    pub label: Option<String>,
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self { value, label: None }
    }
}

/// How values become colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colours {
    /// From dark to bright with growing values.
    Sequential,
    /// White in the centre, blue below, red above, as far in both directions.
    Diverging {
        /// The value that is neither good nor bad, such as 1 for ratios.
        centre: f64,
    },
}
