//! Bars: checks, layout, drawing.

use super::canvas::{Anchor, Canvas, PIXEL, times};
use super::chart::{axis_facts, interval};
use super::colour::{GREY, INK, PAPER};
use super::coordinates::{Along, Coordinates};
use super::document::document;
use super::frame::{Frame, Room};
use super::heading::{EDGE, Entry, Heading, Sample};
use super::marker::{LOOKS, Look};
use super::number::number;
use super::text::Font;
use crate::axis::finite;
use crate::{Axis, Bar, Bars, Figure, Invalid, Scale};

/// Width of the figure, and height of a bar with its space.
const WIDTH: i32 = 800 * PIXEL;
const ROW: i32 = 26 * PIXEL;

/// Share of a row that the bar takes.
const FILLED: f64 = 0.7;

/// Names of bars take at most this share of the width.
const NAMES: f64 = 0.4;

/// More bars are a table.
const MOST: usize = 100;

pub(crate) fn draw(figure: &Figure, bars: &Bars) -> Result<String, Invalid> {
    let values = values(bars)?;
    let groups = groups(bars)?;
    let heading = Heading::new(&figure.title, entries(&groups), WIDTH);
    let (references, top) = reference_rows(bars, heading.height);
    let count = times(bars.bars.len());
    let height = top + count * ROW + EDGE + Room::below();
    let most = (f64::from(WIDTH) * NAMES) as i32;
    let names: Vec<String> =
        bars.bars.iter().map(|bar| Font::Small.shortened(&bar.name, most)).collect();
    let widest = names.iter().map(|name| Font::Small.width(name)).max().unwrap_or(0);
    let room = Room::new((WIDTH, height), top, widest, false);
    let labels: Vec<String> = bars
        .bars
        .iter()
        .map(|bar| bar.label.clone().unwrap_or_else(|| number(bar.value)))
        .map(|label| Font::Small.shortened(&label, room.width() / 3))
        .collect();
    let axis = Axis { from_zero: true, ..bars.axis.clone() };
    let x = lengthened(&axis, &values, &labels, bars, room.width());
    let y = Coordinates::plain(0.0, f64::from(count));
    let facts = facts(bars, &axis, &values);
    document(figure, &facts, (WIDTH, height), |canvas| {
        heading.draw(canvas)?;
        let base = if axis.scale == Scale::Linear { 0.0 } else { x.low() };
        let frame = Frame::new(canvas, room, (x, &axis.label), (y, ""))?;
        let [left, inside_top, _, bottom] = frame.inside();
        let middle = |row: usize| f64::from(count) - row as f64 - 0.5;
        let half = (f64::from(ROW) * FILLED / 2.0) as i32;
        for (row, bar) in bars.bars.iter().enumerate() {
            let look = Look::of(groups.iter().position(|group| *group == bar.group).unwrap_or(0));
            let (from, y) = frame.place(base, middle(row));
            let (to, _) = frame.place(bar.value, middle(row));
            let corners = [(from.min(to), y - half), (from.max(to), y + half)];
            canvas.rectangle(corners, look.colour, 1.0)?;
            canvas.text(&names[row], (left - 8 * PIXEL, y), Anchor::Left, Font::Small)?;
        }
        for (at, y) in references {
            let (at, label) = &bars.references[at];
            let x = frame.across(*at);
            canvas.line(vec![(x, y + Font::Small.line() / 2), (x, bottom)], GREY, 1.5)?;
            let label = Font::Small.shortened(label, WIDTH - 2 * EDGE);
            let half = Font::Small.width(&label) / 2;
            let centre = x.clamp(EDGE + half, (WIDTH - EDGE - half).max(EDGE + half));
            canvas.text(&label, (centre, y), Anchor::Centre, Font::Small)?;
        }
        for (row, bar) in bars.bars.iter().enumerate() {
            let middle = middle(row);
            let (to, y) = frame.place(bar.value, middle);
            let mut ends = vec![to];
            if let Some((low, high)) = bar.interval {
                let [low, high] = [low, high].map(|end| frame.place(end, middle).0);
                whisker(canvas, [low, high], y, half)?;
                ends.extend([low, high]);
            }
            let gap = 5 * PIXEL;
            let (place, anchor) = if bar.value < 0.0 {
                (ends.into_iter().min().unwrap_or(to) - gap, Anchor::Left)
            } else {
                (ends.into_iter().max().unwrap_or(to) + gap, Anchor::Right)
            };
            let width = Font::Small.width(&labels[row]);
            let [from, to] =
                if bar.value < 0.0 { [place - width, place] } else { [place, place + width] };
            let high = Font::Small.line() / 2;
            canvas.rectangle([(from, y - high), (to, y + high)], PAPER, 0.75)?;
            canvas.text(&labels[row], (place, y), anchor, Font::Small)?;
        }
        let (zero, _) = frame.place(base, 0.0);
        canvas.line(vec![(zero, inside_top), (zero, bottom)], INK, 1.0)?;
        Ok(())
    })
}

