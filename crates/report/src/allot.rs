//! Dividing a whole number so that the parts sum to it exactly.

/// Divides `whole` in proportion to `weights` by largest remainders; ties go to the earlier part.
/// All zero if the weights are.
pub(crate) fn allot(whole: u64, weights: &[u128]) -> Vec<u64> {
    // Products must fit; weights that are larger lose low bits, all alike.
    let largest = weights.iter().copied().max().unwrap_or(0);
    let excess = u64::BITS.saturating_sub(whole.leading_zeros() + largest.leading_zeros());
    let weights: Vec<u128> = weights.iter().map(|weight| weight >> excess).collect();
    let total: u128 = weights.iter().sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let products = || weights.iter().map(|weight| u128::from(whole) * weight);
    let mut parts: Vec<u64> = products().map(|product| (product / total) as u64).collect();
    let remainders: Vec<u128> = products().map(|product| product % total).collect();
    let missing = whole - parts.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(remainders[i]));
    for &i in order.iter().take(missing as usize) {
        parts[i] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(whole: u64, weights: &[u128], expected: &[u64]) {
        let parts = allot(whole, weights);
        assert_eq!(parts, expected);
    }

    #[test]
    fn parts_sum_to_the_whole() {
        check(100, &[1, 1, 1], &[34, 33, 33]);
        check(10, &[0, 5, 5], &[0, 5, 5]);
        check(7, &[3, 3, 1], &[3, 3, 1]);
        check(1, &[1, 2, 1], &[0, 1, 0]);
        check(5, &[0, 0], &[0, 0]);
        check(0, &[1, 2], &[0, 0]);
    }

    #[test]
    fn large_weights_do_not_overflow() {
        let weights = [u128::from(u64::MAX) << 40, u128::from(u64::MAX) << 41];
        let parts = allot(u64::MAX / 3, &weights);
        assert_eq!(parts.iter().sum::<u64>(), u64::MAX / 3);
        assert!(parts[1].abs_diff(2 * parts[0]) < 4);
    }
}
