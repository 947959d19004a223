//! What could be changed about a scenario, one thing at a time.

mod cluster;
mod plan;
mod written_out;

use motley::{Prepared, Scenario};
use motley_scenario::raw::RawScenario;

/// What to try beside the changes that suggest themselves. Names are catalogue ids.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Cards of the first type become cards of the second.
    pub swaps: Vec<(String, String)>,
    /// All nodes get this NIC.
    pub nics: Vec<String>,
    /// Changes that the caller made: what they are, and the scenario or why there is none.
    pub others: Vec<(String, Result<Scenario, String>)>,
}

/// A scenario that differs in one thing.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The sort of change, for programs.
    pub(crate) sort: &'static str,
    /// The change, for people.
    pub(crate) what: String,
    /// The scenario; or why there is none, in one sentence.
    pub(crate) scenario: Result<Scenario, String>,
}

impl Change {
    /// A change of what stands in the scenario file.
    fn raw(
        scenario: &Scenario,
        sort: &'static str,
        what: impl Into<String>,
        change: impl FnOnce(&mut RawScenario) -> Result<(), String>,
    ) -> Self {
        let mut raw = scenario.raw.clone();
        let scenario = change(&mut raw).and_then(|()| {
            scenario.with_raw("scenario", raw).map_err(|rejected| rejected.diagnostics.brief())
        });
        Self { sort, what: what.into(), scenario }
    }

    /// A change of the machines that no catalogue entry has.
    fn spec(
        scenario: &Scenario,
        sort: &'static str,
        what: impl Into<String>,
        change: impl FnOnce(&mut Scenario),
    ) -> Self {
        let mut scenario = scenario.clone();
        change(&mut scenario);
        Self { sort, what: what.into(), scenario: Ok(scenario) }
    }
}

/// All changes to try.
///
/// # Errors
/// A sentence on what is wished for and not in the scenario or the catalogue.
pub(crate) fn changes(prepared: &Prepared, wishes: &Wishes) -> Result<Vec<Change>, String> {
    let scenario = prepared.scenario;
    let mut list = cluster::wished(scenario, wishes)?;
    list.extend(wishes.others.iter().map(|(what, scenario)| Change {
        sort: "override",
        what: what.clone(),
        scenario: scenario.clone(),
    }));
    list.extend(cluster::suggested(prepared));
    list.extend(plan::suggested(prepared));
    Ok(list)
}
