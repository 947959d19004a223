//! Communicators and their calls.

use motley_units::Time;

use crate::known::fingerprint;
use crate::{FootprintId, RankId};

/// An index into [`crate::Job::communicators`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommId(pub u32);

/// An index into [`crate::Job::call_sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallSetId(pub u32);

/// One kind of use of a communicator, for example "all-reduce of 96 MiB by ring".
///
/// On idle links an instance takes `latency + bytes / rate` from the moment at which its last
/// member joined, with `rate = min(rate_cap, min over links of capacity / multiplicity)`, whether
/// its connections move as one or apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// Bytes that each connection moves. Zero for a barrier.
    pub bytes: f64,
    /// Before the first byte: launch, steps, hops.
    pub latency: Time,
    /// No connection runs faster, bytes per second; infinite where only links limit.
    pub rate_cap: f64,
    /// Which of the communicator's footprints it crosses.
    pub footprint: u8,
    /// Of each member's processors ([`crate::Rank::processors`]), how many an instance that the
    /// member has issued on a stream takes from its compute, from its start to its end. Zero where
    /// something else than processors moves the bytes.
    pub processors: f64,
}

/// The calls of a communicator; communicators of one shape share them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallSet {
    /// Indexed by the `call` of an operation.
    pub calls: Vec<Call>,
}

impl CallSet {
    /// Equal sets have equal fingerprints.
    pub(crate) fn fingerprint(&self) -> u64 {
        fingerprint(self.calls.iter().map(|call| {
            let Call { bytes, latency, rate_cap, footprint, processors } = *call;
            (bytes.to_bits(), latency, rate_cap.to_bits(), footprint, processors.to_bits())
        }))
    }
}

/// An ordered set of ranks that communicate together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Communicator {
    /// Each member once, ascending. Every member must issue each instance.
    pub members: Vec<RankId>,
    /// What it can do.
    pub calls: CallSetId,
    /// The footprints that its calls choose from by [`Call::footprint`].
    pub footprints: Vec<FootprintId>,
    /// A label of the traffic for accounting; the engine does not look at it.
    pub class: u8,
}
