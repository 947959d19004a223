//! Measured runs: the schema of a row, and files of rows.

mod read;
mod row;
mod unknown;

pub(crate) use read::row;
pub use read::{Mistake, ReadError, Runs, parse, read};
pub use row::{
    Experts, Fabric, Hardware, Machines, Measured, Model, Parallel, Replica, ReplicaCards, Row,
    Source, Stage,
};
