//! One row for each type of card in the cluster.

use motley_job::RankId;
use motley_workload::AttentionKernel;
use serde::Serialize;

use crate::fit::{fits, need_and_capacity};
use crate::job_summary::precision_name;
use crate::rank_times::RankTimes;
use crate::{MemoryParts, MemoryPeak, Run, Subject};

/// What the cards of one type did. Ratios are shares of the iteration time, means over the cards
/// that the plan uses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardType {
    /// The catalogue id.
    pub id: String,
    /// The vendor's name for it.
    pub name: String,
    /// Cards in the cluster.
    pub card_count: u32,
    /// Cards that the plan uses.
    pub used_count: u32,
    /// Cards that it leaves idle.
    pub idle_count: u32,
    /// Cards that run out of memory.
    pub out_of_memory_count: u32,
    /// No card of the type runs out of memory.
    pub fits: bool,
    /// Memory of one card.
    pub memory_capacity_bytes: f64,
    /// What an hour of all cards of the type costs, idle ones included, if the catalogue has a
    /// price.
    pub cost_per_hour_usd: Option<f64>,
    /// What the used ones did; none if there are none.
    pub used: Option<UsedCards>,
}

/// What the used cards of a type did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsedCards {
    /// The precision that they really run.
    pub precision: &'static str,
    /// The unit that they run it on, as the catalogue spells it.
    pub math: String,
    /// `flash` or `unfused`.
    pub attention: &'static str,
    /// Not waiting: computing or moving data.
    pub busy_ratio: f64,
    /// Computing.
    pub compute_ratio: f64,
    /// Standing still while data moves.
    pub exposed_ratio: f64,
    /// Standing still for others, the sum of the next two.
    pub wait_ratio: f64,
    /// For peers at collectives.
    pub member_wait_ratio: f64,
    /// For other stages and the iteration's end.
    pub dependency_wait_ratio: f64,
    /// Of the card that needs most.
    pub peak_memory_bytes: f64,
    /// What that card needs it for.
    pub memory: MemoryParts,
    /// What of it who counts, and when it is.
    pub memory_peak: MemoryPeak,
}

/// What is summed up for a row.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    ranks: u32,
    times: RankTimes,
    out_of_memory: u32,
    /// The rank that needs most memory, with its need.
    fullest: Option<(RankId, f64)>,
}

impl CardType {
    /// In the order of the cluster's node groups.
    pub(crate) fn list(subject: &Subject, runs: &[Run]) -> Vec<Self> {
        let groups = &subject.cluster.spec().groups;
        let mut list: Vec<Self> = Vec::new();
        let mut type_of_group = Vec::with_capacity(groups.len());
        for group in groups {
            let cards = group.gpus();
            let known = list.iter().position(|row| row.id == group.device.id);
            let index = known.unwrap_or_else(|| {
                list.push(Self {
                    id: group.device.id.clone(),
                    name: group.device.name.clone(),
                    card_count: 0,
                    used_count: 0,
                    idle_count: 0,
                    out_of_memory_count: 0,
                    fits: true,
                    memory_capacity_bytes: group.device.memory.get().0,
                    cost_per_hour_usd: group.device.price.as_ref().map(|_| 0.0),
                    used: None,
                });
                list.len() - 1
            });
            type_of_group.push(index);
            let row = &mut list[index];
            row.card_count += cards;
            if let (Some(cost), Some(price)) = (&mut row.cost_per_hour_usd, &group.device.price) {
                *cost += f64::from(cards) * price.usd_per_hour.get();
            }
        }
        let mut sums = vec![Sum::default(); list.len()];
        for rank in (0..subject.lowered.places.len()).map(|rank| RankId(rank as u32)) {
            let gpu = subject.lowered.place(rank).gpu;
            let sum = &mut sums[type_of_group[subject.cluster.group_of(gpu)]];
            sum.ranks += 1;
            sum.times.add(RankTimes::of(runs, rank));
            sum.out_of_memory += u32::from(!fits(subject, rank));
            let (need, _) = need_and_capacity(subject, rank);
            if sum.fullest.is_none_or(|(_, most)| need > most) {
                sum.fullest = Some((rank, need));
            }
        }
        for (row, sum) in list.iter_mut().zip(sums) {
            row.used_count = sum.ranks;
            row.idle_count = row.card_count.saturating_sub(sum.ranks);
            row.out_of_memory_count = sum.out_of_memory;
            row.fits = sum.out_of_memory == 0;
            row.used = sum.fullest.map(|(rank, need)| used(subject, sum.times, rank, need));
        }
        list
    }
}

fn used(subject: &Subject, times: RankTimes, fullest: RankId, need: f64) -> UsedCards {
    let rank = fullest.0 as usize;
    let path = &subject.lowered.paths[rank];
    let total = times.total();
    let ratio = |part: f64| if total > 0.0 { part / total } else { 0.0 };
    UsedCards {
        precision: precision_name(path.precision),
        math: format!("{:?}", path.math),
        attention: match path.attention {
            AttentionKernel::Flash => "flash",
            AttentionKernel::Unfused => "unfused",
        },
        busy_ratio: ratio(times.compute + times.exposed),
        compute_ratio: ratio(times.compute),
        exposed_ratio: ratio(times.exposed),
        wait_ratio: ratio(times.members + times.dependency),
        member_wait_ratio: ratio(times.members),
        dependency_wait_ratio: ratio(times.dependency),
        peak_memory_bytes: need,
        memory: MemoryParts::from(&subject.lowered.memory[rank]),
        memory_peak: MemoryPeak::of(subject, fullest),
    }
}
