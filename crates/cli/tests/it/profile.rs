//! Measured kernel times in place of predicted ones.

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{MIXED, answer, changed, folder_with, motley, unfolded};

const PROFILED: &str = "profile: \"profile.ron\",";

/// A folder with a scenario that names a profile, and the profile.
fn folder(profile: &str) -> TempDir {
    let folder = folder_with("plain.ron", MIXED);
    let named = changed(MIXED, &[("cluster: (", &format!("{PROFILED}\n    cluster: ("))]);
    std::fs::write(folder.path().join("it.ron"), named).unwrap();
    std::fs::write(folder.path().join("profile.ron"), profile).unwrap();
    folder
}

fn report(folder: &TempDir, scenario: &str) -> Value {
    let arguments = ["run", scenario, "--format", "json"];
    serde_json::from_str(&answer(folder.path(), &arguments)).unwrap()
}

fn exported(folder: &TempDir) -> String {
    answer(folder.path(), &["export", "kernels", "plain.ron"])
}

/// The report without what says where it came from.
fn result(report: &Value) -> Value {
    let mut report = report.clone();
    for key in ["kernel_times", "collective_times", "scenario_hash"] {
        report.as_object_mut().unwrap().remove(key);
    }
    report
}

#[test]
fn exported_times_are_a_profile_and_change_nothing() {
    let folder = folder("()");
    let profile = exported(&folder);
    std::fs::write(folder.path().join("profile.ron"), &profile).unwrap();
    let (spec, profiled) = (report(&folder, "plain.ron"), report(&folder, "it.ron"));
    assert_eq!(result(&spec), result(&profiled));
    assert_ne!(spec["scenario_hash"], profiled["scenario_hash"]);
    let kernels = profile.matches("card:").count();
    let times = |report: &Value| report["kernel_times"].clone();
    assert_eq!(times(&spec)["mode"], "spec");
    assert_eq!(times(&spec)["predicted_kernel_count"], kernels);
    assert_eq!(times(&profiled)["mode"], "profile");
    assert_eq!(times(&profiled)["measured_kernel_count"], kernels);
    assert_eq!(times(&profiled)["predicted_kernel_count"], 0);
    // Under a profile the same kernels are asked for, with the profile's times.
    let again = answer(folder.path(), &["export", "kernels", "it.ron"]);
    assert_eq!(again, profile);
}

#[test]
fn exported_collectives_are_a_profile_and_change_nothing() {
    // Of nodes with switches: in those of a mesh, communicators of as many cards are unlike.
    let plain = changed(MIXED, &[("dgx1-v100", "dgx-a100"), ("dgx1-p100", "dgx-h100")]);
    let folder = folder_with("plain.ron", &plain);
    let named = changed(&plain, &[("cluster: (", &format!("{PROFILED}\n    cluster: ("))]);
    std::fs::write(folder.path().join("it.ron"), named).unwrap();
    let profile = answer(folder.path(), &["export", "collectives", "plain.ron"]);
    std::fs::write(folder.path().join("profile.ron"), &profile).unwrap();
    let (spec, profiled) = (report(&folder, "plain.ron"), report(&folder, "it.ron"));
    assert_eq!(result(&spec), result(&profiled));
    assert_eq!(spec["collective_times"]["mode"], "spec");
    let count = profile.matches("collective:").count();
    assert!(count > 1);
    let times = &profiled["collective_times"];
    assert_eq!(
        (&times["mode"], &times["measured_collective_count"]),
        (&"profile".into(), &count.into())
    );
    assert_eq!(
        (&times["predicted_collective_count"], &times["measured_time_ratio"]),
        (&0.into(), &1.0.into())
    );
    assert_eq!(profiled["kernel_times"]["mode"], "spec");
    assert_eq!(answer(folder.path(), &["export", "collectives", "it.ron"]), profile);
    let said = format!(
        "kernel times: spec; collective times: profile ({count} of {count}, 100 % of time)"
    );
    assert!(unfolded(&answer(folder.path(), &["check", "it.ron"])).contains(&said));
}

#[test]
fn what_was_measured_counts_and_what_was_not_is_named() {
    let folder = folder("()");
    let empty = report(&folder, "it.ron");
    assert_eq!(result(&empty), result(&report(&folder, "plain.ron")));
    assert_eq!(empty["kernel_times"]["measured_kernel_count"], 0);

    let all = exported(&folder);
    let norms: Vec<&str> = all.lines().filter(|line| line.contains("Norm(")).collect();
    assert!(!norms.is_empty());
    let slow = norms.iter().map(|line| {
        let (before, time) = line.split_once("time: S(").unwrap();
        let seconds: f64 = time.trim_end_matches([')', ',']).parse().unwrap();
        format!("{before}time: S({:?})),\n", 1000.0 * seconds)
    });
    let unused = r#"(card: "t4", precision: Fp16, operator: "norm", work: Norm(bytes: B(8.0)), time: Us(9)),"#;
    let profile = format!("(kernels: [\n{}{unused}])", slow.collect::<String>());
    std::fs::write(folder.path().join("profile.ron"), profile).unwrap();
    let slower = report(&folder, "it.ron");
    let time = |report: &Value| report["iteration_time"]["mean_s"].as_f64().unwrap();
    assert!(time(&slower) > 2.0 * time(&empty), "{} {}", time(&slower), time(&empty));
    let times = &slower["kernel_times"];
    assert_eq!(times["measured_kernel_count"], norms.len());
    assert_eq!(times["unused_profile_kernel_count"], 1);
    let named = times["predicted_operators"].as_array().unwrap();
    assert!(named.iter().any(|name| name.as_str().unwrap().ends_with(" qkv")));
    assert!(named.iter().all(|name| name != "v100-sxm2-32 norm"));
    let part = format!("kernel times: profile ({} of ", norms.len());
    assert!(answer(folder.path(), &["run", "it.ron"]).contains(&part));
    assert!(answer(folder.path(), &["check", "it.ron"]).contains(&part));
    assert!(answer(folder.path(), &["check", "plain.ron"]).contains("ok; all times: spec"));
}

