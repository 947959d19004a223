//! A figure as a whole.

use crate::{Bars, Chart, HeatMap, Invalid, draw};

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it shows, in a line; above it and as its name for those who cannot see it.
    pub title: String,
    /// What is to be seen in it, for those who cannot see it; what axes and series there are is added.
    pub description: String,
    /// What is drawn.
    pub content: Content,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Marks between two axes.
    Chart(Chart),
    /// Bars, one below the other.
    Bars(Bars),
    /// A coloured table.
    HeatMap(HeatMap),
}

impl From<Chart> for Content {
    fn from(chart: Chart) -> Self {
        Self::Chart(chart)
    }
}

impl From<Bars> for Content {
    fn from(bars: Bars) -> Self {
        Self::Bars(bars)
    }
}

impl From<HeatMap> for Content {
    fn from(map: HeatMap) -> Self {
        Self::HeatMap(map)
    }
}

impl Figure {
    /// A figure without description.
    pub fn new(title: impl Into<String>, content: impl Into<Content>) -> Self {
        Self { title: title.into(), description: String::new(), content: content.into() }
    }

    /// The same with a description.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The picture: an SVG document.
    ///
    /// # Errors
    ///
    /// Where there is nothing to draw, a number cannot be shown on its axis, a table is ragged, or there is
    /// more than could be read.
    pub fn svg(&self) -> Result<String, Invalid> {
        draw::figure(self)
    }
}
