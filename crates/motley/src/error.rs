//! Why a scenario could not be simulated.

use motley_engine::Deadlock;
use motley_job::JobError;
use motley_scenario::Rejected;
use motley_topology::{RouteError, TopologyError};
use motley_units::Time;
use thiserror::Error;

/// Why a scenario could not be simulated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The cluster cannot be built.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The plan does not fit the cluster, the model or the training.
    #[error(transparent)]
    Plan(Box<Rejected>),
    /// Two cards that must communicate have no route.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The iteration takes longer than simulated time reaches.
    #[error(
        "the iteration takes longer than the {} days that simulated time reaches; look for a \
         quantity that is absurdly large or small",
        Time::MAX.as_secs_f64() as u64 / 86_400
    )]
    TooLong,
    /// The job that was made is not well formed: a defect of motley.
    #[error("the job is not well formed, which is a defect of motley: {0}")]
    Job(#[from] JobError),
    /// The job cannot finish: a defect of motley.
    #[error("the job cannot finish, which is a defect of motley: {0}")]
    Deadlock(#[from] Deadlock),
    /// The replays do not belong to the job: a defect of motley.
    #[error("there is nothing to report, which is a defect of motley: {0}")]
    Report(#[from] motley_report::ReportError),
}

impl SimulateError {
    /// True if the scenario is at fault, false if motley is.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Topology(_) | Self::Plan(_) | Self::Route(_) | Self::TooLong)
    }
}
