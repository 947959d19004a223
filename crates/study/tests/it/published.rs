//! Published runs: every status, errors within margins, the same answer however it is computed.

use motley_study::translate::scenario;
use motley_study::{Grouping, Selection, Status, Validation, json, validate};

use crate::{PUBLISHED, rows, validated};

fn ids(validation: &Validation) -> Vec<&str> {
    validation.verdicts.iter().map(|verdict| verdict.id.as_str()).collect()
}

#[test]
fn every_row_has_a_verdict() {
    let validation = validated(PUBLISHED);
    let check = |id: &str, status: Status, margin: Option<f64>, fitted: Option<bool>| {
        let verdict = validation.verdicts.iter().find(|verdict| verdict.id == id).unwrap();
        assert_eq!(verdict.status, status, "{id}: {:?}", verdict.reason);
        assert_eq!(verdict.fitted, fitted, "{id}");
        match margin {
            Some(margin) => {
                let error = verdict.error_ratio().unwrap();
                assert!(error.abs() < margin, "{id}: {error:+.3}");
            }
            None => assert_eq!(verdict.error_ratio(), None, "{id}"),
        }
        assert_eq!(verdict.reason.is_some(), matches!(status, Status::Oom | Status::Unsupported));
        let predicted = status != Status::Unsupported;
        assert_eq!(verdict.scenario_hash.is_some(), predicted, "{id}");
        assert_eq!(verdict.predicted_memory_bytes.is_some(), predicted, "{id}");
    };
    check("kort22-22b-full", Status::Ok, Some(0.12), Some(true));
    check("kort22-22b-selective", Status::Ok, Some(0.12), Some(true));
    check("sc21-3.6b", Status::Ok, Some(0.12), Some(true));
    check("sc21-39b", Status::Ok, Some(0.12), Some(true));
    check("amp-v100-t4", Status::Ok, Some(0.2), Some(true));
    check("ask-22b", Status::Fits, None, None);
    check("oom-22b", Status::Oom, None, Some(false));
    check("tpu-22b", Status::Unsupported, None, Some(true));

    let summary = &validation.summary;
    assert_eq!(
        [summary.ok_count, summary.fits_count, summary.oom_count, summary.unsupported_count],
        [5, 1, 1, 1]
    );
    assert_eq!(summary.fit.fits_count, 5);
    assert_eq!(summary.fit.oom_count, 1);
    let groups: Vec<(&str, usize)> =
        validation.groups.iter().map(|(name, group)| (name.as_str(), group.row_count)).collect();
    let expected = [
        ("amp mixed", 1),
        ("ask a100-sxm-80", 1),
        ("kort22 a100-sxm-80", 2),
        ("oom a100-sxm-80", 1),
        ("sc21 a100-sxm-80", 2),
        ("tpu tpu-v4", 1),
    ];
    assert_eq!(groups, expected);
}

/// A row says what a scenario file of the same run says: the prediction is the same.
#[test]
fn rows_and_scenario_files_agree() {
    let measured =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/measured");
    let validation = validated(PUBLISHED);
    let check = |id: &str, file: &str, tolerance: f64| {
        let verdict = validation.verdicts.iter().find(|verdict| verdict.id == id).unwrap();
        let scenario = motley::load(&measured.join(file), &[]).unwrap();
        let file_s = motley::simulate(&scenario).unwrap().iteration_time.mean.as_secs_f64();
        let difference = verdict.predicted_s.unwrap() / file_s - 1.0;
        assert!(difference.abs() <= tolerance, "{id}: {difference:+.4}");
    };
    check("kort22-22b-full", "korthikanti_2022_22b_full.ron", 1e-9);
    check("kort22-22b-selective", "korthikanti_2022_22b_selective.ron", 1e-9);
    // The file has the fabric's rails, and the row one switch.
    check("sc21-3.6b", "sc21_3_6b.ron", 0.01);
    check("sc21-39b", "sc21_39b.ron", 0.01);
    // The file's vocabulary is that of its preset.
    check("amp-v100-t4", "amp_v100_t4_dp4_pp4.ron", 0.05);
}

#[test]
fn threads_change_nothing() {
    let runs = rows(PUBLISHED);
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let answer = || validate(&runs, &Selection::default(), &Grouping::default(), &|| {});
        json(&pool.install(answer), "0").unwrap()
    };
    let alone = with_threads(1);
    assert_eq!(alone, with_threads(4));
    assert_eq!(alone, json(&validated(PUBLISHED), "0").unwrap());
}

#[test]
fn rows_keep_their_order_and_filters_choose() {
    let runs = rows(PUBLISHED);
    let check = |filters: &[&str], limit: Option<usize>, expected: &[&str]| {
        let selection = Selection::new(filters, limit).unwrap();
        assert_eq!(selection.count(&runs), expected.len());
        let validation = validate(&runs, &selection, &Grouping::default(), &|| {});
        assert_eq!(ids(&validation), expected, "{filters:?}");
    };
    check(&["22b"], Some(2), &["kort22-22b-full", "kort22-22b-selective"]);
    check(&["tpu", "ask"], None, &["ask-22b", "tpu-22b"]);
    check(&["22b", "source=oom", "source=tpu"], None, &["oom-22b", "tpu-22b"]);
    check(&["strategy=dp+tp+pp"], None, &["sc21-39b"]);
    check(&["device=mixed"], None, &["amp-v100-t4"]);
    check(&["nothing"], None, &[]);
}

/// The scenario that stands for a row can be written, read and resolved again, the same.
#[test]
fn scenarios_of_rows_are_files() {
    for (row, _) in rows(PUBLISHED).rows {
        let Ok(translated) = scenario(&row) else { continue };
        let resolved = translated.raw.clone().resolve().unwrap();
        let read = motley::load_text("row.ron", &translated.raw.to_ron(), &[]).unwrap();
        assert_eq!(read.hash, resolved.hash, "{}", row.id);
    }
}
