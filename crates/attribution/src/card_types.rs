//! Where the time of the cards of each type goes, in the iteration as simulated.

use std::collections::BTreeMap;

use motley::Prepared;
use motley_job::RankId;
use motley_report::{ComputeKind, Run};
use motley_scheduler::Traffic;
use motley_units::Time;
use serde::Serialize;

use crate::Picos;

/// Where the time of a type's cards goes: seconds of an iteration, means over the cards that the plan
/// uses. Compute, slow-down, waits and the end sum to the iteration time, but for rounding to picoseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardSeconds {
    /// The catalogue id.
    pub id: String,
    /// The vendor's name for it.
    pub name: String,
    /// Cards that the plan uses.
    pub card_count: u32,
    /// Kernels run, as long as they take by themselves.
    #[serde(rename = "compute_s")]
    pub compute: Picos,
    /// What they take longer beside communication.
    #[serde(rename = "overlap_slowdown_s")]
    pub slowed: Picos,
    /// Standing still, by the traffic that is waited for.
    pub waits: Vec<Wait>,
    /// Done before the iteration ends.
    #[serde(rename = "done_early_s")]
    pub done: Picos,
}

/// Standing still for one class of traffic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// The class.
    pub traffic: &'static str,
    /// While data moves.
    #[serde(rename = "exposed_s")]
    pub exposed: Picos,
    /// For others, before data moves.
    #[serde(rename = "waiting_s")]
    pub waiting: Picos,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    cards: u32,
    compute: u128,
    slowed: u128,
    exposed: [u128; Traffic::ALL.len()],
    waiting: [u128; Traffic::ALL.len()],
    done: u128,
}

fn picos(time: Time) -> u128 {
    u128::from(time.as_picos())
}

impl Sums {
    fn add(&mut self, runs: &[Run], rank: RankId) {
        self.cards += 1;
        for Run { outcome, account } in runs {
            for kind in ComputeKind::ALL {
                self.compute += picos(account.compute_of(rank, kind));
            }
            self.slowed += picos(account.slowed(rank));
            for class in Traffic::ALL {
                self.exposed[class as usize] += picos(account.exposed(rank, class));
                self.waiting[class as usize] += picos(account.waiting(rank, class));
            }
            self.done += picos(outcome.end - account.finish_of(rank));
        }
    }
}

impl CardSeconds {
    /// By type, in the order of the catalogue ids.
    pub(crate) fn list(prepared: &Prepared, runs: &[Run]) -> Vec<Self> {
        let (lowered, cluster) = (&prepared.lowered, &prepared.cluster);
        let mut sums: BTreeMap<&str, (&str, Sums)> = BTreeMap::new();
        for (rank, place) in (0..).map(RankId).zip(&lowered.places) {
            let device = cluster.device(place.gpu);
            let row = sums.entry(&device.id).or_insert((&device.name, Sums::default()));
            row.1.add(runs, rank);
        }
        let list = sums.into_iter().map(|(id, (name, sums))| {
            let divisor = u128::from(sums.cards) * runs.len().max(1) as u128;
            let mean = |sum: u128| Picos(((sum + divisor / 2) / divisor) as i64);
            let wait = |class: Traffic| Wait {
                traffic: class.name(),
                exposed: mean(sums.exposed[class as usize]),
                waiting: mean(sums.waiting[class as usize]),
            };
            let any = |wait: &Wait| wait.exposed != wait.waiting || wait.exposed.0 != 0;
            Self {
                id: id.to_owned(),
                name: name.to_owned(),
                card_count: sums.cards,
                compute: mean(sums.compute),
                slowed: mean(sums.slowed),
                waits: Traffic::ALL.into_iter().map(wait).filter(any).collect(),
                done: mean(sums.done),
            }
        });
        list.collect()
    }

    /// Standing still for a class of traffic.
    pub fn wait(&self, traffic: &'static str) -> Wait {
        let none = Wait { traffic, exposed: Picos::default(), waiting: Picos::default() };
        self.waits.iter().find(|wait| wait.traffic == traffic).cloned().unwrap_or(none)
    }

    /// All of it: the iteration time.
    pub fn total(&self) -> Picos {
        let waits = self.waits.iter().map(|wait| wait.exposed + wait.waiting);
        self.compute + self.slowed + self.done + waits.sum()
    }
}
