//! Are three thousand H800 needed where a hundred, or a thousand, H100 suffice?

use anyhow::Result;
use motley_equivalence::{Equivalent, Nodes, Question, equivalent};
use motley_plot::{Axis, Chart, Figure, Point, Reference, Series};

use super::claim;
use super::output::{Output, four, log, maybe};

/// Effort of each search, seconds.
const BUDGET: f64 = 2.0;

/// Servers of H100: a hundred cards and four, and a thousand.
const SERVERS: [u32; 2] = [13, 125];

/// Models, what they are trained with, and their parameters in billions.
const MODELS: [(&str, &str, f64); 4] = [
    ("llama-2-7b", "(global_batch: 1024, sequence_length: 4096, precision: Bf16)", 6.7),
    ("llama-2-13b", "(global_batch: 1024, sequence_length: 4096, precision: Bf16)", 13.0),
    ("llama-2-70b", "(global_batch: 1024, sequence_length: 4096, precision: Bf16)", 69.0),
    ("gpt3-175b", "(global_batch: 1536, sequence_length: 2048, precision: Bf16)", 175.0),
];

/// NICs of the H800's servers, Gb/s a card: what the cards are built with, and less.
const NICS: [(&str, f64); 6] = [
    ("cx7-ndr", 400.0),
    ("cx6-hdr", 200.0),
    ("edr", 100.0),
    ("eth-50", 50.0),
    ("eth-25", 25.0),
    ("eth-10", 10.0),
];

fn ask(model: usize, servers: u32, nic: Option<&str>) -> Result<Equivalent> {
    let (name, training, _) = MODELS[model];
    let overrides = [
        "plan=Auto".to_owned(),
        format!("cluster.groups[0].count={servers}"),
        format!("model=Preset({name:?})"),
        format!("training={training}"),
    ];
    let scenario = claim("h100_1000_gpt3_175b", &overrides)?;
    let question = Question {
        nodes: Nodes::of("h800-sxm", None, nic)?,
        budget_s: BUDGET,
        most: servers * 8 * 8,
        models: Vec::new(),
        multiples: Vec::new(),
    };
    log(&format!("{name}, {} H100, {}", servers * 8, nic.unwrap_or("400 Gb/s")));
    Ok(equivalent(&scenario, &question, &|_, _| {})?)
}

fn row(model: usize, servers: u32, nic: f64, answer: &Equivalent) -> Vec<String> {
    let count = answer.count;
    vec![
        MODELS[model].0.to_owned(),
        (servers * 8).to_string(),
        four(nic),
        maybe(count.map(|count| count.cards)),
        maybe(count.and_then(|count| count.low)),
        maybe(count.and_then(|count| count.high)),
        maybe(answer.count_ratio()),
        maybe(answer.hard_bound().map(|bound| bound.ratio)),
        maybe(answer.cost_ratio()),
    ]
}

const COLUMNS: [&str; 9] = [
    "model",
    "h100_count",
    "h800_nic_gbps",
    "h800_count",
    "low_count",
    "high_count",
    "count_ratio",
    "hard_bound_ratio",
    "cost_ratio",
];

pub(super) fn run(output: &Output) -> Result<()> {
    let mut rows = Vec::new();
    let mut chart = Chart::new(
        Axis::log("parameters, billions"),
        Axis::log("H800 for one H100").ticks([0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0]),
    );
    for servers in SERVERS {
        let mut points = Vec::new();
        for (model, (_, _, billions)) in MODELS.iter().enumerate() {
            let answer = ask(model, servers, None)?;
            rows.push(row(model, servers, 400.0, &answer));
            if let (Some(count), Some(ratio)) = (answer.count, answer.count_ratio()) {
                let over = |cards: f64| cards / f64::from(servers * 8);
                let interval = count.low.zip(count.high).map(|(low, high)| (over(low), over(high)));
                // The two references side by side.
                let x = billions * if servers == SERVERS[0] { 0.97 } else { 1.03 };
                points.push(Point { x, y: ratio, interval });
            }
        }
        chart = chart.with(Series::line(format!("in place of {} H100", servers * 8), points));
    }
    for (at, label) in [
        (2.25, "hard bound: 900/400 GB/s of NVLink"),
        (3.0, "claim: 3,000 for 1,000"),
        (30.0, "claim: 3,000 for 100"),
    ] {
        chart = chart.with(Reference::horizontal(at, label));
    }
    let figure = Figure::new("How many H800 train as fast as H100", chart).describe(
        "Bars are four of five cases as far as errors on published runs tell. Each side has its best plan and \
         400 Gb/s a card.",
    );
    output.figure("h800", &figure)?;
    output.numbers("h800", &COLUMNS, &rows)
}

/// With which network would the claim hold?
pub(super) fn network(output: &Output) -> Result<()> {
    let mut rows = Vec::new();
    let mut chart = Chart::new(
        Axis::log("network of the H800, Gb/s a card").ticks(NICS.map(|(_, rate)| rate)),
        Axis::log("H800 for one H100 on 400 Gb/s").ticks([1.0, 1.5, 2.0, 3.0, 5.0, 10.0]),
    );
    for model in [1, 2] {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (nic, rate) in NICS {
            let answer = ask(model, SERVERS[0], Some(nic))?;
            rows.push(row(model, SERVERS[0], rate, &answer));
            if let Some(ratio) = answer.count_ratio() {
                points.push((rate, ratio));
            }
        }
        chart = chart.with(Series::line(MODELS[model].0, points));
    }
    let chart = chart
        .with(Reference::horizontal(2.25, "hard bound by NVLink alone"))
        .with(Reference::horizontal(3.0, "claim: 3 for 1"));
    let figure = Figure::new("What the network of the H800 would have to be", chart).describe(
        "104 H100 with 400 Gb/s a card; rates without a point reach them with no number of cards.",
    );
    output.figure("h800_network", &figure)?;
    output.numbers("h800_network", &COLUMNS, &rows)
}
