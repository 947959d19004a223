//! Shapes of points, so that series differ in more than colour.

use plotters::style::RGBColor;

use super::canvas::{Canvas, PIXEL, Place};
use super::colour::{DISTINCT, series};
use crate::Invalid;

/// Half the width of a point.
pub(crate) const RADIUS: i32 = 4 * PIXEL;

/// The look of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) colour: RGBColor,
    /// Corners of its points, as shares of the radius; none for a circle.
    corners: &'static [(f64, f64)],
}

/// Circle, square, triangle, diamond, and a triangle that stands on its tip.
const SHAPES: [&[(f64, f64)]; 5] = [
    &[],
    &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
    &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
    &[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
];

/// How many looks differ: numbers of colours and of shapes have no common divisor.
pub(crate) const LOOKS: usize = DISTINCT * SHAPES.len();

impl Look {
    /// The look of a series.
    pub(crate) fn of(number: usize) -> Self {
        Self { colour: series(number), corners: SHAPES[number % SHAPES.len()] }
    }

    /// A point.
    pub(crate) fn point(
        self,
        canvas: &Canvas<'_>,
        (x, y): Place,
        radius: i32,
    ) -> Result<(), Invalid> {
        if self.corners.is_empty() {
            return canvas.circle((x, y), radius, self.colour);
        }
        let along = |share: f64| (share * f64::from(radius)).round() as i32;
        let corners =
            self.corners.iter().map(|&(right, down)| (x + along(right), y + along(down))).collect();
        canvas.polygon(corners, self.colour, 1.0)
    }

    /// The same shape, paler.
    pub(crate) fn paler(mut self) -> Self {
        let RGBColor(red, green, blue) = self.colour;
        let [red, green, blue] =
            [red, green, blue].map(|part| 255 - ((255 - u16::from(part)) * 2 / 5) as u8);
        self.colour = RGBColor(red, green, blue);
        self
    }
}
