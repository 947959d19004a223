//! How many of one card are worth how many of another, each side with its best plan.
//!
//! ```text
//! Scenario -> best plan -> throughput -+
//! card -> Nodes -> Curve: best plan of each number of nodes -> count, interval -> Equivalent
//! ```
//!
//! | question | answer |
//! |---|---|
//! | how many of a card reach what a cluster does | [`equivalent()`] |
//! | what do further nodes add to a cluster | [`value()`] |
//! | what is the cheapest pool that trains a model in time | [`design()`] |
//!
//! Every throughput is that of a plan that the engine has replayed ([`motley_planner::search`]); the global
//! batch is the scenario's everywhere, so that what is compared is the same training. What the answers mean
//! and how sure they are is in `docs/equivalence.md`.

mod clusters;
mod curve;
mod design;
mod equivalent;
mod error;
mod nodes;
mod resources;
mod search;
mod text;
mod value;

pub use design::{Design, Offer, Order, Pooled, design};
pub use equivalent::{Count, Equivalent, Given, Point, Question, Row, Side, equivalent};
pub use error::EquivalenceError;
pub use nodes::Nodes;
pub use resources::{HardBound, Resource};
pub use search::Told;
pub use text::{design_text, equivalent_text, value_text};
pub use value::{Addition, Step, Value, value};
