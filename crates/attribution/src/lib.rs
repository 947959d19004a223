//! Why an iteration takes as long as it does, and what would change it.
//!
//! | question | answer |
//! |---|---|
//! | what is lost between the ideal and the simulated iteration, and to what | [`Losses`], a [`Waterfall`] |
//! | which chain of compute and transfers is as long as the iteration | [`explain`], an [`Explanation`] |
//! | which change of the scenario gains how much | [`what_if`], a [`WhatIf`] |
//! | by how much two scenarios differ, and why | [`compare`], a [`Comparison`] |
//! | what a job would be without one cause of loss | [`Switch`], [`Switches`] |
//!
//! Everything here asks the engine: a cause counts for what the iteration gains when the same job is
//! replayed without it. Every figure names what it is held against.

mod balance;
mod card_types;
mod changes;
mod compare;
mod counterfactual;
mod critical_path;
mod differences;
mod explanation;
mod joins;
mod links;
mod losses;
mod metrics;
mod picos;
mod recording;
mod sentences;
mod shapley;
mod text;
mod waterfall;
mod whatif;

pub use card_types::CardSeconds;
pub use changes::Wishes;
pub use compare::{ComparedPart, Comparison, Side, compare};
pub use counterfactual::{Switch, Switches, without};
pub use differences::Difference;
pub use explanation::{ExplainError, Explanation, PathCard, PathShare, explain};
pub use links::LinkGain;
pub use losses::{Losses, losses};
pub use metrics::{Measure, Metric};
pub use picos::Picos;
pub use text::{comparison_text, explanation_text, losses_text, whatif_text};
pub use waterfall::{Order, Part, Waterfall, WaterfallPart};
pub use whatif::{Figures, Gain, Refused, WhatIf, WhatIfError, what_if};
