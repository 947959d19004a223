//! The max-min fair allocation of tiny networks in exact fractions, by brute force.
//!
//! Guesses for each flow what holds it, its cap or one of its links, solves the linear equations
//! that the guess implies, and accepts the solution that passes the definition. Shares no idea
//! with progressive filling or propagation.

use std::ops::{Add, Div, Mul, Sub};

/// A fraction in lowest terms with a denominator above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction {
    numerator: i128,
    denominator: i128,
}

impl Fraction {
    pub(super) fn new(numerator: i128, denominator: i128) -> Self {
        let (mut a, mut b) = (numerator.abs(), denominator.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let sign = denominator.signum();
        Self { numerator: sign * numerator / a.max(1), denominator: sign * denominator / a.max(1) }
    }

    pub(super) fn whole(number: i128) -> Self {
        Self::new(number, 1)
    }

    pub(super) fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl Add for Fraction {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(
            self.numerator * other.denominator + other.numerator * self.denominator,
            self.denominator * other.denominator,
        )
    }
}
impl Sub for Fraction {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + Self::whole(-1) * other
    }
}
impl Mul for Fraction {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::new(self.numerator * other.numerator, self.denominator * other.denominator)
    }
}
impl Div for Fraction {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        Self::new(self.numerator * other.denominator, self.denominator * other.numerator)
    }
}
impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self.numerator * other.denominator).partial_cmp(&(other.numerator * self.denominator))
    }
}

/// A flow: its cap, and links with multiplicities.
pub(super) type Flow = (i128, Vec<(usize, i128)>);

/// All max-min fair allocations; there should be exactly one.
pub(super) fn allocations(capacities: &[i128], flows: &[Flow]) -> Vec<Vec<Fraction>> {
    let mut found: Vec<Vec<Fraction>> = Vec::new();
    let mut guess = vec![0usize; flows.len()];
    loop {
        if let Some(rates) = solve(capacities, flows, &guess)
            && is_fair(capacities, flows, &rates)
            && !found.contains(&rates)
        {
            found.push(rates);
        }
        // The next guess: choice 0 is the cap, choice k the flow's k-th link.
        let Some(f) = (0..flows.len()).find(|&f| guess[f] < flows[f].1.len()) else {
            return found;
        };
        guess[f] += 1;
        guess[..f].fill(0);
    }
}

/// The rates under a guess: one unknown per guessed link, its level, and one equation, that the
/// link is full. `None` if the equations have no unique solution.
fn solve(capacities: &[i128], flows: &[Flow], guess: &[usize]) -> Option<Vec<Fraction>> {
    let held_by = |f: usize| (guess[f] > 0).then(|| flows[f].1[guess[f] - 1].0);
    let mut links: Vec<usize> = (0..flows.len()).filter_map(held_by).collect();
    links.sort_unstable();
    links.dedup();
    let n = links.len();
    let mut rows: Vec<Vec<Fraction>> = links
        .iter()
        .map(|&link| {
            let mut row = vec![Fraction::whole(0); n + 1];
            row[n] = Fraction::whole(capacities[link]);
            for (f, (cap, hops)) in flows.iter().enumerate() {
                for &(_, multiplicity) in hops.iter().filter(|hop| hop.0 == link) {
                    match held_by(f) {
                        Some(holder) => {
                            let column = links.binary_search(&holder).unwrap();
                            row[column] = row[column] + Fraction::whole(multiplicity);
                        }
                        None => row[n] = row[n] - Fraction::whole(multiplicity * cap),
                    }
                }
            }
            row
        })
        .collect();
    for column in 0..n {
        let pivot = (column..n).find(|&row| rows[row][column] != Fraction::whole(0))?;
        rows.swap(column, pivot);
        let lead = rows[column][column];
        rows[column].iter_mut().for_each(|entry| *entry = *entry / lead);
        let pivot_row = rows[column].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(r, _)| *r != column) {
            let factor = row[column];
            row.iter_mut().zip(&pivot_row).for_each(|(entry, &p)| *entry = *entry - factor * p);
        }
    }
    Some(
        (0..flows.len())
            .map(|f| match held_by(f) {
                Some(link) => rows[links.binary_search(&link).unwrap()][n],
                None => Fraction::whole(flows[f].0),
            })
            .collect(),
    )
}

/// The definition, exactly.
fn is_fair(capacities: &[i128], flows: &[Flow], rates: &[Fraction]) -> bool {
    let zero = Fraction::whole(0);
    let mut load = vec![zero; capacities.len()];
    let mut largest = vec![zero; capacities.len()];
    for ((_, hops), &rate) in flows.iter().zip(rates) {
        for &(link, multiplicity) in hops {
            load[link] = load[link] + Fraction::whole(multiplicity) * rate;
            if rate > largest[link] {
                largest[link] = rate;
            }
        }
    }
    load.iter().zip(capacities).all(|(&load, &capacity)| load <= Fraction::whole(capacity))
        && flows.iter().zip(rates).all(|((cap, hops), &rate)| {
            rate >= zero
                && rate <= Fraction::whole(*cap)
                && (rate == Fraction::whole(*cap)
                    || hops.iter().any(|&(link, _)| {
                        load[link] == Fraction::whole(capacities[link]) && rate == largest[link]
                    }))
        })
}
