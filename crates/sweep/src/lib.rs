//! Studies of many scenarios at once: what varies, points in shards, tables of results, and what
//! tables say.
//!
//! ```text
//! study.ron + base scenario -> Study     axes, points as numbers             study
//! Study -> Sweep                         a folder, shards, parts             shards
//! point -> Row                           overrides, simulation, metrics      evaluate, metric
//! parts -> Table                         CSV, JSONL, Parquet                 table
//! Table -> best, sensitivity, break-even analysis
//! ```

pub mod analysis;
mod evaluate;
mod files;
mod metric;
mod shards;
mod study;
pub mod table;

pub use evaluate::{Row, Status};
pub use files::Pending;
pub use shards::{Ended, Limits, ShardState, Sweep, SweepError, Tally, id_list};
pub use study::{Material, Plans, Point, Study};
pub use table::{Cell, Column, ColumnKind, Provenance, Table, TableError};
