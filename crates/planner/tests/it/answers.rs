//! What is said of plans, and what is written.

use motley::{Provenance, json, load_text, simulate};
use motley_planner::{Answer, Feature, Options, mixing, search, text};

use crate::pools::{open, small};

fn answer(scenario: &motley::Scenario) -> Answer {
    let options = Options { budget_s: 2.0, ..Options::default() };
    let found = search(scenario, &options, &|_| {}).unwrap();
    let mixing = mixing(scenario, &found, &options, &|_| {}).unwrap();
    Answer::new(scenario, found, mixing, 5).unwrap()
}

fn document(answer: &Answer, scenario: &motley::Scenario) -> String {
    let provenance =
        Provenance { tool_version: "0", scenario_hash: &scenario.hash, seed: scenario.seed };
    json(&answer.document(), &provenance).unwrap()
}

#[test]
fn what_is_written_runs_as_predicted() {
    let groups = r#"(design: "hgx-a100-40", count: 1), (design: "dgx1-p100", count: 1)"#;
    let scenario =
        open(groups, &small(12), "global_batch: 64, sequence_length: 1024, precision: Fp16");
    let answer = answer(&scenario);
    assert!(!answer.plans.is_empty());
    for plan in &answer.plans {
        let written = answer.scenario(&scenario, plan).to_ron();
        let again = load_text("written.ron", &written, &[]).unwrap();
        assert_eq!(simulate(&again).unwrap().iteration_time, plan.report.iteration_time);
    }
    let page = text(&answer);
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    let text = document(&answer, &scenario);
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["plans"].as_array().unwrap().len(), answer.plans.len());
    assert!(!text.contains("NaN") && !text.contains("inf"));
    assert_eq!(text, document(&self::answer(&scenario), &scenario));
}

#[test]
fn cards_that_cannot_run_the_training_are_left_out() {
    let groups = r#"(design: "hgx-a100-40", count: 1), (design: "dgx1-p100", count: 1)"#;
    let scenario =
        open(groups, &small(12), "global_batch: 64, sequence_length: 1024, precision: Bf16");
    let answer = answer(&scenario);
    assert_eq!(answer.found.pool.refused.len(), 1);
    assert!(answer.found.pool.refused[0].1.contains("Bf16") || text(&answer).contains("P100"));
    assert!(answer.found.ranked.iter().all(|plan| plan.plan.gpus().all(|gpu| gpu.0 < 8)));
}

/// Two vendors' cards meet at the boundary of a stage and nowhere else.
#[test]
fn vendors_meet_at_stages_alone() {
    let groups =
        r#"(design: "hgx-a800", count: 1, nic: "roce-200"), (design: "atlas-800t-a2", count: 1)"#;
    let scenario = crate::pools::open_on(
        "RoCE",
        groups,
        r#"Preset("llama-2-7b")"#,
        "global_batch: 64, sequence_length: 4096, precision: Bf16",
    );
    let answer = answer(&scenario);
    let mixed: Vec<_> = answer
        .plans
        .iter()
        .filter(|plan| {
            motley_planner::asked(&plan.plan, &answer.found.pool).contains(&Feature::SeveralVendors)
        })
        .collect();
    assert!(!mixed.is_empty(), "nobody mixes");
    for plan in mixed {
        let runs: Vec<&str> =
            plan.frameworks.iter().filter(|each| each.runs).map(|each| each.framework).collect();
        assert!(!runs.contains(&"Megatron-LM"), "{runs:?}");
        let cut = |p: &motley_scheduler::Pipeline| -> Vec<_> {
            p.stages.iter().map(|s| (s.chunks.clone(), s.gpus[0].0 < 8)).collect()
        };
        let first = cut(&plan.plan.pipelines[0]);
        assert!(plan.plan.pipelines.iter().all(|pipeline| cut(pipeline) == first));
    }
}

#[test]
fn experts_are_dealt_out() {
    let scenario = open(
        r#"(design: "hgx-h800", count: 1)"#,
        r#"Preset("deepseek-v2-lite")"#,
        "global_batch: 64, sequence_length: 2048, precision: Bf16",
    );
    let answer = answer(&scenario);
    let dealt = |plan: &motley_scheduler::Plan| {
        let mut stages = plan.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
        stages.all(|stage| stage.expert_degrees().0 > 1)
    };
    let ranked = &answer.found.ranked;
    let out = ranked.iter().find(|each| each.fits() && dealt(&each.plan));
    assert!(out.is_some(), "nobody deals experts out");
    assert!(answer.plans[0].report.iteration_time.mean <= out.unwrap().time.unwrap());
}

#[test]
fn an_open_plan_says_what_to_do() {
    let scenario = open(
        r#"(design: "hgx-a100-40", count: 1)"#,
        &small(4),
        "global_batch: 8, sequence_length: 512, precision: Bf16",
    );
    let refused = simulate(&scenario).unwrap_err();
    assert!(refused.is_input());
    assert!(refused.to_string().contains("motley plan"), "{refused}");
}

#[test]
fn a_mix_is_held_against_its_types_alone() {
    let training = "global_batch: 64, sequence_length: 1024, precision: Fp16";
    let groups = r#"(design: "hgx-a100-40", count: 1), (design: "dgx1-p100", count: 1)"#;
    let mixed = answer(&open(groups, &small(12), training));
    let mixing = mixed.mixing.as_ref().unwrap();
    let best = mixed.plans[0].report.efficiency.samples_per_s;
    let alone: Vec<f64> = mixing
        .alone
        .iter()
        .map(|alone| {
            let part = if alone.card.contains("A100") { "hgx-a100-40" } else { "dgx1-p100" };
            let scenario = open(&format!("(design: \"{part}\", count: 1)"), &small(12), training);
            let plans = answer(&scenario).plans;
            let rate = plans[0].report.efficiency.samples_per_s;
            assert!((alone.samples_per_s / rate - 1.0).abs() < 0.02, "{alone:?} {rate}");
            alone.samples_per_s
        })
        .collect();
    // Who has more cards may leave some idle.
    assert!(alone.iter().all(|alone| *alone <= best * (1.0 + 1e-9)));
    let efficiency = mixing.efficiency_ratio.unwrap();
    assert!((efficiency - best / alone.iter().sum::<f64>()).abs() < 1e-9);
    assert!(text(&mixed).contains("Mixing"));
}
