//! When is a mix worse than leaving the old cards off? Over speed ratio, network and model size.

use anyhow::Result;
use motley::{Scenario, load_text};
use motley_planner::Origin;
use motley_plot::{Cell, Colours, Figure, HeatMap, Scale};

use super::output::{Output, four, log};
use super::{of_rival, planned, throughput};

const BUDGET: f64 = 0.5;

const MODELS: [(&str, &str); 3] = [
    ("gpt3-1.3b", "global_batch: 512, sequence_length: 2048"),
    ("gpt3-6.7b", "global_batch: 512, sequence_length: 2048"),
    ("llama-33b", "global_batch: 512, sequence_length: 2048"),
];

/// Speed of an old card over that of a new one.
const SPEEDS: [f64; 6] = [1.0, 0.7, 0.5, 0.35, 0.2, 0.1];

/// Network, Gb/s a port.
const PORTS: [f64; 5] = [10.0, 25.0, 50.0, 100.0, 200.0];

/// Four servers of new cards, A800, and four of old ones: as the new, but so many times as fast, with half
/// of the memory.
fn scenario(model: usize, speed: f64, port: f64, old: bool) -> Result<Scenario> {
    let (model, training) = MODELS[model];
    let slow = format!(
        ", (design: \"hgx-a800\", count: 4, nic: \"cx6-hdr\", name: \"old\", \
         scale: (compute: {speed}, memory_bandwidth: {speed}, memory: 0.5))"
    );
    let text = format!(
        "(
            cluster: (
                groups: [(design: \"hgx-a800\", count: 4, nic: \"cx6-hdr\", name: \"new\"){}],
                fabric: (technology: InfiniBand, port: Gbps({port})),
            ),
            model: Preset({model:?}),
            training: ({training}, precision: Bf16),
            plan: Auto,
        )",
        if old { slow.as_str() } else { "" },
    );
    Ok(load_text("map", &text, &[])?)
}

pub(super) fn run(output: &Output) -> Result<()> {
    let mut rows = Vec::new();
    for (number, (model, _)) in MODELS.iter().enumerate() {
        let mut maps = [Vec::new(), Vec::new()];
        for port in PORTS.iter().rev() {
            let alone = scenario(number, 1.0, *port, false)?;
            let reference = throughput(&alone, &planned(&alone, BUDGET)?);
            let mut lines = [Vec::new(), Vec::new()];
            for speed in SPEEDS {
                log(&format!("{model}, {port} Gb/s, speed {speed}"));
                let both = scenario(number, speed, *port, true)?;
                let found = planned(&both, BUDGET)?;
                let gains = [
                    of_rival(&both, &found, Origin::Uniform) / reference - 1.0,
                    throughput(&both, &found) / reference - 1.0,
                ];
                rows.push(vec![
                    (*model).to_owned(),
                    four(*port),
                    four(speed),
                    format!("{:.3}", gains[0]),
                    format!("{:.3}", gains[1]),
                ]);
                for (line, gain) in lines.iter_mut().zip(gains) {
                    let label = Some(format!("{:+.0} %", 100.0 * gain));
                    line.push(Some(Cell { value: gain, label }));
                }
            }
            maps.iter_mut().zip(lines).for_each(|(map, line)| map.push(line));
        }
        let [uniform, best] = maps;
        for (cells, name, how) in [
            (uniform, "map_uniform", "one plan for all cards"),
            (best, "map_best", "the best plan"),
        ] {
            let map = HeatMap {
                x: "speed of an old card over that of a new one".to_owned(),
                y: "network, Gb/s a port".to_owned(),
                values: "gain over the new cards alone".to_owned(),
                columns: SPEEDS.iter().map(ToString::to_string).collect(),
                rows: PORTS.iter().rev().map(|port| format!("{port:.0}")).collect(),
                cells,
                colours: Colours::Diverging { centre: 0.0 },
                scale: Scale::Linear,
            };
            let title = format!("32 old cards beside 32 new ones, {model}: {how}");
            let figure = Figure::new(title, map).describe(
                "New cards are A800; old ones have so many times their compute and memory bandwidth, and half of \
                 their memory. Below zero the old cards are better left off.",
            );
            output.figure(&format!("{name}_{model}"), &figure)?;
        }
    }
    output.numbers(
        "map",
        &["model", "port_gbps", "speed_ratio", "uniform_gain_ratio", "best_gain_ratio"],
        &rows,
    )
}
