//! A folded job comes out as the job does, to the picosecond.

use motley_engine::{Engine, Fold, Options, Silent, replay};
use motley_job::{CommId, Communicator, Footprint, FootprintId, Job, Link, LinkId, Rank, RankId};
use proptest::prelude::*;

use crate::jobs::run;
use crate::random::{Links, Script, scripts};

/// One thing that makes a copy unlike the others.
#[derive(Clone, Copy, Debug)]
enum Oddity {
    Rank(usize),
    Link(usize),
    Footprint(usize),
}

/// The job of a script several times side by side. Links whose bit is set in `common` are the same
/// for all copies, as trunks are.
fn copies(script: &Script, count: u32, common: u32) -> Job {
    let one = script.plain();
    let (ranks, links) = (one.ranks.len() as u32, one.links.len() as u32);
    let (comms, footprints) = (one.communicators.len() as u32, one.footprints.len() as u32);
    let mut job = Job {
        links: Vec::new(),
        footprints: Vec::new(),
        // A job whose connections move apart is not folded.
        connections: Vec::new(),
        communicators: Vec::new(),
        ranks: Vec::new(),
        ..one.clone()
    };
    for copy in 0..count {
        let place = |link: LinkId| match common >> link.0 & 1 {
            1 => link,
            _ => LinkId(link.0 + copy * links),
        };
        job.links.extend(one.links.iter().enumerate().map(|(l, &link)| {
            let shared_by = if common >> l & 1 == 1 { f64::from(count) } else { 1.0 };
            Link { capacity: link.capacity * shared_by.sqrt() }
        }));
        job.footprints.extend(one.footprints.iter().map(|footprint| {
            Footprint::from_crossings(footprint.links.iter().map(|&(link, n)| (place(link), n)))
        }));
        job.communicators.extend(one.communicators.iter().map(|comm| {
            let footprint = |&FootprintId(f): &FootprintId| FootprintId(f + copy * footprints);
            Communicator {
                members: comm.members.iter().map(|rank| RankId(rank.0 + copy * ranks)).collect(),
                footprints: comm.footprints.iter().map(footprint).collect(),
                ..comm.clone()
            }
        }));
        job.ranks.extend(one.ranks.iter().map(|rank| Rank {
            slots: rank.slots.iter().map(|comm| CommId(comm.0 + copy * comms)).collect(),
            ..rank.clone()
        }));
    }
    job
}

fn make_odd(job: &mut Job, oddity: Oddity) {
    match oddity {
        Oddity::Rank(r) => {
            let ranks = job.ranks.len();
            job.ranks[r % ranks].slowness *= 1.5;
        }
        Oddity::Link(l) => {
            let links = job.links.len();
            job.links[l % links].capacity *= 0.5;
        }
        Oddity::Footprint(f) => {
            let footprints = job.footprints.len();
            if let Some(crossing) = job.footprints[f % footprints].links.first_mut() {
                crossing.1 += 1.0;
            }
        }
    }
}

/// Holds a job against its fold, and says whether it has one.
fn check(job: &Job) -> bool {
    let Some(fold) = Fold::of(job) else { return false };
    assert!(2 * fold.job().ranks.len() <= job.ranks.len());
    let engine = Engine::new(fold.job()).expect("a fold is well-formed");
    let folded = replay(&engine, &Options::default(), &mut Silent).expect("no circle");
    let (plain, unfolded) = (run(job), fold.unfold(&folded));
    assert_eq!(plain.finish, unfolded.finish);
    assert_eq!(
        (plain.end, plain.digest, plain.instances, plain.operations),
        (unfolded.end, unfolded.digest, unfolded.instances, unfolded.operations)
    );
    true
}

fn oddity() -> impl Strategy<Value = Oddity> {
    prop_oneof![
        (0usize..30).prop_map(Oddity::Rank),
        (0usize..30).prop_map(Oddity::Link),
        (0usize..30).prop_map(Oddity::Footprint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn equal_copies_fold(
        script in scripts(Links::Shared, true),
        count in 2u32..6,
        common in 0u32..32,
    ) {
        prop_assert!(check(&copies(&script.bundled(), count, common)));
    }

    /// What is unlike splits from the rest, and only as far as it matters; what is left folds, or
    /// nothing does.
    #[test]
    fn odd_ones_split(
        script in scripts(Links::Shared, true),
        count in 3u32..8,
        common in 0u32..32,
        oddities in prop::collection::vec(oddity(), 1..3),
    ) {
        let mut job = copies(&script.bundled(), count, common);
        for oddity in oddities {
            make_odd(&mut job, oddity);
        }
        check(&job);
    }
}

/// Of sixteen copies that share nothing, an odd one is one class more of each of its ranks.
#[test]
fn one_odd_copy_leaves_the_others_folded() {
    use crate::jobs::{Hand, collective, compute, moves};

    let mut hand = Hand::new(&[1e9]);
    let pair = hand.comm(&[0, 1], &[(0, 1.0)], &[moves(100.0)]);
    let ops = vec![compute(5), collective(pair, 0)];
    let one = hand.job_of_groups(vec![(ops, vec![1.0, 1.0])]);
    let mut job = Job {
        ranks: Vec::new(),
        links: Vec::new(),
        footprints: Vec::new(),
        communicators: Vec::new(),
        ..one.clone()
    };
    for copy in 0..16 {
        job.links.push(one.links[0]);
        job.footprints.push(Footprint { links: vec![(LinkId(copy), 1.0)] });
        job.communicators.push(Communicator {
            members: vec![RankId(2 * copy), RankId(2 * copy + 1)],
            footprints: vec![FootprintId(copy)],
            ..one.communicators[0].clone()
        });
        let rank = Rank { slots: vec![CommId(copy)], ..one.ranks[0].clone() };
        job.ranks.extend([rank.clone(), rank]);
    }
    let classes = |job: &Job| Fold::of(job).map(|fold| fold.job().ranks.len());
    assert_eq!(classes(&job), Some(1));
    // Connections that move apart, even one, are not folded.
    let apart = Job { connections: vec![vec![job.footprints[0].clone()]], ..job.clone() };
    assert_eq!(classes(&apart), None);
    job.ranks[6].slowness = 2.0;
    // Its own, its peer's, everybody else's.
    assert_eq!(classes(&job), Some(3));
    job.links[9].capacity = 2e9;
    assert_eq!(classes(&job), Some(4));
    assert!(check(&job));
}
