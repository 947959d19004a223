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
}
