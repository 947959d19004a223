//! `motley sweep`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use motley_sweep::{Ended, Limits, ShardState, Status, Sweep, Tally, id_list};

use crate::args::{self, SweepRunning, SweepStep};
use crate::exit::{CommandFailure, Exit, print, remark};

/// The bar is drawn anew so often, and rates are of the time since.
const TICK: Duration = Duration::from_millis(250);

/// Where results lie unless the user says otherwise.
const RESULTS: &str = "results.csv";

pub(crate) fn sweep(arguments: &args::Sweep) -> Result<Exit, CommandFailure> {
    match (&arguments.step, &arguments.study, &arguments.output) {
        (Some(step), ..) => one_step(step),
        (None, Some(study), Some(folder)) => all_steps(arguments, study, folder),
        (None, ..) => Err(CommandFailure::input("which study? `motley sweep STUDY.ron -o DIR`")),
    }
}

fn one_step(step: &SweepStep) -> Result<Exit, CommandFailure> {
    match step {
        SweepStep::Plan { study, output, shards } => {
            let sweep = Sweep::plan(study, output, *shards)?;
            let shards = match sweep.shards() {
                1 => "one shard, 0".to_owned(),
                count => format!("{count} shards, 0 to {}", count - 1),
            };
            print(&format!(
                "{} points in {shards}; run with `motley sweep shard {} --shard N`\n",
                sweep.row_count(),
                output.display()
            ))?;
            Ok(Exit::Ok)
        }
        SweepStep::Shard { folder, shard, running } => {
            let sweep = Sweep::open(folder)?;
            if *shard >= sweep.shards() {
                let message = format!("--shard: there are {}, numbered from 0", sweep.shards());
                return Err(CommandFailure::input(message));
            }
            let points = sweep.state(*shard)?.1;
            run(&sweep, *shard..*shard + 1, points, running)
        }
        SweepStep::Status { folder, missing } => status(&Sweep::open(folder)?, *missing),
        SweepStep::Merge { folder, output } => {
            let tally = Sweep::open(folder)?.merge(output)?;
            print(&summary(&tally, output))?;
            Ok(Exit::Ok)
        }
    }
}

/// Plan, every shard, merge.
fn all_steps(whole: &args::Sweep, study: &Path, folder: &Path) -> Result<Exit, CommandFailure> {
    if !whole.resume && Sweep::is_in(folder) {
        let message = format!(
            "{}: a sweep is here already; go on with it by --resume, or choose another folder",
            folder.display()
        );
        return Err(CommandFailure::input(message));
    }
    let sweep = Sweep::plan(study, folder, whole.shards)?;
    let exit = run(&sweep, 0..sweep.shards(), sweep.row_count(), &whole.running)?;
    if !matches!(exit, Exit::Ok | Exit::Partial) || !is_done(&sweep)? {
        return Ok(exit);
    }
    let results = whole.results.clone().unwrap_or_else(|| folder.join(RESULTS));
    let tally = sweep.merge(&results)?;
    print(&summary(&tally, &results))?;
    Ok(if tally.failures() > 0 { Exit::Partial } else { Exit::Ok })
}

