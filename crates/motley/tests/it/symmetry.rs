//! What must not matter does not: the order of equal nodes, names, the way a plan is written.

use motley::{Scenario, json};
use motley_job::RankId;
use motley_report::Provenance;
use motley_scenario::PlanChoice;
use motley_scheduler::{
    ActivationLimit, GradientSync, Pipeline, Plan, Schedule, Stage, ZeroBubble, ZeroBubbleOrder,
};

use crate::setup::{BERT, Setup, digest, near, played, report, scenario, seconds};

/// Plans that use tensor, pipeline and data parallelism of all kinds, on 16 cards.
const PLANS: [&str; 9] = [
    "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 2)",
    "Uniform(dp: 2, tp: 4, pp: 2, micro_batch_size: 2, schedule: GPipe)",
    "Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 1, recompute: Selective, \
     sequence_parallel: true, gradient_sync: Overlapped(bucket: MiB(8)))",
    "Uniform(dp: 2, tp: 2, pp: 4, micro_batch_size: 1, schedule: Interleaved(chunks: 3), \
     order: TpPpDp)",
    "Uniform(dp: 1, tp: 4, pp: 4, micro_batch_size: 2, recompute: Full, \
     overlap_weight_gradient: false)",
    "Uniform(dp: 2, tp: 2, pp: 4, micro_batch_size: 1, sequence_parallel: true, \
     schedule: ZeroBubble(order: H2, optimizer_step: Synchronous))",
    "Uniform(dp: 4, tp: 1, pp: 4, micro_batch_size: 1, gradient_sync: Overlapped(bucket: MiB(8)), \
     schedule: ZeroBubble(order: V, activations: Available))",
    "Uniform(dp: 2, tp: 2, pp: 4, micro_batch_size: 1, schedule: DualPipe)",
    "Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 2, recompute: Selective, schedule: DualPipeV)",
];

fn document(scenario: &Scenario) -> String {
    // The hash is of the text, which differs where the scenario does not.
    let provenance = Provenance { tool_version: "0", scenario_hash: "", seed: scenario.seed };
    json(&report(scenario), &provenance).unwrap()
}

/// Both give the same course of events and the same report.
fn same(one: &Scenario, other: &Scenario) {
    assert_eq!(digest(one), digest(other));
    assert_eq!(document(one), document(other));
}

#[test]
fn the_order_of_equal_nodes_does_not_matter() {
    let together = r#"(name: "x", design: "dgx1-v100", count: 2)"#;
    let apart = r#"(name: "x", design: "dgx1-v100", count: 1),
                   (name: "y", design: "dgx1-v100", count: 1)"#;
    let swapped = r#"(name: "y", design: "dgx1-v100", count: 1),
                     (name: "x", design: "dgx1-v100", count: 1)"#;
    for plan in PLANS {
        let [one, two, three] =
            [together, apart, swapped].map(|groups| Setup { groups, plan, ..BERT }.scenario());
        assert_eq!(digest(&one), digest(&two), "{plan}");
        assert_eq!(digest(&two), digest(&three), "{plan}");
        let renamed = document(&two)
            .replace("\"x\"", "\"?\"")
            .replace("\"y\"", "\"x\"")
            .replace("\"?\"", "\"y\"")
            .replace("(x)", "(?)")
            .replace("(y)", "(x)")
            .replace("(?)", "(y)");
        assert_eq!(renamed, document(&three), "{plan}");
    }
}

/// Data-parallel cards on one switch have no places that differ, so that two kinds of nodes can
/// change places.
#[test]
fn the_order_of_unlike_nodes_does_not_matter_to_plain_data_parallelism() {
    let v100 = r#"(design: "dgx1-v100", count: 1)"#;
    let p100 = r#"(design: "dgx1-p100", count: 1)"#;
    let [one, other] = [format!("{v100}, {p100}"), format!("{p100}, {v100}")]
        .map(|groups| Setup { groups: &groups, ..BERT }.seconds());
    near(one, other, 1e-9, "swapped");
}

#[test]
fn a_clone_of_a_card_by_another_name_is_the_same_card() {
    for plan in PLANS {
        let groups = r#"(name: "x", design: "dgx1-v100", count: 1),
                        (name: "y", design: "dgx1-v100", count: 1)"#;
        let original = Setup { groups, plan, ..BERT }.scenario();
        let mut cloned = original.clone();
        cloned.cluster.groups[1].device.id = "clone".to_owned();
        cloned.cluster.groups[1].device.name = "Clone".to_owned();
        assert_eq!(digest(&original), digest(&cloned), "{plan}");
        let (one, other) = (report(&original), report(&cloned));
        assert_eq!(one.breakdown, other.breakdown, "{plan}");
        assert_eq!(one.efficiency, other.efficiency, "{plan}");
        assert_eq!(one.links, other.links, "{plan}");
        assert_eq!(other.card_types.len(), 2);
    }
}

