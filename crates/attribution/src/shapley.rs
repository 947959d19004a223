//! Shapley values: what each of several causes counts for if all orders count alike.
//!
//! Shapley, L. S. (1953): A value for n-person games. The value of a cause is the mean, over all orders in
//! which causes could be taken away, of what is gained when its turn comes. Values sum to what all gain
//! together.

use motley::SimulateError;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Picos;

/// The iteration time without each set of causes, by the set as a number whose bits are the causes.
#[derive(Debug)]
pub(crate) struct Game {
    causes: usize,
    without: Vec<Picos>,
}

impl Game {
    /// Finds the times without all sets of so many causes.
    pub(crate) fn play(
        causes: usize,
        time: impl Fn(usize) -> Result<Picos, SimulateError> + Send + Sync,
    ) -> Result<Self, SimulateError> {
        let without = (0..1_usize << causes)
            .into_par_iter()
            .map(time)
            .collect::<Result<_, SimulateError>>()?;
        Ok(Self { causes, without })
    }

    /// The time without any cause.
    pub(crate) fn of_all(&self) -> Picos {
        self.without[self.without.len() - 1]
    }
}

/// By cause, its value; they sum to the time with all causes less the time without any, exactly.
pub(crate) fn values(game: &Game) -> Vec<Picos> {
    let n = game.causes;
    let factorial: Vec<i128> = (0..=n as i128)
        .scan(1, |product, number| {
            *product *= number.max(1);
            Some(*product)
        })
        .collect();
    let whole = factorial[n];
    // Values times n!, in whole numbers.
    let scaled: Vec<i128> = (0..n)
        .map(|cause| {
            let others = (0..game.without.len()).filter(|set| set & 1 << cause == 0);
            others
                .map(|set| {
                    let size = set.count_ones() as usize;
                    let gain = game.without[set] - game.without[set | 1 << cause];
                    factorial[size] * factorial[n - size - 1] * i128::from(gain.0)
                })
                .sum()
        })
        .collect();
    let mut values: Vec<i128> = scaled.iter().map(|value| value.div_euclid(whole)).collect();
    let missing = (scaled.iter().sum::<i128>() / whole - values.iter().sum::<i128>()) as usize;
    // What rounding down has left over goes to those that it took most from.
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&cause| std::cmp::Reverse(scaled[cause].rem_euclid(whole)));
    for &cause in order.iter().take(missing) {
        values[cause] += 1;
    }
    values.into_iter().map(|value| Picos(value as i64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(causes: usize, time: impl Fn(usize) -> i64 + Sync, expected: &[i64]) {
        let game = Game::play(causes, |set| Ok(Picos(time(set)))).expect("times are given");
        let found: Vec<i64> = values(&game).iter().map(|value| value.0).collect();
        assert_eq!(found, expected);
        assert_eq!(found.iter().sum::<i64>(), time(0) - time((1 << causes) - 1));
    }

    #[test]
    fn what_is_lost_to_two_together_is_shared() {
        // The longer of 8 and 10.
        let longer = |set: usize| {
            let left = |cause: usize, time: i64| if set & 1 << cause == 0 { time } else { 0 };
            left(0, 8).max(left(1, 10))
        };
        check(2, longer, &[4, 6]);
    }

    #[test]
    fn causes_that_do_not_meet_count_for_themselves() {
        let sum = |set: usize| {
            [5, 0, -3, 11]
                .iter()
                .enumerate()
                .filter(|(cause, _)| set & 1 << cause == 0)
                .map(|(_, &time)| time)
                .sum()
        };
        check(4, sum, &[5, 0, -3, 11]);
    }

    #[test]
    fn a_glove_game_is_rounded_to_its_whole() {
        // Cause 0 costs 1 as long as one of the others is there: values 2/3, 1/6, 1/6.
        let costs = |set: usize| i64::from(set & 1 == 0 && set & 6 != 6);
        check(3, costs, &[1, 0, 0]);
        check(3, |set| 6 * costs(set), &[4, 1, 1]);
    }

    #[test]
    fn nothing_has_no_value() {
        check(0, |_| 42, &[]);
    }
}
