//! Studies that are wrong: every mistake, at its place.

use motley::Failure;

use crate::{folder_with, read};

/// A study with these lines is refused with these messages; each is a piece of the study with a bar where
/// the mistake begins, and parts of what is said.
fn check(content: &str, mistakes: &[(&str, &[&str])]) {
    let text = format!("Study(\n    base: \"base.ron\",\n{content}\n)\n");
    let folder = folder_with(&text);
    let Err(Failure::Rejected(rejected)) = read(folder.path()) else {
        panic!("not refused: {text}")
    };
    let page = rejected.render(false);
    let messages: Vec<&str> = page.split("error[").skip(1).collect();
    assert_eq!(messages.len(), mistakes.len(), "{page}");
    for (message, (place, parts)) in messages.iter().zip(mistakes) {
        let (before, after) = place.split_once('|').unwrap();
        let at = text.find(&format!("{before}{after}")).unwrap_or_else(|| panic!("no {place}"));
        let upto = &text[..at + before.len()];
        let line = 1 + upto.matches('\n').count();
        let column = 1 + upto.rsplit('\n').next().unwrap_or("").chars().count();
        assert!(message.contains(&format!("it.ron:{line}:{column}\n")), "{place}: {message}");
        for part in *parts {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
}

fn axis(set: &str, values: &str) -> String {
    format!("    axes: [Axis(name: \"x\", set: [\"{set}\"], values: {values})],")
}

#[test]
fn fields_that_scenarios_lack() {
    check(
        &axis("plan.tpp={}", "List([1, 2])"),
        &[("[\"plan.|tpp={}\"", &["unknown field `tpp`", "did you mean `tp`?"])],
    );
    check(
        &axis("cluster.fabrik.port=Gbps({})", "List([1])"),
        &[("[\"cluster.|fabrik", &["has no `fabrik`", "did you mean `fabric`?"])],
    );
    check(
        &axis("cluster.groups[7].count={}", "List([1])"),
        &[("groups|[7]", &["no item [7]", "it has 2"])],
    );
}

#[test]
fn values_that_do_not_fit() {
    check(
        &axis("cluster.fabric.port={}", "List([100])"),
        &[("List([|100", &["expected a rate with its unit", "write `Gbps(100)`"])],
    );
    check(
        &axis("model=Preset({})", "List([\"gpt3-350m\", \"gpt3-351m\"])"),
        &[(
            "\"gpt3-350m\", |\"gpt3-351m\"",
            &["unknown model preset", "did you mean \"gpt3-350m\"?"],
        )],
    );
    check(
        &axis("plan.tp={}", "Linear(from: 1, to: 2, count: 5)"),
        &[("set: [|\"plan.tp", &["expected a whole number from 0, found `1.25`"])],
    );
}

#[test]
fn studies_that_make_no_sense() {
    check(&axis("plan.tp={}", "List([])"), &[("values: |List([])", &["an axis needs values"])]);
    check(
        &axis("plan.tp={}", "Linear(from: 1, to: 8)"),
        &[("values: |Linear", &["how many values", "give `count` or `step`"])],
    );
    check(&axis("plan.tp={}", "Log(from: 0, to: 8, count: 2)"), &[("values: |Log", &["above 0"])]);
    check(
        &format!("{}\n    skip: [\"y > 1\"],", axis("plan.tp={}", "List([1])")),
        &[("skip: [\"|y > 1", &["unknown axis `y`"])],
    );
    check(
        &format!("{}\n    metrics: [\"tokens_per_sec\"],", axis("plan.tp={}", "List([1])")),
        &[("metrics: [|\"tokens", &["unknown metric", "did you mean \"tokens_per_s\"?"])],
    );
    check(&axis("plan.tp={2 ** x}", "List([1])"), &[("plan.tp={2 *|*", &["E0602"])]);
    check(
        "    axes: [Axsi(name: \"x\", set: [], values: List([1]))],",
        &[("axes: [|Axsi", &["unknown value `Axsi`", "did you mean `Axis`?"])],
    );
    check(
        "    axes: [Zip([Axis(name: \"a\", set: [\"plan.tp={}\"], values: List([1, 2])),\n\
         Axis(name: \"a\", set: [\"plan.dp={}\"], values: List([1]))])],",
        &[
            ("axes: [|Zip", &["as many values each, found 2, 1"]),
            ("Axis(name: |\"a\", set: [\"plan.dp", &["two axes are called \"a\""]),
        ],
    );
    check(
        &axis("seed={}", "List([1])").replace("axes", "replicas: 2, axes"),
        &[("set: [|\"seed", &["replicas set the seed"])],
    );
    check(
        &axis("plan.tp={}", "List([1])").replace("axes", "replicas: 0, axes"),
        &[("replicas: |0", &["once or more"])],
    );
}

#[test]
fn a_base_that_cannot_be_read() {
    let folder = folder_with("Study(base: \"bose.ron\", axes: [])");
    let Err(Failure::Rejected(rejected)) = read(folder.path()) else { panic!("not refused") };
    let page = rejected.render(false);
    assert!(
        page.contains("it.ron:1:13") && page.contains("cannot read the base scenario"),
        "{page}"
    );

    let folder = folder_with("Study(base: \"base.ron\", axes: [])");
    let base = crate::BASE.replace("count: 1)]", "cuont: 1)]");
    std::fs::write(folder.path().join("base.ron"), base).unwrap();
    let Err(Failure::Rejected(rejected)) = read(folder.path()) else { panic!("not refused") };
    let page = rejected.render(false);
    assert!(page.contains("base.ron:3:") && page.contains("did you mean `count`?"), "{page}");
}
