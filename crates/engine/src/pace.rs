//! How fast compute goes on beside calls that take processors from it.
//!
//! Work and speed are whole numbers: work counts in 2^-32 picoseconds at full speed, and a speed says
//! how many of these are done in a picosecond. So what is done in a span of time is exact, it does
//! not matter into how many spans time is cut, and a computation that begins later by d, beside calls
//! that begin and end later by d, ends later by d.

use motley_units::Time;

/// Fractional bits of a speed.
const BITS: u32 = 32;

/// What compute does in a picosecond, in 2^-32 picoseconds of its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Speed(u64);

impl Speed {
    /// Of compute that nothing is beside.
    pub(crate) const FULL: Self = Self(1 << BITS);

    /// Where `taken` of `processors` are taken: one minus their ratio, never quite zero.
    pub(crate) fn beside(taken: f64, processors: f64) -> Self {
        let share = 1.0 - taken / processors;
        Self(((share * Self::FULL.0 as f64).round() as u64).clamp(1, Self::FULL.0))
    }
}

/// An instance that compute may run beside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Its start; [`Time::MAX`] as long as that is not known.
    pub(crate) start: Time,
    /// Its end; [`Time::MAX`] as long as that is not known.
    pub(crate) end: Time,
    /// The speed that it leaves.
    pub(crate) speed: Speed,
}

/// When compute of length `work` that begins at `from` ends beside `spans`. What is not known of
/// them counts as never.
pub(crate) fn end_beside(
    from: Time,
    work: Time,
    spans: &(impl Iterator<Item = Span> + Clone),
) -> Time {
    let mut at = from;
    let mut left = u128::from(work.as_picos()) << BITS;
    loop {
        let mut speed = Speed::FULL;
        let mut until = Time::MAX;
        for span in spans.clone().filter(|span| span.end > at) {
            if span.start <= at {
                speed = speed.min(span.speed);
                until = until.min(span.end);
            } else {
                until = until.min(span.start);
            }
        }
        let speed = u128::from(speed.0);
        let room = u128::from((until - at).as_picos());
        let needed = left.div_ceil(speed);
        if needed <= room || until == Time::MAX {
            return at + Time::from_picos(needed.min(room) as u64);
        }
        left -= room * speed;
        at = until;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(picos: u64) -> Time {
        Time::from_picos(picos)
    }

    fn span(start: u64, end: u64, taken: f64) -> Span {
        Span { start: at(start), end: at(end), speed: Speed::beside(taken, 4.0) }
    }

    fn check(from: u64, work: u64, spans: &[Span], expected: u64) {
        assert_eq!(end_beside(at(from), at(work), &spans.iter().copied()), at(expected));
    }

    #[test]
    fn spans_slow_what_lies_in_them() {
        let half = span(100, 200, 2.0);
        check(0, 70, &[], 70);
        check(0, 100, &[half], 100);
        check(200, 70, &[half], 270);
        // Half of the span is lost, all of it while it lasts.
        check(50, 200, &[half], 300);
        check(50, 60, &[half], 120);
        check(100, 0, &[half], 100);
        // Rounded up.
        check(100, 3, &[span(0, 500, 1.0)], 104);
        // Of two at once the slower counts.
        check(0, 40, &[span(0, 20, 2.0), span(10, 30, 3.0)], 60);
        // Not known is never.
        let never = Time::MAX;
        let open = |start| Span { start, end: never, speed: Speed::beside(2.0, 4.0) };
        check(0, 40, &[open(never)], 40);
        check(0, 40, &[open(at(20))], 60);
        check(0, u64::MAX, &[open(at(20))], u64::MAX);
    }

    proptest! {
        /// Cutting a span, or the work, in two changes nothing.
        #[test]
        fn it_does_not_matter_how_time_is_cut(
            work in 0u64..1000,
            from in 0u64..300,
            spans in prop::collection::vec((0u64..500, 0u64..500, 0.0f64..3.9), 0..5),
            cut in (0usize..5, 0u64..500),
            later in 0u64..1_000_000,
        ) {
            let spans: Vec<Span> =
                spans.into_iter().map(|(start, long, taken)| span(start, start + long, taken)).collect();
            let whole = end_beside(at(from), at(work), &spans.iter().copied());
            let mut parts = spans.clone();
            if let Some(&Span { start, end, speed }) = spans.get(cut.0) {
                let middle = at(cut.1).clamp(start, end);
                parts[cut.0] = Span { start, end: middle, speed };
                parts.push(Span { start: middle, end, speed });
            }
            prop_assert_eq!(end_beside(at(from), at(work), &parts.into_iter()), whole);
            let shifted = spans.iter().map(|&Span { start, end, speed }| {
                Span { start: start + at(later), end: end + at(later), speed }
            });
            prop_assert_eq!(end_beside(at(from + later), at(work), &shifted), whole + at(later));
            prop_assert!(whole >= at(from + work));
        }
    }
}
