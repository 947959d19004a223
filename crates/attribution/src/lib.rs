//! Why an iteration takes as long as it does, and what would change it.
//!
//! | question | answer |
//! |---|---|
//! | what is lost between the ideal and the simulated iteration, and to what | [`Losses`], a [`Waterfall`] |
//! | what a job would be without one cause of loss | [`Switch`], [`Switches`] |
//!
//! Everything here asks the engine: a cause counts for what the iteration gains when the same job is
//! replayed without it. Every figure names what it is held against.

mod balance;
mod card_types;
mod counterfactual;
mod links;
mod losses;
mod picos;
mod shapley;
mod text;
mod waterfall;

pub use card_types::CardSeconds;
pub use counterfactual::{Switch, Switches, without};
pub use links::LinkGain;
pub use losses::{Losses, losses};
pub use picos::Picos;
pub use text::losses_text;
pub use waterfall::{Order, Part, Waterfall, WaterfallPart};
