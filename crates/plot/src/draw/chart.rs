//! Charts: checks, layout, marks.

use super::canvas::{Anchor, Canvas, PIXEL, Place};
use super::colour::{GREY, INK, PAPER};
use super::coordinates::{Along, Coordinates};
use super::document::document;
use super::frame::{Frame, beside};
use super::heading::{Entry, Heading, Sample};
use super::marker::{LOOKS, Look, RADIUS};
use super::number::number;
use super::placing::{Box4, Placing};
use super::text::Font;
use crate::axis::finite;
use crate::{
    Axis, Better, Chart, Dot, Figure, Front, Invalid, Mark, Note, Reference, Scale, Scatter,
    Series, Side, Style,
};

/// Size of the figure.
const SIZE: Place = (800 * PIXEL, 500 * PIXEL);

/// Longer lines are drawn without points.
const POINTS: usize = 60;

pub(crate) fn draw(figure: &Figure, chart: &Chart) -> Result<String, Invalid> {
    let (xs, ys) = values(chart)?;
    let heading = Heading::new(&figure.title, entries(chart)?, SIZE.0);
    // A legend of many rows makes the figure higher, not the chart flat.
    let size = (SIZE.0, SIZE.1.max(heading.height + SIZE.1 * 2 / 3));
    let (y, room) = beside(&chart.y, &ys, size, heading.height);
    let x = Coordinates::new(&chart.x, &xs, room.width(), Along::Width);
    document(figure, &facts(chart, &xs, &ys), size, |canvas| {
        heading.draw(canvas)?;
        let frame = Frame::new(canvas, room, (x, &chart.x.label), (y, &chart.y.label))?;
        let mut pen = Pen { canvas, frame, placing: Placing::default() };
        pen.references(chart)?;
        let mut number = 0;
        for mark in &chart.marks {
            match mark {
                Mark::Series(series) => pen.series(series, Look::of(number))?,
                Mark::Scatter(scatter) => pen.scatter(scatter, Look::of(number))?,
                Mark::Reference(_) | Mark::Note(_) => continue,
            }
            number += 1;
        }
        // Text last: then it is known what it should stay away from.
        for mark in &chart.marks {
            match mark {
                Mark::Reference(reference) => pen.reference_label(reference)?,
                Mark::Note(note) => pen.note(note)?,
                Mark::Series(_) | Mark::Scatter(_) => {}
            }
        }
        for mark in &chart.marks {
            if let Mark::Scatter(scatter) = mark {
                pen.dot_labels(scatter)?;
            }
        }
        Ok(())
    })
}

/// Where a staircase from one point to the next turns: as bad as the worse of the two in both directions.
fn corner(front: Front, a: &Dot, b: &Dot) -> (f64, f64) {
    let worse = |better: Better, a: f64, b: f64| match better {
        Better::Low => a.max(b),
        Better::High => a.min(b),
    };
    (worse(front.x, a.x, b.x), worse(front.y, a.y, b.y))
}

/// All numbers on the two axes, checked.
fn values(chart: &Chart) -> Result<(Vec<f64>, Vec<f64>), Invalid> {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    let mut data = false;
    for mark in &chart.marks {
        match mark {
            Mark::Series(Series { name, points, .. }) => {
                for point in points {
                    xs.push(chart.x.check(name, point.x)?);
                    ys.push(chart.y.check(name, point.y)?);
                    if let Some((low, high)) = point.interval {
                        ys.extend([chart.y.check(name, low)?, chart.y.check(name, high)?]);
                        interval(name, point.y, (low, high))?;
                    }
                }
                data |= !points.is_empty();
            }
            Mark::Scatter(Scatter { name, dots, .. }) => {
                for dot in dots {
                    xs.push(chart.x.check(name, dot.x)?);
                    ys.push(chart.y.check(name, dot.y)?);
                }
                data |= !dots.is_empty();
            }
            Mark::Reference(Reference { side: Side::Horizontal, at, label }) => {
                ys.push(chart.y.check(label, *at)?);
            }
            Mark::Reference(Reference { side: Side::Vertical, at, label }) => {
                xs.push(chart.x.check(label, *at)?);
            }
            Mark::Note(Note { x, y, text }) => {
                xs.push(chart.x.check(text, *x)?);
                ys.push(chart.y.check(text, *y)?);
            }
        }
    }
    for (axis, tick) in [&chart.x, &chart.y]
        .into_iter()
        .flat_map(|axis| axis.ticks.iter().map(move |tick| (axis, tick)))
    {
        axis.check(&axis.label, *tick)?;
    }
    if data { Ok((xs, ys)) } else { Err(Invalid::Empty("the chart".to_owned())) }
}

