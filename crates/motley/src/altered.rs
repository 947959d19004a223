//! Replays of what a scenario's job is not: the same job, altered.

use motley_collectives::Layouts;
use motley_engine::{Engine, Jitter, Law, Observer, Options, replay};
use motley_hardware::Catalog;
use motley_job::Job;
use motley_scheduler::{KernelTimes, Lowered, lower};
use motley_topology::GpuId;
use motley_units::Time;

use crate::SimulateError;
use crate::prepare::Prepared;

/// The replay of a job.
#[derive(Clone, Debug)]
pub struct Altered {
    /// The iteration time.
    pub iteration: Time,
    /// When the iteration begins on each rank; empty where it begins on all at once.
    pub starts: Vec<Time>,
    /// When each rank has run its program.
    pub finish: Vec<Time>,
    /// When the last rank had finished and the last transfer had ended.
    pub end: Time,
}

impl Prepared<'_> {
    /// The variation of kernels from run to run that the scenario asks for.
    pub fn jitter(&self) -> Option<Jitter> {
        let relative_deviation = self.scenario.noise.kernel_jitter;
        (relative_deviation > 0.0).then(|| Jitter { relative_deviation, law: Law::default() })
    }

    /// Replays a job that is this scenario's in all but what was altered: its own, its fold, or one made
    /// from either. Iterations follow one another as the scenario's plan has it.
    ///
    /// # Errors
    /// If the job is not well formed or cannot finish, or takes longer than simulated time reaches.
    pub fn replay_altered(
        &self,
        job: &Job,
        jitter: Option<Jitter>,
        observer: &mut impl Observer,
    ) -> Result<Altered, SimulateError> {
        let engine = Engine::new(job)?;
        let options = Options { seed: self.scenario.seed, jitter, ..Options::default() };
        let nominal = Options { jitter: None, ..options };
        let starts = self.starts(&engine, &nominal)?;
        let outcome = replay(&engine, &Options { starts: starts.as_deref(), ..options }, observer)?;
        if outcome.end == Time::MAX {
            return Err(SimulateError::TooLong);
        }
        let iteration = match &starts {
            None => outcome.end,
            Some(starts) => {
                let spans = outcome.finish.iter().zip(starts).map(|(&end, &start)| end - start);
                spans.max().unwrap_or_default()
            }
        };
        Ok(Altered {
            iteration,
            starts: starts.unwrap_or_default(),
            finish: outcome.finish,
            end: outcome.end,
        })
    }

    /// The job of the same plan as if every card computed as this one does: as fast, in its precision and
    /// with its attention. What is communicated, and over what, stays.
    ///
    /// # Errors
    /// None that the scenario's own lowering did not have.
    pub fn lowered_as_if(&self, gpu: GpuId) -> Result<Lowered, SimulateError> {
        let scenario = self.scenario;
        let times = KernelTimes::new(
            &self.cluster,
            Catalog::builtin(),
            &scenario.model,
            &scenario.training,
            scenario.profile.as_ref(),
            self.plan.gpus(),
        )
        .map_err(|errors| SimulateError::Plan(Box::new(scenario.reject_plan(errors))))?
        .all_as(gpu);
        let layouts = &mut Layouts::new(false);
        Ok(lower(&self.plan, &self.cluster, &times, layouts, scenario.fidelity)?)
    }
}