/// Layers that take a hundred times as long as anything else make an iteration of their number: each
/// pipeline has its micro-batches one after the other.
#[test]
fn whole_layers_count_by_degree_and_micro_batch() {
    let layers = |forward: f64, backward: f64, update: f64| {
        let cards = ["v100-sxm2-32", "p100-sxm2"].map(|card| {
            format!(
                r#"(card: "{card}", precision: Fp16, tp: 2, micro_batch: 1, forward: S({forward:?}),
                backward: S({backward:?}), update: S({update:?})),"#
            )
        });
        format!("(layers: [{}])", cards.concat())
    };
    let folder = folder("()");
    let time = |forward: f64, backward: f64, update: f64| {
        let profile = layers(forward, backward, update);
        std::fs::write(folder.path().join("profile.ron"), profile).unwrap();
        let report = report(&folder, "it.ron");
        assert!(report["kernel_times"]["measured_layer_count"].as_u64() > Some(0), "{report}");
        report["iteration_time"]["mean_s"].as_f64().unwrap()
    };
    let (base, forward, both) =
        (time(10.0, 20.0, 0.0), time(20.0, 20.0, 0.0), time(20.0, 40.0, 0.0));
    // What does not scale is far below a second.
    assert!((both / base / 2.0 - 1.0).abs() < 0.01, "{both} {base}");
    assert!((3.0 * (forward - base) / base - 1.0).abs() < 0.05, "{forward} {base}");
    let update = time(10.0, 20.0, 1000.0);
    assert!(update > base + 1000.0, "{update} {base}");
}

/// Two stages of one and three layers on nodes that meet over 1 Gb/s; only the layers take time.
fn two_stages(plan: &str, micro_batches: u32) -> String {
    format!(
        r#"(
            cluster: (
                groups: [(design: "g4dn.12xlarge", count: 2, nic: "eth-1")],
                fabric: (technology: Ethernet),
            ),
            model: Shape(name: "m", layers: 4, hidden: 1024, heads: 16, vocab: 1024, positions: Rotary, dropout: false),
            training: (global_batch: {micro_batches}, sequence_length: 1024, precision: Fp16),
            plan: Explicit({plan} pipelines: [(micro_batches: {micro_batches}, micro_batch_size: 1, stages: [
                (gpus: 0..1, layers: 0..1), (gpus: 4..5, layers: 1..4),
            ])]),
            profile: "profile.ron",
        )"#
    )
}

/// The last stage has twice the work of the first, so it sets the pace: by its work where activations
/// come before they are needed, by its work and two transfers where each activation waits for the gradient
/// before it.
#[test]
fn activations_that_wait_for_gradients_cost_two_transfers() {
    let part = |part: &str, forward: u32, backward: u32| {
        format!(
            r#"(card: "t4", precision: Fp16, tp: 1, micro_batch: 1, part: {part},
            forward: Ms({forward}), backward: Ms({backward})),"#
        )
    };
    let profile = [part("Embedding", 0, 0), part("Layer", 20, 40), part("Head", 0, 0)].concat();
    let folder = folder(&format!("(layers: [{profile}])"));
    let pace = |plan: &str| {
        let time = |micro_batches| {
            let text = two_stages(plan, micro_batches);
            std::fs::write(folder.path().join("two.ron"), text).unwrap();
            report(&folder, "two.ron")["iteration_time"]["mean_s"].as_f64().unwrap()
        };
        (time(24) - time(16)) / 8.0
    };
    let transfer = 1024.0 * 1024.0 * 2.0 / (0.924 * 1e9 / 8.0);
    let check = |plan: &str, expected: f64| {
        let pace = pace(plan);
        assert!((pace / expected - 1.0).abs() < 0.01, "{plan}: {pace} s, expected {expected} s");
    };
    check("", 0.180);
    check("activation_sends: AfterGradient,", 0.180 + 2.0 * transfer);
    let text = two_stages("schedule: GPipe, activation_sends: AfterGradient,", 8);
    std::fs::write(folder.path().join("two.ron"), text).unwrap();
    let ran = motley(folder.path(), &["check", "two.ron"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("activation_sends"), "{}", ran.stderr);
}

