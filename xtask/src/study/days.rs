//! How many A100 train a model of ChatGPT's class, and what does a stock of forty to fifty thousand train?

use anyhow::Result;
use motley::{Scenario, simulate};
use motley_plot::{Axis, Chart, Figure, Reference, Series};

use super::claim;
use super::output::{Output, four, log};

const DAY: f64 = 86_400.0;

/// Tokens a second of a scenario, and MFU; none if it is refused or does not fit.
fn rate(scenario: &Scenario) -> Option<(f64, f64)> {
    let report = simulate(scenario).ok()?;
    report.out_of_memory.is_empty().then_some(())?;
    Some((report.efficiency.tokens_per_s?, report.efficiency.mfu_ratio?))
}

/// The fastest of uniform plans on so many cards.
fn fastest(name: &str, base: &[String], cards: u32, layers: u32, batch: u32) -> Option<(f64, f64)> {
    let mut best: Option<(f64, f64)> = None;
    for pp in [1, 2, 4, 6, 7, 8, 9, 12, 14, 16, 18] {
        for chunks in [1, 2, 3, 4] {
            if !layers.is_multiple_of(pp * chunks) || pp == 1 && chunks > 1 {
                continue;
            }
            for tp in [4, 8] {
                let dp = cards / (pp * tp);
                if dp * pp * tp != cards || !batch.is_multiple_of(dp) {
                    continue;
                }
                let schedule = if chunks == 1 {
                    "OneFOneB".to_owned()
                } else {
                    format!("Interleaved(chunks: {chunks})")
                };
                for recompute in ["None", "Full"] {
                    let plan = format!(
                        "plan=Uniform(dp: {dp}, tp: {tp}, pp: {pp}, micro_batch_size: 1, \
                         sequence_parallel: true, schedule: {schedule}, recompute: {recompute}, \
                         zero: (stage: 1), gradient_sync: Overlapped(bucket: MiB(160)))"
                    );
                    let mut overrides = base.to_vec();
                    overrides.push(plan);
                    overrides.push(format!("cluster.groups[0].count={}", cards / 8));
                    overrides.push(format!("training.global_batch={batch}"));
                    let Ok(scenario) = claim(name, &overrides) else { continue };
                    if let Some(found) = rate(&scenario)
                        && best.is_none_or(|best| found.0 > best.0)
                    {
                        best = Some(found);
                    }
                }
            }
        }
    }
    best
}

pub(super) fn run(output: &Output) -> Result<()> {
    let mut rows = Vec::new();
    let mut chart = Chart::new(
        Axis::log("A100").ticks([768.0, 1536.0, 3072.0, 6144.0, 12288.0]),
        Axis::log("days for 300 billion tokens").ticks([3.0, 5.0, 10.0, 20.0, 30.0, 50.0]),
    );
    let name = "a100_1024_gpt3_175b";
    for (batch, label) in [
        (1536, "batch of 3.1 M tokens, as GPT-3"),
        (3072, "batch of 6.3 M tokens"),
        (6144, "batch of 12.6 M tokens"),
    ] {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for replicas in [12, 16, 24, 32, 48, 64, 96, 128, 192] {
            let cards = replicas * 64;
            log(&format!("{cards} A100, batch {batch}"));
            if let Some((tokens, mfu)) = fastest(name, &[], cards, 96, batch) {
                let days = 300e9 / tokens / DAY;
                rows.push(vec![
                    "gpt3-175b".to_owned(),
                    "300".to_owned(),
                    batch.to_string(),
                    cards.to_string(),
                    four(days),
                    four(mfu),
                ]);
                // Whoever has more cards may leave some idle.
                let least = points.last().map_or(days, |(_, before)| before.min(days));
                points.push((f64::from(cards), least));
            }
        }
        chart = chart.with(Series::line(label, points));
    }
    // As in 2021: everything computed again, nothing split along the sequence, optimizer states on every card.
    let early = [
        "plan=Uniform(dp: 16, tp: 8, pp: 8, micro_batch_size: 1, recompute: Full)".to_owned(),
        "training.fused_gradient_accumulation=false".to_owned(),
    ];
    if let Some((tokens, mfu)) = rate(&claim(name, &early)?) {
        let days = 300e9 / tokens / DAY;
        let row = ["gpt3-175b of 2021", "300", "1536", "1024"].map(str::to_owned);
        rows.push([row.as_slice(), &[four(days), four(mfu)]].concat());
        chart = chart.with(Series::points("the same plan as in 2021", [(1024.0, days)]));
    }
    let chart = chart
        .with(Reference::vertical(5000.0, "5,000"))
        .with(Reference::vertical(10_000.0, "10,000"))
        .with(Series::points("reckoned by Narayanan et al. 2021", [(1024.0, 34.0)]));
    let figure = Figure::new("GPT-3 175B on A100: days against cards", chart)
        .describe("The fastest of uniform plans; no failures, no restarts, no evaluation.");
    output.figure("days", &figure)?;

    // What a stock of 40,000 to 50,000 trains: one job on most of it, or many jobs side by side.
    for (model, layers, tokens, batch, sequence, cards) in [
        ("gpt3-175b", 96, 300e9, 1536, 2048, 1024),
        ("llama-3-70b", 80, 15e12, 2048, 8192, 4096),
        ("llama-3-70b", 80, 15e12, 2048, 8192, 8192),
        ("llama-3-405b", 126, 15.6e12, 2016, 8192, 8_064),
        ("llama-3-405b", 126, 15.6e12, 2016, 8192, 16_128),
        ("llama-3-405b", 126, 15.6e12, 4032, 8192, 32_256),
    ] {
        log(&format!("{model} on {cards}"));
        let base = [
            format!("model=Preset({model:?})"),
            format!(
                "training=(global_batch: {batch}, sequence_length: {sequence}, precision: Bf16, gradient_bytes: 4)"
            ),
        ];
        if let Some((rate, mfu)) = fastest(name, &base, cards, layers, batch) {
            rows.push(vec![
                model.to_owned(),
                four(tokens / 1e9),
                batch.to_string(),
                cards.to_string(),
                four(tokens / rate / DAY),
                four(mfu),
            ]);
        }
    }
    output.numbers(
        "days",
        &["model", "tokens_billions", "global_batch_count", "a100_count", "time_days", "mfu_ratio"],
        &rows,
    )
}
