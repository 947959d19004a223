//! Ascend 910B beside A800: what a bridge between vendors must carry.

use anyhow::Result;
use motley_planner::Origin;
use motley_plot::{Axis, Chart, Figure, Reference, Series};

use super::output::{Output, four, log};
use super::{claim, of_rival, planned, throughput};

const BUDGET: f64 = 3.0;

const MODELS: [(&str, &str); 2] = [
    ("llama-2-13b", "(global_batch: 512, sequence_length: 4096, precision: Bf16)"),
    ("llama-2-70b", "(global_batch: 512, sequence_length: 4096, precision: Bf16)"),
];

const PORTS: [f64; 6] = [1.0, 5.0, 10.0, 25.0, 100.0, 200.0];

pub(super) fn run(output: &Output) -> Result<()> {
    let mut rows = Vec::new();
    let mut chart = Chart::new(
        Axis::log("network, Gb/s a port").ticks(PORTS),
        Axis::linear("throughput over both parts alone").from_zero(),
    );
    for (model, training) in MODELS {
        let mut best_points = Vec::new();
        let mut uniform_points = Vec::new();
        for port in PORTS {
            log(&format!("{model}, {port} Gb/s"));
            let scenario = |groups: &[&str]| {
                let groups: Vec<String> = groups
                    .iter()
                    .map(|design| format!("(design: {design:?}, count: 4, nic: \"roce-200\")"))
                    .collect();
                let overrides = [
                    "plan=Auto".to_owned(),
                    format!("model=Preset({model:?})"),
                    format!("training={training}"),
                    format!("cluster.groups=[{}]", groups.join(", ")),
                    format!("cluster.fabric.port=Gbps({port})"),
                ];
                claim("a800_ascend_910b_llama2_13b", &overrides)
            };
            let both = scenario(&["hgx-a800", "atlas-800t-a2"])?;
            let found = planned(&both, BUDGET)?;
            let mut alone = [0.0; 2];
            for (rate, design) in alone.iter_mut().zip(["hgx-a800", "atlas-800t-a2"]) {
                let part = scenario(&[design])?;
                *rate = throughput(&part, &planned(&part, BUDGET)?);
            }
            let [a800, ascend] = alone;
            let best = throughput(&both, &found);
            let uniform = of_rival(&both, &found, Origin::Uniform);
            rows.push(vec![
                model.to_owned(),
                four(port),
                four(a800),
                four(ascend),
                four(best),
                four(uniform),
                four(best / (a800 + ascend)),
                four(best / a800),
            ]);
            best_points.push((port, best / (a800 + ascend)));
            if uniform > 0.0 {
                uniform_points.push((port, uniform / (a800 + ascend)));
            }
        }
        chart = chart.with(Series::line(format!("{model}, best plan"), best_points));
        if !uniform_points.is_empty() {
            chart =
                chart.with(Series::points(format!("{model}, one plan for all"), uniform_points));
        }
    }
    let chart = chart.with(Reference::horizontal(1.0, "sum of both"));
    let figure = Figure::new("32 A800 and 32 Ascend 910B2 in one job", chart).describe(
        "Vendors share no collective: they meet at boundaries of stages. Both parts alone are on the same network.",
    );
    output.figure("vendors", &figure)?;
    output.numbers(
        "vendors",
        &[
            "model",
            "port_gbps",
            "a800_samples_per_s",
            "ascend_samples_per_s",
            "both_samples_per_s",
            "uniform_samples_per_s",
            "mixing_efficiency_ratio",
            "over_a800_ratio",
        ],
        &rows,
    )
}
