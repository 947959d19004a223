//! How finely communication is simulated.

use serde::{Deserialize, Serialize};

/// How finely communication is simulated: what has a rate of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fidelity {
    /// A collective, or a transfer between stages, is one flow over all links of its connections,
    /// which move in lockstep. The default.
    #[default]
    Bundled,
    /// Each connection is a flow of its own: every edge of every ring and tree, every slice, every
    /// pair of an exchange, every card's link to switches that reduce. All start together; the last
    /// ends the call. On idle links it takes as long as a bundle. To check what lockstep leaves out;
    /// slower, where links are shared.
    Pairwise,
}
