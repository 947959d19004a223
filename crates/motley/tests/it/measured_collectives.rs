//! Measured collectives in place of predicted ones.

use motley::{Scenario, prepare};
use motley_scheduler::{CollectiveSources, Traffic};
use motley_units::Seconds;
use motley_workload::{Profile, ProfiledCollective, ProfiledCollectiveKind};

use crate::setup::{BERT, DEEP, Setup, digest, exposed, near};

/// One all-reduce of all gradients over two nodes, behind everything else.
const REPLICAS: Setup = Setup {
    groups: r#"(design: "dgx-a100", count: 2)"#,
    training: "global_batch: 32, sequence_length: 2048, precision: Bf16",
    plan: "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 2)",
    model: r#"Preset("gpt3-1.3b")"#,
    ..DEEP
};

/// Four tensor-parallel pairs in each node share its two NICs.
const SHARED: Setup = Setup {
    groups: r#"(design: "a100-pcie8", count: 2)"#,
    plan: "Uniform(dp: 8, tp: 2, pp: 1, micro_batch_size: 8)",
    ..BERT
};

fn asked(scenario: &Scenario) -> Vec<ProfiledCollective> {
    prepare(scenario).unwrap().collectives
}

fn with(scenario: &Scenario, collectives: Vec<ProfiledCollective>) -> Scenario {
    let profile = Some(Profile { collectives, ..Profile::default() });
    Scenario { profile, ..scenario.clone() }
}

/// What the scenario asks for, `factor` times as long as predicted.
fn slower(scenario: &Scenario, factor: f64) -> Vec<ProfiledCollective> {
    let longer =
        |of: ProfiledCollective| ProfiledCollective { time: Seconds(of.time.0 * factor), ..of };
    asked(scenario).into_iter().map(longer).collect()
}

fn sources(scenario: &Scenario) -> CollectiveSources {
    prepare(scenario).unwrap().lowered.collective_sources
}

/// Times that motley predicted itself change nothing, to the picosecond.
#[test]
fn own_predictions_change_nothing() {
    let moe = Setup {
        model: r#"Preset("qwen-3-30b-a3b")"#,
        training: "global_batch: 16, sequence_length: 4096, precision: Bf16",
        plan: "Uniform(dp: 8, tp: 2, pp: 1, ep: 8, micro_batch_size: 1, sequence_parallel: true, zero: (stage: 1))",
        groups: r#"(design: "dgx-h100", count: 2)"#,
        ..DEEP
    };
    let ring = Setup {
        plan: "Uniform(dp: 2, tp: 2, pp: 1, cp: 4, micro_batch_size: 1, sequence_parallel: true)",
        groups: r#"(design: "dgx-a100", count: 1), (design: "dgx-h100", count: 1)"#,
        ..DEEP
    };
    let automatic = Setup {
        plan: "Uniform(dp: 1, tp: 2, pp: 4, micro_batch_size: 1, schedule: ZeroBubble(order: Automatic))",
        ..DEEP
    };
    for setup in [REPLICAS, SHARED, moe, ring, automatic] {
        let scenario = setup.scenario();
        let collectives = asked(&scenario);
        assert!(!collectives.is_empty(), "{setup:?}");
        let count = collectives.len() as u32;
        let measured = with(&scenario, collectives.clone());
        let CollectiveSources { profiled, predicted, measured_time_ratio, .. } = sources(&measured);
        assert_eq!((profiled, predicted, sources(&measured).measured), (true, 0, count));
        near(measured_time_ratio, 1.0, 1e-12, setup.plan);
        assert_eq!(digest(&measured), digest(&scenario), "{setup:?}");
        // Asked again, they are those that were given.
        assert_eq!(asked(&measured), collectives);
        assert!(!sources(&scenario).profiled);
    }
}

/// Whoever waits for a collective alone waits as long as was measured, whether it is slower or faster
/// than the links were thought to allow.
#[test]
fn an_exposed_collective_takes_as_long_as_measured() {
    for fidelity in [motley_scheduler::Fidelity::Bundled, motley_scheduler::Fidelity::Pairwise] {
        let scenario = Scenario { fidelity, ..REPLICAS.scenario() };
        let spec = exposed(&scenario, Traffic::DataParallel);
        let [predicted] = &asked(&scenario)[..] else { panic!("one all-reduce") };
        near(spec, predicted.time.0, 1e-9, "nothing else moves");
        for factor in [2.0, 1.3, 0.5, 0.1] {
            let measured = with(&scenario, slower(&scenario, factor));
            let found = exposed(&measured, Traffic::DataParallel);
            near(found, factor * spec, 1e-9, "as measured");
        }
    }
}

