//! A100 with V100 and P100 in one job, with and without balance.

use anyhow::Result;
use motley::simulate;
use motley_plot::{Axis, Bar, Bars, Figure};

use super::output::{Output, four, log};
use super::{claim, planned, throughput};

const BUDGET: f64 = 4.0;

const MODELS: [(&str, &str); 3] = [
    ("bert-large", "(global_batch: 1536, sequence_length: 512, precision: Fp16)"),
    ("gpt3-1.3b", "(global_batch: 768, sequence_length: 2048, precision: Fp16)"),
    ("llama-2-7b", "(global_batch: 384, sequence_length: 2048, precision: Fp16)"),
];

const POOLS: [(&str, &[&str]); 3] = [
    ("A100 + V100", &["dgx-a100", "dgx1-v100"]),
    ("A100 + P100", &["dgx-a100", "dgx1-p100"]),
    ("A100 + V100 + P100", &["dgx-a100", "dgx1-v100", "dgx1-p100"]),
];

pub(super) fn run(output: &Output) -> Result<()> {
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    for (model, training) in MODELS {
        let scenario = |designs: &[&str], plan: &str| {
            let groups: Vec<String> = designs
                .iter()
                .map(|design| format!("(design: {design:?}, count: 2, nic: \"cx6-hdr\")"))
                .collect();
            let overrides = [
                format!("plan={plan}"),
                format!("model=Preset({model:?})"),
                format!("training={training}"),
                format!("cluster.groups=[{}]", groups.join(", ")),
            ];
            claim("old_cards_gpt3_1_3b", &overrides)
        };
        let alone = scenario(&["dgx-a100"], "Auto")?;
        let reference = throughput(&alone, &planned(&alone, BUDGET)?);
        for (name, designs) in POOLS {
            log(&format!("{model}, {name}"));
            let cards = designs.len() as u32 * 16;
            // Data parallelism as a first user has it: every card the same.
            let rate_of = |micro_batches: &str| -> f64 {
                let sizes = [1, 2, 4, 8];
                sizes
                    .iter()
                    .flat_map(|size| [1, 3].map(|stage| (size, stage)))
                    .flat_map(|(size, stage)| ["None", "Full"].map(|again| (size, stage, again)))
                    .filter_map(|(size, stage, again)| {
                        let plan = format!(
                            "Uniform(dp: {cards}, tp: 1, pp: 1, micro_batch_size: {size}, recompute: {again}, \
                             zero: (stage: {stage}), micro_batches: {micro_batches})"
                        );
                        let scenario = scenario(designs, &plan).ok()?;
                        let report = simulate(&scenario).ok()?;
                        let fits = report.out_of_memory.is_empty();
                        fits.then_some(report.efficiency.samples_per_s)
                    })
                    .fold(0.0, f64::max)
            };
            let equal = rate_of("Equal");
            let proportional = rate_of("Proportional");
            let open = scenario(designs, "Auto")?;
            let found = planned(&open, BUDGET)?;
            let best = throughput(&open, &found);
            let used = found.best().map_or(0, |judged| judged.plan.gpus().count());
            rows.push(vec![
                model.to_owned(),
                name.to_owned(),
                four(equal / reference),
                four(proportional / reference),
                four(best / reference),
                used.to_string(),
            ]);
            for (value, group) in [
                (equal, "every card the same"),
                (proportional, "micro-batches by speed"),
                (best, "best plan"),
            ] {
                if value == 0.0 {
                    continue;
                }
                let mut bar = Bar::new(format!("{model}: {name}"), value / reference);
                group.clone_into(&mut bar.group);
                bars.push(bar);
            }
        }
    }
    let bars = Bars {
        axis: Axis::linear("throughput over that of the 16 A100 alone").from_zero(),
        bars,
        references: vec![(1.0, "16 A100 alone".to_owned())],
    };
    let figure = Figure::new("What V100 and P100 add to A100 in one job", bars).describe(
        "16 cards of each. Without balance every card gets the same micro-batches; where no bar is, it does not fit.",
    );
    output.figure("old_cards", &figure)?;
    output.numbers(
        "old_cards",
        &["model", "pool", "equal_ratio", "proportional_ratio", "best_ratio", "used_card_count"],
        &rows,
    )
}
