//! Marks between two axes of numbers.

use crate::Axis;

/// Two axes and what is drawn between them, in the order of drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn.
    pub marks: Vec<Mark>,
}

impl Chart {
    /// An empty chart.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self { x, y, marks: Vec::new() }
    }

    /// Adds a mark.
    #[must_use]
    pub fn with(mut self, mark: impl Into<Mark>) -> Self {
        self.marks.push(mark.into());
        self
    }
}

/// Something drawn in a chart.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Values along the horizontal axis.
    Series(Series),
    /// Points in the plane.
    Scatter(Scatter),
    /// A line across the chart.
    Reference(Reference),
    /// Text beside a place.
    Note(Note),
}

impl From<Series> for Mark {
    fn from(series: Series) -> Self {
        Self::Series(series)
    }
}

impl From<Scatter> for Mark {
    fn from(scatter: Scatter) -> Self {
        Self::Scatter(scatter)
    }
}

impl From<Reference> for Mark {
    fn from(reference: Reference) -> Self {
        Self::Reference(reference)
    }
}

impl From<Note> for Mark {
    fn from(note: Note) -> Self {
        Self::Note(note)
    }
}

/// Values along the horizontal axis, in the order in which they are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend calls it; without a name it is not in the legend.
    pub name: String,
    /// The values.
    pub points: Vec<Point>,
    /// How they are drawn.
    pub style: Style,
}

impl Series {
    /// Values that a line joins.
    pub fn line(
        name: impl Into<String>,
        points: impl IntoIterator<Item = impl Into<Point>>,
    ) -> Self {
        let points = points.into_iter().map(Into::into).collect();
        Self { name: name.into(), points, style: Style::Line }
    }

    /// Values that nothing joins.
    pub fn points(
        name: impl Into<String>,
        points: impl IntoIterator<Item = impl Into<Point>>,
    ) -> Self {
        Self { style: Style::Points, ..Self::line(name, points) }
    }

    /// Values that last until the next one.
    pub fn step(
        name: impl Into<String>,
        points: impl IntoIterator<Item = impl Into<Point>>,
    ) -> Self {
        Self { style: Style::Step, ..Self::line(name, points) }
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Joined by straight lines; intervals are a band.
    Line,
    /// Points alone; intervals are error bars.
    Points,
    /// Each value lasts until the next one; intervals are error bars.
    Step,
}

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where on the horizontal axis.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// The lower and the upper end of what the value may be.
    pub interval: Option<(f64, f64)>,
}

impl From<(f64, f64)> for Point {
    fn from((x, y): (f64, f64)) -> Self {
        Self { x, y, interval: None }
    }
}

impl From<(f64, f64, (f64, f64))> for Point {
    fn from((x, y, interval): (f64, f64, (f64, f64))) -> Self {
        Self { x, y, interval: Some(interval) }
    }
}

/// Points in the plane; those that no other beats in both directions can be marked.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// What the legend calls it.
    pub name: String,
    /// The points.
    pub dots: Vec<Dot>,
    /// Which points to mark as the Pareto front; with it, all others are pale.
    pub front: Option<Front>,
}

/// A point of a scatter.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// Where on the horizontal axis.
    pub x: f64,
    /// Where on the vertical axis.
    pub y: f64,
    /// What is written beside it; empty for nothing.
    pub label: String,
}

/// In which directions points of a Pareto front are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Front {
    /// On the horizontal axis.
    pub x: Better,
    /// On the vertical axis.
    pub y: Better,
}

/// Which of two numbers is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The lower one.
    Low,
    /// The higher one.
    High,
}

impl Better {
    /// The number, turned so that lower is better.
    fn cost(self, value: f64) -> f64 {
        match self {
            Self::Low => value,
            Self::High => -value,
        }
    }
}

impl Front {
    /// Which of the points no other beats: as good in both directions and better in one. In the order of the
    /// horizontal axis. Of equal points all are in the front or none is.
    pub fn of(self, dots: &[Dot]) -> Vec<usize> {
        let cost = |at: &usize| (self.x.cost(dots[*at].x), self.y.cost(dots[*at].y));
        let mut order: Vec<usize> = (0..dots.len()).collect();
        order.sort_by(|a, b| {
            let ((ax, ay), (bx, by)) = (cost(a), cost(b));
            ax.total_cmp(&bx).then(ay.total_cmp(&by))
        });
        let mut front: Vec<usize> = Vec::new();
        for at in order {
            let beaten = front.last().is_some_and(|last| cost(last).1 <= cost(&at).1);
            let equal = front.last().is_some_and(|last| cost(last) == cost(&at));
            if !beaten || equal {
                front.push(at);
            }
        }
        if self.x == Better::High {
            front.reverse();
        }
        front
    }
}

/// A line across the whole chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Which way it runs.
    pub side: Side,
    /// At which number of the axis that it crosses.
    pub at: f64,
    /// What is written on it.
    pub label: String,
}

impl Reference {
    /// A line from left to right, at a number of the vertical axis.
    pub fn horizontal(at: f64, label: impl Into<String>) -> Self {
        Self { side: Side::Horizontal, at, label: label.into() }
    }

    /// A line from top to bottom, at a number of the horizontal axis.
    pub fn vertical(at: f64, label: impl Into<String>) -> Self {
        Self { side: Side::Vertical, at, label: label.into() }
    }
}

/// Which way a reference line runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From left to right.
    Horizontal,
    /// From top to bottom.
    Vertical,
}

/// Text beside a place of the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Where on the horizontal axis.
    pub x: f64,
    /// Where on the vertical axis.
    pub y: f64,
    /// The text, on one line.
    pub text: String,
}
