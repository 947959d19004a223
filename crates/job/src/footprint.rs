//! Footprints: the links that a communicator's traffic crosses.

/// An index into [`crate::Job::links`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// An index into [`crate::Job::footprints`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FootprintId(pub u32);

/// The links under a communicator, each with its multiplicity.
///
/// All connections of a communicator move in lockstep at one rate r (bytes per second and
/// connection), as the steps of a ring do. A link that `n` connections cross carries `n * r`, and
/// the sum over all active footprints must not exceed its capacity; r is max-min fair.
///
/// A job may say instead that the connections of a footprint move apart
/// ([`crate::Job::connections`]). Each then has a footprint and a max-min fair rate of its own; all
/// start together, each moves [`crate::Call::bytes`], and the instance ends with the last. Their
/// multiplicities add up to those of the whole, so every link carries the same bytes either way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Footprint {
    /// Each link once, ascending, with the number of connections that cross it, above zero.
    pub links: Vec<(LinkId, f64)>,
}

impl Footprint {
    /// Collects crossings in any order; crossings of the same link add up.
    pub fn from_crossings(crossings: impl IntoIterator<Item = (LinkId, f64)>) -> Self {
        let mut links: Vec<(LinkId, f64)> = crossings.into_iter().collect();
        links.sort_by_key(|&(link, _)| link);
        links.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        // Crossings are often many times the links, and footprints are most of a large job.
        links.shrink_to_fit();
        Self { links }
    }
}
