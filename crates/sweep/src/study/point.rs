//! From the number of a point to its values and overrides.

use super::{Study, axis, overrides_of};
use crate::table::{AXIS_PREFIX, Cell, Heading, Storage};

/// A point of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its number.
    pub index: u64,
    /// Which replica.
    pub replica: u32,
    /// Cells of the columns that number and name it, in the order of [`Study::point_headings`].
    pub cells: Vec<Cell>,
    /// What makes its scenario of the base; none if a value cannot be computed.
    pub overrides: Option<Vec<String>>,
}

impl Study {
    /// How many numbers there are, those of points that are skipped included.
    pub fn size(&self) -> u64 {
        self.points
    }

    /// The columns that number and name a point.
    pub fn point_headings(&self) -> Vec<Heading> {
        let whole = |name: &str| Heading { name: name.to_owned(), storage: Storage::Whole };
        let mut headings = vec![whole("point_index")];
        headings.extend(self.axes.iter().map(|axis| Heading {
            name: format!("{AXIS_PREFIX}{}", axis.name),
            storage: axis.storage(),
        }));
        if self.replicas > 1 {
            headings.push(whole("replica_index"));
            headings.push(whole("seed"));
        }
        headings
    }

    /// The values of all axes at a point, and its replica.
    fn values(&self, index: u64) -> (Vec<axis::Value>, u32) {
        let replica = index % u64::from(self.replicas);
        let mut rest = index / u64::from(self.replicas);
        let mut values: Vec<Option<axis::Value>> = vec![None; self.axes.len()];
        for dimension in self.dimensions.iter().rev() {
            let step = rest % dimension.size;
            rest /= dimension.size;
            for (coordinate, part) in dimension.parts.iter().enumerate() {
                for &axis in part {
                    values[axis] = Some(match dimension.sampling {
                        None => self.axes[axis].at_step(step),
                        Some((method, seed)) => {
                            let share = method.share(seed, step, coordinate);
                            self.axes[axis].at_share(share)
                        }
                    });
                }
            }
        }
        (values.into_iter().flatten().collect(), replica as u32)
    }

    /// The point of that number; none if it is skipped.
    pub fn point(&self, index: u64) -> Option<Point> {
        let (values, replica) = self.values(index);
        if self.skipped(&values) {
            return None;
        }
        let mut cells = vec![Cell::from(index as f64)];
        cells.extend(values.iter().map(|value| value.cell.clone()));
        if self.replicas > 1 {
            cells.push(Cell::from(f64::from(replica)));
            cells.push(Cell::from((self.seed + u64::from(replica)) as f64));
        }
        Some(Point { index, replica, cells, overrides: self.overrides(&values, replica) })
    }

    /// Whether there is a point of that number.
    pub fn has(&self, index: u64) -> bool {
        self.skip.is_empty() || !self.skipped(&self.values(index).0)
    }

    pub(super) fn skipped(&self, values: &[axis::Value]) -> bool {
        let value = |index: usize| values[index].outcome();
        self.skip.iter().any(|condition| condition.holds(&value))
    }

    /// Overrides in the order in which they are applied: those of all points, those of the axes in the
    /// order of the file, the seed.
    pub(super) fn overrides(&self, values: &[axis::Value], replica: u32) -> Option<Vec<String>> {
        let mut all = self.common.clone();
        for (axis, value) in self.axes.iter().zip(values) {
            all.extend(overrides_of(&axis.settings[axis.lot(value)], value, values)?);
        }
        if self.replicas > 1 {
            all.push(format!("seed={}", self.seed + u64::from(replica)));
        }
        Some(all)
    }

    /// A number that points with the same cluster have in common, small where their numbers are.
    pub fn cluster_key(&self, index: u64) -> u64 {
        let mut rest = index / u64::from(self.replicas);
        let mut key = 0;
        let mut scale = 1;
        for dimension in self.dimensions.iter().rev() {
            let step = rest % dimension.size;
            rest /= dimension.size;
            if dimension.axes().any(|axis| self.axes[axis].of_cluster) {
                key += step * scale;
                scale *= dimension.size;
            }
        }
        key
    }

    /// The values of all axes at their first step, for checks.
    pub(super) fn first(&self) -> Vec<axis::Value> {
        self.axes.iter().map(|axis| axis.at_step(0)).collect()
    }
}

impl axis::Axis {
    /// Which of its lots of settings a value leads to.
    pub(super) fn lot(&self, value: &axis::Value) -> usize {
        if self.settings.len() > 1 { value.item } else { 0 }
    }
}
