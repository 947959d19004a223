//! From a row to the scenario that stands for it.
//!
//! What a row states is taken as it stands. What it leaves open is filled in by a rule of its
//! software stack ([`Software`]) or its machine, and said so in [`Scenario::assumptions`].
//! `docs/runs.md` lists the rules. One file holds one concern; what motley cannot express is refused
//! in the file whose concern it is.

mod assumptions;
mod context;
mod corrections;
mod cut;
mod experts;
mod holds;
mod machine;
mod memory;
mod model;
mod plan;
mod precision;
mod rack;
mod recipe;
mod schedule;
mod sharding;
mod software;
mod training;
mod unsupported;
mod vocabulary;

use motley_scenario::raw::RawScenario;
use motley_scenario::{Noise, Pace};
use motley_scheduler::Fidelity;

pub(crate) use cut::begins_empty;
pub use memory::Figure;
pub(crate) use memory::measured_bytes;
pub use software::Software;
pub use unsupported::{Concern, Unsupported};

use crate::runs::Row;
use assumptions::Assumptions;

/// Cards of one type are not alike: the standard deviation of their speeds, relative to the mean. Under
/// load the eight cards of one healthy node multiply matrices at rates that lie up to 5 % apart
/// (github.com/stas00/ml-engineering, MAMF), which eight draws of a normal distribution do at 1.75 %;
/// as that is the most that was seen, a little less. What runs together goes at the pace of its slowest.
const CARD_SPREAD: f64 = 0.015;

/// The scenario that stands for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// It, as a file would say it.
    pub raw: RawScenario,
    /// What the row leaves open, and what was taken.
    pub assumptions: Vec<String>,
}

/// Translates a row.
///
/// # Errors
/// Why no scenario stands for it.
pub fn scenario(row: &Row) -> Result<Scenario, Unsupported> {
    let mut assumptions = Assumptions::default();
    let row = &*corrections::corrected(row, &mut assumptions);
    let software = Software::of(row);
    if row.parallel.overlap_words().contains("inference") {
        let reason = "the run is a forward pass, not an iteration of training";
        return Err(Unsupported::new(Concern::NotTraining, reason));
    }
    let degrees = plan::Degrees::of(row, &mut assumptions)?;
    let machine = machine::machine(row, &mut assumptions)?;
    let model = model::model(row, software, &degrees, &mut assumptions)?;
    let training = training::training(row, software, &degrees, &mut assumptions)?;
    let plan = plan::plan(row, software, &degrees, &machine, training.precision, &mut assumptions)?;
    assumptions.note("cards of a type differ in speed by 1.5 %");
    let raw = RawScenario {
        profile: None,
        question: Some(format!("How long is an iteration of {}?", row.id)),
        sources: vec![row.source.name.clone()],
        published: Vec::new(),
        cluster: machine.cluster,
        model,
        training,
        plan,
        fidelity: Fidelity::Bundled,
        noise: Noise { card_spread: CARD_SPREAD, pace: Pace::Slowest, ..Noise::default() },
        iterations: 1,
        seed: 0,
    };
    Ok(Scenario { raw, assumptions: assumptions.into() })
}

/// What a measured memory figure counts.
pub fn memory_figure(row: &Row) -> Figure {
    Figure::of(Software::of(row), row)
}
