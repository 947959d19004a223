//! `motley init`.

use motley_report::wrap;

use crate::args::{Init, Preset};
use crate::exit::{CommandFailure, Exit, remark};
use crate::files::PendingFile;

impl Preset {
    /// The scenario, with comments.
    fn text(self) -> &'static str {
        match self {
            Self::Single => include_str!("templates/single.ron"),
            Self::Mixed => include_str!("templates/mixed.ron"),
            Self::Moe => include_str!("templates/moe.ron"),
            Self::AutoPlan => include_str!("templates/auto_plan.ron"),
        }
    }

    /// Commands to try on it, each with what it does.
    fn next_steps(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::AutoPlan => &[
                ("motley plan FILE", "find the best plans"),
                ("motley plan FILE -o PLANNED.ron", "write the best one, to be run"),
            ],
            Self::Single | Self::Mixed | Self::Moe => &[
                ("motley run FILE", "how fast, and where the time goes"),
                ("motley check FILE", "after each change: is it right, does it fit"),
                ("motley whatif FILE", "what other cards, links or plans would gain"),
            ],
        }
    }
}

/// Writes a scenario to begin with, and says what to do next.
pub(crate) fn init(arguments: &Init) -> Result<Exit, CommandFailure> {
    let Init { file, preset, force } = arguments;
    let shown = file.display();
    let exists =
        || CommandFailure::input(format!("{shown} is there already; --force overwrites it"));
    // A name that is taken is no reason to make a file beside it.
    if !force && file.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let pending = PendingFile::create(file)?;
    let bytes = preset.text().as_bytes();
    if *force {
        pending.write(bytes)?;
    } else if !pending.write_new(bytes)? {
        return Err(exists());
    }
    remark(&format!("wrote {shown}; next:"));
    let steps: Vec<(String, &str)> = preset
        .next_steps()
        .iter()
        .map(|(command, what)| (command.replace("FILE", &shown.to_string()), *what))
        .collect();
    let widest = steps.iter().map(|(command, _)| wrap::columns(command)).max().unwrap_or(0);
    for (command, what) in steps {
        remark(&format!("  {command:widest$}  {what}"));
    }
    Ok(Exit::Ok)
}
