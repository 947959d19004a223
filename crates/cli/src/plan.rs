//! `motley plan`.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use motley::{Scenario, load};
use motley_planner::{Answer, Candidate, Options, Progress, mixing, search, text};

use crate::args::{Format, Plan};
use crate::exit::{CommandFailure, Exit, answer, remark, warn};
use crate::files::PendingFile;

/// Steps of the bar.
const STEPS: u64 = 1000;

/// Shorter searches show no progress.
const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) fn plan(arguments: &Plan) -> Result<Exit, CommandFailure> {
    let start = Instant::now();
    let scenario = load(&arguments.scenario.scenario, &arguments.scenario.set)?;
    warn(&scenario);
    // Nobody waits for a search whose answer cannot be written.
    let pending = |path: &Option<std::path::PathBuf>| {
        path.as_deref()
            .map(|path| Ok::<_, CommandFailure>((path.to_owned(), PendingFile::create(path)?)))
            .transpose()
    };
    let output = pending(&arguments.output)?;
    let megatron = pending(&arguments.megatron)?;
    let flagscale = pending(&arguments.flagscale)?;

    let found = match arguments.threads {
        None => searched(&scenario, arguments, start)?,
        Some(threads) => rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .build()
            .map_err(anyhow::Error::from)?
            .install(|| searched(&scenario, arguments, start))?,
    };
    let best = found.plans.first();
    if let (Some((_, file)), Some(best)) = (output, best) {
        file.write(found.scenario(&scenario, best).to_ron().as_bytes())?;
    }
    if let Some((path, file)) = megatron {
        export(&found, &path, file, "Megatron-LM", |plan| plan.megatron.as_ref())?;
    }
    if let Some((path, file)) = flagscale {
        export(&found, &path, file, "FlagScale", |plan| plan.flagscale.as_ref())?;
    }
    answer(arguments.format, &scenario, &found.document(), || text(&found))?;
    if arguments.format == Format::Text {
        remark(&format!("planned in {:.2} s", start.elapsed().as_secs_f64()));
    }
    Ok(if best.is_some() { Exit::Ok } else { Exit::Gate })
}

/// Writes the first plan shown that a framework can run.
fn export(
    answer: &Answer,
    path: &Path,
    file: PendingFile,
    framework: &str,
    lines: impl Fn(&Candidate) -> Option<&Vec<String>>,
) -> Result<(), CommandFailure> {
    match answer.plans.iter().enumerate().find_map(|(n, plan)| Some((n, lines(plan)?))) {
        Some((number, lines)) => {
            file.write((lines.join("\n") + "\n").as_bytes())?;
            remark(&format!("{}: plan {}", path.display(), number + 1));
        }
        None => remark(&format!(
            "{}: not written: {framework} can run none of the plans shown; --top shows more",
            path.display()
        )),
    }
    Ok(())
}

fn searched(
    scenario: &Scenario,
    arguments: &Plan,
    start: Instant,
) -> Result<Answer, CommandFailure> {
    let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::hidden());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent} % {wide_msg}") {
        bar.set_style(style);
    }
    let show = |progress: Progress| {
        if bar.is_hidden() && start.elapsed() > PATIENCE {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_position((progress.share * STEPS as f64) as u64);
        let best = progress
            .best
            .map_or_else(String::new, |best| format!(", best {:.4} s", best.as_secs_f64()));
        bar.set_message(format!("{}: {} plans{best}", progress.stage, progress.plans));
    };
    let options = Options { budget_s: arguments.budget, ..Options::default() };
    let answer = search(scenario, &options, &show).and_then(|found| {
        let mixing = mixing(scenario, &found, &options, &show)?;
        Answer::new(scenario, found, mixing, arguments.top as usize)
    });
    bar.finish_and_clear();
    Ok(answer?)
}
