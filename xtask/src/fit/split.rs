//! Which points are fitted and which are kept to test.

/// What a measured point is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// Constants are fitted to it.
    Fit,
    /// Nothing ever is.
    Test,
}

/// One point in so many is kept to test.
const ONE_IN: u64 = 4;

/// Decides by what is computed, not by who measured it on which card: the same product measured
/// twice, or on two cards of an architecture, is on one side. FNV-1a, 64 bits, over the text, then
/// its bits mixed once (the finaliser of MurmurHash3), so that the low ones depend on all of them.
pub(crate) fn split(what: &str) -> Split {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = what.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    if hash.is_multiple_of(ONE_IN) { Split::Test } else { Split::Fit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_kept_and_always_the_same() {
        let kept = (0..10_000).filter(|n| split(&format!("gemm {n}")) == Split::Test).count();
        assert!((2300..2700).contains(&kept), "{kept}");
        assert_eq!(split("gemm 4096 x 4096 x 4096"), split("gemm 4096 x 4096 x 4096"));
        // Written down once: another hash would mix points that were kept into those to fit.
        let sides = ["gemm 1 x 2 x 3", "gemm 8192 x 8192 x 8192"].map(split);
        assert_eq!(sides, [Split::Fit, Split::Fit]);
    }
}
