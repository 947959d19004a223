//! Each promise that the engine relies on, broken once.

use motley_job::{
    Call, CallSet, CommId, Communicator, Footprint, Job, JobBuilder, JobError, Link, LinkId, Op,
    Program, Rank, RankId, Slot, Stream, Tag, verify,
};
use motley_units::Time;

const TAG: Tag = Tag { name: motley_job::NameId(0), index: Tag::NO_INDEX };

/// Two ranks that meet twice, once blocking and once on a stream.
fn sound() -> Job {
    let mut builder = JobBuilder::new(vec![Link { capacity: 1e9 }], 1);
    builder.name("op");
    let call = Call {
        bytes: 1.0,
        latency: Time::ZERO,
        rate_cap: f64::INFINITY,
        footprint: 0,
        processors: 0.0,
    };
    let calls = builder.call_set(CallSet { calls: vec![call, call] });
    let footprint = builder.footprint(Footprint::from_crossings([(LinkId(0), 2.0)]));
    let members = vec![RankId(0), RankId(1)];
    builder.communicator(Communicator { members, calls, footprints: vec![footprint], class: 0 });
    let slot = Slot(0);
    let program = builder.program(&Program {
        ops: vec![
            Op::Compute { tag: TAG, kernels: 1, duration: Time::from_picos(5) },
            Op::Collective { tag: TAG, slot, call: 0 },
            Op::Issue { tag: TAG, slot, call: 1, stream: Stream(0) },
            Op::Await { tag: TAG, slot, sequence: 1 },
        ],
    });
    for _ in 0..2 {
        builder.rank(Rank {
            program,
            slowness: 1.0,
            processors: f64::INFINITY,
            slots: vec![CommId(0)],
        });
    }
    builder.finish()
}

fn check(breaks: impl FnOnce(&mut Job), expected: impl Fn(&JobError) -> bool) {
    let mut job = sound();
    breaks(&mut job);
    let found = verify(&job);
    assert!(found.as_ref().is_err_and(expected), "{found:?}");
}

fn dangling(wanted: &'static str) -> impl Fn(&JobError) -> bool {
    move |error| matches!(error, JobError::Dangling { what, .. } if *what == wanted)
}

fn bad_number(wanted: &'static str) -> impl Fn(&JobError) -> bool {
    move |error| matches!(error, JobError::BadNumber { what, .. } if *what == wanted)
}

#[test]
fn a_sound_job_passes() {
    assert_eq!(verify(&sound()), Ok(()));
}

#[test]
fn indices_must_point_somewhere() {
    check(|job| job.ranks[1].program.0 = 7, dangling("program"));
    check(|job| job.ranks[1].slots.clear(), dangling("slot"));
    check(|job| job.ranks[1].slots[0] = CommId(9), dangling("communicator"));
    check(|job| job.streams = 0, dangling("stream"));
    check(|job| job.communicators[0].members[1] = RankId(5), dangling("member"));
    check(|job| job.footprints[0].links[0].0 = LinkId(4), dangling("link"));
    check(|job| job.communicators[0].footprints.clear(), dangling("footprint choice"));
    check(|job| job.call_sets[0].calls.truncate(1), dangling("call"));
    check(|job| job.communicators[0].calls.0 = 3, dangling("call set"));
}

#[test]
fn numbers_must_be_usable() {
    check(|job| job.links[0].capacity = 0.0, bad_number("capacity"));
    check(|job| job.links[0].capacity = f64::NAN, bad_number("capacity"));
    check(|job| job.footprints[0].links[0].1 = -1.0, bad_number("multiplicity"));
    check(|job| job.call_sets[0].calls[0].bytes = f64::INFINITY, bad_number("bytes"));
    check(|job| job.call_sets[0].calls[1].rate_cap = 0.0, bad_number("rate cap"));
    check(|job| job.ranks[0].slowness = 0.0, bad_number("slowness"));
    check(|job| job.ranks[0].processors = 0.0, bad_number("processors"));
    check(|job| job.ranks[0].processors = f64::NAN, bad_number("processors"));
    check(|job| job.call_sets[0].calls[0].processors = -1.0, bad_number("processors"));
    check(|job| job.call_sets[0].calls[0].processors = f64::INFINITY, bad_number("processors"));
}

