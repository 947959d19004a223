//! Iteration times that others measured, each within a margin.

use std::path::{Path, PathBuf};

use motley::{load, simulate};
use motley_report::Report;

fn measured() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/measured")
}

/// Every scenario in a folder of `scenarios/measured` whose name begins with `prefix` is within
/// `margin` of each figure published for it, and fits; there are `count` of them.
fn check_in(folder: &str, prefix: &str, count: usize, margin: f64) {
    let folder = measured().join(folder);
    let mut checked = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.starts_with(prefix) {
            continue;
        }
        let report = simulate(&load(&path, &[]).unwrap()).unwrap();
        assert!(report.fits, "{name} does not fit");
        assert!(!report.published.is_empty(), "{name} has no published figure");
        for comparison in &report.published {
            let (published, predicted) = comparison.figures.values();
            let error = predicted.unwrap() / published - 1.0;
            assert!(error.abs() <= margin, "{name}: {} is off by {error:+.3}", comparison.what);
        }
        checked += 1;
    }
    assert_eq!(checked, count, "{prefix}*");
}

fn check(prefix: &str, count: usize, margin: f64) {
    check_in("", prefix, count, margin);
}

#[test]
fn recomputation_on_up_to_512_a100() {
    check("korthikanti_2022_", 8, 0.09);
}

#[test]
fn gpt_up_to_a_trillion_parameters_on_up_to_3072_a100() {
    check("sc21_", 10, 0.15);
}

#[test]
fn a_mixture_of_671_billion_parameters_on_2048_h800() {
    check("deepseek_v3_", 1, 0.10);
}

#[test]
fn unlike_cards_over_ethernet() {
    check("amp_", 1, 0.15);
}

#[test]
fn images_on_eight_cards() {
    check_in("images", "mlperf_", 2, 0.15);
    check_in("images", "tf2017_", 4, 0.40);
}

#[test]
fn zero_bubble_schedules_on_up_to_32_a100() {
    check_in("zero_bubble", "gpt_", 51, 0.22);
}

fn zero_bubble(model: &str, micro_batches: u32, schedule: &str) -> Report {
    let file = format!("zero_bubble/gpt_{model}_m{micro_batches}_{schedule}.ron");
    simulate(&load(&measured().join(file), &[]).unwrap()).unwrap()
}

/// Published and predicted time.
fn times(report: &Report) -> (f64, f64) {
    let (published, predicted) = report.published[0].figures.values();
    (published, predicted.unwrap())
}

/// What Qi et al. measured: models with their numbers of micro-batches, and the gigabytes of the
/// fullest card under 1F1B, interleaved 1F1B, ZB-1p and ZB-2p.
const ZERO_BUBBLE: [(&str, [u32; 3], [f64; 4]); 4] = [
    ("1_5b", [24, 32, 64], [30.0, 40.0, 32.0, 59.0]),
    ("6_2b", [24, 32, 64], [39.0, 48.0, 42.0, 70.0]),
    ("14_6b", [48, 64, 128], [32.0, 39.0, 33.0, 51.0]),
    ("28_3b", [96, 128, 256], [43.0, 58.0, 44.0, 74.0]),
];

/// How much faster than 1F1B each schedule is, in points of per cent; and how much slower a
/// synchronous optimizer step makes ZB-2p.
#[test]
fn zero_bubble_gains() {
    for (model, counts, _) in ZERO_BUBBLE {
        for m in counts {
            let (published_base, predicted_base) = times(&zero_bubble(model, m, "1f1b"));
            for (schedule, margin) in [("zb_1p", 3.2), ("zb_2p", 3.0)] {
                let (published, predicted) = times(&zero_bubble(model, m, schedule));
                let found = 100.0 * (predicted_base / predicted - published_base / published);
                assert!(found.abs() < margin, "{model}, {m}, {schedule}: off by {found:+.2}");
                assert!(predicted < predicted_base, "{model}, {m}, {schedule}");
            }
        }
    }
    for (model, m) in [("6_2b", 24), ("14_6b", 48), ("28_3b", 96)] {
        let (published_base, predicted_base) = times(&zero_bubble(model, m, "zb_2p"));
        let (published, predicted) = times(&zero_bubble(model, m, "zb_2p_sync"));
        let found = 100.0 * (predicted / predicted_base - published / published_base);
        assert!(found.abs() < 1.5, "{model}, {m}: off by {found:+.2}");
    }
}

#[test]
fn zero_bubble_memory() {
    for (model, [m, ..], gigabytes) in ZERO_BUBBLE {
        for (schedule, published) in ["1f1b", "interleaved", "zb_1p", "zb_2p"].iter().zip(gigabytes)
        {
            let stages = zero_bubble(model, m, schedule).stages;
            let fullest = stages.iter().map(|stage| stage.memory_peak.allocated_bytes);
            let fullest = fullest.fold(0.0, f64::max);
            let gibibytes = fullest / 1024f64.powi(3);
            assert!((gibibytes - published).abs() < 3.5, "{model}, {schedule}: {gibibytes}");
        }
    }
}
