//! Equal runs give equal bytes.

use std::collections::BTreeSet;

use crate::command::{EXPLICIT, MIXED, changed, command, finish, folder_with};

/// What `motley run` prints with these arguments on so many threads.
fn printed(scenario: &str, arguments: &[&str], threads: &str) -> String {
    let folder = folder_with("it.ron", scenario);
    let all = ["run", "it.ron"].iter().chain(arguments);
    let mut command = command(folder.path(), all);
    command.env("RAYON_NUM_THREADS", threads);
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

#[test]
fn equal_runs_give_equal_bytes() {
    let noisy = changed(EXPLICIT, &[("plan:", "noise: (kernel_jitter: 0.1), plan:")]);
    for scenario in [MIXED, EXPLICIT, &noisy] {
        for format in ["text", "json"] {
            for iterations in ["1", "5"] {
                let arguments = ["--format", format, "--iterations", iterations];
                let one = printed(scenario, &arguments, "1");
                assert_eq!(one, printed(scenario, &arguments, "1"), "{arguments:?}");
                assert_eq!(one, printed(scenario, &arguments, "2"), "{arguments:?}");
            }
        }
    }
}

/// Seed, mean iteration time, and half the width of its interval if there is one.
fn mean(document: &str) -> (u64, f64, Option<f64>) {
    let report: serde_json::Value = serde_json::from_str(document).unwrap();
    let time = &report["iteration_time"];
    let half = time["ci95_half_width_s"].as_f64();
    (report["seed"].as_u64().unwrap(), time["mean_s"].as_f64().unwrap(), half)
}

#[test]
fn the_seed_changes_what_is_noisy_and_nothing_else() {
    let times = |scenario: &str| -> BTreeSet<u64> {
        ["0", "1", "2", "18446744073709551615"]
            .into_iter()
            .map(|seed| {
                let arguments = ["--format", "json", "--seed", seed];
                let (written, mean, _) = mean(&printed(scenario, &arguments, "2"));
                assert_eq!(written.to_string(), seed);
                mean.to_bits()
            })
            .collect()
    };
    assert_eq!(times(MIXED).len(), 4);
    assert_eq!(times(EXPLICIT).len(), 1);
    let given = printed(MIXED, &["--format", "json", "--seed", "7"], "1");
    let set = printed(MIXED, &["--format", "json", "--set", "seed=7"], "1");
    assert_eq!(given, set, "--seed is the field `seed`");
}

/// More iterations narrow the interval around the mean, which the means of few and of many agree within.
#[test]
fn iterations_average_noise() {
    let at = |iterations: &str| {
        mean(&printed(MIXED, &["--format", "json", "--iterations", iterations], "2"))
    };
    let ((_, few, wide), (_, many, narrow)) = (at("4"), at("64"));
    let (wide, narrow) = (wide.unwrap(), narrow.unwrap());
    assert!(0.0 < narrow && narrow < wide, "{narrow} {wide}");
    assert!((few - many).abs() <= wide + narrow, "{few} +- {wide}, {many} +- {narrow}");
    assert_eq!(at("1").2, None);
}
