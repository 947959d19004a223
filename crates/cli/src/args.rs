//! The command line as its user types it.

mod exchange;
mod planning;
mod tables;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{
    Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

pub(crate) use exchange::{DrawingFormat, DrawingTimes, Export, Import, NcclTests};
pub(crate) use planning::{Design, Equivalent, Plan, Value};
pub(crate) use tables::{Best, BreakEven, Plot, Sensitivity, Sweep, SweepRunning, SweepStep};

/// Simulate training clusters made of unlike GPUs.
///
/// Exit codes: 0 ok; 1 ran, but the plan does not fit into memory; 2 wrong usage or invalid input;
/// 3 a sweep has points without an answer or is not done; 70 internal error; 74 a file could not be read
/// or written; 130 a sweep was interrupted.
#[derive(Debug, Parser)]
#[command(name = "motley", version, max_term_width = 80)]
pub(crate) struct Arguments {
    /// Whether messages on standard error have colours: where it is a terminal and `NO_COLOR` is not set,
    /// in any case, or never. Answers on standard output have none
    #[arg(long, value_enum, global = true, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub color: ColorChoice,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// The arguments of this process. What is wrong with them is said, in the colours that they ask for, and
    /// ends it.
    pub(crate) fn of_process() -> Self {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let matches = Self::command().color(asked_color(&arguments)).get_matches_from(arguments);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// What `--color` says, before it is known whether arguments are right.
fn asked_color(arguments: &[OsString]) -> ColorChoice {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let joined = texts.iter().find_map(|text| text.strip_prefix("--color="));
    let parted = texts.windows(2).find(|pair| pair[0] == "--color").map(|pair| pair[1]);
    joined.or(parted).and_then(|when| when.parse().ok()).unwrap_or(ColorChoice::Auto)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a scenario with comments to begin with
    Init(Init),
    /// Simulate a scenario and say how fast it is and where the time goes
    Run(Run),
    /// Say what is lost between the ideal iteration and the simulated one, and to what
    Losses(Losses),
    /// Tell the critical path of an iteration in words, with its shares; or what the code of a message means
    Explain(Explain),
    /// Change one thing at a time and rank what each change gains
    Whatif(WhatIf),
    /// Hold one scenario against another: by how much they differ, and why
    Compare(Compare),
    /// Check scenarios without simulating them: every mistake at once, and whether they fit
    Check(Check),
    /// Search the plans that train the scenario's model fastest on its cards
    Plan(Plan),
    /// Say how many of another card reach what the scenario's cluster does, each with its best plan
    Equivalent(Equivalent),
    /// Say what further nodes add to the scenario's cluster
    Value(Value),
    /// Search the cheapest pool that trains the scenario's model in a given time
    Design(Design),
    /// Simulate every point of a study: a scenario with some of its fields varied
    Sweep(Sweep),
    /// The best rows of a table of results
    Best(Best),
    /// How much of the variance of a metric each axis of a table explains
    Sensitivity(Sensitivity),
    /// Where along an axis of a table a metric crosses a level or another metric
    BreakEven(BreakEven),
    /// Predict measured runs and say how far the predictions are off
    Validate(Validate),
    /// List the cards, node designs, NICs and models that scenarios can name, with sources
    Catalog(Catalog),
    /// Read a model or measurements from a format of the field and print them as scenarios use them
    #[command(subcommand)]
    Import(Import),
    /// Write a scenario in another form
    #[command(subcommand)]
    Export(Export),
    /// Draw results of a sweep as a picture: lines, bars or a heat map
    Plot(Plot),
    /// Print what a shell needs to complete motley's commands
    Completions(Completions),
    /// Print the manual page, or write one for each command
    Man(Man),
}

/// `motley init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to write it
    #[arg(default_value = "scenario.ron")]
    pub file: PathBuf,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Preset::Mixed)]
    pub preset: Preset,
    /// Overwrite a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Scenarios to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// One type of card
    Single,
    /// Two types of card, each as busy as it is fast
    Mixed,
    /// A mixture of experts on two types of card
    Moe,
    /// A pool of cards whose plan `motley plan` finds
    AutoPlan,
}

