//! From figures to SVG, by way of plotters.
//!
//! plotters has coordinate systems, grids, axes and shapes. What it cannot know without fonts is how wide
//! text is; so margins, legends and the places of labels are worked out here, from widths on the safe side.

mod bars;
mod canvas;
mod chart;
mod colour;
mod coordinates;
mod document;
mod frame;
mod heading;
mod heat_map;
mod marker;
mod number;
mod placing;
mod text;

use crate::{Content, Figure, Invalid};

/// The picture of a figure.
pub(crate) fn figure(figure: &Figure) -> Result<String, Invalid> {
    match &figure.content {
        Content::Chart(content) => chart::draw(figure, content),
        Content::Bars(content) => bars::draw(figure, content),
        Content::HeatMap(content) => heat_map::draw(figure, content),
    }
}
