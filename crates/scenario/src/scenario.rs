//! A scenario with every name looked up and every default filled in.

use motley_hardware::Catalog;
use motley_scheduler::{Fidelity, Plan, PlanError, UniformPlan};
use motley_topology::ClusterSpec;
use motley_workload::{Model, Profile, Training};

use crate::diagnostic::Diagnostics;
use crate::load::Rejected;
use crate::raw::{Noise, Published, RawScenario};
use crate::resolve::{self, resolve};
use crate::source::SourceFile;

/// All that a simulation needs, checked: the cluster can be built, the model exists, and the plan
/// fits both.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is asked, for people.
    pub question: Option<String>,
    /// Where its figures are from, for people.
    pub sources: Vec<String>,
    /// What others measured or computed for it.
    pub published: Vec<Published>,
    /// The machines.
    pub cluster: ClusterSpec,
    /// What is trained.
    pub model: Model,
    /// How it is trained.
    pub training: Training,
    /// Sequences of an iteration.
    pub global_batch: u32,
    /// Who does what.
    pub plan: PlanChoice,
    /// Measured times that count instead of predicted ones.
    pub profile: Option<Profile>,
    /// How finely communication is simulated.
    pub fidelity: Fidelity,
    /// Random deviations.
    pub noise: Noise,
    /// Iterations to simulate, at least one.
    pub iterations: u32,
    /// The seed of all noise.
    pub seed: u64,
    /// See [`crate::scenario_hash`].
    pub hash: String,
    /// What is legal and perhaps not meant.
    pub warnings: Diagnostics,
    /// The file's content with every default filled in.
    pub raw: RawScenario,
    /// Its text, for [`Diagnostics::render`].
    pub source: SourceFile,
}

/// The plan as it was given.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanChoice {
    /// The shorthand; [`UniformPlan::expand`] writes it out.
    Uniform(UniformPlan),
    /// Written out.
    Explicit(Plan),
    /// To be searched.
    Auto,
}

impl Scenario {
    /// The scenario that other values describe, with the profile of this one, whose name in `raw` is not
    /// looked for again. Messages call it `name`.
    ///
    /// # Errors
    /// All that is wrong with it; the messages point into [`RawScenario::to_ron`].
    pub fn with_raw(&self, name: &str, raw: RawScenario) -> Result<Self, Rejected> {
        let source = SourceFile::new(name, &raw.to_ron());
        resolve(raw, self.profile.clone(), &source, Catalog::builtin())
            .map_err(|diagnostics| Rejected { diagnostics, source })
    }

    /// Messages about faults of the plan that came to light after the scenario was read, at the
    /// places of the file that they are about.
    pub fn reject_plan(&self, errors: Vec<PlanError>) -> Rejected {
        let diagnostics = resolve::plan_diagnostics(&self.raw.plan, &self.source, errors);
        Rejected { diagnostics, source: self.source.clone() }
    }
}
