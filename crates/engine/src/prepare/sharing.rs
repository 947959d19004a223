//! Which links need a solver, and which footprints.
//!
//! Every flow is capped by its *idle rate*, the rate that it has when alone (the smallest capacity
//! over multiplicity on its path, and the cap of its call). That takes nothing away: the caps
//! follow from the links. It allows links to be left out as long as what remains implies them,
//! because the max-min fair allocation depends only on which allocations are feasible.
//!
//! # Between communicators
//!
//! Communicators do not *meet* on a link
//!
//! - that one communicator crosses. Its instances follow one another, so one at a time crosses the
//!   link;
//! - all of whose communicators have a member with a common lane (see [`Lane`]). Again one instance
//!   at a time. This is how the ports of a card are shared by all its process groups;
//! - that does not bind even if all its communicators are active at once, each of their flows at
//!   its cap.
//!
//! A footprint on whose links its communicators meet nobody needs no solver: its instances take
//! the time that they take alone. For a bundle that is its bytes over its idle rate R, the least of
//! the call's cap and of capacity over multiplicity. If its connections move apart it is the same:
//!
//! *Alone, the slowest connection moves at R from the first byte to the last.* Consider any instant
//! at which some of the connections still move, and a link l where capacity over multiplicity is R.
//! (1) No connection is slower than R: all at R is feasible, as link by link the multiplicities of
//! the connections sum up to the footprint's at most, and a max-min fair allocation has the largest
//! possible minimum. (2) As long as all connections across l move, none of them is faster than R:
//! their rates, weighted by multiplicity, average to capacity over multiplicity at most, which is R;
//! by (1) none is below, so all are at it. By (1) every connection has moved its bytes after
//! bytes / R, by (2) those across l not before. If it is the call's cap that is R, (2) holds of all
//! connections. Links where others move that cannot bind change nothing.
//!
//! # Between connections
//!
//! Of the footprints that do meet others, every path is a flow. A link where nobody meets may still
//! have to share itself among several connections of one instance, if they do not fit at their
//! caps; then it is solved, too.
//!
//! # Alike
//!
//! Of links that the same paths cross in the same proportions, the tightest implies all others.
//!
//! Instances of one communicator follow one another because the replay has each member join an
//! instance only after the one before is complete.

use std::hash::{Hash, Hasher};

use motley_job::Job;
use rustc_hash::FxHasher;

use super::paths::Paths;
use super::usage::{Lane, Usage};
use crate::grouped::Grouped;

/// Relative slack within which a sum counts as equal to a capacity: rounding of the sum.
const ROUNDING: f64 = 1e-12;

/// What of a job the solver has to see.
#[derive(Debug)]
pub(crate) struct Sharing {
    /// By link, whether it is solved.
    pub(crate) links: Vec<bool>,
    /// By footprint, whether its paths are flows. Instances across the others take the time that
    /// they take alone.
    pub(crate) footprints: Vec<bool>,
}

/// A path of a communicator across a link.
#[derive(Clone, Copy, Debug, Default)]
struct Crossing {
    communicator: u32,
    path: u32,
    multiplicity: f64,
    /// The most bytes per second that it can put on the link.
    most: f64,
}

/// Between whom a link can bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    Nobody,
    /// Connections of one instance.
    Connections,
    /// Communicators, and perhaps connections.
    Communicators,
}

/// What of `job` needs the solver. Without `reduce`, all that anyone crosses does.
pub(super) fn find(job: &Job, paths: &Paths<'_>, usage: &Usage, reduce: bool) -> Sharing {
    let crossings = crossings(job, paths, usage);
    let binding: Vec<Binding> = (0..job.links.len())
        .map(|link| match &crossings[link] {
            [] => Binding::Nobody,
            users if reduce => binding(job, paths, usage, link, users),
            _ => Binding::Communicators,
        })
        .collect();
    let footprints: Vec<bool> = job
        .footprints
        .iter()
        .map(|footprint| {
            let meets = |link: usize| binding[link] == Binding::Communicators;
            footprint.links.iter().any(|&(link, _)| meets(link.0 as usize))
        })
        .collect();
    let flows = |user: &Crossing| footprints[paths.numbers().footprint(user.path) as usize];
    let mut links: Vec<bool> = binding
        .iter()
        .enumerate()
        .map(|(link, binding)| match binding {
            Binding::Nobody => false,
            Binding::Connections => crossings[link].iter().any(flows),
            Binding::Communicators => true,
        })
        .collect();
    if reduce {
        keep_tightest(job, &crossings, &mut links);
    }
    Sharing { links, footprints }
}

/// By link, all that cross it, in the order of communicators.
fn crossings(job: &Job, paths: &Paths<'_>, usage: &Usage) -> Grouped<Crossing> {
    Grouped::new(job.links.len(), || {
        let used = (0..job.communicators.len())
            .flat_map(|c| usage.footprints(c).iter().map(move |&used| (c as u32, used)));
        used.flat_map(|(communicator, used)| {
            let numbers = paths.numbers().of(used.footprint);
            numbers.zip(paths.under(used.footprint)).flat_map(move |(path, links)| {
                let idle_rate = links
                    .iter()
                    .map(|&(link, multiplicity)| job.links[link.0 as usize].capacity / multiplicity)
                    .fold(used.rate_cap, f64::min);
                links.iter().map(move |&(link, multiplicity)| {
                    let most = multiplicity * idle_rate;
                    (link.0, Crossing { communicator, path, multiplicity, most })
                })
            })
        })
    })
}

/// Between whom a link can bind that these cross.
fn binding(
    job: &Job,
    paths: &Paths<'_>,
    usage: &Usage,
    link: usize,
    users: &[Crossing],
) -> Binding {
    let fits = |most: f64| most <= job.links[link].capacity * (1.0 + ROUNDING);
    let footprint = |user: &Crossing| paths.numbers().footprint(user.path);
    // Of a communicator: the most that one of its footprints can put on the link.
    let most_of = |uses: &[Crossing]| match uses {
        [only] => only.most,
        _ => uses
            .chunk_by(|a, b| footprint(a) == footprint(b))
            .map(|paths| paths.iter().map(|path| path.most).sum())
            .fold(0.0, f64::max),
    };
    let distinct = || users.chunk_by(|a, b| a.communicator == b.communicator);
    if fits(distinct().map(most_of).sum()) {
        Binding::Nobody
    } else if !take_turns(job, usage, users) {
        Binding::Communicators
    } else if distinct().map(most_of).all(fits) {
        Binding::Nobody
    } else {
        Binding::Connections
    }
}

/// Whether no two of the communicators that cross a link are ever active at once.
fn take_turns(job: &Job, usage: &Usage, users: &[Crossing]) -> bool {
    let distinct = || users.chunk_by(|a, b| a.communicator == b.communicator);
    if distinct().nth(1).is_none() {
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

/// Of the links that are crossed by the same paths in the same proportions, leaves the one
/// with the least capacity for its multiplicities.
fn keep_tightest(job: &Job, crossings: &Grouped<Crossing>, solved: &mut [bool]) {
    let pattern = |link: usize| {
        let users = &crossings[link];
        let unit = users[0].multiplicity;
        users.iter().map(move |u| (u.communicator, u.path, (u.multiplicity / unit).to_bits()))
    };
    let mut links: Vec<(u64, u64, usize)> = (0..solved.len())
        .filter(|&link| solved[link])
        .map(|link| {
            let mut hasher = FxHasher::default();
            pattern(link).for_each(|user| user.hash(&mut hasher));
            let room = job.links[link].capacity / crossings[link][0].multiplicity;
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
