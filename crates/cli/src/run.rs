//! `motley run`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use motley::{MemoryTimeline, TraceLimits, json, load, prepare, text};

use crate::args::{Format, Run};
use crate::exit::{CommandFailure, Exit, print, provenance, remark, warn};
use crate::files::PendingFile;
use crate::progress::Progress;

pub(crate) fn run(arguments: &Run) -> Result<Exit, CommandFailure> {
    let start = Instant::now();
    // --seed and --iterations are overrides like any other, so that the hash tells them.
    let mut overrides = arguments.scenario.set.clone();
    overrides.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    overrides.extend(arguments.iterations.map(|count| format!("iterations={count}")));
    let scenario = load(&arguments.scenario.scenario, &overrides)?;
    warn(&scenario);
    let prepared = prepare(&scenario)?;
    let prepared_at = start.elapsed();

    let watched = arguments.trace.is_some() || arguments.memory_timeline.is_some();
    let operations = prepared.operations(watched);
    let progress = Progress::new(scenario.iterations, operations, start);
    // The first iteration is counted while it runs, the others when they are over.
    let first = AtomicBool::new(true);
    let over = || {
        if !first.swap(false, Ordering::Relaxed) {
            progress.iteration_done();
        }
    };
    let mut trace = match &arguments.trace {
        Some(path) => {
            Some((path, PendingFile::create(path)?, prepared.trace(TraceLimits::default())))
        }
        None => None,
    };
    let mut timeline = match &arguments.memory_timeline {
        Some(path) => {
            let form = TimelineForm::of(path)?;
            Some((form, PendingFile::create(path)?, prepared.memory_timeline()))
        }
        None => None,
    };
    let recorders = (
        trace.as_mut().map(|(_, _, trace)| trace),
        timeline.as_mut().map(|(_, _, timeline)| timeline),
    );
    let replays = prepared.replay(&mut (recorders, progress.watch()), &over)?;
    if let Some((path, file, trace)) = trace {
        let mut bytes = Vec::new();
        trace.write(&mut bytes)?;
        file.write(&bytes)?;
        if let Some(note) = trace.note() {
            remark(&format!("note: {}: {note}", path.display()));
        }
    }
    if let Some((form, file, timeline)) = timeline {
        file.write(form.text(&timeline)?.as_bytes())?;
    }
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
            let document = json(&report, &provenance(&scenario)).map_err(anyhow::Error::from)?;
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

/// The forms of a memory timeline, by the ending of its file's name.
#[derive(Clone, Copy, Debug)]
enum TimelineForm {
    Csv,
    Json,
}

impl TimelineForm {
    fn of(path: &Path) -> Result<Self, CommandFailure> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            _ => Err(CommandFailure::input(format!(
                "--memory-timeline: `{}` ends neither in .csv nor in .json; name it so",
                path.display()
            ))),
        }
    }

    fn text(self, timeline: &MemoryTimeline) -> anyhow::Result<String> {
        Ok(match self {
            Self::Csv => timeline.csv(),
            Self::Json => timeline.json()?,
        })
    }
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
