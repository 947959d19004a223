//! Collectives over the real routes.
//!
//! A [`Group`] is a communicator on a [`motley_topology::Cluster`]: it lays the rings and trees of
//! NCCL over the links that its members really have, and answers how long a collective takes when
//! nothing else moves, by which algorithm and protocol NCCL would run it, and which links it
//! crosses how often: the [`motley_job::Footprint`] and [`motley_job::Call`] that the engine
//! shares bandwidth by, and the connections that make the footprint up, for an engine that is to
//! let each move by itself. [`transfer`] does the same for point-to-point sends, [`host_copies`] for copies
//! between cards and the memory of their hosts.
//!
//! [`Layouts`] keeps what was laid for those who ask for many.
//!
//! Exchanges, in which members send to each other rather than pass on, are laid for the kinds that are
//! asked for only ([`Group::of_kinds`]): all-to-all and shift as NCCL's grouped sends, dispatch and
//! combine of tokens as DeepEP's.
//!
//! The cost model has NCCL's form (a base, a latency for each step by kind of link, bytes over the
//! bandwidth of the slowest link, shares of it by protocol); its constants are in `tuning`, each
//! with its source. Overlap, contention and order of calls are the engine's matter, not this
//! crate's.

mod connections;
mod cost;
mod cycles;
mod exchange;
mod fidelity;
mod group;
mod host;
mod kind;
mod layouts;
mod membership;
mod nvls;
mod plan;
mod rails;
mod ring;
mod transfer;
mod tree;
mod tuning;

pub use fidelity::Fidelity;
pub use group::{CollectiveCall, Group};
pub use host::{HostCopy, host_copies};
pub use kind::{Algorithm, CollectiveKind, Crossing, Protocol};
pub use layouts::{Layouts, Placed};
pub use transfer::{Transfer, transfer};
