//! `motley run`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use motley::{Provenance, TraceLimits, json, load, prepare, text};

use crate::args::{Format, Run};
use crate::exit::{CommandFailure, Exit, color, print, remark};
use crate::files::PendingFile;
use crate::progress::Progress;

pub(crate) fn run(arguments: &Run) -> Result<Exit, CommandFailure> {
    let start = Instant::now();
    // --seed and --iterations are overrides like any other, so that the hash tells them.
    let mut overrides = arguments.scenario.set.clone();
    overrides.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    overrides.extend(arguments.iterations.map(|count| format!("iterations={count}")));
    let scenario = load(&arguments.scenario.scenario, &overrides)?;
    if !scenario.warnings.is_empty() {
        remark(scenario.warnings.render(&scenario.source, color()).trim_end());
    }
    let prepared = prepare(&scenario)?;
    let prepared_at = start.elapsed();

    let operations = prepared.operations(arguments.trace.is_some());
    let progress = Progress::new(scenario.iterations, operations, start);
    // The first iteration is counted while it runs, the others when they are over.
    let first = AtomicBool::new(true);
    let over = || {
        if !first.swap(false, Ordering::Relaxed) {
            progress.iteration_done();
        }
    };
    let file = arguments.trace.as_deref().map(PendingFile::create).transpose()?;
    let replays = if let Some((path, file)) = arguments.trace.as_ref().zip(file) {
        let mut trace = prepared.trace(TraceLimits::default());
        let replays = prepared.replay(&mut (&mut trace, progress.watch()), &over)?;
        let mut bytes = Vec::new();
        trace.write(&mut bytes)?;
        file.write(&bytes)?;
        if let Some(note) = trace.note() {
            remark(&format!("note: {}: {note}", path.display()));
        }
        replays
    } else {
        prepared.replay(&mut progress.watch(), &over)?
    };
    progress.finish();
    let report = prepared.report(&replays)?;

    let wall = start.elapsed();
    match arguments.format {
        Format::Text => {
            print(&text(&report))?;
            remark(&format!(
                "simulated in {:.2} s ({:.2} s to read, plan and lower)",
                wall.as_secs_f64(),
                prepared_at.as_secs_f64()
            ));
        }
        Format::Json => {
            let provenance = Provenance {
                tool_version: env!("CARGO_PKG_VERSION"),
                scenario_hash: &scenario.hash,
                seed: scenario.seed,
            };
            let document = json(&report, &provenance).map_err(anyhow::Error::from)?;
            let document = if arguments.timings {
                with_timings(&document, prepared_at, wall)?
            } else {
                document
            };
            print(&document)?;
        }
    }
    Ok(if report.fits { Exit::Ok } else { Exit::Gate })
}

/// The document with the wall-clock figures that it leaves out to be reproducible.
fn with_timings(
    document: &str,
    prepared: Duration,
    wall: Duration,
) -> Result<String, CommandFailure> {
    let timings = serde_json::json!({
        "prepare_wall_s": prepared.as_secs_f64(),
        "total_wall_s": wall.as_secs_f64(),
    });
    let body = document
        .trim_end()
        .strip_suffix('}')
        .ok_or_else(|| anyhow::anyhow!("the report is not a JSON object"))?;
    Ok(format!("{},\n  \"timings\": {timings}\n}}\n", body.trim_end()))
}
