//! The event engine: replays a job over streams and fair-shared links.
//!
//! The engine knows ranks, streams, communicators and links, and nothing of training. It takes a
//! [`motley_job::Job`], checks and prepares it once ([`Engine::new`]), and replays it as often as
//! asked ([`replay()`]), each time with its own noise, telling an [`Observer`] what happened when.
//!
//! Four ideas make it fast without making it approximate:
//!
//! 1. *Cursors run ahead.* Each rank is a cursor in the program of its class. Between points at
//!    which it must wait for others it runs on in its own local time; only the ends and starts of
//!    communication enter the event queue.
//! 2. *What is never shared is never solved.* Links that can carry only one instance at a time,
//!    and links that cannot bind, are found beforehand; an instance that crosses no other link
//!    takes a time known in advance, also if its connections move apart.
//! 3. *A change travels only as far as it matters.* The max-min fair rates of the rest are updated
//!    by propagating changes of link levels, once per instant.
//! 4. *What is done again and again is worked out once.* A group that meets only itself takes the
//!    same time for the same segment of its program, whenever that begins.
//!
//! Where ranks cannot be told apart, [`Fold`] makes a smaller job of a job, with the same outcome.
//!
//! Equal jobs, options and versions give equal results, bit for bit, on one thread or many.

mod deadlock;
mod digest;
mod eager;
mod engine;
mod flow;
mod fold;
mod grouped;
mod noise;
mod observer;
mod options;
mod outcome;
mod pace;
mod prepare;
mod queue;
mod replay;
mod streams;

pub use deadlock::{Deadlock, Waiting};
pub use engine::Engine;
pub use fold::Fold;
pub use noise::{draw_slowness, expected_slowest};
pub use observer::{Observer, Silent};
pub use options::{Jitter, Law, Options};
pub use outcome::Outcome;
pub use replay::replay;
