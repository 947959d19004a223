//! Schedules that split the backward pass, through the whole path: their bubbles where transfers
//! are free, their gains where they are not, tensor and data parallelism beside them.

use motley::{Prepared, prepare};
use motley_engine::Silent;
use motley_job::{Op, RankId};
use motley_scheduler::Activity;
use motley_scheduler::schedule::{Costs, Placement, Position, play};
use motley_units::Time;

use crate::setup::{DEEP, Setup, near, scenario, seconds};

/// A model whose two ends have nothing to exchange before the optimizer step.
const UNTIED: &str = r#"Shape(name: "untied", layers: 16, hidden: 4096, heads: 32, vocab: 128, positions: Rotary, tied_embeddings: false)"#;

const ONE: &str = "OneFOneB";
const H1: &str = "ZeroBubble(order: H1)";
const H2: &str = "ZeroBubble(order: H2)";
const ZB_1P: &str = "ZeroBubble(order: Automatic)";
const ZB_2P: &str = "ZeroBubble(order: Automatic, activations: Stages(2))";
const ZB_V: &str = "ZeroBubble(order: V)";

/// Sixteen layers of a model whose embedding and head are negligible, on the first cards of a node.
fn text(schedule: &str, placement: &Placement, micro_batches: u32, options: &str) -> String {
    let layers = 16 / placement.routes()[0].len();
    let stage = |s: u32| {
        let ranges: Vec<String> = (0..placement.chunks())
            .map(|chunk| {
                let (_, place) = placement.place(Position { stage: s, chunk });
                format!("{}..{}", place * layers, (place + 1) * layers)
            })
            .collect();
        format!("(gpus: [{s}], layers: [{}])", ranges.join(", "))
    };
    let stages: Vec<String> = (0..placement.stages()).map(stage).collect();
    let plan = format!(
        "Explicit(schedule: {schedule}, {options} pipelines: \
         [(micro_batches: {micro_batches}, micro_batch_size: 1, stages: [{}])])",
        stages.join(", ")
    );
    let training = format!(
        "global_batch: {micro_batches}, sequence_length: 8192, precision: Bf16, optimizer: Sgd"
    );
    Setup { training: &training, plan: &plan, model: UNTIED, ..DEEP }.text()
}

/// Mean times of a micro-batch's passes on a rank, from its program: forward, backward without
/// weight gradients that run apart, these; and what comes after all passes.
fn pass_times(prepared: &Prepared<'_>, rank: usize, micro_batches: u32) -> ([f64; 3], f64) {
    let job = &prepared.lowered.job;
    let (mut passes, mut rest) = ([0.0; 3], 0.0);
    for op in job.expanded(job.ranks[rank].program) {
        let Op::Compute { tag, duration, .. } = op else { continue };
        match Activity::of_name(job.name(tag.name)) {
            Some((Activity::Forward, _)) => passes[0] += duration.as_secs_f64(),
            Some((Activity::WeightGradient, _)) => passes[2] += duration.as_secs_f64(),
            Some(_) => passes[1] += duration.as_secs_f64(),
            None => rest += duration.as_secs_f64(),
        }
    }
    (passes.map(|time| time / f64::from(micro_batches)), rest)
}

/// The iteration time of a scenario in which transfers are free, with the mean times of passes over
/// stages, and of the optimizer step.
fn played_free(text: &str, micro_batches: u32) -> (f64, [f64; 3], f64) {
    let scenario = scenario(text);
    let mut prepared = prepare(&scenario).unwrap();
    for call in prepared.lowered.job.call_sets.iter_mut().flat_map(|set| &mut set.calls) {
        call.bytes = 0.0;
        call.latency = Time::ZERO;
    }
    let replays = prepared.replay(&mut Silent, &|| {}).unwrap();
    let ranks = prepared.lowered.places.len();
    let (mut mean, mut rest) = ([0.0; 3], 0.0f64);
    for rank in 0..ranks {
        let (passes, after) = pass_times(&prepared, rank, micro_batches);
        for (sum, time) in mean.iter_mut().zip(passes) {
            *sum += time / ranks as f64;
        }
        rest = rest.max(after);
    }
    (replays.runs[0].outcome.end.as_secs_f64(), mean, rest)
}