fn is_done(sweep: &Sweep) -> Result<bool, CommandFailure> {
    for shard in 0..sweep.shards() {
        if sweep.state(shard)?.0 != ShardState::Done {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs shards one after the other, each on all threads.
fn run(
    sweep: &Sweep,
    shards: std::ops::Range<u32>,
    points: u64,
    running: &SweepRunning,
) -> Result<Exit, CommandFailure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    listen(&interrupted);
    let bar = bar(points);
    let counts: [AtomicU64; Status::ALL.len()] = Default::default();
    let progress = |status: Status| {
        counts[status as usize].fetch_add(1, Ordering::Relaxed);
        bar.inc(1);
    };
    let mut builder = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = running.threads {
        builder = builder.num_threads(threads as usize);
    }
    let pool = builder.build().map_err(anyhow::Error::from)?;
    let so_far = || Tally { counts: std::array::from_fn(|at| counts[at].load(Ordering::Relaxed)) };
    let mut ended = Ended::Done;
    for shard in shards {
        let before = so_far();
        let left = running.max_failures.map(|most| most.saturating_sub(before.failures()));
        let limits = Limits { max_failures: left, interrupted: &interrupted };
        ended = pool.install(|| sweep.run_shard(shard, &limits, &progress))?;
        if ended != Ended::Done {
            break;
        }
        if so_far() == before {
            // It was done before.
            bar.inc(sweep.range(shard).filter(|&index| sweep.study.has(index)).count() as u64);
        } else if running.max_failures.is_some_and(|most| so_far().failures() > most) {
            ended = Ended::TooManyFailures;
            break;
        }
    }
    bar.finish_and_clear();
    let tally = so_far();
    let folder = sweep.folder().display();
    match ended {
        Ended::Interrupted => {
            remark(&format!(
                "interrupted; {} finished points are kept, `--resume` goes on with {folder}",
                tally.total()
            ));
            Ok(Exit::Interrupted)
        }
        Ended::TooManyFailures => {
            remark(&format!(
                "stopped: {} points have no answer, more than --max-failures; what is finished is kept \
                 in {folder}",
                tally.failures()
            ));
            Ok(Exit::Partial)
        }
        Ended::Done if tally.failures() > 0 => Ok(Exit::Partial),
        Ended::Done => Ok(Exit::Ok),
    }
}

/// The first Ctrl-C ends the sweep after the points that are under way, the second at once.
fn listen(interrupted: &Arc<AtomicBool>) {
    let flag = Arc::clone(interrupted);
    // Without the handler Ctrl-C ends the process, which loses what is under way and no more.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            #[expect(clippy::exit, reason = "the user insists; what is finished is on the disk")]
            std::process::exit(Exit::Interrupted as i32);
        }
    });
}

/// A bar with rate and time left, on standard error if that is a terminal.
fn bar(points: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(points), ProgressDrawTarget::stderr_with_hz(4));
    let look = "{bar:30} {human_pos} of {human_len} points, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(look) {
        bar.set_style(style);
    }
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    bar
}

fn status(sweep: &Sweep, missing_alone: bool) -> Result<Exit, CommandFailure> {
    let mut done = Vec::new();
    let mut missing = Vec::new();
    let mut corrupt = Vec::new();
    let (mut finished, mut points) = (0, 0);
    for shard in 0..sweep.shards() {
        let (state, rows) = sweep.state(shard)?;
        points += rows;
        match state {
            ShardState::Done => {
                finished += rows;
                done.push(shard);
            }
            ShardState::Missing { finished: some } => {
                finished += some;
                missing.push(shard);
            }
            ShardState::Corrupt => corrupt.push(shard),
        }
    }
    let mut open: Vec<u32> = missing.iter().chain(&corrupt).copied().collect();
    open.sort_unstable();
    if missing_alone {
        if !open.is_empty() {
            print(&format!("{}\n", id_list(&open)))?;
        }
    } else {
        let mut text = String::new();
        for (name, shards) in [("done", &done), ("missing", &missing), ("corrupt", &corrupt)] {
            let list = id_list(shards);
            let space = if list.is_empty() { "" } else { ": " };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<8} {} of {}{space}{list}", shards.len(), sweep.shards());
        }
        let _ = writeln!(text, "points   {finished} of {points} finished");
        print(&text)?;
    }
    Ok(if open.is_empty() { Exit::Ok } else { Exit::Partial })
}

/// `240 points: 230 ok, 10 out of memory -> results.csv`.
fn summary(tally: &Tally, output: &Path) -> String {
    let parts: Vec<String> = Status::ALL
        .into_iter()
        .filter(|&status| tally.of(status) > 0)
        .map(|status| format!("{} {}", tally.of(status), status.name().replace('_', " ")))
        .collect();
    format!("{} points: {} -> {}\n", tally.total(), parts.join(", "), output.display())
}
