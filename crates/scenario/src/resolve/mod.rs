//! From the names in a file to a [`Scenario`]: looked up, filled in, checked.
//!
//! Everything that is wrong is reported at once, as far as one mistake does not hide another: a
//! plan is checked only against a cluster and a model that exist. What a plan must satisfy is the
//! scheduler's to say, what a model or a cluster must, theirs; here their answers are given their
//! places in the file.

mod cluster;
mod limits;
mod model;
mod plan;
mod training;

pub(crate) use plan::plan_diagnostics;

use motley_hardware::Catalog;
use motley_topology::{Cluster, Clusters};
use motley_workload::Profile;

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::hash::scenario_hash;
use crate::raw::{Measure, RawScenario};
use crate::scenario::Scenario;
use crate::source::SourceFile;
use crate::suggest::like_in_catalogue;
use crate::syntax::Path;

/// Messages so far, and where to point them.
struct Resolver<'s> {
    document: Document<'s>,
    catalog: &'s Catalog,
    diagnostics: Diagnostics,
}

/// Looks up and checks what `source` says, which [`crate::parse()`] read as `raw`; `profile` is what
/// its `profile` names.
///
/// # Errors
///
/// All that is wrong.
pub fn resolve(
    raw: RawScenario,
    profile: Option<Profile>,
    source: &SourceFile,
    catalog: &Catalog,
) -> Result<Scenario, Diagnostics> {
    resolve_on(raw, profile, source, catalog, &Clusters::default())
}

/// The same on clusters that may have been built before.
pub(crate) fn resolve_on(
    raw: RawScenario,
    profile: Option<Profile>,
    source: &SourceFile,
    catalog: &Catalog,
    clusters: &Clusters,
) -> Result<Scenario, Diagnostics> {
    let document = Document::new(source)?;
    let mut resolver = Resolver { document, catalog, diagnostics: Diagnostics::default() };
    let cluster = resolver.cluster(&raw.cluster);
    let model = resolver.model(&raw.model);
    let training = resolver.training(&raw.training);
    resolver.noise_and_runs(&raw);
    let plan = resolver.plan(&raw.plan);
    let (Some(cluster), Some(model), Some(training), Some(plan)) = (cluster, model, training, plan)
    else {
        return Err(resolver.diagnostics);
    };
    resolver.training_fits(&model, &training);
    let built = resolver.built(&cluster, clusters);
    let mut warnings = Diagnostics::default();
    if let Some(cluster) = &built {
        resolver.check_plan(&raw, &plan, cluster, &model, &training, &mut warnings);
    }
    match built {
        Some(cluster) if resolver.diagnostics.is_empty() => Ok(Scenario {
            hash: scenario_hash(&raw, profile.as_ref(), cluster.spec()),
            question: raw.question.clone(),
            sources: raw.sources.clone(),
            published: raw.published.clone(),
            cluster: Cluster::spec(&cluster).clone(),
            model,
            training,
            global_batch: raw.training.global_batch,
            plan,
            profile,
            fidelity: raw.fidelity,
            noise: raw.noise,
            iterations: raw.iterations,
            seed: raw.seed,
            warnings,
            raw,
            source: source.clone(),
        }),
        _ => Err(resolver.diagnostics),
    }
}

impl Resolver<'_> {
    /// Reports a mistake at a path.
    fn error(&mut self, code: &'static str, path: &Path, message: String, label: &str) {
        let diagnostic = self.at(code, path, message, label);
        self.diagnostics.push(diagnostic);
    }

    fn at(&self, code: &'static str, path: &Path, message: String, label: &str) -> Diagnostic {
        Diagnostic::error(code, message).label(self.document.place(path), label)
    }

    /// Reports a name that the catalogue does not have.
    fn unknown_name<'a>(
        &mut self,
        kind: &str,
        path: &Path,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let label = like_in_catalogue(name, known);
        let diagnostic = self
            .at(code::UNKNOWN_NAME, path, format!("unknown {kind} \"{name}\""), &label)
            .help(format!("`motley catalog` lists every {kind}"));
        self.diagnostics.push(diagnostic);
    }

    fn noise_and_runs(&mut self, raw: &RawScenario) {
        let noise = Path::ROOT.field("noise");
        self.share(&noise.field("kernel_jitter"), raw.noise.kernel_jitter);
        self.share(&noise.field("card_spread"), raw.noise.card_spread);
        self.count(&Path::ROOT.field("iterations"), raw.iterations, limits::ITERATIONS);
        for (index, published) in raw.published.iter().enumerate() {
            let path = Path::ROOT.field("published").index(index).field("value");
            let value = match published.value {
                Measure::IterationTime(time) => time.0,
                Measure::TokensPerSec(value)
                | Measure::SamplesPerSec(value)
                | Measure::TflopsPerGpu(value)
                | Measure::HardwareTflopsPerGpu(value)
                | Measure::Mfu(value) => value,
            };
            if !value.is_finite() || value <= 0.0 {
                let message = "a published figure must be a finite number above 0".to_owned();
                self.error(code::OUT_OF_RANGE, &path, message, "not such a number");
            }
        }
    }
}
