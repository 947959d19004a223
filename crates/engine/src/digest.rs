//! Fingerprints of sequences of numbers.

/// A running fingerprint. The order of the numbers counts; each step is a bijection of the state
/// for a given number, so that a difference once made is not lost by equal numbers that follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    /// The fingerprint of nothing.
    pub(crate) const EMPTY: Self = Self(0x243F_6A88_85A3_08D3);

    /// Takes in the next number: xor, multiply by an odd constant (that of the MMIX generator,
    /// Knuth), fold the high half down.
    #[inline]
    pub(crate) fn fold(&mut self, number: u64) {
        let product = (self.0 ^ number).wrapping_mul(6_364_136_223_846_793_005);
        self.0 = product ^ (product >> 32);
    }

    /// The fingerprint.
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// The fingerprint of the completion times of one communicator, in their order: a polynomial in
/// [`RATIO`], modulo 2^64, with the times as coefficients. Unlike [`Digest`] it is linear in the
/// times, so that many instances at known offsets from one moment are taken in at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Course(u64);

/// An odd constant, so that no time is ever multiplied away: that of the generator of Steele and
/// Vigna (2021) for 64 bits.
const RATIO: u64 = 0xD134_2543_DE82_EF95;

impl Course {
    /// Takes in the next time.
    #[inline]
    pub(crate) fn fold(&mut self, picos: u64) {
        self.0 = self.0.wrapping_mul(RATIO).wrapping_add(picos);
    }

    /// Takes in as many times as `weights` are for: `offsets` is the course of their differences
    /// from `picos` alone.
    #[inline]
    pub(crate) fn fold_all(&mut self, picos: u64, offsets: Self, weights: Weights) {
        self.0 = self
            .0
            .wrapping_mul(weights.power)
            .wrapping_add(picos.wrapping_mul(weights.sum))
            .wrapping_add(offsets.0);
    }

    /// What times after `before` have added: the course of these times alone, less `picos` each.
    pub(crate) fn offsets_since(self, before: Self, picos: u64, weights: Weights) -> Self {
        Self(
            self.0
                .wrapping_sub(before.0.wrapping_mul(weights.power))
                .wrapping_sub(picos.wrapping_mul(weights.sum)),
        )
    }

    /// The fingerprint.
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// What a number of times does to a [`Course`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    /// [`RATIO`] to the power of the number.
    power: u64,
    /// The sum of all lower powers.
    sum: u64,
}

impl Weights {
    /// Of so many times.
    pub(crate) fn of(count: u32) -> Self {
        (0..count).fold(Self { power: 1, sum: 0 }, |Self { power, sum }, _| Self {
            power: power.wrapping_mul(RATIO),
            sum: sum.wrapping_add(power),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(numbers: &[u64]) -> u64 {
        let mut digest = Digest::EMPTY;
        for &number in numbers {
            digest.fold(number);
        }
        digest.value()
    }

    #[test]
    fn order_length_and_every_bit_count() {
        assert_ne!(digest(&[1, 2]), digest(&[2, 1]));
        assert_ne!(digest(&[]), digest(&[0]));
        assert_ne!(digest(&[0]), digest(&[0, 0]));
        for bit in 0..64 {
            assert_ne!(digest(&[7, 0, 9]), digest(&[7, 1 << bit, 9]), "bit {bit}");
        }
    }

    #[test]
    fn a_course_takes_in_many_times_at_once() {
        let course = |before: Course, times: &[u64]| {
            times.iter().fold(before, |mut course, &time| {
                course.fold(time);
                course
            })
        };
        let start = course(Course::default(), &[3, 1 << 60]);
        let offsets = [2, 2, 90, 1 << 40];
        let at = |picos: u64| offsets.map(|offset| offset + picos);
        let weights = Weights::of(4);
        let known = course(start, &at(500)).offsets_since(start, 500, weights);
        for picos in [0, 77, 1 << 62] {
            let mut at_once = start;
            at_once.fold_all(picos, known, weights);
            assert_eq!(at_once, course(start, &at(picos)));
        }
        assert_ne!(course(start, &[1, 2]), course(start, &[2, 1]));
    }
}
