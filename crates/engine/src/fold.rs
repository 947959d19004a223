//! Folding: ranks that cannot be told apart, taken as one.
//!
//! A partition of a job's ranks, communicators and links into classes is *equitable* if
//!
//! - the ranks of a class run one program at one slowness on as many processors, and slot by slot
//!   talk to communicators of one class;
//! - the communicators of a class have one call set and one label, the same number of ranks of each
//!   class at each slot, and footprint by footprint cross the same number of links of each class
//!   with each multiplicity;
//! - the links of a class have one capacity and are crossed by the same number of communicators of
//!   each class, by the same footprints with the same multiplicities.
//!
//! *All of a class then do the same at the same times.* Say they have done so up to some instant.
//! Whoever joins, issues or waits at it does so for what its class does. The max-min fair rates are
//! equal within a class: give every flow the rate of its class in the folded job; the load of a link
//! is then that of its class's link there, so no link is over its capacity, and every flow has a
//! full link on which it is the largest, or is at its cap; so by the certificate (see `flow`) these
//! are the rates. Thus whatever ends next, ends for the whole class at once.
//!
//! The folded job has one rank, communicator and link for each class; a communicator crosses a link
//! with the multiplicity of all communicators of its class that cross that link together. Nothing is
//! assumed: a card of another speed, a link of another capacity or a route that collides elsewhere
//! makes classes of their own, and of all they touch. Rounding is the one difference: a sum of equal
//! loads is a product there, so that rates may differ in their last bits.
//!
//! Jobs whose connections move apart are not folded: connections would need classes of their own.
//!
//! The coarsest equitable partition is found by colour refinement ([`refine`]) and then checked
//! element by element, so that it does not depend on hashes being without collisions.

mod quotient;
mod refine;

use motley_job::{CommId, Job, RankId};

use self::refine::Classes;
use crate::Outcome;
use crate::outcome::Solved;

/// A job in which each class of interchangeable ranks is one rank.
#[derive(Debug)]
pub struct Fold {
    job: Job,
    classes: Classes,
    /// Of the job that was folded.
    operations: u64,
}

impl Fold {
    /// The fold of a verified job; `None` if that is no smaller than the job, or if connections of
    /// the job move apart.
    pub fn of(job: &Job) -> Option<Self> {
        if job.connections_move_apart() {
            return None;
        }
        let classes = refine::classes(job)?;
        let of_program = job.program_sums(|_| 1u64);
        let operations = job.ranks.iter().map(|rank| of_program[rank.program.0 as usize]).sum();
        Some(Self { job: quotient::quotient(job, &classes), classes, operations })
    }

    /// The folded job.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The folded job alone.
    pub fn into_job(self) -> Job {
        self.job
    }

    /// The rank of the folded job that stands for a rank of the job.
    pub fn rank(&self, rank: RankId) -> RankId {
        RankId(self.classes.rank.of[rank.0 as usize])
    }

    /// The communicator of the folded job that stands for a communicator of the job.
    pub fn communicator(&self, comm: CommId) -> CommId {
        CommId(self.classes.communicator.of[comm.0 as usize])
    }

    /// Values by rank of the job as values by rank of the folded job; `None` if they differ within
    /// a class.
    pub fn fold<T: Copy + PartialEq>(&self, by_rank: &[T]) -> Option<Vec<T>> {
        let ranks = &self.classes.rank;
        let folded: Vec<T> = ranks.first.iter().map(|&first| by_rank[first as usize]).collect();
        let same =
            by_rank.iter().zip(&ranks.of).all(|(value, &class)| *value == folded[class as usize]);
        same.then_some(folded)
    }

    /// The outcome of the job from that of the folded job. Flows and solves stay those of the folded
    /// job.
    pub fn unfold(&self, outcome: &Outcome) -> Outcome {
        let ranks = &self.classes.rank.of;
        let comms = &self.classes.communicator.of;
        Outcome::new(
            outcome.end,
            ranks.iter().map(|&class| outcome.finish[class as usize]).collect(),
            comms.iter().map(|&class| outcome.communicators[class as usize]).collect(),
            self.operations,
            Solved { flows: outcome.flows, solves: outcome.solves },
        )
    }
}
