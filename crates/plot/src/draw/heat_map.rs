//! Heat maps: checks, layout, drawing.

use std::fmt::Write as _;

use super::canvas::{Anchor, Canvas, PIXEL, Place, times};
use super::colour::{GREY, INK, VOID, ink_on};
use super::coordinates::{Along, Coordinates};
use super::document::document;
use super::heading::{EDGE, Heading};
use super::number::number;
use super::text::Font;
use crate::axis::finite;
use crate::{Axis, Cell, Colours, Figure, HeatMap, Invalid, Scale};

/// Least width of a figure, and most; width of cells between.
const WIDTH: i32 = 800 * PIXEL;
const LEAST_CELL: i32 = 34 * PIXEL;
const MOST_CELL: i32 = 120 * PIXEL;

/// Height of cells.
const ROW: i32 = 34 * PIXEL;

/// Names of rows and upright names of columns are at most so long.
const NAMES: i32 = 240 * PIXEL;

/// Width of the bar of colours, and its pieces.
const BAR: i32 = 16 * PIXEL;
const PIECES: i32 = 64;

/// The bar is at least so high.
const BAR_HEIGHT: i32 = 120 * PIXEL;

/// More rows or columns are a table.
const MOST: usize = 60;

/// Where the parts of a heat map lie.
struct Layout {
    size: Place,
    /// Upper left corner of the cells.
    corner: Place,
    cell: i32,
    /// Names of columns as they are written, and whether they read upwards.
    columns: Vec<String>,
    upright: bool,
    /// Where their axis' name lies.
    below: i32,
    rows: Vec<String>,
}

pub(crate) fn draw(figure: &Figure, map: &HeatMap) -> Result<String, Invalid> {
    let values = values(map)?;
    let colours = Range::new(map, &values);
    let labels: Vec<Vec<String>> = map
        .cells
        .iter()
        .map(|row| row.iter().map(|cell| cell.as_ref().map_or_else(String::new, text)).collect())
        .collect();
    let axis = Axis { label: map.values.clone(), scale: map.scale, ..Axis::default() };
    let bar_height = (times(map.rows.len()) * ROW).max(BAR_HEIGHT);
    let bar = Coordinates::new(&axis, &colours.ends(), bar_height, Along::Height);
    let right = BAR + 28 * PIXEL + bar.label_width(Font::Small) + EDGE;
    let mut layout = layout(map, &labels, right);
    let heading = Heading::new(&figure.title, Vec::new(), layout.size.0);
    layout.corner.1 = heading.height + Font::Label.line() + 6 * PIXEL;
    layout.below += layout.corner.1;
    layout.size.1 = (layout.below + Font::Label.line() + EDGE)
        .max(layout.corner.1 + bar_height + EDGE + Font::Small.line());
    document(figure, &facts(map, &values), layout.size, |canvas| {
        heading.draw(canvas)?;
        cells(canvas, map, &layout, &labels, &colours)?;
        names(canvas, map, &layout, heading.height)?;
        let left = layout.corner.0 + times(map.columns.len()) * layout.cell + 20 * PIXEL;
        colour_bar(canvas, &colours, &bar, [left, layout.corner.1, bar_height])
    })
}

/// What is written in a cell.
fn text(cell: &Cell) -> String {
    cell.label.clone().unwrap_or_else(|| number(cell.value))
}

/// The values that there are, checked.
fn values(map: &HeatMap) -> Result<Vec<f64>, Invalid> {
    for (what, count) in [("columns", map.columns.len()), ("rows", map.rows.len())] {
        if count > MOST {
            return Err(Invalid::TooMany { what, count, most: MOST });
        }
    }
    let axis = Axis { scale: map.scale, ..Axis::default() };
    let what = if map.values.is_empty() { "the heat map" } else { &map.values };
    for (row, cells) in map.cells.iter().enumerate() {
        if cells.len() != map.columns.len() {
            return Err(Invalid::Ragged { row, cells: cells.len(), columns: map.columns.len() });
        }
        for cell in cells.iter().flatten() {
            axis.check(what, cell.value)?;
        }
    }
    if map.cells.len() != map.rows.len() {
        return Err(Invalid::Rows { names: map.rows.len(), rows: map.cells.len() });
    }
    if let Colours::Diverging { centre } = map.colours {
        finite(what, centre)?;
        axis.check(what, centre)?;
    }
    let values: Vec<f64> = map.cells.iter().flatten().flatten().map(|cell| cell.value).collect();
    if values.is_empty() { Err(Invalid::Empty("the heat map".to_owned())) } else { Ok(values) }
}

