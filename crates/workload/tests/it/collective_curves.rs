//! Measured collectives: over sizes, and over communicators.

use motley_units::{Bytes, Seconds};
use motley_workload::{
    CollectiveCurve, Profile, ProfiledCollective, ProfiledCollectiveKind, ProfiledNodes, Reach,
};
use proptest::prelude::*;

fn curve(points: &[(f64, f64)]) -> CollectiveCurve {
    let points = points.iter().map(|&(bytes, time)| (Bytes(bytes), Seconds(time)));
    CollectiveCurve::new(points).expect("a point")
}

fn near(found: Seconds, expected: f64) {
    assert!((found.0 / expected - 1.0).abs() < 1e-12, "{found:?} {expected}");
}

#[test]
fn between_two_sizes_time_is_a_power_of_size() {
    // In no order, as a file may have them.
    let measured = curve(&[(4096.0, 40e-6), (256.0, 10e-6), (65536.0, 640e-6)]);
    for (bytes, time, reach) in [
        (256.0, 10e-6, Reach::Within),
        // In the middle of a factor of 16 in size is half of a factor of 4 in time.
        (1024.0, 20e-6, Reach::Within),
        (4096.0, 40e-6, Reach::Within),
        (16384.0, 160e-6, Reach::Within),
        (1.0, 10e-6, Reach::Below),
        (255.0, 10e-6, Reach::Below),
        (655_360.0, 6400e-6, Reach::Beyond),
    ] {
        near(measured.time(bytes), time);
        assert_eq!(measured.reach(bytes), reach, "{bytes}");
    }
    assert_eq!(CollectiveCurve::new([]), None);
    near(curve(&[(100.0, 3.0)]).time(50.0), 3.0);
    near(curve(&[(100.0, 3.0)]).time(200.0), 6.0);
}

proptest! {
    /// Through its points; never shrinking where they do not; of the same form in any unit of time.
    #[test]
    fn laws_of_curves(
        steps in prop::collection::vec((0.1_f64..5.0, 0.0_f64..5.0), 1..12),
        size in -5.0_f64..70.0,
        factor in 0.01_f64..100.0,
    ) {
        let (mut size_log, mut time_log) = (0.0, -10.0);
        let mut points = Vec::new();
        for (wider, longer) in steps {
            size_log += wider;
            time_log += longer;
            points.push((f64::exp(size_log), f64::exp(time_log)));
        }
        let measured = curve(&points);
        for &(bytes, time) in &points {
            prop_assert_eq!(measured.time(bytes), Seconds(time));
        }
        let bytes = size.exp();
        let (less, more) = (measured.time(bytes).0, measured.time(bytes * 1.1).0);
        prop_assert!(less <= more * (1.0 + 1e-12), "{less} {more}");
        prop_assert!(less >= points[0].1 * (1.0 - 1e-12));
        let scaled: Vec<_> = points.iter().map(|&(bytes, time)| (bytes, time * factor)).collect();
        let ratio = curve(&scaled).time(bytes).0 / less;
        prop_assert!((ratio / factor - 1.0).abs() < 1e-9, "{ratio} {factor}");
    }
}

fn nodes(card: &str, design: Option<&str>, nodes: u32, ranks_per_node: u32) -> ProfiledNodes {
    let (card, design) = (card.to_owned(), design.map(str::to_owned));
    ProfiledNodes { card, design, nodes, ranks_per_node }
}

#[test]
fn members_describe_nodes_however_they_are_written() {
    let a = |count, ranks| nodes("a100-sxm-80", Some("dgx-a100"), count, ranks);
    let aws = nodes("a100-sxm-80", Some("p4de.24xlarge"), 1, 8);
    let any = |count, ranks| nodes("a100-sxm-80", None, count, ranks);
    let h = nodes("h100-sxm", Some("dgx-h100"), 1, 8);
    let check = |members: &[ProfiledNodes], of: &[ProfiledNodes], expected: bool| {
        assert_eq!(ProfiledNodes::describe(members, of), expected, "{members:?} {of:?}");
    };
    check(&[a(2, 8)], &[a(2, 8)], true);
    check(&[a(1, 8), a(1, 8)], &[a(2, 8)], true);
    check(&[any(2, 8)], &[a(1, 8), aws.clone()], true);
    // The one that names a design takes its node, wherever it stands.
    check(&[any(1, 8), a(1, 8)], &[a(1, 8), aws.clone()], true);
    check(&[a(2, 8)], &[a(1, 8), aws.clone()], false);
    check(&[any(1, 8), h.clone()], &[h.clone(), a(1, 8)], true);
    check(&[any(1, 8)], &[h], false);
    // As many ranks, spread otherwise; fewer; more.
    check(&[any(2, 4)], &[a(1, 8)], false);
    check(&[any(1, 8)], &[a(2, 8)], false);
    check(&[any(3, 8)], &[a(2, 8)], false);
    check(&[any(1, 8), any(1, 4)], &[a(1, 4), a(1, 8)], true);
}

#[test]
fn equal_things_have_equal_keys_and_files_round_trip() {
    let point = |members: Vec<ProfiledNodes>, bytes: f64| ProfiledCollective {
        collective: ProfiledCollectiveKind::AllGather,
        members,
        bytes: Bytes(bytes),
        time: Seconds(1e-3),
    };
    let one = point(vec![nodes("t4", None, 2, 4)], 8.0);
    let same = point(vec![nodes("t4", None, 1, 4), nodes("t4", None, 1, 4)], 8.0);
    assert_eq!(one.key(), same.key());
    for other in [
        point(vec![nodes("t4", None, 2, 4)], 16.0),
        point(vec![nodes("t4", Some("g4dn.12xlarge"), 2, 4)], 8.0),
        point(vec![nodes("t4", None, 2, 2)], 8.0),
    ] {
        assert_ne!(one.key(), other.key());
    }
    let profile = Profile { collectives: vec![one, same], ..Profile::default() };
    let read = ron::from_str::<Profile>(&profile.to_ron()).expect("what was written");
    assert_eq!(read, profile);
}