/// On nodes in which every card is placed like every other, equal pipelines do the same at the
/// same time.
#[test]
fn equal_pipelines_finish_together() {
    for plan in PLANS {
        let plan = plan.replace("order: TpPpDp", "order: TpDpPp");
        let groups = r#"(design: "dgx-a100", count: 2)"#;
        let scenario = Setup { groups, plan: &plan, ..BERT }.scenario();
        let (prepared, replays) = played(&scenario);
        let run = &replays.runs[0];
        let places = &prepared.lowered.places;
        for (rank, place) in places.iter().enumerate() {
            let twin = places
                .iter()
                .position(|other| {
                    (other.stage, other.stage_rank) == (place.stage, place.stage_rank)
                })
                .unwrap();
            assert_eq!(run.outcome.finish[rank], run.outcome.finish[twin], "{plan}: rank {rank}");
            let computing = |rank: usize| run.account.computing(RankId(rank as u32));
            assert_eq!(computing(rank), computing(twin), "{plan}: rank {rank}");
        }
    }
}

/// The plan as a person would write it out.
fn written_out(plan: &Plan) -> String {
    let schedule = match plan.schedule {
        Schedule::GPipe => "GPipe".to_owned(),
        Schedule::OneFOneB => "OneFOneB".to_owned(),
        Schedule::Interleaved => {
            format!("Interleaved(chunks: {})", plan.pipelines[0].stages[0].chunks.len())
        }
        Schedule::Paired => {
            format!("Paired(chunks: {})", plan.pipelines[0].stages[0].chunks.len())
        }
        Schedule::ZeroBubble(ZeroBubble { order, optimizer_step }) => {
            let activations = |limit: ActivationLimit| match limit {
                ActivationLimit::Stages(factor) => format!("activations: Stages({factor:?})"),
                ActivationLimit::Available => "activations: Available".to_owned(),
            };
            let order = match order {
                ZeroBubbleOrder::H1 => "H1".to_owned(),
                ZeroBubbleOrder::H2 => "H2".to_owned(),
                ZeroBubbleOrder::Automatic(limit) => format!("Automatic, {}", activations(limit)),
                ZeroBubbleOrder::V(limit) => format!("V, {}", activations(limit)),
            };
            format!("ZeroBubble(order: {order}, optimizer_step: {optimizer_step:?})")
        }
        Schedule::DualPipe => "DualPipe".to_owned(),
        Schedule::DualPipeV => "DualPipeV".to_owned(),
    };
    let gradient_sync = match plan.gradient_sync {
        GradientSync::AtEnd => "AtEnd".to_owned(),
        GradientSync::Overlapped { bucket } => {
            format!("Overlapped(bucket: B({}))", bucket.0)
        }
    };
    let stage = |stage: &Stage| {
        let gpus: Vec<u32> = stage.gpus.iter().map(|gpu| gpu.0).collect();
        let (chunks, recompute) = (&stage.chunks, stage.recompute);
        format!("(gpus: {gpus:?}, layers: {chunks:?}, recompute: {recompute:?})")
    };
    let pipeline = |pipeline: &Pipeline| {
        let stages: Vec<String> = pipeline.stages.iter().map(stage).collect();
        format!(
            "(micro_batches: {}, micro_batch_size: {}, stages: [{}])",
            pipeline.micro_batches,
            pipeline.micro_batch_size,
            stages.join(", ")
        )
    };
    let pipelines: Vec<String> = plan.pipelines.iter().map(pipeline).collect();
    format!(
        "Explicit(schedule: {schedule}, gradient_sync: {gradient_sync}, sequence_parallel: {}, \
         overlap_weight_gradient: {}, pipelines: [{}])",
        plan.sequence_parallel,
        plan.overlap_weight_gradient,
        pipelines.join(", ")
    )
}

#[test]
fn a_uniform_plan_written_out_is_the_same_plan() {
    let mixed = r#"(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)"#;
    let proportional = [
        "Uniform(dp: 8, tp: 2, pp: 1, micro_batch_size: 2, micro_batches: Proportional)",
        "Uniform(dp: 2, tp: 4, pp: 2, micro_batch_size: 1, layers: Proportional)",
        "Uniform(dp: 1, tp: 8, pp: 2, micro_batch_size: 1, layers: Counts([17, 7]))",
        "Uniform(dp: 1, tp: 4, pp: 4, micro_batch_size: 1, layers: Proportional, \
         schedule: ZeroBubble(order: V, activations: Stages(1.25)))",
        "Uniform(dp: 1, tp: 4, pp: 4, micro_batch_size: 1, layers: Proportional, \
         schedule: DualPipe)",
        "Uniform(dp: 1, tp: 8, pp: 2, micro_batch_size: 1, layers: Counts([9, 8, 7, 0]), \
         schedule: DualPipeV)",
    ];
    for plan in PLANS.into_iter().chain(proportional) {
        let shorthand = Setup { groups: mixed, plan, ..BERT };
        let short = shorthand.scenario();
        let expanded = motley::prepare(&short).unwrap().plan;
        let explicit = written_out(&expanded);
        let long = scenario(&Setup { plan: &explicit, ..shorthand }.text());
        assert_eq!(long.plan, PlanChoice::Explicit(expanded));
        same(&short, &long);
        assert_ne!(short.hash, long.hash);
        assert!(seconds(&report(&short)) > 0.0);
    }
}
