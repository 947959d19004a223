//! The language between scheduler and engine.
//!
//! A [`Job`] is one iteration of a distributed program, written for a machine that knows ranks,
//! streams and shared links and nothing of training. The scheduler lowers a plan to it; the engine
//! replays it.
//!
//! - A [`Rank`] runs one [`Program`], a straight list of [`Op`]s. Ranks of the same class share the
//!   program; what differs between them, whom they talk to, is in the rank's *slots*.
//! - A [`Communicator`] is an ordered set of ranks that communicate together: a process group, or
//!   the sending side of a point-to-point boundary. Each use of it is a *call*; the k-th call of
//!   each member belongs to the k-th instance.
//! - A [`Call`] is what one instance moves: bytes per connection, a latency, and the [`Footprint`],
//!   the links that the communicator's connections cross and how many cross each. They move as one,
//!   or, where the job lists them, apart.
//!
//! ```text
//! Op::Compute     the rank's compute stream is busy for a duration
//! Op::Collective  join the next instance of a communicator, compute waits until it is complete
//! Op::Issue       enqueue a call on a communication stream, compute goes on
//! Op::Await       compute waits until the n-th instance of a communicator is complete
//! ```
//!
//! That is all: a receive is an `Await` on the sender's communicator, a barrier is a collective of
//! zero bytes, an overlapped gradient all-reduce is an `Issue` followed, later, by an `Await`.
//!
//! A call beside compute slows it where both need the same *processors*: it says how many it takes
//! ([`Call::processors`]), the rank how many it has ([`Rank::processors`]).
//!
//! [`verify`] checks what the engine relies on, so that a verified job can fail in one way only:
//! deadlock.

mod calls;
mod communicator;
mod footprint;
mod known;
mod program;
mod segment;
mod table;
mod verify;

pub use calls::Calls;
pub use communicator::{Call, CallSet, CallSetId, CommId, Communicator};
pub use footprint::{Footprint, FootprintId, LinkId};
pub use program::{NameId, Op, Program, ProgramId, Slot, Stream, Tag};
pub use segment::{Segment, SegmentId};
pub use table::{Job, JobBuilder, Link, Rank, RankId};
pub use verify::{JobError, verify};
