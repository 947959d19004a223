//! Where labels go so that they hide little.

use super::canvas::{PIXEL, Place};

/// A box: left, top, right, bottom.
pub(crate) type Box4 = [i32; 4];

/// What is drawn so far, as far as labels should stay away from it.
#[derive(Debug, Default)]
pub(crate) struct Placing {
    /// Places along lines, and points.
    drawn: Vec<Place>,
    /// Labels.
    labels: Vec<Box4>,
}

/// From one place along a line to the next.
const STRIDE: i32 = 5 * PIXEL;

/// How much worse it is to lie on a label than on a place of a line.
const LABEL: usize = 1000;

impl Placing {
    /// A line that labels should not lie on.
    pub(crate) fn line(&mut self, places: &[Place]) {
        self.drawn.extend(places.first());
        for pair in places.windows(2) {
            let [(x, y), (to_x, to_y)] = [pair[0], pair[1]];
            let pieces = ((to_x - x).abs().max((to_y - y).abs()) / STRIDE).max(1);
            self.drawn.extend((1..=pieces).map(|piece| {
                let part = |from: i32, to: i32| {
                    from + (i64::from(to - from) * i64::from(piece) / i64::from(pieces)) as i32
                };
                (part(x, to_x), part(y, to_y))
            }));
        }
    }

    /// A point that labels should not lie on.
    pub(crate) fn point(&mut self, place: Place) {
        // As heavy as the lines that usually pass a point.
        self.drawn.extend([place; 3]);
    }

    /// The best of the boxes, of equally good ones the first, taken from now on. `None` if all leave `within`,
    /// or lie on labels where that may not be.
    pub(crate) fn place(
        &mut self,
        candidates: impl IntoIterator<Item = Box4>,
        within: Box4,
        on_labels: bool,
    ) -> Option<Box4> {
        let inside = |[left, top, right, bottom]: &Box4| {
            *left >= within[0] && *top >= within[1] && *right <= within[2] && *bottom <= within[3]
        };
        let best =
            candidates.into_iter().filter(inside).min_by_key(|candidate| self.cost(*candidate))?;
        if !on_labels && self.cost(best) >= LABEL {
            return None;
        }
        self.labels.push(best);
        Some(best)
    }

    fn cost(&self, [left, top, right, bottom]: Box4) -> usize {
        let on = |&&(x, y): &&Place| x >= left && x <= right && y >= top && y <= bottom;
        let meets = |&&[l, t, r, b]: &&Box4| l < right && r > left && t < bottom && b > top;
        self.drawn.iter().filter(on).count() + LABEL * self.labels.iter().filter(meets).count()
    }
}