/// That an interval holds its value.
pub(crate) fn interval(what: &str, value: f64, (low, high): (f64, f64)) -> Result<(), Invalid> {
    for end in [low, high] {
        finite(what, end)?;
    }
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(Invalid::Interval { what: what.to_owned(), value, low, high })
    }
}

/// The legend.
fn entries(chart: &Chart) -> Result<Vec<Entry>, Invalid> {
    let mut entries = Vec::new();
    let mut number = 0;
    for mark in &chart.marks {
        let look = Look::of(number);
        match mark {
            Mark::Series(Series { name, style, .. }) => {
                let sample = if *style == Style::Points { Sample::Point } else { Sample::Line };
                entries.push(Entry { name: name.clone(), look, sample });
            }
            Mark::Scatter(Scatter { name, front: None, .. }) => {
                entries.push(Entry { name: name.clone(), look, sample: Sample::Point });
            }
            Mark::Scatter(Scatter { name, front: Some(_), .. }) => {
                let best = match name.as_str() {
                    "" => "Pareto front".to_owned(),
                    name => format!("{name}: Pareto front"),
                };
                entries.push(Entry {
                    name: name.clone(),
                    look: look.paler(),
                    sample: Sample::Point,
                });
                entries.push(Entry { name: best, look, sample: Sample::Line });
            }
            Mark::Reference(_) | Mark::Note(_) => continue,
        }
        number += 1;
    }
    if number > LOOKS {
        return Err(Invalid::TooMany { what: "series", count: number, most: LOOKS });
    }
    entries.retain(|entry| !entry.name.is_empty());
    Ok(entries)
}

/// What a chart shows, for those who cannot see it.
fn facts(chart: &Chart, xs: &[f64], ys: &[f64]) -> String {
    let mut facts =
        vec![axis_facts("Horizontal", &chart.x, xs), axis_facts("Vertical", &chart.y, ys)];
    for mark in &chart.marks {
        facts.push(match mark {
            Mark::Series(Series { name, points, .. }) => {
                let ends = match (points.first(), points.last()) {
                    (Some(first), Some(last)) => format!(
                        ", from {} at {} to {} at {}",
                        number(first.y),
                        number(first.x),
                        number(last.y),
                        number(last.x)
                    ),
                    _ => String::new(),
                };
                format!("Series {name}: {} points{ends}.", points.len())
            }
            Mark::Scatter(Scatter { name, dots, .. }) => {
                format!("Points {name}: {}.", dots.len())
            }
            Mark::Reference(Reference { label, at, side }) => {
                let side = match side {
                    Side::Horizontal => "Horizontal",
                    Side::Vertical => "Vertical",
                };
                format!("{side} line at {}: {label}.", number(*at))
            }
            Mark::Note(Note { text, .. }) => format!("Note: {text}."),
        });
    }
    facts.join(" ")
}

/// What an axis shows.
pub(crate) fn axis_facts(which: &str, axis: &Axis, values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = match axis.scale {
        Scale::Linear => "",
        Scale::Log => " (logarithmic)",
    };
    format!("{which} axis: {}{scale}, from {} to {}.", axis.label, number(low), number(high))
}

/// What draws marks.
struct Pen<'a, 'c> {
    canvas: &'c Canvas<'a>,
    frame: Frame<'a>,
    placing: Placing,
}

