//! What varies, and the values that it takes.

use motley_scenario::syntax::Path;

use super::expression::{Outcome, Type};
use super::sample::Method;
use super::setting::{Setting, tidy};
use crate::table::{Cell, Storage};

/// One column of what varies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Its name, without what marks it as an axis.
    pub(crate) name: String,
    pub(crate) values: Values,
    /// The overrides that a value leads to; of cases, each has its own.
    pub(crate) settings: Vec<Vec<Setting>>,
    /// The texts that these were read from, each with its place in the study.
    pub(crate) texts: Vec<Vec<(String, Path)>>,
    /// Where the axis stands in the study.
    pub(crate) path: Path,
    /// The cluster depends on it.
    pub(crate) of_cluster: bool,
}

/// The values of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// As they are written, and as the table has them.
    Items(Vec<(String, Cell)>),
    /// Numbers from `from` to `to`.
    Range { from: f64, to: f64, logarithmic: bool, whole: bool, count: u64 },
}

impl Axis {
    /// How many values it takes in a grid.
    pub(crate) fn count(&self) -> u64 {
        match &self.values {
            Values::Items(items) => items.len() as u64,
            Values::Range { count, .. } => *count,
        }
    }

    /// What kind of values it has.
    pub(crate) fn of(&self) -> Type {
        match self.storage() {
            Storage::Text => Type::Text,
            Storage::Whole | Storage::Real => Type::Number,
        }
    }

    /// How its column is stored.
    pub(crate) fn storage(&self) -> Storage {
        let is_whole =
            |number: f64| number >= 0.0 && number.fract() == 0.0 && number < 2f64.powi(53);
        match &self.values {
            Values::Range { whole: true, from, .. } if *from >= 0.0 => Storage::Whole,
            Values::Range { .. } => Storage::Real,
            Values::Items(items) => {
                let numbers: Option<Vec<f64>> =
                    items.iter().map(|(_, cell)| cell.number()).collect();
                match numbers {
                    None => Storage::Text,
                    Some(numbers) if numbers.iter().all(|&number| is_whole(number)) => {
                        Storage::Whole
                    }
                    Some(_) => Storage::Real,
                }
            }
        }
    }

    /// The value at a step of the grid, and which it is, of those that are written one by one.
    pub(crate) fn at_step(&self, step: u64) -> Value {
        match &self.values {
            Values::Items(items) => Value::item(items, step as usize),
            Values::Range { from, to, logarithmic, whole, count } => {
                let last = count.saturating_sub(1).max(1) as f64;
                let step = step as f64;
                let number = if *logarithmic {
                    from * libm::pow(to / from, step / last)
                } else {
                    (from * (last - step) + to * step) / last
                };
                Value::number(number, *whole)
            }
        }
    }

    /// The value at a share of the whole, 0 to below 1.
    pub(crate) fn at_share(&self, share: f64) -> Value {
        match &self.values {
            Values::Items(items) => {
                let item = (share * items.len() as f64) as usize;
                Value::item(items, item.min(items.len().saturating_sub(1)))
            }
            Values::Range { from, to, logarithmic, whole, .. } => {
                let number = if *logarithmic {
                    from * libm::pow(to / from, share)
                } else if *whole {
                    // Each whole number has the same share, the first and the last, too.
                    let (low, high) = (from.min(*to), from.max(*to));
                    (low - 0.5 + share * (high - low + 1.0)).round().clamp(low, high)
                } else {
                    from + (to - from) * share
                };
                Value::number(number, *whole)
            }
        }
    }
}

/// A value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    /// As overrides have it.
    pub(crate) text: String,
    /// As the table has it.
    pub(crate) cell: Cell,
    /// Which of those that are written one by one; 0 else.
    pub(crate) item: usize,
}

impl Value {
    fn item(items: &[(String, Cell)], item: usize) -> Self {
        let (text, cell) = &items[item];
        Self { text: text.clone(), cell: cell.clone(), item }
    }

    fn number(number: f64, whole: bool) -> Self {
        let number = if whole { number.round() } else { tidy(number) };
        Self { text: number.to_string(), cell: Cell::from(number), item: 0 }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match &self.cell {
            Cell::Number(number) => Outcome::Number(*number),
            Cell::Text(text) => Outcome::Text(text.clone()),
            Cell::None => Outcome::Number(f64::NAN),
        }
    }
}

/// Axes that are varied against each other dimension.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dimension {
    /// How many points it has.
    pub(crate) size: u64,
    /// How they are spread, if not one value after the other.
    pub(crate) sampling: Option<(Method, u64)>,
    /// Axes by number; those of one part move side by side. One part alone unless it is a sample.
    pub(crate) parts: Vec<Vec<usize>>,
}

impl Dimension {
    /// Its axes by number.
    pub(crate) fn axes(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: f64, to: f64, logarithmic: bool, whole: bool, count: u64) -> Axis {
        Axis {
            name: "x".to_owned(),
            values: Values::Range { from, to, logarithmic, whole, count },
            settings: Vec::new(),
            texts: Vec::new(),
            path: Path::ROOT,
            of_cluster: false,
        }
    }

    #[test]
    fn ranges_reach_both_ends_in_even_steps() {
        let check = |axis: &Axis, expected: &[&str]| {
            let found: Vec<String> =
                (0..axis.count()).map(|step| axis.at_step(step).text).collect();
            assert_eq!(found, expected);
        };
        check(&range(0.1, 0.5, false, false, 5), &["0.1", "0.2", "0.3", "0.4", "0.5"]);
        check(&range(4.0, 1.0, false, false, 4), &["4", "3", "2", "1"]);
        check(&range(1.0, 1000.0, true, false, 4), &["1", "10", "100", "1000"]);
        check(&range(1.0, 10.0, true, true, 4), &["1", "2", "5", "10"]);
        check(&range(3.0, 9.0, false, false, 1), &["3"]);
    }

    #[test]
    fn samples_of_whole_numbers_give_each_the_same_share() {
        let axis = range(1.0, 4.0, false, true, 0);
        let mut counts = [0; 4];
        for share in 0..1000 {
            let value = axis.at_share(f64::from(share) / 1000.0).cell.number().unwrap();
            counts[value as usize - 1] += 1;
        }
        assert_eq!(counts, [250; 4]);
    }
}
