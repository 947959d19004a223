//! Pseudo-random numbers by coordinate: what is drawn for one entity depends on no other.

/// A hash of two numbers: SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
/// number generators"), applied to each in turn.
pub(crate) fn hash(of: [u64; 2]) -> u64 {
    of.into_iter().fold(0, |state, part| split_mix(state ^ part))
}

/// Uniform in 0..1.
pub(crate) fn unit(of: [u64; 2]) -> f64 {
    (hash(of) >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform in `0..bound`, up to a bias of `bound` in 2^64.
pub(crate) fn below(bound: usize, of: [u64; 2]) -> usize {
    ((u128::from(hash(of)) * bound as u128) >> 64) as usize
}

fn split_mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the published generator, seed 0: its state grows by the same constant
    /// that is added here.
    #[test]
    fn is_the_published_generator() {
        let golden = 0x9E37_79B9_7F4A_7C15_u64;
        let outputs = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        for (n, expected) in (0u64..).zip(outputs) {
            assert_eq!(split_mix(golden.wrapping_mul(n)), expected);
        }
    }

    #[test]
    fn draws_spread_evenly() {
        let mut counts = [0u32; 7];
        for n in 0..70_000 {
            counts[below(7, [n, 3])] += 1;
        }
        // Six standard deviations of a binomial with p = 1/7.
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 556), "{counts:?}");
        let mean = (0..10_000).map(|n| unit([5, n])).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 6.0 * (1.0 / 12e4_f64).sqrt(), "{mean}");
    }
}
