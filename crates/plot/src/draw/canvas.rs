//! Shapes and text on a canvas of plotters.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::prelude::SVGBackend;
use plotters::prelude::{Color as _, DrawingArea, IntoDrawingArea as _};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, FontTransform, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

use super::colour::INK;
use super::text::{Font, clean};
use crate::Invalid;

/// Lengths are in tenths of a pixel, as plotters knows whole numbers alone.
pub(crate) const PIXEL: i32 = 10;

/// A place on the canvas, from the upper left corner.
pub(crate) type Place = (i32, i32);

/// How many, as a factor of lengths.
pub(crate) fn times(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// plotters writes a font's size divided by this.
const PLOTTERS_FONT: f64 = 1.24;

/// Where text lies about its place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    /// To the right of it, in the middle of its height.
    Right,
    /// To the left of it, in the middle of its height.
    Left,
    /// Centred about it.
    Centre,
    /// Centred below it.
    Below,
    /// Reads upwards and ends at it.
    UpwardsTo,
}

/// A white canvas.
pub(crate) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// What plotters says when it fails. With a string as target nothing can.
pub(crate) fn failed(error: impl std::fmt::Display) -> Invalid {
    Invalid::Drawing(error.to_string())
}

impl<'a> Canvas<'a> {
    pub(crate) fn new(target: &'a mut String, (width, height): Place) -> Result<Self, Invalid> {
        let size = (width.unsigned_abs(), height.unsigned_abs());
        let area = SVGBackend::with_string(target, size).into_drawing_area();
        area.fill(&RGBColor(255, 255, 255)).map_err(failed)?;
        Ok(Self { area })
    }

    /// The canvas without margins of the given widths: left, right, above, below.
    pub(crate) fn inner(
        &self,
        [left, right, top, bottom]: [i32; 4],
    ) -> DrawingArea<SVGBackend<'a>, Shift> {
        self.area.margin(top, bottom, left, right)
    }

    pub(crate) fn line(
        &self,
        places: Vec<Place>,
        colour: RGBColor,
        width: f64,
    ) -> Result<(), Invalid> {
        self.draw(&PathElement::new(places, stroke(colour, width)))
    }

    pub(crate) fn polygon(
        &self,
        places: Vec<Place>,
        colour: RGBColor,
        opacity: f64,
    ) -> Result<(), Invalid> {
        self.draw(&Polygon::new(places, colour.mix(opacity).filled()))
    }

    /// A rectangle between two corners.
    pub(crate) fn rectangle(
        &self,
        corners: [Place; 2],
        colour: RGBColor,
        opacity: f64,
    ) -> Result<(), Invalid> {
        self.draw(&Rectangle::new(corners, colour.mix(opacity).filled()))
    }

    pub(crate) fn frame(&self, corners: [Place; 2], colour: RGBColor) -> Result<(), Invalid> {
        self.draw(&Rectangle::new(corners, stroke(colour, 1.0)))
    }

    pub(crate) fn circle(
        &self,
        centre: Place,
        radius: i32,
        colour: RGBColor,
    ) -> Result<(), Invalid> {
        self.draw(&Circle::new(centre, radius, colour.filled()))
    }

    pub(crate) fn text(
        &self,
        text: &str,
        place: Place,
        anchor: Anchor,
        font: Font,
    ) -> Result<(), Invalid> {
        self.coloured_text(text, place, anchor, font, INK)
    }

    pub(crate) fn coloured_text(
        &self,
        text: &str,
        place: Place,
        anchor: Anchor,
        font: Font,
        colour: RGBColor,
    ) -> Result<(), Invalid> {
        let (horizontal, vertical) = match anchor {
            Anchor::Right => (HPos::Left, VPos::Center),
            Anchor::Centre => (HPos::Center, VPos::Center),
            Anchor::Below => (HPos::Center, VPos::Top),
            Anchor::Left | Anchor::UpwardsTo => (HPos::Right, VPos::Center),
        };
        let upwards = matches!(anchor, Anchor::UpwardsTo);
        let turn = if upwards { FontTransform::Rotate270 } else { FontTransform::None };
        let style = style(font, colour).transform(turn).pos(Pos::new(horizontal, vertical));
        self.area.draw_text(&clean(text), &style, place).map_err(failed)
    }

    fn draw<'b, E>(&self, element: &'b E) -> Result<(), Invalid>
    where
        &'b E: plotters::element::PointCollection<'b, Place>,
        E: plotters::element::Drawable<SVGBackend<'a>>,
    {
        self.area.draw(element).map_err(failed)
    }

    /// Ends the document.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        self.area.present().map_err(failed)
    }
}

/// A line of a width in pixels.
pub(crate) fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    colour.stroke_width((width * f64::from(PIXEL)).round() as u32)
}

/// Text of a size in plotters' words.
pub(crate) fn style<'b>(font: Font, colour: RGBColor) -> TextStyle<'b> {
    let size = f64::from(font.size()) * PLOTTERS_FONT;
    let weight = if font == Font::Title { FontStyle::Bold } else { FontStyle::Normal };
    ("sans-serif", size).into_font().style(weight).color(&colour)
}
