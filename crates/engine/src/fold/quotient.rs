//! The folded job of an equitable partition.

use motley_job::{CommId, Communicator, Footprint, FootprintId, Job, Link, LinkId, Rank, RankId};

use super::refine::Classes;

/// One rank, communicator and link for each class.
pub(super) fn quotient(job: &Job, classes: &Classes) -> Job {
    let mut footprints = Vec::new();
    let weights = weights(job, classes);
    let communicators = classes
        .communicator
        .first
        .iter()
        .enumerate()
        .map(|(class, &first)| {
            let comm = &job.communicators[first as usize];
            let mut members: Vec<RankId> =
                comm.members.iter().map(|rank| RankId(classes.rank.of[rank.0 as usize])).collect();
            members.sort_unstable();
            members.dedup();
            let own = (0..comm.footprints.len()).map(|k| {
                footprints.push(Footprint { links: weights[class][k].clone() });
                FootprintId(footprints.len() as u32 - 1)
            });
            Communicator {
                members,
                calls: comm.calls,
                footprints: own.collect(),
                class: comm.class,
            }
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

/// By class of communicators and footprint, the classes of links that are crossed, each with the
/// multiplicity of the whole class of communicators on one of these links: it is the same on all.
fn weights(job: &Job, classes: &Classes) -> Vec<Vec<Vec<(LinkId, f64)>>> {
    let footprints = |&first: &u32| job.communicators[first as usize].footprints.len();
    let mut weights: Vec<Vec<Vec<(LinkId, f64)>>> = classes
        .communicator
        .first
        .iter()
        .map(|first| vec![Vec::new(); footprints(first)])
        .collect();
    for (c, comm) in job.communicators.iter().enumerate() {
        let class = classes.communicator.of[c] as usize;
        for (k, footprint) in comm.footprints.iter().enumerate() {
            for &(link, multiplicity) in &job.footprints[footprint.0 as usize].links {
                let link_class = classes.link.of[link.0 as usize];
                if classes.link.first[link_class as usize] == link.0 {
                    weights[class][k].push((LinkId(link_class), multiplicity));
                }
            }
        }
    }
    for crossings in weights.iter_mut().flatten() {
        *crossings = Footprint::from_crossings(crossings.drain(..)).links;
    }
    weights
}