/// The bubble of a schedule on equal stages is what `expected` makes of the times of its passes
/// (F, B, W) and of the number of stages.
fn check_bubble(
    schedule: &str,
    placement: &Placement,
    micro_batches: u32,
    expected: impl Fn(f64, [f64; 3]) -> f64,
) {
    let (time, passes, rest) =
        played_free(&text(schedule, placement, micro_batches, ""), micro_batches);
    let work = f64::from(micro_batches) * passes.iter().sum::<f64>() + rest;
    let found = time - work;
    let wanted = expected(f64::from(placement.stages()), passes);
    // The embedding and the head of even this model are some thousandths of its work.
    assert!(
        (found - wanted).abs() <= 0.007 * work + 0.01 * wanted,
        "{schedule}, {} stages, {micro_batches} micro-batches: {found} s, expected {wanted} s",
        placement.stages()
    );
}

#[test]
fn bubbles_where_transfers_are_free() {
    for (stages, micro_batches) in [(2, 4), (4, 12), (8, 24)] {
        let linear = Placement::linear(stages);
        check_bubble(ONE, &linear, micro_batches, |p, [f, b, w]| (p - 1.0) * (f + b + w));
        check_bubble(H1, &linear, micro_batches, |p, [f, b, w]| (p - 1.0) * (f + b - w));
        check_bubble(H2, &linear, micro_batches, |p, [f, b, w]| (p - 1.0) * (f + b - 2.0 * w));
    }
}

/// A replay with free transfers takes as long as playing the schedule alone does, with the times of
/// the passes that the programs have.
#[test]
fn a_replay_with_free_transfers_is_the_schedule_played() {
    let synchronous = "ZeroBubble(order: H2, optimizer_step: Synchronous)";
    for (stages, micro_batches) in [(2, 8), (4, 8), (4, 12), (8, 20)] {
        let linear = Placement::linear(stages);
        // The times of input and weight gradients, from a schedule that splits them.
        let h1 = text(H1, &linear, micro_batches, "");
        let (_, passes, rest) = played_free(&h1, micro_batches);
        for (schedule, placement, rolls) in [
            (ZB_1P, linear.clone(), true),
            (ZB_2P, linear.clone(), true),
            (synchronous, linear.clone(), false),
            (ZB_V, Placement::vee(stages), true),
            ("DualPipe", Placement::bidirectional(stages), false),
            ("DualPipeV", Placement::vee(stages), false),
        ] {
            if schedule == "DualPipeV" && micro_batches < 2 * stages {
                continue;
            }
            let written = text(schedule, &placement, micro_batches, "");
            let scenario = scenario(&written);
            let prepared = prepare(&scenario).unwrap();
            let orders: Vec<_> = (0..stages as usize)
                .map(|rank| prepared.lowered.order(RankId(rank as u32)).to_vec())
                .collect();
            let costs = Costs::uniform(&placement, passes.map(Time::from_secs_f64), 1.0, 1.0);
            let timeline = play(&orders, &placement, &costs).unwrap();
            let alone = if rolls { timeline.longest_span() } else { timeline.makespan() };
            let (time, ..) = played_free(&written, micro_batches);
            let what = format!("{schedule}, {stages} stages, {micro_batches} micro-batches");
            // A stage with the parameters of two steps the optimizer for both.
            let step = if schedule == "DualPipe" { 2.0 * rest } else { rest };
            let expected = alone.as_secs_f64() + step;
            if schedule.starts_with("Dual") {
                // Of an overlapped pair without communication the forward pass is over first, and
                // sends first.
                assert!(time <= 1.007 * expected && time >= 0.94 * expected, "{what}: {time}");
            } else {
                near(time, expected, 0.007, &what);
            }
        }
    }
}

