//! Quantities with their units.
//!
//! Every number that a user writes, that the catalogue holds or that crosses a crate border has a
//! type that names its unit. In files a quantity is written with its unit, `GiB(80)`, `Gbps(200)`,
//! `Us(3.5)`, `TFlops(312)`, and a bare number is refused; in memory it is SI: bytes, bytes per
//! second, seconds, floating-point operations per second.
//!
//! Simulated time is apart from durations that a model computes: [`Time`] is an integer count of
//! picoseconds, so that ties are exact and results can be compared and hashed; [`Seconds`] is a
//! float, for formulae.

mod quantity;
mod time;

pub use quantity::{Bytes, BytesPerSec, Flops, FlopsPerSec, Hertz, QuantityError, Seconds, Watts};
pub use time::Time;
