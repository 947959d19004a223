//! `motley validate`.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use motley_study::runs::{ReadError, Runs, read};
use motley_study::suite::suite;
use motley_study::{
    Concern, Grouping, Selection, SelectionError, Status, json, markdown, scenario_files,
    suite_page, text,
};

use crate::args::{Validate, ValidationFormat};
use crate::exit::{CommandFailure, Exit, print, remark};
use crate::files::PendingFile;

pub(crate) fn validate(arguments: &Validate) -> Result<Exit, CommandFailure> {
    let start = Instant::now();
    let grouping = Grouping::parse(&arguments.group)?;
    let selection = Selection::new(&arguments.filter, arguments.limit)?;
    let read_runs;
    let runs = if arguments.runs.is_empty() {
        &suite().runs
    } else {
        read_runs = read(&arguments.runs)?;
        &read_runs
    };
    let count = selection.count(runs);
    if count == 0 {
        return Err(CommandFailure::input(format!(
            "none of the {} rows is selected; see --filter and --limit",
            runs.len()
        )));
    }
    if let Some(folder) = &arguments.scenarios {
        write_scenarios(folder, runs, &selection)?;
    }
    let bar = bar(count as u64);
    let validation = motley_study::validate(runs, &selection, &grouping, &|| bar.inc(1));
    bar.finish_and_clear();
    match arguments.format {
        ValidationFormat::Text => print(&text(&validation))?,
        ValidationFormat::Markdown if arguments.runs.is_empty() => {
            print(&suite_page(&validation, suite()))?;
        }
        ValidationFormat::Markdown => print(&markdown(&validation))?,
        ValidationFormat::Json => {
            let document = json(&validation, env!("CARGO_PKG_VERSION"));
            print(&document.map_err(anyhow::Error::from)?)?;
        }
    }
    remark(&format!("{count} rows in {:.1} s", start.elapsed().as_secs_f64()));
    let defects = validation.verdicts.iter().filter(|verdict| {
        verdict.status == Status::Unsupported && verdict.concern == Some(Concern::Defect)
    });
    let mut exit = Exit::Ok;
    for verdict in defects {
        remark(&format!(
            "error: {}: {}",
            verdict.id,
            verdict.reason.as_deref().unwrap_or_default()
        ));
        exit = Exit::Internal;
    }
    Ok(exit)
}

/// The scenarios of the selected rows, a file each.
fn write_scenarios(folder: &Path, runs: &Runs, selection: &Selection) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in scenario_files(runs, selection) {
        PendingFile::create(&folder.join(name))?.write(text.as_bytes())?;
    }
    Ok(())
}

/// Rows done, on standard error if that is a terminal.
fn bar(rows: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} rows, {eta} left") {
        bar.set_style(style);
    }
    bar
}

impl From<ReadError> for CommandFailure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io { .. } => anyhow::Error::from(error).into(),
            other => Self::input(other.to_string()),
        }
    }
}

impl From<SelectionError> for CommandFailure {
    fn from(error: SelectionError) -> Self {
        Self::input(error.to_string())
    }
}
