//! The `motley` binary as its users meet it: exit codes, streams, messages, formats.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod attribution;
mod bad_input;
mod catalog;
mod codes;
mod command;
mod determinism;
mod dot;
mod equivalence;
mod import;
mod init;
mod json;
mod memory_timeline;
mod page;
mod perfetto;
mod plan;
mod plot;
mod profile;
mod schedule;
mod shells;
mod shipped;
mod streams;
mod sweep;
mod trace;
mod validate;
mod width;