impl Pen<'_, '_> {
    fn references(&mut self, chart: &Chart) -> Result<(), Invalid> {
        for mark in &chart.marks {
            let Mark::Reference(reference) = mark else { continue };
            let ends = self.ends(reference);
            self.canvas.line(ends.to_vec(), GREY, 1.5)?;
            self.placing.line(&ends);
        }
        Ok(())
    }

    /// Where a reference line begins and ends.
    fn ends(&self, reference: &Reference) -> [Place; 2] {
        let [left, top, right, bottom] = self.frame.inside();
        match reference.side {
            Side::Horizontal => [left, right].map(|x| (x, self.frame.down(reference.at))),
            Side::Vertical => [top, bottom].map(|y| (self.frame.across(reference.at), y)),
        }
    }

    fn series(&mut self, series: &Series, look: Look) -> Result<(), Invalid> {
        let place = |x: f64, y: f64| self.frame.place(x, y);
        let places: Vec<Place> =
            series.points.iter().map(|point| place(point.x, point.y)).collect();
        let band: Option<Vec<(Place, Place)>> = series
            .points
            .iter()
            .map(|point| {
                point.interval.map(|(low, high)| (place(point.x, low), place(point.x, high)))
            })
            .collect();
        let bars: Vec<[Place; 2]> = series
            .points
            .iter()
            .filter_map(|point| {
                point.interval.map(|(low, high)| [place(point.x, low), place(point.x, high)])
            })
            .collect();
        match band {
            Some(band) if series.style == Style::Line && band.len() > 1 => {
                let below = band.iter().map(|&(low, _)| low);
                let above = band.iter().rev().map(|&(_, high)| high);
                self.canvas.polygon(below.chain(above).collect(), look.colour, 0.2)?;
            }
            _ => {
                for bar in bars {
                    self.error_bar(bar, look)?;
                }
            }
        }
        let path = match series.style {
            Style::Line => places.clone(),
            Style::Points => Vec::new(),
            Style::Step => stairs(&places),
        };
        if path.len() > 1 {
            self.placing.line(&path);
            self.canvas.line(path, look.colour, 2.0)?;
        }
        if series.style == Style::Points || places.len() <= POINTS {
            for place in places {
                look.point(self.canvas, place, RADIUS)?;
                self.placing.point(place);
            }
        }
        Ok(())
    }

    /// An interval as a line with ends across.
    fn error_bar(&mut self, [low, high]: [Place; 2], look: Look) -> Result<(), Invalid> {
        self.canvas.line(vec![low, high], look.colour, 1.5)?;
        for (x, y) in [low, high] {
            self.canvas.line(vec![(x - RADIUS, y), (x + RADIUS, y)], look.colour, 1.5)?;
        }
        self.placing.line(&[low, high]);
        Ok(())
    }

    fn scatter(&mut self, scatter: &Scatter, look: Look) -> Result<(), Invalid> {
        let place = |dot: &Dot| self.frame.place(dot.x, dot.y);
        let front = scatter.front.map(|front| (front, front.of(&scatter.dots)));
        let others = if front.is_some() { look.paler() } else { look };
        for dot in &scatter.dots {
            others.point(self.canvas, place(dot), RADIUS)?;
        }
        if let Some((front, members)) = front {
            let mut path = Vec::new();
            let mut last: Option<&Dot> = None;
            for dot in members.iter().map(|&at| &scatter.dots[at]) {
                if let Some(last) = last {
                    let (x, y) = corner(front, last, dot);
                    path.push(self.frame.place(x, y));
                }
                path.push(place(dot));
                last = Some(dot);
            }
            if path.len() > 1 {
                self.canvas.line(path.clone(), look.colour, 1.5)?;
            }
            for dot in members.iter().map(|&at| &scatter.dots[at]) {
                look.point(self.canvas, place(dot), RADIUS)?;
            }
            self.placing.line(&path);
        }
        for dot in &scatter.dots {
            self.placing.point(self.frame.place(dot.x, dot.y));
        }
        Ok(())
    }

