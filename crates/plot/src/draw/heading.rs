//! What stands above a figure: its title and its legend.

use super::canvas::{Anchor, Canvas, PIXEL, Place, times};
use super::marker::{Look, RADIUS};
use super::text::Font;
use crate::Invalid;

/// Space at the edges of a figure.
pub(crate) const EDGE: i32 = 12 * PIXEL;

/// Length of a legend's sample, and the space between entries.
const SAMPLE: i32 = 22 * PIXEL;
const GAP: i32 = 6 * PIXEL;
const BETWEEN: i32 = 20 * PIXEL;

/// How a legend shows a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// A point on a line.
    Line,
    /// A point.
    Point,
    /// A filled box.
    Fill,
}

/// An entry of a legend.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) look: Look,
    pub(crate) sample: Sample,
}

/// Title and legend, laid out.
#[derive(Debug)]
pub(crate) struct Heading {
    title: Vec<String>,
    /// Entries with the place of their samples' left end.
    entries: Vec<(Entry, Place)>,
    /// Where what is below begins.
    pub(crate) height: i32,
}

impl Heading {
    /// A heading of that width.
    pub(crate) fn new(title: &str, entries: Vec<Entry>, width: i32) -> Self {
        let room = width - 2 * EDGE;
        let title = Font::Title.wrapped(title, room);
        let mut y = EDGE + times(title.len()) * Font::Title.line();
        let mut x = EDGE;
        let row = Font::Label.line() + 4 * PIXEL;
        let mut placed = Vec::new();
        if !entries.is_empty() {
            y += 6 * PIXEL;
        }
        for mut entry in entries {
            entry.name = Font::Label.shortened(&entry.name, room - SAMPLE - GAP);
            let wide = SAMPLE + GAP + Font::Label.width(&entry.name);
            if x > EDGE && x + wide > width - EDGE {
                (x, y) = (EDGE, y + row);
            }
            placed.push((entry, (x, y + row / 2)));
            x += wide + BETWEEN;
        }
        if !placed.is_empty() {
            y += row;
        }
        Self { title, entries: placed, height: y + 10 * PIXEL }
    }

    pub(crate) fn draw(&self, canvas: &Canvas<'_>) -> Result<(), Invalid> {
        for (at, line) in self.title.iter().enumerate() {
            let y = EDGE + times(at) * Font::Title.line() + Font::Title.size() / 2;
            canvas.text(line, (EDGE, y), Anchor::Right, Font::Title)?;
        }
        for (entry, (x, y)) in &self.entries {
            let (x, y) = (*x, *y);
            let middle = (x + SAMPLE / 2, y);
            match entry.sample {
                Sample::Line => {
                    canvas.line(vec![(x, y), (x + SAMPLE, y)], entry.look.colour, 2.0)?;
                    entry.look.point(canvas, middle, RADIUS)?;
                }
                Sample::Point => entry.look.point(canvas, middle, RADIUS)?,
                Sample::Fill => {
                    let corners =
                        [(x + 4 * PIXEL, y - 6 * PIXEL), (x + SAMPLE - 4 * PIXEL, y + 6 * PIXEL)];
                    canvas.rectangle(corners, entry.look.colour, 1.0)?;
                }
            }
            let place = (x + SAMPLE + GAP, y);
            canvas.text(&entry.name, place, Anchor::Right, Font::Label)?;
        }
        Ok(())
    }
}
