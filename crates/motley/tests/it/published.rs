//! Iteration times that others measured, each within a margin.

use std::path::Path;

use motley::{load, simulate};

/// Every scenario in `scenarios/measured` whose name begins with `prefix` is within `margin` of
/// each figure published for it, and fits; there are `count` of them.
fn check(prefix: &str, count: usize, margin: f64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/measured");
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

#[test]
fn recomputation_on_up_to_512_a100() {
    check("korthikanti_2022_", 8, 0.10);
}

#[test]
fn gpt_up_to_a_trillion_parameters_on_up_to_3072_a100() {
    check("sc21_", 10, 0.15);
}

#[test]
fn unlike_cards_over_ethernet() {
    check("amp_", 1, 0.15);
}
