//! `motley plot`: results of sweeps as pictures.

mod label;
mod selection;

use motley_plot::{
    Axis, Bar, Bars, Cell as MapCell, Chart, Colours, Figure, HeatMap, Invalid, Point, Scale,
    Series,
};
use motley_sweep::{Cell, Column, ColumnKind, Table};

use crate::args::Plot;
use crate::exit::{CommandFailure, Exit, remark};
use crate::files::hand_over;
use label::Label;

/// Of so many values each has a tick.
const TICKS: usize = 10;

/// Columns that may lie along an axis.
const SIDES: [ColumnKind; 2] = [ColumnKind::Axis, ColumnKind::Label];

/// Draws a table.
pub(crate) fn plot(arguments: &Plot) -> Result<Exit, CommandFailure> {
    let table = Table::read(&arguments.results)?;
    let drawing = Drawing::new(&table, arguments)?;
    let left_out = drawing.left_out;
    let svg = drawing.figure()?.svg()?;
    hand_over(&svg, arguments.output.as_deref())?;
    if left_out > 0 {
        remark(&format!("left out: {left_out} rows without `{}`", arguments.y));
    }
    Ok(Exit::Ok)
}

impl From<Invalid> for CommandFailure {
    fn from(invalid: Invalid) -> Self {
        Self::input(invalid.to_string())
    }
}

/// What is shown of one pair of values: the mean of its replicas, between the least and the most.
#[derive(Clone, Copy, Debug)]
struct Value {
    mean: f64,
    range: Option<(f64, f64)>,
}

/// A table with what is drawn of it.
struct Drawing<'t> {
    table: &'t Table,
    arguments: &'t Plot,
    x: &'t Column,
    y: &'t Column,
    /// The column of lines, colours or rows.
    second: Option<&'t Column>,
    rows: Vec<usize>,
    left_out: usize,
}

impl<'t> Drawing<'t> {
    fn new(table: &'t Table, arguments: &'t Plot) -> Result<Self, CommandFailure> {
        let x = selection::column(table, &arguments.x, &SIDES)?;
        let y = selection::column(table, &arguments.y, &[ColumnKind::Metric])?;
        let second = arguments.by.as_ref().or(arguments.heat.as_ref());
        let second = second.map(|name| selection::column(table, name, &SIDES)).transpose()?;
        if second.is_some_and(|second| second.name == x.name) {
            return Err(CommandFailure::input(format!("`{}` is --x already", x.short_name())));
        }
        let selected = selection::rows(table, &arguments.conditions)?;
        let shown: Vec<&Column> = [Some(x), second].into_iter().flatten().collect();
        selection::nothing_else_varies(table, &selected, &shown)?;
        let rows: Vec<usize> =
            selected.iter().copied().filter(|row| y.cells[*row].number().is_some()).collect();
        if rows.is_empty() {
            let message = format!("nothing to draw: no such row has a number for `{}`", y.name);
            return Err(CommandFailure::input(message));
        }
        let left_out = selected.len() - rows.len();
        Ok(Self { table, arguments, x, y, second, rows, left_out })
    }

    fn figure(&self) -> Result<Figure, CommandFailure> {
        let texts = self.rows.iter().any(|row| self.x.cells[*row].number().is_none());
        let figure = if self.arguments.heat.is_some() {
            Figure::new(self.title(), self.heat_map()?)
        } else if texts {
            Figure::new(self.title(), self.bars()?)
        } else {
            Figure::new(self.title(), self.chart()?)
        };
        Ok(if self.replicas() {
            figure.describe("Each value is the mean of its replicas, in the range of all.")
        } else {
            figure
        })
    }

    fn title(&self) -> String {
        let asked = || self.table.provenance.as_ref().and_then(|from| from.question.clone());
        self.arguments.title.clone().or_else(asked).unwrap_or_else(|| {
            let [y, x] = [self.y, self.x].map(|column| words(column).text);
            let by = self.second.map_or_else(String::new, |by| format!(" and {}", words(by).text));
            format!("{y} by {x}{by}")
        })
    }

    fn scale(log: bool) -> Scale {
        if log { Scale::Log } else { Scale::Linear }
    }

    /// The values of the second column; one that matches all without one.
    fn seconds(&self) -> Vec<Option<Cell>> {
        self.second.map_or_else(
            || vec![None],
            |second| {
                selection::distinct(second, self.rows.iter().copied())
                    .into_iter()
                    .map(Some)
                    .collect()
            },
        )
    }

    fn replicas(&self) -> bool {
        let replica = self.table.column("replica_index");
        replica
            .is_some_and(|column| selection::distinct(column, self.rows.iter().copied()).len() > 1)
    }

