//! Two axes with their grid.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::SVGBackend;
use plotters::style::TRANSPARENT;

use super::canvas::{Canvas, PIXEL, Place, failed, stroke, style};
use super::colour::{GRID, INK};
use super::coordinates::{Along, Coordinates};
use super::heading::EDGE;
use super::placing::Box4;
use super::text::Font;
use crate::{Axis, Invalid};

/// Length of ticks; plotters leaves as much again between them and their labels.
const TICK: i32 = 4 * PIXEL;

/// How large a frame is, and what is left for the chart in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The whole figure.
    pub(crate) size: Place,
    /// Where the heading ends.
    pub(crate) top: i32,
    /// To the left of the chart, without the edge.
    left: i32,
    /// Right of the chart.
    right: i32,
}

const BELOW: i32 = 44 * PIXEL;

impl Room {
    /// Room for a chart whose vertical axis has labels of that width, and a name or none.
    pub(crate) fn new(size: Place, top: i32, label_width: i32, named: bool) -> Self {
        let name = if named { Font::Label.line() + 6 * PIXEL } else { 0 };
        Self { size, top, left: name + label_width + 2 * TICK + 2 * PIXEL, right: 3 * EDGE }
    }

    /// Below the chart, without the edge: labels of ticks and the axis' name.
    pub(crate) fn below() -> i32 {
        BELOW
    }

    /// Height of a chart below a heading.
    pub(crate) fn height(size: Place, top: i32) -> i32 {
        size.1 - top - BELOW - EDGE
    }

    /// Width of the chart.
    pub(crate) fn width(&self) -> i32 {
        self.size.0 - EDGE - self.left - self.right
    }
}

/// Two axes, drawn.
pub(crate) struct Frame<'a> {
    chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<Coordinates, Coordinates>>,
}

impl<'a> Frame<'a> {
    /// Draws the axes.
    pub(crate) fn new(
        canvas: &Canvas<'a>,
        room: Room,
        (x, x_name): (Coordinates, &str),
        (y, y_name): (Coordinates, &str),
    ) -> Result<Self, Invalid> {
        let area = canvas.inner([EDGE, room.right, room.top, EDGE]);
        let (x_name, y_name) = (
            Font::Label.shortened(x_name, room.width()),
            Font::Label.shortened(y_name, Room::height(room.size, room.top)),
        );
        let categories = y.ticks().is_empty();
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(BELOW)
            .y_label_area_size(room.left)
            .build_cartesian_2d(x, y)
            .map_err(failed)?;
        let mut mesh = chart.configure_mesh();
        if categories {
            mesh.disable_y_mesh();
        }
        mesh.bold_line_style(stroke(GRID, 1.0))
            .light_line_style(TRANSPARENT)
            .axis_style(stroke(INK, 1.0))
            .set_all_tick_mark_size(TICK)
            .label_style(style(Font::Small, INK))
            .axis_desc_style(style(Font::Label, INK))
            .x_desc(super::text::clean(&x_name))
            .y_desc(super::text::clean(&y_name))
            .draw()
            .map_err(failed)?;
        Ok(Self { chart })
    }

    /// Where a pair of numbers lies on the canvas.
    pub(crate) fn place(&self, x: f64, y: f64) -> Place {
        self.chart.backend_coord(&(x, y))
    }

    /// Where a number of the horizontal axis lies.
    pub(crate) fn across(&self, x: f64) -> i32 {
        self.place(x, self.chart.plotting_area().as_coord_spec().y_spec().low()).0
    }

    /// Where a number of the vertical axis lies.
    pub(crate) fn down(&self, y: f64) -> i32 {
        self.place(self.chart.plotting_area().as_coord_spec().x_spec().low(), y).1
    }

    /// The box between the axes.
    pub(crate) fn inside(&self) -> Box4 {
        let (x, y) = self.chart.plotting_area().get_pixel_range();
        [x.start, y.start, x.end, y.end]
    }
}

/// Vertical coordinates and the room that their labels leave for a chart.
pub(crate) fn beside(axis: &Axis, values: &[f64], size: Place, top: i32) -> (Coordinates, Room) {
    let y = Coordinates::new(axis, values, Room::height(size, top), Along::Height);
    let room = Room::new(size, top, y.label_width(Font::Small), !axis.label.is_empty());
    (y, room)
}
