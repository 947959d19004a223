//! H800 on 3.2 Tb/s a server against A100 on 1.6 Tb/s: eleven days to four?

use anyhow::Result;
use motley_plot::{Axis, Bar, Bars, Figure};

use super::output::{Output, four, log};
use super::{claim, planned, throughput};

const BUDGET: f64 = 3.0;

/// Models with their training.
const MODELS: [(&str, &str); 4] = [
    ("llama-2-13b", "(global_batch: 1024, sequence_length: 4096, precision: Bf16)"),
    ("llama-2-70b", "(global_batch: 1024, sequence_length: 4096, precision: Bf16)"),
    ("gpt3-175b", "(global_batch: 1536, sequence_length: 2048, precision: Bf16)"),
    ("mixtral-8x7b", "(global_batch: 1024, sequence_length: 4096, precision: Bf16)"),
];

/// Clusters of 512 cards: what differs from the one before.
const CLUSTERS: [(&str, &str, &str, &str); 4] = [
    ("A100, 1.6 Tb/s", "dgx-a100", "roce-200", "tencent-a800"),
    ("A800, 1.6 Tb/s", "hgx-a800", "roce-200", "tencent-a800"),
    ("H800, 1.6 Tb/s", "hgx-h800", "roce-200", "tencent-a800"),
    ("H800, 3.2 Tb/s", "hgx-h800", "roce-400", "tencent-h800"),
];

pub(super) fn run(output: &Output) -> Result<()> {
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    for (model, training) in MODELS {
        let mut first = 0.0;
        for (name, design, nic, fabric) in CLUSTERS {
            log(&format!("{model}, {name}"));
            let overrides = [
                "plan=Auto".to_owned(),
                format!("model=Preset({model:?})"),
                format!("training={training}"),
                format!("cluster.groups=[(design: {design:?}, count: 64, nic: {nic:?})]"),
                format!("cluster.fabric=Preset({fabric:?})"),
            ];
            let scenario = claim("tencent_a100_llama2_70b", &overrides)?;
            let rate = throughput(&scenario, &planned(&scenario, BUDGET)?);
            if first == 0.0 {
                first = rate;
            }
            rows.push(vec![
                model.to_owned(),
                name.replace(',', ""),
                four(rate),
                four(rate / first),
                four(11.0 * first / rate),
            ]);
            if name != CLUSTERS[0].0 {
                let mut bar = Bar::new(model, rate / first);
                name.clone_into(&mut bar.group);
                bars.push(bar);
            }
        }
    }
    let bars = Bars {
        axis: Axis::linear("throughput over that of 512 A100 on 1.6 Tb/s").from_zero(),
        bars,
        references: vec![(11.0 / 4.0, "reported: 11 days to 4".to_owned())],
    };
    let figure = Figure::new("512 H800 against 512 A100 of the generation before", bars)
        .describe("Each cluster with its best plan.");
    output.figure("generations", &figure)?;
    output.numbers(
        "generations",
        &["model", "cluster", "samples_per_s", "over_a100_ratio", "instead_of_11_days"],
        &rows,
    )
}
