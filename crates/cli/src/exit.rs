//! Exit codes, and failures on their way to them.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::ColorChoice;
use motley::{Failure, Prepared, Provenance, Scenario, SimulateError, json};
use motley_sweep::{SweepError, TableError};
use serde::Serialize;

use crate::args::Format;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is well.
    Ok = 0,
    /// It ran, but the plan does not fit into memory.
    Gate = 1,
    /// The input is at fault.
    Input = 2,
    /// A sweep has points without an answer, or is not done.
    Partial = 3,
    /// motley is at fault.
    Internal = 70,
    /// A file could not be read or written.
    Io = 74,
    /// The user interrupted a sweep.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not finish.
#[derive(Debug)]
pub(crate) struct CommandFailure {
    exit: Exit,
    message: String,
    /// The message is rendered already, with its own "error:".
    rendered: bool,
    /// The codes of what the message says.
    codes: Vec<&'static str>,
}

impl CommandFailure {
    /// The input is at fault; `message` is one sentence.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, message: message.into(), rendered: false, codes: Vec::new() }
    }

    /// Says it on standard error, and where there is more about it.
    pub(crate) fn report(self) -> ExitCode {
        let Said { exit, codes } = self.say();
        point_to_pages(&codes);
        exit.into()
    }

    /// Says it on standard error.
    pub(crate) fn say(self) -> Said {
        let mut stderr = std::io::stderr().lock();
        let prefix = if self.rendered { "" } else { "error: " };
        // Nobody is left to hear that standard error is closed.
        let _ = writeln!(stderr, "{prefix}{}", self.message.trim_end());
        Said { exit: self.exit, codes: self.codes }
    }
}

/// What is left of a failure that was said.
#[derive(Debug)]
pub(crate) struct Said {
    /// The exit code that it leads to.
    pub(crate) exit: Exit,
    /// The codes of what was said.
    pub(crate) codes: Vec<&'static str>,
}

/// Says on standard error where codes are explained; nothing of none.
pub(crate) fn point_to_pages(codes: &[&'static str]) {
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    codes.dedup();
    let text = match codes[..] {
        [] => return,
        [one] => format!("this error, try `motley explain {one}`"),
        [first, ref others @ ..] => {
            format!("these errors, try `motley explain {first}` (or {})", others.join(", "))
        }
    };
    remark(&format!("\nfor more information about {text}"));
}

/// What the user says about colours; the whole process has one standard error.
static COLOR: OnceLock<ColorChoice> = OnceLock::new();

/// Sets once whether messages may use colour.
pub(crate) fn choose_color(choice: ColorChoice) {
    COLOR.get_or_init(|| choice);
}

/// Whether messages on standard error may use colour. What is asked for on the command line counts more than
/// what the environment says.
pub(crate) fn color() -> bool {
    match COLOR.get() {
        Some(ColorChoice::Always) => true,
        Some(ColorChoice::Never) => false,
        Some(ColorChoice::Auto) | None => {
            std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

impl From<Failure> for CommandFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(rejected) => {
                let codes = rejected.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
                Self { exit: Exit::Input, message: rejected.render(color()), rendered: true, codes }
            }
            other => Self {
                exit: Exit::Io,
                message: other.to_string(),
                rendered: false,
                codes: Vec::new(),
            },
        }
    }
}

impl From<SimulateError> for CommandFailure {
    fn from(error: SimulateError) -> Self {
        match error {
            SimulateError::Plan(rejected) => Failure::Rejected(rejected).into(),
            other => Self {
                exit: if other.is_input() { Exit::Input } else { Exit::Internal },
                message: other.to_string(),
                rendered: false,
                codes: Vec::new(),
            },
        }
    }
}

impl From<SweepError> for CommandFailure {
    fn from(error: SweepError) -> Self {
        let exit = match error {
            SweepError::Study(failure) => return failure.into(),
            SweepError::Table(error) => return error.into(),
            SweepError::Incomplete { .. } => Exit::Partial,
            SweepError::Folder { .. } => Exit::Input,
            _ => Exit::Io,
        };
        Self { exit, message: error.to_string(), rendered: false, codes: Vec::new() }
    }
}

impl From<TableError> for CommandFailure {
    fn from(error: TableError) -> Self {
        let exit = match error {
            TableError::Io { .. } => Exit::Io,
            _ => Exit::Input,
        };
        Self { exit, message: error.to_string(), rendered: false, codes: Vec::new() }
    }
}

impl From<anyhow::Error> for CommandFailure {
    fn from(error: anyhow::Error) -> Self {
        let closed = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == ErrorKind::BrokenPipe);
        let exit = if closed { Exit::Ok } else { Exit::Io };
        Self { exit, message: format!("{error:#}"), rendered: closed, codes: Vec::new() }
    }
}

impl From<std::io::Error> for CommandFailure {
    fn from(error: std::io::Error) -> Self {
        anyhow::Error::new(error).into()
    }
}

/// Writes to standard output. A reader that closes it early, as `head` does, is no failure.
pub(crate) fn print(text: &str) -> Result<(), CommandFailure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says on standard error what is legal and perhaps not meant.
pub(crate) fn warn(scenario: &Scenario) {
    if !scenario.warnings.is_empty() {
        remark(scenario.warnings.render(&scenario.source, color()).trim_end());
    }
}

/// Prints an answer about a scenario as a page or as a document.
pub(crate) fn answer(
    format: Format,
    scenario: &Scenario,
    document: &impl Serialize,
    page: impl FnOnce() -> String,
) -> Result<(), CommandFailure> {
    answer_from(format, &provenance(scenario), document, page)
}

/// The same of an answer that is made from something else.
pub(crate) fn answer_from(
    format: Format,
    provenance: &impl Serialize,
    document: &impl Serialize,
    page: impl FnOnce() -> String,
) -> Result<(), CommandFailure> {
    match format {
        Format::Text => print(&page()),
        Format::Json => print(&json(document, provenance).map_err(anyhow::Error::from)?),
    }
}

/// The exit code of an answer about a scenario; says on standard error what does not fit into memory.
pub(crate) fn gate(prepared: &Prepared) -> Exit {
    let short = prepared.out_of_memory();
    for row in &short {
        remark(&format!("does not fit: {row}; figures as if it did"));
    }
    if short.is_empty() { Exit::Ok } else { Exit::Gate }
}

/// What an answer is made from and by.
pub(crate) fn provenance(scenario: &Scenario) -> Provenance<'_> {
    Provenance {
        tool_version: env!("CARGO_PKG_VERSION"),
        scenario_hash: &scenario.hash,
        seed: scenario.seed,
    }
}

/// Writes a remark for people to standard error.
pub(crate) fn remark(text: &str) {
    // Remarks are a courtesy; a closed standard error does not stop the work.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