/// `motley completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `motley man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for each command into this folder, such as ~/.local/share/man/man1
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

/// A scenario and what to change in it.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArguments {
    /// The scenario file
    pub scenario: PathBuf,
    /// Override a field with RON text, such as --set plan.dp=4 or --set training.precision=Bf16
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// `motley run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write a timeline of the first iteration for ui.perfetto.dev
    #[arg(long, value_name = "FILE.pftrace")]
    pub trace: Option<PathBuf>,
    /// Write the memory of a card of each stage over the first iteration, as CSV or JSON
    #[arg(long, value_name = "FILE.csv|FILE.json")]
    pub memory_timeline: Option<PathBuf>,
    /// The seed of all noise, instead of the scenario's
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many iterations to simulate, instead of the scenario's number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub iterations: Option<u32>,
    /// Add wall-clock figures to the JSON
    #[arg(long)]
    pub timings: bool,
}

/// `motley losses`.
#[derive(Debug, Args)]
pub(crate) struct Losses {
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// Give each cause its mean gain over all orders in which causes can be taken away, instead of its
    /// gain in one order; takes a replay for each set of causes
    #[arg(long)]
    pub shapley: bool,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The scenario file, or the code of a message such as E0101; ./E0101 is a file
    #[arg(value_name = "SCENARIO|CODE", required_unless_present = "list")]
    pub what: Option<PathBuf>,
    /// Override a field with RON text, such as --set plan.dp=4 or --set training.precision=Bf16
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// List all codes of messages
    #[arg(long, conflicts_with_all = ["what", "set"])]
    pub list: bool,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley whatif`.
#[derive(Debug, Args)]
pub(crate) struct WhatIf {
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// Also put one card in place of another, such as --swap v100-sxm2-32=a100-sxm-80
    #[arg(long, value_name = "CARD=CARD")]
    pub swap: Vec<String>,
    /// Also give all nodes this NIC
    #[arg(long, value_name = "NIC")]
    pub nic: Vec<String>,
    /// Also override fields, written as for --set; several that belong together with `;` between them
    #[arg(long = "try", value_name = "PATH=VALUE[;...]")]
    pub others: Vec<String>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The first scenario file
    pub first: PathBuf,
    /// The one that is held against it
    pub second: PathBuf,
    /// Override a field with RON text, in both scenarios
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Divide losses by Shapley values instead of in one order
    #[arg(long)]
    pub shapley: bool,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The scenario files
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// Override a field with RON text, in every scenario
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// `motley validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Files of measured runs, one JSON object a line; docs/runs.md has the schema. Unless given,
    /// the published runs that come with motley
    #[arg(long, num_args = 1.., value_name = "FILE.jsonl")]
    pub runs: Vec<PathBuf>,
    /// Only rows whose id holds a text, or KEY=TEXT: source, device, family, strategy, scale, model,
    /// replayable. Several of one key are alternatives
    #[arg(long, value_name = "TEXT|KEY=TEXT")]
    pub filter: Vec<String>,
    /// Put rows together by these: source, device, family, strategy, scale, model, replayable
    #[arg(long, value_name = "KEY,...", default_value = "source,device")]
    pub group: String,
    /// At most so many rows, from the first
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Write each row's scenario into this folder, to be run and changed
    #[arg(long, value_name = "FOLDER")]
    pub scenarios: Option<PathBuf>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = ValidationFormat::Text)]
    pub format: ValidationFormat,
}

/// How to print the answer of `motley validate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ValidationFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a page: docs/validation.md, if of the published runs
    Markdown,
}

/// `motley catalog`.
#[derive(Debug, Args)]
pub(crate) struct Catalog {
    /// Which kind of entry; all kinds unless given
    #[arg(value_enum)]
    pub kind: Option<CatalogKind>,
    /// One entry, with every value and its source
    pub id: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Kinds of catalogue entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatalogKind {
    /// Cards
    Devices,
    /// Node designs
    Nodes,
    /// Network interfaces
    Nics,
    /// Networks of known clusters
    Fabrics,
    /// Model presets
    Models,
    /// What the source keys stand for
    Sources,
}

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}