/// From values to colours.
struct Range {
    colours: Colours,
    scale: Scale,
    low: f64,
    high: f64,
}

impl Range {
    fn new(map: &HeatMap, values: &[f64]) -> Self {
        let along = |value: f64| scaled(map.scale, value);
        let mut low = values.iter().copied().map(along).fold(f64::INFINITY, f64::min);
        let mut high = values.iter().copied().map(along).fold(f64::NEG_INFINITY, f64::max);
        if let Colours::Diverging { centre } = map.colours {
            let centre = along(centre);
            let reach = (centre - low).abs().max((high - centre).abs());
            (low, high) = (centre - reach, centre + reach);
        }
        if high - low <= 1e-9 * high.abs().max(low.abs()) {
            // Equal factors are equal differences of logarithms.
            let reach = match map.scale {
                Scale::Linear if high != 0.0 => high.abs() * 0.1,
                Scale::Linear | Scale::Log => 1.0,
            };
            (low, high) = (low - reach, high + reach);
        }
        Self { colours: map.colours, scale: map.scale, low, high }
    }

    fn share(&self, value: f64) -> f64 {
        (scaled(self.scale, value) - self.low) / (self.high - self.low)
    }

    fn colour(&self, value: f64) -> plotters::style::RGBColor {
        self.colours.at(self.share(value))
    }

    /// The values at both ends.
    fn ends(&self) -> [f64; 2] {
        [self.low, self.high].map(|end| match self.scale {
            Scale::Linear => end,
            Scale::Log => libm::exp10(end),
        })
    }
}

fn scaled(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log => libm::log10(value),
    }
}

fn layout(map: &HeatMap, labels: &[Vec<String>], right: i32) -> Layout {
    let rows: Vec<String> = map.rows.iter().map(|row| Font::Small.shortened(row, NAMES)).collect();
    let widest = rows.iter().map(|row| Font::Small.width(row)).max().unwrap_or(0);
    let left = EDGE + widest + 8 * PIXEL;
    let inside = labels.iter().flatten().map(|label| Font::Small.width(label)).max().unwrap_or(0);
    let count = times(map.columns.len());
    let cell =
        ((WIDTH - left - right) / count).clamp(LEAST_CELL, MOST_CELL).max(inside + 8 * PIXEL);
    let upright = map.columns.iter().any(|name| Font::Small.width(name) + 6 * PIXEL > cell);
    let columns: Vec<String> =
        map.columns.iter().map(|column| Font::Small.shortened(column, NAMES)).collect();
    let high = if upright {
        columns.iter().map(|column| Font::Small.width(column)).max().unwrap_or(0)
    } else {
        Font::Small.line()
    };
    let below = times(map.rows.len()) * ROW + 8 * PIXEL + high + 6 * PIXEL;
    let width = (left + count * cell + right).max(WIDTH / 2);
    Layout { size: (width, 0), corner: (left, 0), cell, columns, upright, below, rows }
}

fn cells(
    canvas: &Canvas<'_>,
    map: &HeatMap,
    layout: &Layout,
    labels: &[Vec<String>],
    colours: &Range,
) -> Result<(), Invalid> {
    for (row, cells) in map.cells.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let left = layout.corner.0 + times(column) * layout.cell;
            let top = layout.corner.1 + times(row) * ROW;
            // A rim of paper parts cells of like colours.
            let rim = PIXEL / 2;
            let corners = [(left + rim, top + rim), (left + layout.cell - rim, top + ROW - rim)];
            let middle = (left + layout.cell / 2, top + ROW / 2);
            let Some(cell) = cell else {
                canvas.rectangle(corners, VOID, 1.0)?;
                canvas.coloured_text("–", middle, Anchor::Centre, Font::Small, GREY)?;
                continue;
            };
            let colour = colours.colour(cell.value);
            canvas.rectangle(corners, colour, 1.0)?;
            let label = &labels[row][column];
            canvas.coloured_text(label, middle, Anchor::Centre, Font::Small, ink_on(colour))?;
        }
    }
    Ok(())
}

