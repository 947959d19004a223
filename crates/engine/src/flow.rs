//! Flows on shared links: max-min fair rates, kept up to date from instant to instant.
//!
//! A flow is an active instance, whose connections run in lockstep at one rate r, or one connection
//! of an active instance whose connections run apart. On a link that it crosses with multiplicity m
//! it puts a load of m r. An allocation is *max-min fair* if no rate
//! can be raised without lowering one that is not larger. Equivalently: no link is over its
//! capacity, and each flow is at its cap or has a link that is full and on which no flow has a
//! larger rate. There is exactly one such allocation.
//!
//! - [`Fabric`] is what does not change: links, paths, who may cross what.
//! - [`Network`] is who crosses what now, how far each flow is and how fast.
//! - `ripple` finds the rates by propagating changes.
//! - `filling` finds them from nothing, in case propagation takes too long.
//!
//! Rates and capacities are in bytes per picosecond here, so that times come out in [`Time`]'s
//! unit.

mod fabric;
mod filling;
mod network;
mod ripple;

#[cfg(test)]
mod exact;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod textbook;

use motley_units::Time;

pub(crate) use fabric::Fabric;
pub(crate) use network::Network;

/// Picoseconds per second.
pub(crate) const PICOS: f64 = 1e12;

/// The relative precision of rates: what is closer together counts as equal.
const PRECISION: f64 = 1e-12;

/// A duration in picoseconds, rounded up to a whole one: work never ends before it is done. What
/// lies above a whole number by less than the precision of rates is that whole number, so that
/// rounding of the last bits does not add a picosecond to every round figure.
pub(crate) fn round_up(picos: f64) -> Time {
    Time::from_picos((picos * (1.0 - PRECISION)).ceil() as u64)
}