/// An interval over the end of a bar, with a white rim, as bars may be dark.
fn whisker(canvas: &Canvas<'_>, [low, high]: [i32; 2], y: i32, half: i32) -> Result<(), Invalid> {
    for (colour, width) in [(PAPER, 4.0), (INK, 1.5)] {
        canvas.line(vec![(low, y), (high, y)], colour, width)?;
        for x in [low, high] {
            canvas.line(vec![(x, y - half / 2), (x, y + half / 2)], colour, width)?;
        }
    }
    Ok(())
}

/// The axis, as much longer that labels fit beside the longest bars.
fn lengthened(
    axis: &Axis,
    values: &[f64],
    labels: &[String],
    bars: &Bars,
    length: i32,
) -> Coordinates {
    let gap = 8 * PIXEL;
    let mut values = values.to_vec();
    if axis.scale == Scale::Log {
        // The shortest bar is a bar, too.
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        values.push(libm::exp10((libm::log10(low) - 1e-9).floor()));
    }
    let mut coordinates = Coordinates::new(axis, &values, length, Along::Width);
    // Each pass makes room beyond what the last one had; labels take a third of the width at most, so few do.
    for _ in 0..8 {
        let share = |pixels: i32| f64::from(pixels) / f64::from(length);
        let mut over = [0.0_f64; 2];
        for (bar, label) in bars.bars.iter().zip(labels) {
            let room = share(Font::Small.width(label) + gap);
            let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
            if bar.value < 0.0 {
                over[0] = over[0].max(room - coordinates.share(low));
            } else {
                over[1] = over[1].max(coordinates.share(high) + room - 1.0);
            }
        }
        if over.iter().all(|&over| over <= 0.0) {
            break;
        }
        for (over, end) in over.into_iter().zip([-over[0], 1.0 + over[1]]) {
            if over > 0.0 {
                values.push(coordinates.at(end));
            }
        }
        coordinates = Coordinates::new(axis, &values, length, Along::Width);
    }
    coordinates
}

/// Above the bars, a row for each reference: its number and its middle. And where bars begin.
fn reference_rows(bars: &Bars, top: i32) -> (Vec<(usize, i32)>, i32) {
    let row = Font::Small.line();
    let rows = (0..bars.references.len()).map(|at| (at, top + times(at) * row + row / 2)).collect();
    (rows, top + times(bars.references.len()) * row + 4 * PIXEL)
}

/// All numbers on the axis, checked.
fn values(bars: &Bars) -> Result<Vec<f64>, Invalid> {
    if bars.bars.is_empty() {
        return Err(Invalid::Empty("the bar chart".to_owned()));
    }
    if bars.bars.len() > MOST {
        return Err(Invalid::TooMany { what: "bars", count: bars.bars.len(), most: MOST });
    }
    let mut values = Vec::new();
    for Bar { name, value, interval: about, .. } in &bars.bars {
        values.push(bars.axis.check(name, *value)?);
        if let Some((low, high)) = about {
            values.extend([bars.axis.check(name, *low)?, bars.axis.check(name, *high)?]);
            interval(name, *value, (*low, *high))?;
        }
    }
    for (at, label) in &bars.references {
        values.push(bars.axis.check(label, *at)?);
    }
    for tick in &bars.axis.ticks {
        finite(&bars.axis.label, *tick)?;
    }
    Ok(values)
}

/// The groups in the order in which they appear.
fn groups(bars: &Bars) -> Result<Vec<&str>, Invalid> {
    let mut groups: Vec<&str> = Vec::new();
    for bar in &bars.bars {
        if !groups.contains(&bar.group.as_str()) {
            groups.push(&bar.group);
        }
    }
    if groups.len() > LOOKS {
        return Err(Invalid::TooMany { what: "groups", count: groups.len(), most: LOOKS });
    }
    Ok(groups)
}

fn entries(groups: &[&str]) -> Vec<Entry> {
    let entry = |(number, group): (usize, &&str)| Entry {
        name: (*group).to_owned(),
        look: Look::of(number),
        sample: Sample::Fill,
    };
    groups.iter().enumerate().map(entry).filter(|entry| !entry.name.is_empty()).collect()
}

/// What bars show, for those who cannot see them.
fn facts(bars: &Bars, axis: &Axis, values: &[f64]) -> String {
    let mut facts = vec![axis_facts("Horizontal", axis, values)];
    let bar = |bar: &Bar| {
        let label = bar.label.clone().unwrap_or_else(|| number(bar.value));
        format!("{}: {label}.", bar.name)
    };
    facts.extend(bars.bars.iter().map(bar));
    facts.extend(
        bars.references.iter().map(|(at, label)| format!("Line at {}: {label}.", number(*at))),
    );
    facts.join(" ")
}
