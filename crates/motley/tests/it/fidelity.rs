//! Bundles against flows of their own for every connection.

use std::path::Path;

use motley::{Prepared, Scenario, load, prepare};
use motley_engine::{Engine, Options, Outcome, Silent, replay};
use motley_report::LinkTraffic;
use motley_scheduler::{Fidelity, Traffic};
use motley_topology::LinkId;

use crate::setup::{BERT, DEEP, Setup, near, played, report};

/// The scenario with every connection a flow of its own.
pub(crate) fn pairwise(scenario: &Scenario) -> Scenario {
    Scenario { fidelity: Fidelity::Pairwise, ..scenario.clone() }
}

fn outcome(engine: &Engine<'_>) -> Outcome {
    replay(engine, &Options::default(), &mut Silent).unwrap()
}

/// How many connections move apart.
fn connections(prepared: &Prepared<'_>) -> usize {
    prepared.lowered.job.connections.iter().map(Vec::len).sum()
}

/// Where collectives have the links to themselves, nothing changes: not by the closed form, and not
/// if every connection goes through the solver.
fn check_alone(setup: &Setup<'_>) {
    let scenario = setup.scenario();
    let pairwise = pairwise(&scenario);
    let (bundles, apart) = (prepare(&scenario).unwrap(), prepare(&pairwise).unwrap());
    assert_eq!(connections(&bundles), 0);
    assert!(connections(&apart) > 0);
    let expected = outcome(&Engine::new(&bundles.lowered.job).unwrap());
    let reduced = outcome(&Engine::new(&apart.lowered.job).unwrap());
    assert_eq!((reduced.digest, reduced.flows), (expected.digest, 0), "{setup:?}");
    let solved = outcome(&Engine::unreduced(&apart.lowered.job).unwrap());
    assert!(solved.flows > solved.instances, "{setup:?}");
    // Each instance ends within a picosecond, and those of seconds within the precision of rates.
    let slack = solved.instances + (expected.end.as_picos() as f64 * 1e-12) as u64;
    let error = solved.end.as_picos().abs_diff(expected.end.as_picos());
    assert!(error <= slack, "{setup:?}: {} is not {}", solved.end, expected.end);
}

