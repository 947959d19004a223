//! The folded job of an equitable partition.

use motley_job::{CommId, Communicator, Footprint, FootprintId, Job, Link, LinkId, Rank, RankId};

use super::refine::Classes;

/// One rank, communicator and link for each class.
pub(super) fn quotient(job: &Job, classes: &Classes) -> Job {
    let mut footprints = Vec::new();
    let communicators = classes
        .communicator
        .first
        .iter()
        .zip(crossings(job, classes))
        .map(|(&first, crossings)| {
            let comm = &job.communicators[first as usize];
            let mut members: Vec<RankId> =
                comm.members.iter().map(|rank| RankId(classes.rank.of[rank.0 as usize])).collect();
            members.sort_unstable();
            members.dedup();
            let own = crossings.into_iter().map(|crossings| {
                footprints.push(Footprint::from_crossings(crossings));
                FootprintId(footprints.len() as u32 - 1)
            });
            Communicator { members, footprints: own.collect(), ..*comm }
        })
        .collect();
    let ranks = classes.rank.first.iter().map(|&first| {
        let rank = &job.ranks[first as usize];
        let class = |comm: &CommId| CommId(classes.communicator.of[comm.0 as usize]);
        Rank { slots: rank.slots.iter().map(class).collect(), ..rank.clone() }
    });
    let links = classes.link.first.iter().map(|&first| job.links[first as usize]);
    Job {
        links: links.collect::<Vec<Link>>(),
        footprints,
        connections: Vec::new(),
        communicators,
        ranks: ranks.collect(),
        call_sets: job.call_sets.clone(),
        programs: job.programs.clone(),
        segments: job.segments.clone(),
        names: job.names.clone(),
        streams: job.streams,
    }
}

/// By class of communicators and footprint, the classes of links that are crossed. Each comes with
/// the multiplicities of the whole class of communicators on one of these links: together they are
/// the same on all.
fn crossings(job: &Job, classes: &Classes) -> Vec<Vec<Vec<(LinkId, f64)>>> {
    let none = |&first: &u32| vec![Vec::new(); job.communicators[first as usize].footprints.len()];
    let mut crossings: Vec<Vec<Vec<(LinkId, f64)>>> =
        classes.communicator.first.iter().map(none).collect();
    for (comm, &class) in job.communicators.iter().zip(&classes.communicator.of) {
        for (footprint, crossings) in comm.footprints.iter().zip(&mut crossings[class as usize]) {
            for &(link, multiplicity) in &job.footprints[footprint.0 as usize].links {
                let link_class = classes.link.of[link.0 as usize];
                if classes.link.first[link_class as usize] == link.0 {
                    crossings.push((LinkId(link_class), multiplicity));
                }
            }
        }
    }
    crossings
}
