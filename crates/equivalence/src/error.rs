//! Why there is no answer.

use motley::SimulateError;
use motley_hardware::Catalog;
use motley_scenario::{Rejected, nearest};
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EquivalenceError {
    /// A scenario on the way cannot be simulated.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// What was asked for is not in the catalogue, or goes together with nothing; one sentence.
    #[error("{0}")]
    Asked(String),
}

impl EquivalenceError {
    /// The catalogue has no such entry; with what is most like it.
    pub(crate) fn unknown(what: &str, id: &str) -> Self {
        let catalog = Catalog::builtin();
        let keys: Vec<&str> = match what {
            "node design" => catalog.nodes.keys().map(String::as_str).collect(),
            "NIC" => catalog.nics.keys().map(String::as_str).collect(),
            _ => catalog.devices.keys().map(String::as_str).collect(),
        };
        let hint = nearest(id, keys)
            .map_or(String::new(), |similar| format!("; did you mean `{similar}`?"));
        Self::Asked(format!("the catalogue has no {what} `{id}`{hint}"))
    }

    /// What a made-up scenario was rejected for, with what was made up.
    pub(crate) fn rejected(made: &str, rejected: &Rejected) -> Self {
        let first = rejected.diagnostics.iter().next();
        let why = first.map_or("", |diagnostic| diagnostic.message.as_str());
        Self::Asked(format!("{made}: {why}"))
    }
}
