//! `motley completions`.

use clap::CommandFactory as _;

use crate::args::{Arguments, Completions};
use crate::exit::{CommandFailure, Exit, print};

/// Prints a shell's completions.
pub(crate) fn completions(arguments: &Completions) -> Result<Exit, CommandFailure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "motley", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