    fn dot_labels(&mut self, scatter: &Scatter) -> Result<(), Invalid> {
        for dot in scatter.dots.iter().filter(|dot| !dot.label.is_empty()) {
            let around = around(self.frame.place(dot.x, dot.y), &dot.label);
            self.label(&dot.label, around, false)?;
        }
        Ok(())
    }

    fn note(&mut self, note: &Note) -> Result<(), Invalid> {
        let place = self.frame.place(note.x, note.y);
        self.canvas.circle(place, RADIUS / 2, INK)?;
        self.label(&note.text, around(place, &note.text), true)
    }

    fn reference_label(&mut self, reference: &Reference) -> Result<(), Invalid> {
        if reference.label.is_empty() {
            return Ok(());
        }
        let inside = self.frame.inside();
        let [left, top, right, bottom] = inside;
        let gap = 4 * PIXEL;
        let (width, height) = extent(&reference.label, right - left - 2 * gap);
        let [(x, y), _] = self.ends(reference);
        let candidates: Vec<Box4> = match reference.side {
            Side::Horizontal => {
                [right - gap - width, left + gap, i32::midpoint(left, right) - width / 2]
                    .into_iter()
                    .flat_map(|from| [(from, y - gap / 2 - height), (from, y + gap / 2)])
                    .map(|(from, top)| [from, top, from + width, top + height])
                    .collect()
            }
            Side::Vertical => [top + gap, bottom - gap - height, i32::midpoint(top, bottom)]
                .into_iter()
                .flat_map(|from| [(x + gap, from), (x - gap - width, from)])
                .map(|(from, top)| [from, top, from + width, top + height])
                .collect(),
        };
        self.label(&reference.label, candidates, true)
    }

    /// Writes text into the best of some boxes: in any case, or only where it lies on no other label.
    fn label(
        &mut self,
        text: &str,
        candidates: impl IntoIterator<Item = Box4>,
        on_labels: bool,
    ) -> Result<(), Invalid> {
        let inside = self.frame.inside();
        let moved = |candidate: Box4| if on_labels { pushed(candidate, inside) } else { candidate };
        let candidates = candidates.into_iter().map(moved);
        let Some([left, top, right, bottom]) = self.placing.place(candidates, inside, on_labels)
        else {
            return Ok(());
        };
        let text = Font::Small.shortened(text, right - left);
        self.canvas.rectangle([(left, top), (right, bottom)], PAPER, 0.75)?;
        let middle = (left, i32::midpoint(top, bottom));
        self.canvas.text(&text, middle, Anchor::Right, Font::Small)
    }
}

/// A box pushed as far as it needs to lie in another.
fn pushed([left, top, right, bottom]: Box4, within: Box4) -> Box4 {
    let push = |low: i32, high: i32, from: i32, to: i32| (from - low).max(0) + (to - high).min(0);
    let across = push(left, right, within[0], within[2]);
    let down = push(top, bottom, within[1], within[3]);
    [left + across, top + down, right + across, bottom + down]
}

/// Each value lasts until the next one.
fn stairs(places: &[Place]) -> Vec<Place> {
    let mut path: Vec<Place> = Vec::new();
    for &(x, y) in places {
        if let Some(&(_, before)) = path.last() {
            path.push((x, before));
        }
        path.push((x, y));
    }
    path
}

/// Width, at most, and height of a label.
fn extent(text: &str, most: i32) -> (i32, i32) {
    (Font::Small.width(text).min(most), Font::Small.line())
}

/// Boxes around a place, the best first.
fn around((x, y): Place, text: &str) -> Vec<Box4> {
    let (width, height) = extent(text, SIZE.0 / 2);
    let gap = RADIUS + 3 * PIXEL;
    [
        (x + gap, y - height / 2),
        (x - gap - width, y - height / 2),
        (x - width / 2, y - gap - height),
        (x - width / 2, y + gap),
        (x + gap / 2, y - gap - height),
        (x + gap / 2, y + gap),
        (x - gap / 2 - width, y - gap - height),
        (x - gap / 2 - width, y + gap),
    ]
    .map(|(left, top)| [left, top, left + width, top + height])
    .to_vec()
}