/// On the same job, with real transfers: less bubble in each step from 1F1B to ZB-2p, and the V
/// with the memory of 1F1B before the linear one.
#[test]
fn less_bubble_is_less_time() {
    for (stages, micro_batches) in [(4, 8), (4, 16), (8, 16), (8, 32)] {
        let time = |schedule: &str, placement: &Placement| {
            let report =
                crate::setup::report(&scenario(&text(schedule, placement, micro_batches, "")));
            assert_eq!(report.breakdown.total(), report.iteration_time.mean);
            seconds(&report)
        };
        let linear = Placement::linear(stages);
        let [one, h1, auto, two] = [ONE, H1, ZB_1P, ZB_2P].map(|schedule| time(schedule, &linear));
        let vee = time(ZB_V, &Placement::vee(stages));
        let what = format!("{stages} stages, {micro_batches} micro-batches");
        assert!(h1 < 0.99 * one, "{what}: ZB-H1 {h1}, 1F1B {one}");
        assert!(auto <= 1.0001 * h1, "{what}: ZB-1p {auto}, ZB-H1 {h1}");
        assert!(two < auto, "{what}: ZB-2p {two}, ZB-1p {auto}");
        assert!(vee < auto, "{what}: ZB-V {vee}, ZB-1p {auto}");
        let meeting = time(
            "ZeroBubble(order: Automatic, activations: Stages(2), optimizer_step: Synchronous)",
            &linear,
        );
        assert!(two < meeting, "{what}: waiting for all costs {meeting}, not waiting {two}");
        let dual = time("DualPipe", &Placement::bidirectional(stages));
        assert!(dual < one, "{what}: DualPipe {dual}, 1F1B {one}");
    }
}

/// A deep model of wide layers on one node of eight cards.
fn wide(plan: &str) -> motley::Report {
    let training = "global_batch: 32, sequence_length: 4096, precision: Bf16, optimizer: Sgd";
    Setup { training, plan, model: UNTIED, ..DEEP }.report()
}

/// What a pass waits for of its tensor-parallel group, the other of an overlapped pair computes.
#[test]
fn overlapped_passes_hide_tensor_transfers() {
    for options in ["", "sequence_parallel: true,", "overlap_weight_gradient: false,"] {
        let exposed = |schedule: &str| {
            let report = wide(&format!(
                "Uniform(dp: 1, tp: 4, pp: 2, micro_batch_size: 1, {options} schedule: {schedule})"
            ));
            report.breakdown.exposed_tensor_parallel.as_secs_f64()
        };
        let plain = exposed(ONE);
        assert!(plain > 0.0);
        for schedule in ["DualPipe", "DualPipeV"] {
            let hidden = 1.0 - exposed(schedule) / plain;
            assert!(hidden > 0.4, "{schedule}, {options} hides {hidden} of the transfers");
        }
        // Passes that run alone have nothing to hide them behind.
        for schedule in [H1, ZB_V] {
            assert!(exposed(schedule) > 0.9 * plain, "{schedule}, {options}");
        }
    }
}

/// Memory of the stages: for activations, and for parameters.
fn memory(schedule: &str, stages: u32) -> (Vec<f64>, f64) {
    let report = wide(&format!(
        "Uniform(dp: {}, tp: 1, pp: {stages}, micro_batch_size: 1, schedule: {schedule})",
        8 / stages
    ));
    let activations = report.stages.iter().map(|stage| stage.memory.activations_bytes).collect();
    (activations, report.stages[0].memory.parameters_bytes)
}

/// Activations in flight against the first stage of 1F1B, as the papers have them: ZB-1p alike,
/// ZB-2p up to twice as much, ZB-V as much on every stage, `DualPipe` `(p + 1) / p` times as much on
/// every stage and two copies of the parameters.
#[test]
fn activations_in_flight_are_those_of_the_papers() {
    for stages in [2, 4] {
        let fullest = |memory: &[f64]| memory.iter().copied().fold(0.0, f64::max);
        let (one, parameters) = memory(ONE, stages);
        let full = one[0];
        near(fullest(&one), full, 1e-9, "the first stage of 1F1B is the fullest");
        for schedule in [H1, ZB_1P] {
            // What waits for W is a part of what was kept for B, which counts as the whole there.
            let found = fullest(&memory(schedule, stages).0);
            assert!(found >= 0.99 * full && found <= 1.15 * full, "{schedule}: {found} of {full}");
        }
        let two = fullest(&memory(ZB_2P, stages).0);
        assert!(two > 1.4 * full && two <= 2.05 * full, "ZB-2p: {two} of {full}");
        let (vee, _) = memory(ZB_V, stages);
        for stage in &vee {
            assert!(*stage <= 1.03 * full && *stage > 0.75 * full, "ZB-V: {vee:?} of {full}");
        }
        let (dual, both) = memory("DualPipe", stages);
        let expected = f64::from(stages + 1) / f64::from(stages);
        for stage in dual {
            near(stage / full, expected, 0.06, "DualPipe");
        }
        near(both / parameters, 2.0, 0.01, "two copies");
    }
}
