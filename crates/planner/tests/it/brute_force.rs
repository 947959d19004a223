//! On tiny pools the planner's plan is the best of all there are, by an enumeration that shares no line
//! with it.

use motley::{Evaluator, Scenario};
use motley_hardware::Cited;
use motley_planner::{Options, search};
use motley_scheduler::{
    ContextParallel, ExpertParallel, GradientSync, Offload, ParameterGather, Pipeline, Plan,
    Reduction, Schedule, Sharded, Shares, Stage, Zero,
};
use motley_topology::GpuId;
use motley_workload::Recompute;

use crate::pools::{open_on, small};

/// Cards 0.. of the first node and from `second` of the other.
struct Tiny {
    scenario: Scenario,
    /// Cards by node.
    nodes: [Vec<u32>; 2],
    layers: u32,
    batch: u32,
}

/// Stages of one plan: which cards form a stage, in which pipeline and in which order. Cards of a node
/// are alike, so a plan is a list of pipelines of stages (node, cards), in any order of pipelines.
type Shape = Vec<Vec<(usize, u32)>>;

/// Every pipeline that `left` cards of both nodes allow.
fn pipelines(left: [u32; 2], deepest: u32) -> Vec<Vec<(usize, u32)>> {
    let mut found = vec![Vec::new()];
    if deepest == 0 {
        return found;
    }
    for node in 0..2 {
        for degree in [1, 2, 4] {
            if degree > left[node] {
                continue;
            }
            let mut rest = left;
            rest[node] -= degree;
            for tail in pipelines(rest, deepest - 1) {
                let mut all = vec![(node, degree)];
                all.extend(tail);
                found.push(all);
            }
        }
    }
    found
}

/// Every set of pipelines, each set once.
fn shapes(left: [u32; 2], least: &[(usize, u32)], layers: u32) -> Vec<Shape> {
    let mut found = vec![Vec::new()];
    for first in pipelines(left, layers + 2) {
        if first.is_empty() || first.as_slice() < least {
            continue;
        }
        let mut rest = left;
        for &(node, degree) in &first {
            rest[node] -= degree;
        }
        for tail in shapes(rest, &first, layers) {
            let mut all = vec![first.clone()];
            all.extend(tail);
            found.push(all);
        }
    }
    found
}

/// Every way to cut `layers` into `count` ranges of which only the first and the last may be empty.
fn cuts(layers: u32, count: u32) -> Vec<Vec<u32>> {
    fn ends(from: u32, layers: u32, stage: u32, count: u32) -> Vec<Vec<u32>> {
        if stage + 1 == count {
            return vec![vec![layers]];
        }
        let least = if stage == 0 { from } else { from + 1 };
        (least..=layers)
            .flat_map(|end| {
                ends(end, layers, stage + 1, count).into_iter().map(move |mut tail| {
                    tail.insert(0, end);
                    tail
                })
            })
            .collect()
    }
    ends(0, layers, 0, count)
}

/// Every way to deal `items` to `hands`, at least one each.
fn deals(items: u32, hands: usize) -> Vec<Vec<u32>> {
    if hands == 1 {
        return if items > 0 { vec![vec![items]] } else { Vec::new() };
    }
    (1..items)
        .flat_map(|own| {
            deals(items - own, hands - 1).into_iter().map(move |mut rest| {
                rest.insert(0, own);
                rest
            })
        })
        .collect()
}

/// The plan of a shape, with cards in order of their numbers.
fn plan(
    tiny: &Tiny,
    shape: &Shape,
    cut: &[Vec<u32>],
    counts: &[u32],
    size: u32,
    zero: bool,
) -> Plan {
    let mut next = [0, 0];
    let pipelines = shape
        .iter()
        .zip(cut)
        .zip(counts)
        .map(|((stages, ends), &micro_batches)| {
            let mut start = 0;
            let stages = stages
                .iter()
                .zip(ends)
                .map(|(&(node, degree), &end)| {
                    let from = next[node];
                    next[node] += degree as usize;
                    let gpus = tiny.nodes[node][from..next[node]].iter().map(|&gpu| GpuId(gpu));
                    let layers = start..end;
                    start = end;
                    Stage {
                        gpus: gpus.collect(),
                        context: ContextParallel::NONE,
                        experts: ExpertParallel::NONE,
                        chunks: vec![layers],
                        recompute: Recompute::None,
                        offload: Offload::default(),
                    }
                })
                .collect();
            Pipeline { micro_batches, micro_batch_size: size, stages }
        })
        .collect();
    Plan {
        pipelines,
        schedule: Schedule::OneFOneB,
        sequence_parallel: true,
        overlap_weight_gradient: true,
        overlap_tensor: false,
        scatter_gather: true,
        activation_sends: motley_scheduler::ActivationSends::AtOnce,
        gradient_sync: GradientSync::AtEnd,
        zero: Zero {
            sharded: if zero {
                Sharded::Optimizer(ParameterGather::AtEnd)
            } else {
                Sharded::Nothing
            },
            group: None,
            shares: Shares::Equal,
            reduction: Reduction::Scattered,
        },
    }
}

