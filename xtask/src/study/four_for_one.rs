//! Do three or four cards that may be had equal one H100, and four kinds put together?

use anyhow::Result;
use motley_equivalence::{Nodes, Question, equivalent};
use motley_planner::Origin;
use motley_plot::{Axis, Bar, Bars, Figure};

use super::output::{Output, four, log, maybe};
use super::{claim, of_rival, planned, throughput};

const BUDGET: f64 = 2.0;

const CARDS: [&str; 7] = [
    "h800-sxm",
    "a800-sxm-80",
    "a100-sxm-80",
    "a100-sxm-40",
    "v100-sxm2-32",
    "h20-96",
    "ascend-910b2",
];

pub(super) fn run(output: &Output) -> Result<()> {
    let reference = claim("h100_8_llama2_13b", &["plan=Auto".to_owned()])?;
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    for card in CARDS {
        log(card);
        let question = Question {
            nodes: Nodes::of(card, None, None)?,
            budget_s: BUDGET,
            most: 256,
            models: Vec::new(),
            multiples: Vec::new(),
        };
        let answer = equivalent(&reference, &question, &|_, _| {})?;
        let cards = f64::from(answer.reference.cards);
        let count = answer.count;
        rows.push(vec![
            card.to_owned(),
            maybe(answer.count_ratio()),
            maybe(count.and_then(|count| count.low).map(|low| low / cards)),
            maybe(count.and_then(|count| count.high).map(|high| high / cards)),
            maybe(answer.hard_bound().map(|bound| bound.ratio)),
            answer.binding().map_or_else(String::new, |given| given.resource.name().to_owned()),
            maybe(answer.cost_ratio()),
            maybe(answer.power_ratio()),
        ]);
        if let (Some(count), Some(ratio)) = (count, answer.count_ratio()) {
            let mut bar = Bar::new(question.nodes.device.name.clone(), ratio);
            bar.interval = count.low.zip(count.high).map(|(low, high)| (low / cards, high / cards));
            bars.push(bar);
        }
    }
    let bars = Bars {
        axis: Axis::linear("cards for one H100").from_zero(),
        bars,
        references: vec![(3.0, "three".to_owned()), (4.0, "four".to_owned())],
    };
    let figure = Figure::new("Cards that train Llama-2-13B as fast as one H100", bars).describe(
        "In place of a server of eight H100, each side with its best plan; lines are four of five cases as far \
         as errors on published runs tell.",
    );
    output.figure("four_for_one", &figure)?;
    output.numbers(
        "four_for_one",
        &[
            "card",
            "count_ratio",
            "low_ratio",
            "high_ratio",
            "hard_bound_ratio",
            "binding_resource",
            "cost_ratio",
            "rated_power_ratio",
        ],
        &rows,
    )?;
    combined(output, &reference)
}

/// Servers of several kinds together, 32 cards in place of eight H100.
fn combined(output: &Output, reference: &motley::Scenario) -> Result<()> {
    let target = throughput(reference, &planned(reference, BUDGET)?);
    let group = |design: &str| format!("(design: \"{design}\", count: 1, nic: \"cx6-hdr\")");
    let mixes: [(&str, &[&str]); 5] = [
        ("A800 alone (8)", &["hgx-a800"]),
        ("A800 + A100 (16)", &["hgx-a800", "dgx-a100"]),
        ("A800 + A100 + V100 (24)", &["hgx-a800", "dgx-a100", "dgx1-v100"]),
        ("A800 + A100 + V100 + P100 (32)", &["hgx-a800", "dgx-a100", "dgx1-v100", "dgx1-p100"]),
        ("A800 + V100 + P100 (24)", &["hgx-a800", "dgx1-v100", "dgx1-p100"]),
    ];
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    for (name, designs) in mixes {
        log(name);
        let groups: Vec<String> = designs.iter().map(|design| group(design)).collect();
        let overrides = ["plan=Auto".to_owned(), format!("cluster.groups=[{}]", groups.join(", "))];
        let scenario = claim("combined_llama2_13b", &overrides)?;
        let found = planned(&scenario, 3.0 * BUDGET)?;
        let best = throughput(&scenario, &found) / target;
        let uniform = of_rival(&scenario, &found, Origin::Uniform) / target;
        let used = found.best().map_or(0, |judged| judged.plan.gpus().count());
        rows.push(vec![name.to_owned(), four(best), four(uniform), used.to_string()]);
        for (value, group) in [(best, "best plan"), (uniform, "one plan for all cards")] {
            if value == 0.0 {
                continue;
            }
            let mut bar = Bar::new(name, value);
            group.clone_into(&mut bar.group);
            bars.push(bar);
        }
    }
    let bars = Bars {
        axis: Axis::linear("throughput over that of eight H100").from_zero(),
        bars,
        references: vec![(1.0, "eight H100".to_owned())],
    };
    let figure = Figure::new("Servers of unlike cards together, Llama-2-13B", bars).describe(
        "Each a server of eight. One plan for all cards is Megatron-LM's uniform rule, the best of its eight best; \
         the best plan cuts layers and deals micro-batches by speed and may leave cards idle.",
    );
    output.figure("combined", &figure)?;
    output.numbers("combined", &["pool", "best_ratio", "uniform_ratio", "used_card_count"], &rows)
}