/// However many processors a call takes, compute keeps some.
#[test]
fn calls_leave_processors_to_compute() {
    let taking = |job: &mut Job, taken: f64| {
        job.call_sets[0].calls[1].processors = taken;
        job.ranks[1].processors = 24.0;
    };
    let mut job = sound();
    taking(&mut job, 23.5);
    assert_eq!(verify(&job), Ok(()));
    let none_left = |error: &JobError| {
        let (taken, processors) = (24.0, 24.0);
        *error == JobError::NoneLeft { rank: 1, communicator: 0, taken, processors }
    };
    check(|job| taking(job, 24.0), none_left);
}

/// A footprint that crosses link 0 twice is made up of connections that do so.
#[test]
fn connections_make_up_their_footprint() {
    let over = |links: &[(u32, f64)]| {
        let links = links.iter().map(|&(link, m)| (LinkId(link), m)).collect();
        Footprint { links }
    };
    let apart = |job: &mut Job, connections: &[&[(u32, f64)]]| {
        job.links.push(Link { capacity: 2e9 });
        job.connections = vec![connections.iter().map(|links| over(links)).collect()];
    };
    for connections in [&[&[(0, 1.0)][..], &[(0, 1.0)]][..], &[&[(0, 1.25)], &[(0, 0.75)]], &[]] {
        let mut job = sound();
        apart(&mut job, connections);
        assert_eq!(verify(&job), Ok(()), "{connections:?}");
    }
    let sum = |link: usize, found: f64, expected: f64| {
        move |error: &JobError| {
            *error == JobError::NotTheSum { footprint: 0, link, found, expected }
        }
    };
    check(|job| apart(job, &[&[(0, 1.0)]]), sum(0, 1.0, 2.0));
    check(|job| apart(job, &[&[(0, 2.0), (1, 0.5)]]), sum(1, 0.5, 0.0));
    check(|job| apart(job, &[&[(1, 2.0)]]), sum(0, 0.0, 2.0));
    check(|job| apart(job, &[&[(0, 2.0)], &[]]), bad_number("number of links"));
    check(|job| apart(job, &[&[(0, 2.0), (1, -1.0)]]), bad_number("multiplicity"));
    check(|job| apart(job, &[&[(0, 2.0)], &[(7, 1.0)]]), dangling("link"));
    let unordered = |error: &JobError| matches!(error, JobError::Unordered { what: "links", .. });
    check(|job| apart(job, &[&[(1, 1.0), (0, 2.0)]]), unordered);
    check(|job| job.connections = vec![Vec::new(), Vec::new()], dangling("footprint"));
}

#[test]
fn members_must_be_ordered_and_agree() {
    let unordered = |error: &JobError| matches!(error, JobError::Unordered { .. });
    check(|job| job.communicators[0].members.reverse(), unordered);
    check(|job| job.communicators[0].members[1] = RankId(0), unordered);
    check(
        |job| {
            job.communicators[0].members.pop();
        },
        |error| matches!(error, JobError::NotAMember { rank: 1, communicator: 0 }),
    );
    let own_program = |job: &mut Job, ops: Vec<Op>| {
        job.programs.push(Program { ops });
        job.ranks[1].program.0 = 1;
    };
    let call = |call| Op::Collective { tag: TAG, slot: Slot(0), call };
    check(
        |job| own_program(job, vec![call(0), call(0)]),
        |error| {
            matches!(
                error,
                JobError::Mismatched {
                    instance: 1,
                    rank: 1,
                    found: Some(0),
                    expected: Some(1),
                    ..
                }
            )
        },
    );
    check(
        |job| own_program(job, vec![call(0)]),
        |error| matches!(error, JobError::Mismatched { instance: 1, found: None, .. }),
    );
    // The same calls in another program are the same calls.
    let mut job = sound();
    own_program(&mut job, vec![call(0), call(1)]);
    assert_eq!(verify(&job), Ok(()));
    // A member whose program never names the communicator.
    check(
        |job| {
            own_program(job, Vec::new());
            job.ranks[1].slots.clear();
        },
        dangling("slot for a member"),
    );
}
