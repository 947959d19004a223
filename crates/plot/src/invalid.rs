//! Why a figure cannot be drawn.

/// Why a figure cannot be drawn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// There is nothing to draw.
    #[error("{0} has nothing to draw")]
    Empty(String),
    /// NaN, infinite, or of a magnitude that calculations cannot hold.
    #[error("{what} holds {value:?}, which no axis can show")]
    NotFinite {
        /// The series or axis.
        what: String,
        /// What it holds.
        value: f64,
    },
    /// Zero or less on a logarithmic axis.
    #[error("{what} holds {value}, which a logarithmic axis cannot show: use a linear one")]
    NotPositive {
        /// The series or axis.
        what: String,
        /// What it holds.
        value: f64,
    },
    /// An interval that does not hold its value.
    #[error("{what} has an interval from {low} to {high} about {value}, which lies outside")]
    Interval {
        /// The series.
        what: String,
        /// The value.
        value: f64,
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// A heat map whose rows are not as long as it has columns.
    #[error("row {row} of the heat map has {cells} cells for {columns} columns")]
    Ragged {
        /// Which row, from 0.
        row: usize,
        /// How many cells it has.
        cells: usize,
        /// How many it should have.
        columns: usize,
    },
    /// A heat map without a name for each row.
    #[error("the heat map has {rows} rows of cells for {names} names of rows")]
    Rows {
        /// How many names there are.
        names: usize,
        /// How many rows of cells there are.
        rows: usize,
    },
    /// More than a picture can show readably.
    #[error("{count} {what} are more than a readable figure can hold (at most {most})")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// The drawing library gave up.
    #[error("the picture could not be drawn: {0}")]
    Drawing(String),
}
