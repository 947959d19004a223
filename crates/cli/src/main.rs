//! The `motley` command line: arguments, files, printing and exit codes, nothing else.

mod analysis;
mod args;
mod catalog;
mod check;
mod codes;
mod compare;
mod completions;
mod equivalent;
mod exit;
mod explain;
mod export;
mod files;
mod import;
mod init;
mod losses;
mod man;
mod plan;
mod plot;
mod progress;
mod run;
mod spinner;
mod sweep;
mod validate;
mod whatif;

use std::process::ExitCode;

use crate::args::{Arguments, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    exit::choose_color(arguments.color);
    let outcome = std::panic::catch_unwind(|| match arguments.command {
        Command::Init(init) => init::init(&init),
        Command::Run(run) => run::run(&run),
        Command::Losses(losses) => losses::losses(&losses),
        Command::Explain(explain) => explain::explain(&explain),
        Command::Whatif(whatif) => whatif::whatif(&whatif),
        Command::Compare(compare) => compare::compare(&compare),
        Command::Check(check) => check::check(&check),
        Command::Plan(arguments) => plan::plan(&arguments),
        Command::Equivalent(equivalent) => equivalent::equivalent(&equivalent),
        Command::Value(value) => equivalent::value(&value),
        Command::Design(design) => equivalent::design(&design),
        Command::Sweep(sweep) => sweep::sweep(&sweep),
        Command::Best(best) => analysis::best(&best),
        Command::Sensitivity(sensitivity) => analysis::sensitivity(&sensitivity),
        Command::BreakEven(break_even) => analysis::break_even(&break_even),
        Command::Validate(validate) => validate::validate(&validate),
        Command::Catalog(catalog) => catalog::catalog(&catalog),
        Command::Import(import) => import::import(&import),
        Command::Export(export) => export::export(&export),
        Command::Plot(plot) => plot::plot(&plot),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => man::man(&arguments),
    });
    match outcome {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => failure.report(),
        // The panic's message is already on standard error.
        Err(_) => Exit::Internal.into(),
    }
}
