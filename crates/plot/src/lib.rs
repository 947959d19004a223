//! Figures as pictures in SVG.
//!
//! A [`Figure`] is data: a title, a description and a [`Chart`] (lines, points, steps, scatters, reference
//! lines), [`Bars`] or a [`HeatMap`]. [`Figure::svg`] draws it. A picture needs nothing from outside, looks the
//! same in browsers and on GitHub, has a title and a description for those who cannot see it, and uses colours
//! that can be told apart with all common kinds of colour blindness; series differ in the shape of their
//! points, too. The same figure gives the same bytes.
//!
//! The crate knows numbers and names, nothing of clusters.
//!
//! ```
//! use motley_plot::{Axis, Chart, Figure, Reference, Series};
//!
//! let cards = [(8.0, 1.2), (16.0, 2.3), (32.0, 4.1)];
//! let chart = Chart::new(Axis::log("cards"), Axis::log("tokens/s"))
//!     .with(Series::line("measured", cards))
//!     .with(Reference::horizontal(3.0, "one H100"));
//! let svg = Figure::new("Throughput by number of cards", chart).svg()?;
//! assert!(svg.starts_with("<svg"));
//! # Ok::<(), motley_plot::Invalid>(())
//! ```

mod axis;
mod bars;
mod chart;
mod draw;
mod figure;
mod heat_map;
mod invalid;

pub use axis::{Axis, Scale};
pub use bars::{Bar, Bars};
pub use chart::{
    Better, Chart, Dot, Front, Mark, Note, Point, Reference, Scatter, Series, Side, Style,
};
pub use figure::{Content, Figure};
pub use heat_map::{Cell, Colours, HeatMap};
pub use invalid::Invalid;
