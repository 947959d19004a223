//! `motley check`.

use std::path::Path;

use motley::{load, prepare};
use motley_report::{CollectiveTimesSummary, KernelTimesSummary, WIDTH, time_sources, wrap};

use crate::args::Check;
use crate::exit::{CommandFailure, Exit, point_to_pages, print, warn};

/// Checks every scenario, whatever the others are like; the worst of them sets the exit code.
pub(crate) fn check(arguments: &Check) -> Result<Exit, CommandFailure> {
    let mut worst = Exit::Ok;
    let mut codes = Vec::new();
    for path in &arguments.scenarios {
        let verdict =
            load(path, &arguments.set).map_err(CommandFailure::from).and_then(|scenario| {
                warn(&scenario);
                let prepared = prepare(&scenario)?;
                let kernels = KernelTimesSummary::new(&prepared.lowered.kernel_sources);
                let collectives = CollectiveTimesSummary::new(&prepared.lowered.collective_sources);
                Ok((prepared.out_of_memory(), time_sources(&kernels, &collectives)))
            });
        let exit = match verdict {
            Ok((short, times)) if short.is_empty() => {
                print(&line(path, &format!("ok; {times}")))?;
                Exit::Ok
            }
            Ok((short, _)) => {
                for row in &short {
                    print(&line(path, &format!("does not fit: {row}")))?;
                }
                Exit::Gate
            }
            Err(failure) => {
                let said = failure.say();
                codes.extend(said.codes);
                said.exit
            }
        };
        if exit as u8 > worst as u8 {
            worst = exit;
        }
    }
    point_to_pages(&codes);
    Ok(worst)
}

/// What is said of a file.
fn line(path: &Path, verdict: &str) -> String {
    wrap::hanging(&format!("{}:", path.display()), 4, verdict, WIDTH).join("\n") + "\n"
}
