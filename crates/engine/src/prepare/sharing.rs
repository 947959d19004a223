//! Which links need a solver.
//!
//! Every flow is capped by its *idle rate*, the rate that it has when alone (the smallest capacity
//! over multiplicity on its footprint, and the cap of its call). That takes nothing away: the caps
//! follow from the links. It allows links to be left out as long as what remains implies them,
//! because the max-min fair allocation depends only on which allocations are feasible:
//!
//! - A link that one communicator crosses. Its instances follow one another, so one flow at a time
//!   crosses the link, and the cap of that flow is at most capacity over multiplicity.
//! - A link all of whose communicators have a member with a common lane (see [`Lane`]). Again one
//!   flow at a time. This is how the ports of a card are shared by all its process groups.
//! - A link that does not bind even if all its communicators are active at once, each at its cap.
//! - Of links that the same footprints cross in the same proportions, all but the tightest.
//!
//! Instances of one communicator follow one another because the replay has each member join an
//! instance only after the one before is complete.

use std::hash::{DefaultHasher, Hash, Hasher};

use motley_job::Job;

use super::usage::{Lane, Usage};

/// Relative slack within which a sum counts as equal to a capacity: rounding of the sum.
const ROUNDING: f64 = 1e-12;

/// A footprint of a communicator across a link.
#[derive(Clone, Copy, Debug)]
struct Crossing {
    communicator: u32,
    footprint: u32,
    multiplicity: f64,
    /// The most bytes per second that it can put on the link.
    most: f64,
}

/// For each link whether it needs the solver. Without `reduce`, all that anyone crosses do.
pub(super) fn links_to_solve(job: &Job, usage: &Usage, reduce: bool) -> Vec<bool> {
    let (crossings, first) = crossings(job, usage);
    let on = |link: usize| &crossings[first[link] as usize..first[link + 1] as usize];
    let mut solved: Vec<bool> = (0..job.links.len())
        .map(|link| {
            let users = on(link);
            let unneeded = users.is_empty() || (reduce && is_implied(job, usage, link, users));
            !unneeded
        })
        .collect();
    if reduce {
        keep_tightest(job, on, &mut solved);
    }
    solved
}

/// All crossings, grouped by link, in the order of communicators; and where each group begins.
fn crossings(job: &Job, usage: &Usage) -> (Vec<Crossing>, Vec<u32>) {
    let used = || {
        (0..job.communicators.len())
            .flat_map(|c| usage.footprints(c).iter().map(move |&used| (c as u32, used)))
    };
    let links_of = |footprint: u32| &job.footprints[footprint as usize].links;

    let mut first = vec![0u32; job.links.len() + 2];
    for (_, used) in used() {
        for (link, _) in links_of(used.footprint) {
            first[link.0 as usize + 2] += 1;
        }
    }
    for link in 2..first.len() {
        first[link] += first[link - 1];
    }
    let total = first.last().map_or(0, |&total| total as usize);
    let blank = Crossing { communicator: 0, footprint: 0, multiplicity: 0.0, most: 0.0 };
    let mut crossings = vec![blank; total];
    for (communicator, used) in used() {
        let links = links_of(used.footprint);
        let idle_rate = links
            .iter()
            .map(|&(link, multiplicity)| job.links[link.0 as usize].capacity / multiplicity)
            .fold(used.rate_cap, f64::min);
        for &(link, multiplicity) in links {
            let next = &mut first[link.0 as usize + 1];
            crossings[*next as usize] = Crossing {
                communicator,
                footprint: used.footprint,
                multiplicity,
                most: multiplicity * idle_rate,
            };
            *next += 1;
        }
    }
    first.pop();
    (crossings, first)
}

/// Whether the caps of the flows alone keep a link within its capacity.
fn is_implied(job: &Job, usage: &Usage, link: usize, users: &[Crossing]) -> bool {
    let distinct = || users.chunk_by(|a, b| a.communicator == b.communicator);
    if distinct().nth(1).is_none() {
        return true;
    }
    let most_of = |uses: &[Crossing]| uses.iter().map(|use_| use_.most).fold(0.0, f64::max);
    let most: f64 = distinct().map(most_of).sum();
    if most <= job.links[link].capacity * (1.0 + ROUNDING) {
        return true;
    }
    // The smallest communicator has the fewest candidates for a lane that all have in common.
    let members = |c: u32| &job.communicators[c as usize].members;
    let Some(smallest) = users.iter().map(|u| u.communicator).min_by_key(|&c| members(c).len())
    else {
        return true;
    };
    let lanes = usage.lanes(smallest as usize);
    members(smallest).iter().zip(lanes).any(|(rank, &lane)| {
        lane != Lane::Mixed
            && distinct().all(|uses| {
                let c = uses[0].communicator;
                members(c)
                    .binary_search(rank)
                    .is_ok_and(|position| usage.lanes(c as usize)[position] == lane)
            })
    })
}

/// Of the links that are crossed by the same footprints in the same proportions, leaves the one
/// with the least capacity for its multiplicities.
fn keep_tightest<'a>(job: &Job, on: impl Fn(usize) -> &'a [Crossing], solved: &mut [bool]) {
    let pattern = |link: usize| {
        let users = on(link);
        let unit = users[0].multiplicity;
        users.iter().map(move |u| (u.communicator, u.footprint, (u.multiplicity / unit).to_bits()))
    };
    let mut links: Vec<(u64, u64, usize)> = (0..solved.len())
        .filter(|&link| solved[link])
        .map(|link| {
            let mut hasher = DefaultHasher::new();
            pattern(link).for_each(|user| user.hash(&mut hasher));
            let room = job.links[link].capacity / on(link)[0].multiplicity;
            (hasher.finish(), room.to_bits(), link)
        })
        .collect();
    // Hashes bring candidates together; what is dropped depends on exact comparison alone.
    links.sort_unstable();
    for candidates in links.chunk_by(|a, b| a.0 == b.0) {
        let mut kept: Vec<usize> = Vec::new();
        for &(_, _, link) in candidates {
            if kept.iter().any(|&tighter| pattern(tighter).eq(pattern(link))) {
                solved[link] = false;
            } else {
                kept.push(link);
            }
        }
    }
}
