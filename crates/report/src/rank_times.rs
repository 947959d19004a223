//! Mean times of one rank over all replays.

use motley_job::RankId;
use motley_scheduler::Traffic;
use motley_units::Time;

use crate::Run;
use crate::breakdown::waits_for_members;

/// Seconds of an iteration; the four sum to the iteration time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RankTimes {
    pub(crate) compute: f64,
    pub(crate) exposed: f64,
    /// For members at collectives of peers.
    pub(crate) members: f64,
    /// For other stages and for the iteration's end.
    pub(crate) dependency: f64,
}

impl RankTimes {
    pub(crate) fn of(runs: &[Run], rank: RankId) -> Self {
        let mut sum = Self::default();
        for run in runs {
            let account = &run.account;
            let (mut exposed, mut members, mut dependency) = (Time::ZERO, Time::ZERO, Time::ZERO);
            for class in Traffic::ALL {
                exposed += account.exposed(rank, class);
                let wait = if waits_for_members(class) { &mut members } else { &mut dependency };
                *wait += account.waiting(rank, class);
            }
            dependency += run.outcome.end - account.finish_of(rank);
            sum.add(Self {
                compute: account.computing(rank).as_secs_f64(),
                exposed: exposed.as_secs_f64(),
                members: members.as_secs_f64(),
                dependency: dependency.as_secs_f64(),
            });
        }
        sum.over(runs.len() as f64)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.compute += other.compute;
        self.exposed += other.exposed;
        self.members += other.members;
        self.dependency += other.dependency;
    }

    pub(crate) fn over(self, count: f64) -> Self {
        Self {
            compute: self.compute / count,
            exposed: self.exposed / count,
            members: self.members / count,
            dependency: self.dependency / count,
        }
    }

    pub(crate) fn total(self) -> f64 {
        self.compute + self.exposed + self.members + self.dependency
    }
}