    /// What is shown where the columns have these values.
    fn value(&self, x: &Cell, second: Option<&Cell>) -> Result<Option<Value>, CommandFailure> {
        let matches = |row: &&usize| {
            let fits = |column: &Column, cell: &Cell| column.cells[**row] == *cell;
            fits(self.x, x)
                && second.zip(self.second).is_none_or(|(cell, column)| fits(column, cell))
        };
        let rows: Vec<usize> = self.rows.iter().filter(matches).copied().collect();
        let replica =
            |row: usize| self.table.column("replica_index").map(|column| column.cells[row].clone());
        let mut replicas: Vec<Option<Cell>> = Vec::new();
        for row in &rows {
            let replica = replica(*row);
            if replicas.contains(&replica) {
                return Err(CommandFailure::input(format!(
                    "several rows have {} = {}, and no axis tells them apart",
                    self.x.short_name(),
                    x.written()
                )));
            }
            replicas.push(replica);
        }
        let factor = words(self.y).factor;
        let numbers: Vec<f64> = rows
            .iter()
            .filter_map(|row| self.y.cells[*row].number())
            .map(|number| number * factor)
            .collect();
        if numbers.is_empty() {
            return Ok(None);
        }
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // A mean of equal numbers may round to beside them.
        let mean = (numbers.iter().sum::<f64>() / numbers.len() as f64).clamp(low, high);
        Ok(Some(Value { mean, range: (numbers.len() > 1).then_some((low, high)) }))
    }

    fn chart(&self) -> Result<Chart, CommandFailure> {
        let Label { text, factor } = words(self.x);
        let xs = selection::distinct(self.x, self.rows.iter().copied());
        let places: Vec<f64> =
            xs.iter().filter_map(Cell::number).map(|number| number * factor).collect();
        let mut series = Vec::new();
        let mut values = Vec::new();
        for second in self.seconds() {
            let mut points = Vec::new();
            for (x, place) in xs.iter().zip(&places) {
                if let Some(Value { mean, range }) = self.value(x, second.as_ref())? {
                    points.push(Point { x: *place, y: mean, interval: range });
                    values.push(mean);
                }
            }
            series.push(Series::line(self.name(second.as_ref()), points));
        }
        let ticks = if places.len() <= TICKS { places } else { Vec::new() };
        let x =
            Axis { scale: Self::scale(self.arguments.log_x), ..Axis::linear(text) }.ticks(ticks);
        let y =
            Axis { scale: Self::scale(self.arguments.log_y), ..Axis::linear(words(self.y).text) };
        // From zero, unless the differences would be lost.
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let y = if low >= 0.0 && low < high / 2.0 { y.from_zero() } else { y };
        Ok(series.into_iter().fold(Chart::new(x, y), Chart::with))
    }

    fn bars(&self) -> Result<Bars, CommandFailure> {
        let mut bars = Vec::new();
        for x in selection::distinct(self.x, self.rows.iter().copied()) {
            for second in self.seconds() {
                if let Some(Value { mean, range }) = self.value(&x, second.as_ref())? {
                    bars.push(Bar {
                        interval: range,
                        group: self.name(second.as_ref()),
                        ..Bar::new(x.written(), mean)
                    });
                }
            }
        }
        let axis =
            Axis { scale: Self::scale(self.arguments.log_y), ..Axis::linear(words(self.y).text) };
        Ok(Bars { axis, bars, references: Vec::new() })
    }

    fn heat_map(&self) -> Result<HeatMap, CommandFailure> {
        let columns = selection::distinct(self.x, self.rows.iter().copied());
        let rows: Vec<Cell> = self.seconds().into_iter().flatten().collect();
        let mut cells = Vec::new();
        for row in &rows {
            let cell = |x: &Cell| {
                let value = self.value(x, Some(row))?;
                Ok(value.map(|value| MapCell::from(value.mean)))
            };
            cells.push(columns.iter().map(cell).collect::<Result<Vec<_>, CommandFailure>>()?);
        }
        Ok(HeatMap {
            x: words(self.x).text,
            y: self.second.map_or_else(String::new, |second| words(second).text),
            values: words(self.y).text,
            columns: labels(self.x, &columns),
            rows: self.second.map_or_else(Vec::new, |second| labels(second, &rows)),
            cells,
            colours: self.arguments.centre.map_or(Colours::Sequential, |centre| {
                Colours::Diverging { centre: centre * words(self.y).factor }
            }),
            scale: Self::scale(self.arguments.log_y),
        })
    }

    /// What the legend calls a line.
    fn name(&self, second: Option<&Cell>) -> String {
        let Some((column, cell)) = self.second.zip(second) else { return String::new() };
        // Texts speak for themselves.
        match cell {
            Cell::Number(_) => {
                format!("{} {}", words(column).text, written(column, cell, *DIGITS.end()))
            }
            other => other.written(),
        }
    }
}

/// How a column is shown.
fn words(column: &Column) -> Label {
    Label::of(column.short_name())
}

/// Digits of a number that is no whole one: as few as tell values apart, and as many as a factor leaves right.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=7;

/// Values of a column in the unit of its label, in as few digits as tell them apart.
fn labels(column: &Column, cells: &[Cell]) -> Vec<String> {
    let in_digits =
        |digits| cells.iter().map(|cell| written(column, cell, digits)).collect::<Vec<_>>();
    let distinct = |labels: &Vec<String>| {
        labels.iter().collect::<std::collections::BTreeSet<_>>().len() == labels.len()
    };
    DIGITS.map(in_digits).find(distinct).unwrap_or_else(|| in_digits(*DIGITS.end()))
}

/// A value of a column, in the unit of its label.
fn written(column: &Column, cell: &Cell, digits: usize) -> String {
    match cell {
        Cell::Number(number) => {
            let scaled = number * words(column).factor;
            if scaled.fract() == 0.0 {
                return scaled.to_string();
            }
            let shown = format!("{scaled:.*e}", digits - 1);
            shown.parse::<f64>().map_or(shown, |shown| shown.to_string())
        }
        other => other.written(),
    }
}
