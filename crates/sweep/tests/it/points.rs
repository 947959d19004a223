//! Which points a study has.

use motley_sweep::table::Storage;
use motley_sweep::{Cell, Study};

use crate::study;

/// What the axes are at and the overrides that they lead to, of every point.
fn points(study: &Study) -> Vec<(String, Vec<String>)> {
    (0..study.size())
        .filter_map(|index| study.point(index))
        .map(|point| {
            let cells: Vec<String> = point.cells[1..].iter().map(Cell::written).collect();
            (cells.join(" "), point.overrides.unwrap())
        })
        .collect()
}

fn check(content: &str, expected: &[&str]) -> Study {
    let (study, material) = study(content);
    let said: Vec<String> = points(&study).into_iter().map(|(cells, _)| cells).collect();
    assert_eq!(said, expected);
    // Whoever has the texts has the same points.
    let again = Study::from_material(&material).unwrap();
    assert_eq!(points(&again), points(&study));
    assert_eq!(again.headings(), study.headings());
    study
}

const BATCH: &str =
    r#"Axis(name: "batch", set: ["training.global_batch={}"], values: List([64, 128]))"#;

#[test]
fn products_have_the_last_axis_fastest() {
    let mbs = r#"Axis(name: "mbs", set: ["plan.micro_batch_size={}"], values: Linear(from: 1, to: 2, count: 2))"#;
    let study = check(&format!("axes: [{BATCH}, {mbs}]"), &["64 1", "64 2", "128 1", "128 2"]);
    assert_eq!(points(&study)[3].1, ["training.global_batch=128", "plan.micro_batch_size=2"]);
    let headings = study.headings();
    assert_eq!(headings[1].name, "axis_batch");
    assert_eq!(headings[1].storage, Storage::Whole);
}

#[test]
fn zips_move_side_by_side_and_cases_go_together() {
    let tp = r#"Axis(name: "tp", set: ["plan.tp={}"], values: List([2, 4]))"#;
    let dp = r#"Axis(name: "dp", set: ["plan.dp={}"], values: List([4, 2]))"#;
    check(&format!("axes: [Zip([{tp}, {dp}])]"), &["2 4", "4 2"]);
    let cases = r#"Cases(name: "cut", cases: [
        (label: "deep", set: ["plan.pp=4", "plan.dp={8 / tp}"]), (label: "flat", set: ["plan.pp=2"]),
    ])"#;
    let study = check(
        &format!("axes: [{tp}, {cases}], skip: [\"tp == 4 and cut == 'flat'\"]"),
        &["2 deep", "2 flat", "4 deep"],
    );
    assert_eq!(points(&study)[2].1, ["plan.tp=4", "plan.pp=4", "plan.dp=2"]);
    assert_eq!(study.size(), 4);
    let numbers = r#"Cases(name: "share", cases: [(label: 0), (label: 12.5)])"#;
    let study = check(&format!("axes: [{numbers}]"), &["0", "12.5"]);
    assert_eq!(study.headings()[1].storage, Storage::Real);
}

#[test]
fn replicas_differ_in_their_seed_alone() {
    let study = check(
        &format!("axes: [{BATCH}], replicas: 2"),
        &["64 0 5", "64 1 6", "128 0 5", "128 1 6"],
    );
    assert_eq!(points(&study)[1].1, ["training.global_batch=64", "seed=6"]);
}

#[test]
fn samples_have_as_many_points_as_asked_for() {
    for method in ["Even", "Random"] {
        let (study, _) = study(&format!(
            r#"axes: [Sample(count: 200, method: {method}, seed: 3, axes: [
                Axis(name: "gbps", set: ["cluster.fabric.port=Gbps({{}})"], values: Log(from: 10, to: 100)),
                Axis(name: "mbs", set: ["plan.micro_batch_size={{}}"], values: Linear(from: 1, to: 4, whole: true)),
                {BATCH},
            ])]"#
        ));
        assert_eq!(study.size(), 200);
        let mut quarters = [0; 4];
        let mut halves = [0; 2];
        for index in 0..200 {
            let cells = study.point(index).unwrap().cells;
            let gbps = cells[1].number().unwrap();
            assert!((10.0..=100.0).contains(&gbps));
            quarters[cells[2].number().unwrap() as usize - 1] += 1;
            halves[usize::from(gbps > 1000f64.sqrt())] += 1;
        }
        // Even samples deal out the values of an axis to within a few points.
        let slack = if method == "Even" { 4 } else { 30 };
        assert!(quarters.iter().all(|count: &i32| (count - 50).abs() <= slack), "{quarters:?}");
        assert!(halves.iter().all(|count: &i32| (count - 100).abs() <= slack), "{halves:?}");
    }
}

#[test]
fn catalogue_names_are_values() {
    let (study, _) = study(
        r#"axes: [Axis(name: "model", set: ["model=Preset({})"], values: Catalog(of: Models, having: "gpt3-"))]"#,
    );
    let said = points(&study);
    assert!(said.len() >= 3);
    assert!(
        said.iter()
            .any(|(name, set)| name == "gpt3-350m" && set == &["model=Preset(\"gpt3-350m\")"])
    );
    assert!(said.iter().all(|(name, _)| name.contains("gpt3-")));
}

#[test]
fn points_with_the_same_cluster_have_the_same_key() {
    let port =
        r#"Axis(name: "gbps", set: ["cluster.fabric.port=Gbps({})"], values: List([25, 50, 100]))"#;
    let (study, _) = study(&format!("axes: [{BATCH}, {port}], replicas: 2"));
    for a in 0..study.size() {
        for b in 0..study.size() {
            let port = |index| study.point(index).unwrap().cells[2].clone();
            assert_eq!(study.cluster_key(a) == study.cluster_key(b), port(a) == port(b));
        }
    }
}

#[test]
fn the_hash_tells_studies_apart_and_not_where_they_lie() {
    let content = format!("axes: [{BATCH}]");
    let hash = |content: &str| study(content).1.hash();
    assert_eq!(hash(&content), hash(&content));
    assert_ne!(hash(&content), hash(&content.replace("128", "256")));
}
