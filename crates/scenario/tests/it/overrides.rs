//! `--set path=value`.

use motley_scenario::{Failure, Scenario, load, load_text};

use crate::base::{EXPLICIT, UNIFORM, changed};

fn read(text: &str, overrides: &[&str]) -> Result<Scenario, String> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    load_text("test.ron", text, &overrides).map_err(|rejected| rejected.render(false))
}

/// The overrides give what the same values written in the file give.
fn same(overrides: &[&str], changes: &[(&str, &str)]) {
    let written =
        read(&changed(UNIFORM, changes), &[]).unwrap_or_else(|message| panic!("{message}"));
    let set = read(UNIFORM, overrides).unwrap_or_else(|message| panic!("{message}"));
    assert_eq!(set.raw, written.raw, "{overrides:?}");
    assert_eq!(set.hash, written.hash);
}

fn refused(text: &str, overrides: &[&str], expected: &str) {
    match read(text, overrides) {
        Ok(_) => panic!("accepted {overrides:?}"),
        Err(message) => assert!(message.contains(expected), "expected\n{expected}\nin\n{message}"),
    }
}

#[test]
fn values_are_replaced_and_added() {
    let four = [("dp: 2, tp: 8", "dp: 4, tp: 4")];
    same(&["plan.dp=4", "plan.tp=4"], &four);
    same(&["plan.Uniform.dp=4", "plan.Uniform.tp=4"], &four);
    same(&["plan.dp=1", "plan.dp = 4", "plan.tp= 4"], &four);
    same(&["seed=7"], &[("plan:", "seed: 7, plan:")]);
    same(&["fidelity=Pairwise"], &[("plan:", "fidelity: Pairwise, plan:")]);
    same(
        &["noise=(kernel_jitter: 0.02)", "noise.card_spread=0.1"],
        &[("plan:", "noise: (kernel_jitter: 0.02, card_spread: 0.1), plan:")],
    );
    same(&["noise=()", "noise.card_spread=0.1"], &[("plan:", "noise: (card_spread: 0.1), plan:")]);
    same(&["training.fallback=Fp32"], &[("Fp16", "Fp16, fallback: Fp32")]);
    same(&["model.Preset=\"gpt3-350m\""], &[("bert-large", "gpt3-350m")]);
    same(&["model=Preset(\"gpt3-350m\")"], &[("bert-large", "gpt3-350m")]);
    same(
        &["cluster.groups[0].count=1", "plan.dp=1", "plan.pp=3"],
        &[("count: 2)", "count: 1)"), ("dp: 2, tp: 8, pp: 2", "dp: 1, tp: 8, pp: 3")],
    );
    same(
        &["cluster.groups[2]=(design: \"dgx1-v100\", count: 4)", "plan.dp=4"],
        &[("\"edr\"),", "\"edr\"), (design: \"dgx1-v100\", count: 4),"), ("dp: 2", "dp: 4")],
    );
    same(&["plan.schedule=GPipe // why not"], &[("dp: 2", "schedule: GPipe, dp: 2")]);
}

#[test]
fn mistakes_in_overrides_point_at_the_override() {
    refused(
        UNIFORM,
        &["plan.dpp=4"],
        "\
error[E0201]: unknown field `dpp` in `plan.Uniform`
 --> --set:1:6
  |
1 | plan.dpp=4
  |      ^^^ did you mean `dp`?",
    );
    refused(
        UNIFORM,
        &["plan.dp=x"],
        "\
 --> --set:1:9
  |
1 | plan.dp=x
  |         ^ another kind of value",
    );
    refused(UNIFORM, &["plan.dp=(1"], "1 | plan.dp=(1\n  |         - ^ expected");
    refused(UNIFORM, &["plan.dp="], "the value is written as in a scenario file");
    refused(UNIFORM, &["plan.dp=4, tp: 2"], "expected the end of the file, found `,`");
    refused(UNIFORM, &["plan.dp"], "expected `path=value`");
    refused(UNIFORM, &["plan..dp=1"], "`plan..dp` is not a path");
    refused(UNIFORM, &["plan[x]=1"], "expected `[0]`, `[1]`, ...");
    refused(UNIFORM, &["plam.dp=1"], "^^^^ did you mean `plan`?");
    refused(UNIFORM, &["cluster.groups[7].count=1"], "it has 2; [2] adds one");
    refused(UNIFORM, &["cluster[0]=1"], "not a list");
    refused(UNIFORM, &["training.optimizer.fused=false"], "--set 'training.optimizer=...'");
    refused(
        UNIFORM,
        &["cluster.groups[1].count=0"],
        "1 | cluster.groups[1].count=0\n  |                         ^ too small",
    );
    refused(UNIFORM, &["plan.Explicit.schedule=GPipe"], "`plan` has no `Explicit`");
    refused(EXPLICIT, &["plan.pipelines[1].stages[0].gpus=[9]"], "GPU 9 does not exist");
    refused(&UNIFORM.replace("count: 2)", "cuont: 2)"), &["seed=1"], "test.ron:6:35");
    let both = ["plam.dp=1", "training.bach=(x"];
    refused(UNIFORM, &both, "did you mean `plan`?");
    refused(UNIFORM, &both, "1 | training.bach=(x");
    refused("(", &["seed=1"], "the file ends too early");
}

#[test]
fn files() {
    let folder = std::env::temp_dir().join(format!("motley-scenario-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.ron");
    let failure = |path: &std::path::Path| match load(path, &[]) {
        Ok(_) => panic!("{} is no scenario", path.display()),
        Err(failure) => (failure.exit_code(), failure.to_string()),
    };
    let (code, message) = failure(&path);
    assert_eq!(code, 74, "{message}");
    assert!(message.contains("a.ron"), "{message}");
    assert_eq!(failure(&folder).0, 74);
    std::fs::write(&path, b"(question: \"\xff\")").unwrap();
    let (code, message) = failure(&path);
    assert_eq!(code, 2);
    assert!(message.contains("a.ron:1:13"), "{message}");
    std::fs::write(&path, UNIFORM).unwrap();
    match load(&path, &["seed=3".to_owned()]) {
        Ok(scenario) => assert_eq!(scenario.seed, 3),
        Err(Failure::Rejected(rejected)) => panic!("{rejected}"),
        Err(other) => panic!("{other}"),
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