/// Where the times hold what tensor ranks exchange, a pass takes what its parts were measured to.
#[test]
fn exchanges_are_in_the_times_or_come_on_top() {
    let profile = |exchange: &str| {
        let parts = ["Embedding", "Layer", "Head"].map(|part| {
            format!(
                r#"(card: "t4", precision: Fp16, tp: 2, micro_batch: 1, part: {part}, {exchange}
                forward: Ms(1), backward: Ms(2), update: Ms(0)),"#
            )
        });
        format!("(layers: [{}])", parts.concat())
    };
    let folder = folder("()");
    let scenario = r#"(
        cluster: (groups: [(design: "g4dn.12xlarge", count: 1)]),
        model: Shape(name: "m", layers: 4, hidden: 1024, heads: 16, vocab: 1024, positions: Rotary, dropout: false),
        training: (global_batch: 8, sequence_length: 1024, precision: Fp16),
        plan: Explicit(pipelines: [(micro_batches: 8, micro_batch_size: 1, stages: [(gpus: 0..2, layers: 0..4)])]),
        profile: "profile.ron",
    )"#;
    std::fs::write(folder.path().join("two.ron"), scenario).unwrap();
    let time = |exchange: &str| {
        std::fs::write(folder.path().join("profile.ron"), profile(exchange)).unwrap();
        report(&folder, "two.ron")["iteration_time"]["mean_s"].as_f64().unwrap()
    };
    let (included, excluded) = (time("tensor_exchange: Included,"), time(""));
    let expected = 8.0 * 6.0 * 3e-3;
    assert!((included / expected - 1.0).abs() < 1e-3, "{included} s, expected {expected} s");
    assert!(excluded > 1.1 * expected, "{excluded} s");
}

#[test]
fn mistakes_are_shown_at_their_places_in_the_profile() {
    let check = |profile: &str, places: &[(&str, &[&str])]| {
        let folder = folder(profile);
        let ran = motley(folder.path(), &["check", "it.ron"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        let messages: Vec<&str> = ran.stderr.split("error[").skip(1).collect();
        assert_eq!(messages.len(), places.len(), "{}", ran.stderr);
        for (message, (place, parts)) in messages.iter().zip(places) {
            assert!(message.contains(place), "{place} is not in {message}");
            for part in *parts {
                assert!(message.contains(part), "{part} is not in {message}");
            }
        }
    };
    let kernel = r#"(card: "v100-sxm2-16", precision: Fp16, operator: "norm", work: Norm(bytes: B(1.0)), time: Us(1.0))"#;
    check(
        &format!("(kernels: [\n{}\n])", kernel.replace("v100-sxm2", "v100-smx2")),
        &[("profile.ron:2:8", &["unknown card", "did you mean \"v100-sxm2-16\""])],
    );
    check(
        &format!("(kernels: [\n{},\n{kernel}])", kernel.replace("time:", "tiem:")),
        &[("profile.ron:2:", &["tiem", "time"])],
    );
    check(
        &format!("(kernels: [\n{kernel},\n{kernel}])"),
        &[("profile.ron:3:1", &["two times of one thing", "first here"])],
    );
    check(
        &format!(
            "(kernels: [{}])",
            kernel.replace("1.0))", "0.0))").replace("time: Us(1.0)", "time: Us(0)")
        ),
        &[("profile.ron:1:", &["longer than no time"])],
    );
    let collective = r#"(collective: AllReduce, members: [(card: "v100-sxm2-32", nodes: 2, ranks_per_node: 8)], bytes: KiB(1), time: Us(30))"#;
    let one = |from: &str, to: &str, place: &str, parts: &[&str]| {
        check(&format!("(collectives: [\n{}\n])", collective.replace(from, to)), &[(place, parts)]);
    };
    one("v100", "w100", "profile.ron:2:42", &["unknown card", "did you mean \"v100-sxm2-32\""]);
    one("nodes:", "design: \"dgx-v1000\", nodes:", "profile.ron:2:", &["unknown node design"]);
    one(
        "nodes: 2, ranks_per_node: 8",
        "ranks_per_node: 1",
        "profile.ron:2:",
        &["two ranks or more"],
    );
    one("KiB(1)", "B(0)", "profile.ron:2:", &["moves something"]);
    one("Us(30)", "Us(0)", "profile.ron:2:", &["longer than no time"]);
    one("AllReduce", "AllReduse", "profile.ron:2:14", &["AllReduce"]);
    check(
        &format!("(collectives: [\n{collective},\n{}])", collective.replace("Us(30)", "Us(31)")),
        &[("profile.ron:3:1", &["two times of one thing", "first here"])],
    );
    check("(kernels: [", &[("profile.ron:1:", &[])]);
    check("(kernel: [])", &[("profile.ron:1:2", &["kernels"])]);
    let folder =
        folder_with("it.ron", changed(MIXED, &[("cluster: (", &format!("{PROFILED}cluster: ("))]));
    let ran = motley(folder.path(), &["check", "it.ron"]);
    assert_eq!(ran.code, Some(2));
    for part in ["it.ron:", "cannot read profile \"profile.ron\"", "relative to the folder"] {
        assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
    }
}