/// What shares its links with others goes on to do so: the groups of a node slow each other by the same
/// factor when each alone takes twice as long.
#[test]
fn contention_still_slows() {
    let scenario = SHARED.scenario();
    let gradients = asked(&scenario)
        .into_iter()
        .filter(|of| of.members.iter().any(|nodes| nodes.nodes == 2))
        .max_by(|one, other| one.bytes.0.total_cmp(&other.bytes.0))
        .unwrap();
    let spec = exposed(&scenario, Traffic::DataParallel);
    let slowed = spec / gradients.time.0;
    assert!(slowed > 1.5, "no contention to speak of: {slowed}");
    let measured = with(&scenario, slower(&scenario, 2.0));
    near(exposed(&measured, Traffic::DataParallel) / spec, 2.0, 1e-6, "under contention");
}

/// A communicator that was not measured, or a kind, stays as predicted, and what was measured is told
/// apart from it by the time that it takes.
#[test]
fn what_was_not_measured_is_predicted() {
    let setup = Setup {
        plan: "Uniform(dp: 4, tp: 4, pp: 1, micro_batch_size: 2, overlap_weight_gradient: false)",
        ..REPLICAS
    };
    let scenario = setup.scenario();
    let all = slower(&scenario, 3.0);
    let inside = |of: &ProfiledCollective| of.members.iter().all(|nodes| nodes.nodes == 1);
    let (tensor, data): (Vec<_>, Vec<_>) = all.iter().cloned().partition(inside);
    assert!(!tensor.is_empty() && !data.is_empty());
    let both = sources(&with(&scenario, all));
    assert_eq!((both.predicted, both.unused), (0, 0));
    let mut ratios = 0.0;
    for part in [&tensor, &data] {
        let measured = with(&scenario, part.clone());
        let found = sources(&measured);
        assert_eq!(found.measured, part.len() as u32);
        assert!(found.predicted > 0 && !found.predicted_collectives.is_empty());
        assert!(found.measured_time_ratio > 0.0 && found.measured_time_ratio < 1.0);
        // Of times a, b measured three times as long: 3a / (3a + b) = r, so a / (a + b) = r / (3 - 2r).
        let ratio = found.measured_time_ratio;
        ratios += ratio / (3.0 - 2.0 * ratio);
    }
    near(ratios, 1.0, 1e-9, "shares of the predicted times");

    let exposed_by =
        |collectives: Vec<ProfiledCollective>, class| exposed(&with(&scenario, collectives), class);
    let spec = exposed(&scenario, Traffic::TensorParallel);
    near(exposed_by(data.clone(), Traffic::TensorParallel), spec, 1e-9, "not measured");
    near(exposed_by(tensor, Traffic::TensorParallel), 3.0 * spec, 1e-6, "measured");

    let other = |change: &dyn Fn(&mut ProfiledCollective)| {
        let mut changed = data.clone();
        changed.iter_mut().for_each(change);
        let measured = with(&scenario, changed);
        let found = sources(&measured);
        assert_eq!((found.measured, found.unused), (0, 1), "{found:?}");
        assert_eq!(digest(&measured), digest(&scenario));
    };
    other(&|of| of.collective = ProfiledCollectiveKind::AllGather);
    other(&|of| of.members[0].card = "a100-sxm-40".to_owned());
    other(&|of| of.members[0].design = Some("p4de.24xlarge".to_owned()));
    other(&|of| of.members[0].nodes += 1);
    other(&|of| of.members[0].ranks_per_node += 1);
}

/// A design that is named comes before any design, whichever stands first.
#[test]
fn the_design_decides_where_it_is_named() {
    let scenario = REPLICAS.scenario();
    let own = slower(&scenario, 2.0);
    let any: Vec<ProfiledCollective> = slower(&scenario, 5.0)
        .into_iter()
        .map(|mut of| {
            of.members.iter_mut().for_each(|nodes| nodes.design = None);
            of
        })
        .collect();
    let spec = exposed(&scenario, Traffic::DataParallel);
    let time = |collectives: Vec<ProfiledCollective>| {
        exposed(&with(&scenario, collectives), Traffic::DataParallel) / spec
    };
    near(time(any.clone()), 5.0, 1e-9, "any design");
    near(time([own.clone(), any.clone()].concat()), 2.0, 1e-9, "own first");
    near(time([any, own].concat()), 2.0, 1e-9, "own last");
}

/// Beyond the largest size its bandwidth counts, below the smallest its time; both are counted.
#[test]
fn sizes_that_were_not_measured() {
    let scenario = REPLICAS.scenario();
    let spec = exposed(&scenario, Traffic::DataParallel);
    for (size, expected, below, beyond) in [(0.5, 2.0, 0, 1), (2.0, 1.0, 1, 0)] {
        let mut points = asked(&scenario);
        points[0].bytes.0 *= size;
        let measured = with(&scenario, points);
        near(exposed(&measured, Traffic::DataParallel) / spec, expected, 1e-9, "by size");
        let found = sources(&measured);
        assert_eq!((found.below, found.beyond), (below, beyond));
    }
}
