//! The planner: who should do what on a pool of unlike cards.
//!
//! ```text
//! Scenario -> Pool -> prices -> rivals, templates + knapsack + bisection, replicas
//!          -> the engine ranks -> changes to the best -> Found -> Answer -> text, JSON, files
//! ```
//!
//! Formulas propose, the engine decides: [`search`] replays every plan that it ranks, those that other
//! planners would choose among them, so that its best plan is never worse than theirs. How it works, and
//! what it cannot do, is in `docs/planner.md`.

mod alone;
mod answer;
mod bisection;
mod bound;
mod capacity;
mod combination;
mod costs;
mod effort;
mod exchange;
pub mod export;
mod frameworks;
mod mixes;
mod neighbours;
mod pool;
mod rank;
mod replicas;
mod rivals;
mod search;
mod settings;
mod sketch;
mod template;
mod text;

pub use alone::{Alone, Mixing, mixing};
pub use answer::{Answer, Candidate, Choice, Without};
pub use frameworks::{Feature, Verdict, asked, verdicts};
pub use pool::{CardType, Pool};
pub use rank::{Judged, Origin};
pub use search::{Found, Options, Progress, search};
pub use settings::Settings;
pub use text::text;
