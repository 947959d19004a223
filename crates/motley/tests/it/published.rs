//! Iteration times that others measured, each within a margin.

use std::path::Path;

use motley::{Report, load, simulate};
use motley_report::Figures;

/// Every scenario in `scenarios/measured` whose name begins with `prefix` is within `margin` of
/// each figure published for it; there are `count` of them.
fn check(prefix: &str, count: usize, margin: f64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/measured");
    let mut checked = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.starts_with(prefix) {
            continue;
        }
        let report: Report = simulate(&load(&path, &[]).unwrap()).unwrap();
        assert!(report.fits, "{name} does not fit");
        assert!(!report.published.is_empty(), "{name} has no published figure");
        for comparison in &report.published {
            let error = comparison.error_ratio;
            assert!(error.abs() <= margin, "{name}: {} is off by {error:+.3}", comparison.what);
        }
        checked += 1;
    }
    assert_eq!(checked, count, "{prefix}*");
}