/// Names of rows, columns and axes.
fn names(canvas: &Canvas<'_>, map: &HeatMap, layout: &Layout, above: i32) -> Result<(), Invalid> {
    let (left, top) = layout.corner;
    let bottom = top + times(map.rows.len()) * ROW;
    for (row, name) in layout.rows.iter().enumerate() {
        let y = top + times(row) * ROW + ROW / 2;
        canvas.text(name, (left - 8 * PIXEL, y), Anchor::Left, Font::Small)?;
    }
    for (column, name) in layout.columns.iter().enumerate() {
        let x = left + times(column) * layout.cell + layout.cell / 2;
        let anchor = if layout.upright { Anchor::UpwardsTo } else { Anchor::Below };
        canvas.text(name, (x, bottom + 8 * PIXEL), anchor, Font::Small)?;
    }
    let width = times(map.columns.len()) * layout.cell;
    let x_name = Font::Label.shortened(&map.x, layout.size.0 - 2 * EDGE);
    let half = Font::Label.width(&x_name) / 2;
    let x = (left + width / 2).clamp(EDGE + half, (layout.size.0 - EDGE - half).max(EDGE + half));
    canvas.text(&x_name, (x, layout.below), Anchor::Below, Font::Label)?;
    // What rows and colours are stands above them, where there is room for words.
    let room = layout.size.0 - 2 * EDGE;
    let y = above + Font::Label.line() / 2;
    let y_name = Font::Label.shortened(&map.y, room / 2);
    canvas.text(&y_name, (EDGE, y), Anchor::Right, Font::Label)?;
    let values = Font::Label.shortened(&map.values, room - Font::Label.width(&y_name) - EDGE);
    canvas.text(&values, (layout.size.0 - EDGE, y), Anchor::Left, Font::Label)
}

/// The bar that says which colour stands for which value.
fn colour_bar(
    canvas: &Canvas<'_>,
    colours: &Range,
    axis: &Coordinates,
    [left, top, height]: [i32; 3],
) -> Result<(), Invalid> {
    // From the top down, each over the rest of the bar: no seams are left between pieces.
    for piece in (0..PIECES).rev() {
        let from = top + height - height * (piece + 1) / PIECES;
        let share = (f64::from(piece) + 0.5) / f64::from(PIECES);
        let corners = [(left, from), (left + BAR, top + height)];
        canvas.rectangle(corners, colours.colours.at(share), 1.0)?;
    }
    canvas.frame([(left, top), (left + BAR, top + height)], INK)?;
    for (value, label) in axis.ticks() {
        let share = colours.share(*value);
        if !(-1e-9..=1.0 + 1e-9).contains(&share) {
            continue;
        }
        let y = top + height - (share * f64::from(height)).round() as i32;
        canvas.line(vec![(left + BAR, y), (left + BAR + 4 * PIXEL, y)], INK, 1.0)?;
        canvas.text(label, (left + BAR + 8 * PIXEL, y), Anchor::Right, Font::Small)?;
    }
    Ok(())
}

/// What a heat map shows, for those who cannot see it.
fn facts(map: &HeatMap, values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut facts = format!(
        "A table of {} from {} to {}. Columns, {}: {}.",
        map.values,
        number(low),
        number(high),
        map.x,
        map.columns.join(", ")
    );
    for (row, cells) in map.rows.iter().zip(&map.cells) {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| cell.as_ref().map_or_else(|| "none".to_owned(), text))
            .collect();
        let _ = write!(facts, " {} {row}: {}.", map.y, cells.join(", "));
    }
    facts
}