/// The shortest iteration of all plans, seconds, and how many there were.
fn best(tiny: &Tiny) -> (f64, u32, String) {
    let mut evaluator = Evaluator::new();
    let (mut least, mut tried, mut which) = (f64::INFINITY, 0, String::new());
    for size in (0..4).map(|power| 1 << power).filter(|size| tiny.batch.is_multiple_of(*size)) {
        let all = tiny.batch / size;
        let left = [0, 1].map(|node| tiny.nodes[node].len() as u32);
        for shape in shapes(left, &[], tiny.layers) {
            if shape.is_empty() || shape.len() as u32 > all {
                continue;
            }
            let of_stages: Vec<Vec<Vec<u32>>> =
                shape.iter().map(|stages| cuts(tiny.layers, stages.len() as u32)).collect();
            let mut combined: Vec<Vec<Vec<u32>>> = vec![Vec::new()];
            for options in &of_stages {
                combined = combined
                    .into_iter()
                    .flat_map(|chosen| {
                        options.iter().map(move |option| {
                            let mut chosen = chosen.clone();
                            chosen.push(option.clone());
                            chosen
                        })
                    })
                    .collect();
            }
            for cut in &combined {
                for counts in deals(all, shape.len()) {
                    let zeros: &[bool] = if shape.len() > 1 { &[false, true] } else { &[false] };
                    for &zero in zeros {
                        let plan = plan(tiny, &shape, cut, &counts, size, zero);
                        let Ok(prepared) = evaluator.prepare_plan(&tiny.scenario, plan) else {
                            continue;
                        };
                        if prepared.out_of_memory().is_empty() {
                            let (time, _) = prepared.iteration().unwrap();
                            tried += 1;
                            if time.as_secs_f64() < least {
                                least = time.as_secs_f64();
                                which = format!("{shape:?} {cut:?} {counts:?} of {size}, {zero}");
                            }
                        }
                    }
                }
            }
        }
    }
    (least, tried, which)
}

fn check(tiny: &Tiny) {
    let (least, tried, which) = best(tiny);
    let options = Options { budget_s: 8.0, ..Options::default() };
    let found = search(&tiny.scenario, &options, &|_| {}).unwrap();
    let own = found.ranked[0].time.unwrap().as_secs_f64();
    assert!(!found.cut, "the search was cut short");
    assert!(tried > 100, "{tried} plans are no test");
    // The planner may know more: ZeRO 2 and 3, unequal sizes, recomputation.
    assert!(
        own <= least * (1.0 + 1e-9),
        "{own} s, but of {tried} plans one takes {least} s: {which}; {:?}",
        found.ranked[0].plan
    );
    assert!(found.lower_bound_s <= least, "the bound {} is above {least}", found.lower_bound_s);
}

/// So many cards of two types in two nodes without NVLink, joined by Ethernet.
fn tiny(devices: [&str; 2], cards: [u32; 2], layers: u32, batch: u32) -> Tiny {
    let training = format!("global_batch: {batch}, sequence_length: 512, precision: Fp16");
    let group = |device| format!(r#"(design: "g4dn.12xlarge", count: 1, device: "{device}")"#);
    let groups = devices.map(group).join(", ");
    let mut scenario = open_on("Ethernet", &groups, &small(layers), &training);
    for (group, &count) in scenario.cluster.groups.iter_mut().zip(&cards) {
        // Smaller nodes than anybody sells.
        group.design.gpus = count;
        let mut pcie = group.design.pcie.get().clone();
        pcie.switches.retain(|switch| switch.gpus.iter().all(|gpu| *gpu < count));
        group.design.pcie = Cited::Derived(pcie, "a test".to_owned());
    }
    let nodes = [(0..cards[0]).collect(), (cards[0]..cards[0] + cards[1]).collect()];
    Tiny { scenario, nodes, layers, batch }
}

#[test]
fn two_cards_each_of_two_types() {
    check(&tiny(["a100-pcie-40", "v100-pcie-16"], [2, 2], 4, 8));
}

#[test]
fn few_fast_cards_beside_many_slow_ones() {
    check(&tiny(["v100-pcie-16", "t4"], [1, 4], 4, 8));
}

#[test]
fn a_batch_that_does_not_divide() {
    check(&tiny(["v100-pcie-16", "p100-pcie-16"], [2, 2], 5, 7));
}

#[test]
fn more_layers_than_cards() {
    check(&tiny(["a100-pcie-40", "t4"], [2, 3], 6, 4));
}
