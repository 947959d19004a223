//! A job made ready for replays.

use motley_job::{Job, JobError};

use crate::prepare::{Tables, prepare};

/// A verified job with all that can be worked out before a replay. Cheap to share: replays read
/// it and change nothing.
#[derive(Debug)]
pub struct Engine<'a> {
    pub(crate) job: &'a Job,
    pub(crate) tables: Tables,
}

impl<'a> Engine<'a> {
    /// Verifies and prepares `job`. Links that are never shared, or cannot bind, are found here
    /// and cost nothing in replays; the outcome is the same.
    ///
    /// # Errors
    /// If the job fails [`motley_job::verify`], or a rank calls one communicator through two
    /// slots.
    pub fn new(job: &'a Job) -> Result<Self, JobError> {
        Ok(Self { job, tables: prepare(job, true)? })
    }

    /// Like [`Engine::new`], but every link goes through the solver and every completion through
    /// the event queue. Slow; to check that the other way is exact.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn unreduced(job: &'a Job) -> Result<Self, JobError> {
        Ok(Self { job, tables: prepare(job, false)? })
    }

    /// The job.
    pub fn job(&self) -> &'a Job {
        self.job
    }

    /// How many of the job's links have to be solved.
    pub fn solved_links(&self) -> usize {
        self.tables.fabric.links()
    }
}
