//! What is reported on.

use motley_engine::Outcome;
use motley_scheduler::{Lowered, Plan};
use motley_topology::Cluster;
use motley_workload::{Model, Training};

use crate::{Account, Published};

/// Everything that was put together for the replays.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The question that the scenario asks, if it says so.
    pub title: Option<&'a str>,
    /// The machine.
    pub cluster: &'a Cluster,
    /// The division of labour.
    pub plan: &'a Plan,
    /// The job, made from plan and machine.
    pub lowered: &'a Lowered,
    /// The model.
    pub model: &'a Model,
    /// How it is trained.
    pub training: &'a Training,
    /// Sequences of an iteration.
    pub global_batch: u32,
    /// Measured figures to hold the prediction against.
    pub published: &'a [Published],
}

/// One replay.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended. Where iterations begin on each rank as soon as the rank is done with the one
    /// before, times are those since the rank's start.
    pub outcome: Outcome,
    /// What its time was spent on.
    pub account: Account,
}