#[test]
fn alone_it_makes_no_difference() {
    let across = |groups| Setup { groups, ..BERT };
    // Rings over PCIe, hybrid meshes and NICs; trees; switches that reduce; all with unlike nodes.
    check_alone(&BERT);
    check_alone(&across(r#"(design: "dgx1-p100", count: 1), (design: "dgx1-v100", count: 1)"#));
    check_alone(&across(r#"(design: "pcie8-v100", count: 1), (design: "dgx1-v100", count: 1)"#));
    check_alone(&across(r#"(design: "dgx-a100", count: 1), (design: "dgx-h100", count: 1)"#));
    check_alone(&across(r#"(design: "dgx-h100", count: 2)"#));
    check_alone(&Setup {
        plan: "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 4,
                       gradient_sync: Overlapped(bucket: MiB(25)))",
        ..across(r#"(design: "dgx-h100", count: 2)"#)
    });
    check_alone(&Setup {
        plan: "Uniform(dp: 1, tp: 8, pp: 1, micro_batch_size: 1, sequence_parallel: true)",
        ..DEEP
    });
    check_alone(&Setup {
        training: "global_batch: 2, sequence_length: 2048, precision: Bf16",
        plan: "Uniform(dp: 1, tp: 8, pp: 1, micro_batch_size: 1)",
        ..DEEP
    });
}

/// What the two ways differ by in iteration time, relative. Their links carry the same bytes.
fn difference(scenario: &Scenario) -> f64 {
    let pairwise = pairwise(scenario);
    let ((bundles, as_one), (connections, apart)) = (played(scenario), played(&pairwise));
    let traffic = |prepared: &Prepared<'_>, replays: &motley::Replays| {
        LinkTraffic::new(&prepared.lowered, &replays.runs[0].account)
    };
    let (as_one_moved, apart_moved) = (traffic(&bundles, &as_one), traffic(&connections, &apart));
    for link in (0..bundles.cluster.link_count()).map(LinkId) {
        for class in Traffic::ALL {
            let (expected, found) =
                (as_one_moved.bytes_of(link, class), apart_moved.bytes_of(link, class));
            near(found, expected, 0.0, &bundles.cluster.link_name(link));
        }
    }
    let (as_one, apart) = (&as_one.runs[0].outcome, &apart.runs[0].outcome);
    assert_eq!(apart.instances, as_one.instances);
    assert!(apart.flows >= as_one.flows);
    apart.end.as_secs_f64() / as_one.end.as_secs_f64() - 1.0
}

/// The scenarios that come with motley, those of the largest clusters left out. The largest
/// difference of all is 0.005 %; see `docs/fidelity.md`.
#[test]
fn shipped_scenarios_hardly_differ() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut compared = 0;
    for folder in [root.clone(), root.join("measured")] {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let large = ["sc21_1t", "sc21_530b", "1t_full"];
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.is_dir() || large.iter().any(|large| name.contains(large)) {
                continue;
            }
            let found = difference(&load(&path, &[]).unwrap());
            assert!(found.abs() < 1e-4, "{name}: {found:+.2e}");
            compared += 1;
        }
    }
    assert!(compared >= 25, "{compared}");
}

/// Four tensor-parallel pipelines of two stages over an oversubscribed spine: gradient rings and
/// sends contend, and it shows.
#[test]
fn contention_shows_and_stays_small() {
    let setup = Setup {
        groups: r#"(design: "dgx-a100", count: 3), (design: "dgx1-v100", count: 1)"#,
        shape: "LeafSpine(nodes_per_leaf: 1, spines: 3), oversubscription: 4.0",
        training: "global_batch: 16, sequence_length: 512, precision: Fp16",
        plan: "Uniform(dp: 4, tp: 4, pp: 2, micro_batch_size: 1)",
        ..DEEP
    };
    let found = difference(&setup.scenario());
    assert!(found != 0.0 && found.abs() < 0.05, "{found}");
}

/// What preparation leaves to closed forms changes nothing where connections contend.
#[test]
fn reduction_is_exact() {
    let setup = Setup {
        groups: r#"(design: "dgx-a100", count: 2), (design: "dgx1-v100", count: 1)"#,
        shape: "LeafSpine(nodes_per_leaf: 1, spines: 2), oversubscription: 4.0",
        training: "global_batch: 6, sequence_length: 512, precision: Fp16",
        plan: "Uniform(dp: 3, tp: 4, pp: 2, micro_batch_size: 1)",
        ..DEEP
    };
    let scenario = pairwise(&setup.scenario());
    let prepared = prepare(&scenario).unwrap();
    let reduced = outcome(&Engine::new(&prepared.lowered.job).unwrap());
    let solved = outcome(&Engine::unreduced(&prepared.lowered.job).unwrap());
    assert!(solved.flows > 2 * reduced.flows && reduced.flows > 0);
    let slack = solved.instances + solved.flows;
    for (reduced, solved) in reduced.finish.iter().zip(&solved.finish) {
        assert!(reduced.as_picos().abs_diff(solved.as_picos()) <= slack, "{reduced} {solved}");
    }
}

/// A scenario says which way, and bundles are the default.
#[test]
fn fidelity_is_asked_for() {
    let scenario = BERT.scenario();
    assert_eq!(scenario.fidelity, Fidelity::Bundled);
    let text = BERT.text().replace("plan:", "fidelity: Pairwise, plan:");
    let asked = crate::setup::scenario(&text);
    assert_eq!(asked.fidelity, Fidelity::Pairwise);
    let [found, expected] = [&asked, &scenario].map(|each| report(each).iteration_time);
    assert_eq!(found, expected);
}
