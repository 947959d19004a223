//! `motley export dot`.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{EXPLICIT, MIXED, answer, changed, folder_with, root};

/// The part between quotes at the start of a line, and the rest.
fn quoted(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('"')?.split_once('"')
}

/// Reads the statements of a drawing: one graph of subgraphs, nodes and edges. Every card stands as
/// a node of its own, every edge joins two different ends, and there is a way from each end to
/// each other. So many `notes` stand for nodes that are left out.
fn check(drawing: &str, cards: usize, notes: usize) {
    assert!(drawing.starts_with("graph "), "{drawing}");
    let mut depth = 0;
    let mut declared = BTreeSet::new();
    let mut neighbours: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in drawing.lines().map(str::trim) {
        if line.ends_with('{') {
            depth += 1;
        } else if line == "}" {
            depth -= 1;
            assert!(depth >= 0);
        } else {
            assert!(depth > 0 && line.ends_with(';'), "{line}");
            let Some((from, rest)) = quoted(line) else { continue };
            if let Some(rest) = rest.strip_prefix(" -- ") {
                let (to, rest) = quoted(rest).unwrap();
                assert!(rest.starts_with(" [label=\"") && rest.ends_with("];"), "{line}");
                assert_ne!(from, to);
                neighbours.entry(from).or_default().push(to);
                neighbours.entry(to).or_default().push(from);
            } else {
                assert!(declared.insert(from), "{from} is declared twice");
            }
        }
    }
    assert_eq!(depth, 0);
    let count = declared.len();
    declared.retain(|name| !name.ends_with(" rest"));
    assert_eq!((declared.len(), count - declared.len()), (cards, notes));
    for card in &declared {
        assert!(neighbours.contains_key(card), "{card} has no link");
    }
    for end in neighbours.keys() {
        let known = ["GPU", "NIC", "PCIe switch", "NVSwitch", "socket", "leaf", "spine"];
        assert!(known.iter().any(|kind| end.contains(kind)), "{end}");
        assert_eq!(end.contains("GPU"), declared.contains(end), "{end}");
    }
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = neighbours.keys().take(1).copied().collect();
    while let Some(end) = next.pop() {
        if reached.insert(end) {
            next.extend(&neighbours[end]);
        }
    }
    assert_eq!(reached.len(), neighbours.len(), "all hangs together");
}

#[test]
fn drawings_are_well_formed() {
    let shape = |shape: &str| {
        let shape = format!("InfiniBand, shape: {shape}");
        changed(MIXED, &[("InfiniBand", &shape), ("count: 1", "count: 5"), ("dp: 4", "dp: 12")])
    };
    let named = changed(MIXED, &[("design:", r#"name: "a \"b\" {c} \\ --", design:"#)]);
    for (scenario, cards) in [
        (MIXED.to_owned(), 16),
        (EXPLICIT.to_owned(), 8),
        (shape("SingleSwitch").replace("global_batch: 64", "global_batch: 96"), 48),
        (shape("LeafSpine(nodes_per_leaf: 2, spines: 3)").replace("batch: 64", "batch: 96"), 48),
        (shape("RailOptimized(nodes_per_pod: 3, spines: 2)").replace("batch: 64", "batch: 96"), 48),
        (named, 16),
    ] {
        let folder = folder_with("it.ron", scenario);
        let drawing = answer(folder.path(), &["export", "dot", "it.ron"]);
        check(&drawing, cards, 0);
        let none = answer(folder.path(), &["export", "dot", "it.ron", "-o", "it.dot"]);
        assert_eq!(none, "");
        let written = std::fs::read_to_string(folder.path().join("it.dot")).unwrap();
        assert_eq!(written, drawing);
    }
}

#[test]
fn shipped_clusters_can_be_drawn() {
    for (scenario, cards) in [
        ("scenarios/four_types_llama2_13b_equal.ron", 32),
        ("scenarios/h100_llama2_70b.ron", 64),
        ("scenarios/measured/amp_v100_t4_dp4_pp4.ron", 16),
    ] {
        check(&answer(&root(), &["export", "dot", scenario]), cards, 0);
    }
}

/// Of a large cluster few nodes stand for all.
#[test]
fn equal_nodes_can_be_left_out() {
    let draw = |scenario: &str, count: &str| {
        answer(&root(), &["export", "dot", scenario, "--nodes-per-group", count])
    };
    check(&draw("scenarios/h100_llama2_70b.ron", "2"), 16, 1);
    check(&draw("scenarios/h100_llama2_70b.ron", "8"), 64, 0);
    check(&draw("scenarios/measured/amp_v100_t4_dp4_pp4.ron", "1"), 8, 1);
    check(&draw("scenarios/scale/llama3_405b_1m.ron", "1"), 8, 1);
}
