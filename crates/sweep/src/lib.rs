//! Studies of many scenarios at once: what varies, points in shards, tables of results, and what
//! tables say.

mod files;
pub mod table;

pub use table::{Cell, Column, ColumnKind, Provenance, Table, TableError};
