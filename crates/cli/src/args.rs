//! The command line as its user types it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{
    Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

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

/// `motley plot`.
#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// The results of a sweep: a .csv, .jsonl or .parquet file
    pub results: PathBuf,
    /// What runs along the horizontal axis: a column that was varied; texts make bars
    #[arg(long, value_name = "AXIS")]
    pub x: String,
    /// What is shown of each point: a column of numbers, such as tokens_per_s
    #[arg(long, value_name = "METRIC")]
    pub y: String,
    /// One line, or one colour of bars, for each value of this column
    #[arg(long, value_name = "AXIS", conflicts_with = "heat")]
    pub by: Option<String>,
    /// A heat map: one row for each value of this column, colours for --y
    #[arg(long, value_name = "AXIS")]
    pub heat: Option<String>,
    /// White in a heat map, between blue below and red above, such as 1 for ratios
    #[arg(long, value_name = "NUMBER", requires = "heat", allow_negative_numbers = true)]
    pub centre: Option<f64>,
    /// Only rows in which a column has a value; several of one column are alternatives
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub conditions: Vec<String>,
    /// A logarithmic horizontal axis
    #[arg(long, conflicts_with = "heat")]
    pub log_x: bool,
    /// A logarithmic vertical axis, or colours by equal factors
    #[arg(long)]
    pub log_y: bool,
    /// The title, instead of what the study asks
    #[arg(long)]
    pub title: Option<String>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE.svg")]
    pub output: Option<PathBuf>,
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

/// `motley plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// How many plans to show
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub top: u32,
    /// How much work to do: what two cores do in that time, such as 30s, 5m or 1h. Work is counted,
    /// not timed: the answer is the same on every machine
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = budget)]
    pub budget: f64,
    /// How many threads to use; as many as there are cores unless given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write the scenario with the best plan
    #[arg(short, long, value_name = "FILE.ron")]
    pub output: Option<PathBuf>,
    /// Write Megatron-LM's flags for the best plan that it can run
    #[arg(long, value_name = "FILE")]
    pub megatron: Option<PathBuf>,
    /// Write FlagScale's keys for the best plan that it can run
    #[arg(long, value_name = "FILE.yaml")]
    pub flagscale: Option<PathBuf>,
}

/// `motley equivalent`.
#[derive(Debug, Args)]
pub(crate) struct Equivalent {
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// The catalogue id of the other card, in the nodes that are built for it
    #[arg(long, value_name = "CARD")]
    pub with: String,
    /// Other nodes, by the catalogue id of their design
    #[arg(long, value_name = "DESIGN")]
    pub node: Option<String>,
    /// Other NICs in these nodes, by their catalogue id
    #[arg(long, value_name = "NIC")]
    pub nic: Option<String>,
    /// Also for these models, by their presets' names
    #[arg(long, value_name = "MODEL,...", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Also for so many times the scenario's nodes
    #[arg(long, value_name = "FACTOR,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub times: Vec<u32>,
    /// Cards at most
    #[arg(long, value_name = "COUNT", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub most: u32,
    /// How much work to do for each cluster that is planned, as for `motley plan`
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = budget)]
    pub budget: f64,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley value`.
#[derive(Debug, Args)]
pub(crate) struct Value {
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// The nodes: a number and a node design, or a card in the nodes that are built for it, such as
    /// "8 x dgx1-v100" or "8 x h800-sxm nodes"
    #[arg(long, value_name = "NODES")]
    pub add: String,
    /// Other NICs in these nodes, by their catalogue id
    #[arg(long, value_name = "NIC")]
    pub nic: Option<String>,
    /// How much work to do for each cluster that is planned, as for `motley plan`
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = budget)]
    pub budget: f64,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley design`.
#[derive(Debug, Args)]
pub(crate) struct Design {
    #[command(flatten)]
    pub scenario: ScenarioArguments,
    /// Tokens to train on, such as 300B or 2T; of models that read images their number
    #[arg(long, value_name = "COUNT", alias = "images", value_parser = large)]
    pub tokens: f64,
    /// Days that there are
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub days: f64,
    /// Cards that may be bought, by their catalogue ids; unless given, all that have a price and nodes
    #[arg(long, value_name = "CARD,...", value_delimiter = ',')]
    pub cards: Vec<String>,
    /// Cards that there are of a kind, such as --stock a100-sxm-80=256; any number unless given
    #[arg(long, value_name = "CARD=COUNT")]
    pub stock: Vec<String>,
    /// Cards of a kind at most
    #[arg(long, value_name = "COUNT", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub most: u32,
    /// How much work to do for each cluster that is planned, as for `motley plan`
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = budget)]
    pub budget: f64,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// A number such as `300B`: thousands, millions, billions (10^9) or trillions.
fn large(text: &str) -> Result<f64, String> {
    scaled(text, &[("K", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)])
        .filter(|number| (1.0..=1e18).contains(number))
        .ok_or_else(|| "expected a number such as 300B or 2T".to_owned())
}

/// A number of days.
fn days(text: &str) -> Result<f64, String> {
    scaled(text, &[])
        .filter(|days| (1e-3..=1e5).contains(days))
        .ok_or_else(|| "expected a number of days, at least 0.001".to_owned())
}

/// A number with one of these behind it, or with none.
fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, *factor)))
        .unwrap_or((text, 1.0));
    number.trim().parse::<f64>().ok().map(|number| number * factor)
}

/// Seconds of `30s`, `5m`, `1h`, or of a bare number.
fn budget(text: &str) -> Result<f64, String> {
    scaled(text, &[("s", 1.0), ("m", 60.0), ("h", 3600.0)])
        .filter(|seconds| (0.1..=1e6).contains(seconds))
        .ok_or_else(|| "expected a time such as 30s, 5m or 1h, at least 0.1s".to_owned())
}

/// `motley sweep`: without a step plan, every shard, merge.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Sweep {
    /// A step of a sweep by itself, for schedulers of clusters
    #[command(subcommand)]
    pub step: Option<SweepStep>,
    /// The study file
    #[arg(required = true)]
    pub study: Option<PathBuf>,
    /// The folder of the sweep, made if it is not there
    #[arg(short, long, value_name = "DIR", required = true)]
    pub output: Option<PathBuf>,
    /// Go on with what the folder holds of this sweep
    #[arg(long)]
    pub resume: bool,
    /// The table: .csv, .jsonl or .parquet; results.csv in the folder unless given
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Shards of the sweep
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub shards: u32,
    #[command(flatten)]
    pub running: SweepRunning,
}

/// How points are run.
#[derive(Debug, Args)]
pub(crate) struct SweepRunning {
    /// How many threads to use; as many as there are cores unless given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Stop when more points than these have no answer
    #[arg(long, value_name = "COUNT")]
    pub max_failures: Option<u64>,
}

/// Steps of a sweep.
#[derive(Debug, Subcommand)]
pub(crate) enum SweepStep {
    /// Write a folder with all that the shards of a sweep need
    Plan {
        /// The study file
        study: PathBuf,
        /// The folder of the sweep, made if it is not there
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Shards of the sweep
        #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        shards: u32,
    },
    /// Run one shard; what is finished is not run again
    Shard {
        /// The folder of the sweep
        folder: PathBuf,
        /// Which shard, from 0
        #[arg(long, value_name = "NUMBER")]
        shard: u32,
        #[command(flatten)]
        running: SweepRunning,
    },
    /// Say which shards are done, missing or corrupt
    Status {
        /// The folder of the sweep
        folder: PathBuf,
        /// Print the numbers of shards that are not done alone, such as 3,7-9
        #[arg(long)]
        missing: bool,
    },
    /// Put the results of all shards into one table
    Merge {
        /// The folder of the sweep
        folder: PathBuf,
        /// The table: .csv, .jsonl or .parquet
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// `motley best`.
#[derive(Debug, Args)]
pub(crate) struct Best {
    /// The table: .csv, .jsonl or .parquet
    pub results: PathBuf,
    /// The metric
    #[arg(
        long,
        value_name = "METRIC",
        default_value = "iteration_time_s",
        conflicts_with = "pareto"
    )]
    pub by: String,
    /// Less is better; unless given what is usual, rates high and all else low
    #[arg(long, conflicts_with_all = ["maximize", "pareto"])]
    pub minimize: bool,
    /// More is better
    #[arg(long, conflicts_with = "pareto")]
    pub maximize: bool,
    /// Rows that no other is better than in all of several metrics; METRIC:min and METRIC:max say what is
    /// better where that is not the usual
    #[arg(long, value_name = "METRIC,METRIC", value_delimiter = ',', num_args = 1..)]
    pub pareto: Vec<String>,
    /// How many rows to show
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley sensitivity`.
#[derive(Debug, Args)]
pub(crate) struct Sensitivity {
    /// The table: .csv, .jsonl or .parquet
    pub results: PathBuf,
    /// The metric
    #[arg(long, value_name = "METRIC", default_value = "iteration_time_s")]
    pub metric: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `motley break-even`.
#[derive(Debug, Args)]
pub(crate) struct BreakEven {
    /// The table: .csv, .jsonl or .parquet
    pub results: PathBuf,
    /// The axis to go along, one of numbers
    #[arg(long, value_name = "AXIS")]
    pub axis: String,
    /// The metric
    #[arg(long, value_name = "METRIC", default_value = "iteration_time_s")]
    pub metric: String,
    /// What it is held against: a number, another metric, or itself at two values of another axis,
    /// AXIS=VALUE:VALUE
    #[arg(long, value_name = "LEVEL|METRIC|AXIS=VALUE:VALUE")]
    pub against: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
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

/// `motley import`.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// A model from the config.json of its repository on Hugging Face
    Huggingface {
        /// The config.json
        config: PathBuf,
        /// What to call the model, instead of what the file says
        #[arg(long)]
        name: Option<String>,
        /// Write to a file instead of standard output
        #[arg(short, long, value_name = "FILE.ron")]
        output: Option<PathBuf>,
    },
    /// Measured collectives from the output of nccl-tests, as a profile that scenarios name
    NcclTests(NcclTests),
}

/// What nccl-tests measured, where its output does not say.
#[derive(Debug, Args)]
pub(crate) struct NcclTests {
    /// What the programs printed, or the JSON that they wrote under -J
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Which collective, such as `all_reduce`, if the files lack the line "Collective test starting"
    #[arg(long, value_name = "NAME")]
    pub collective: Option<String>,
    /// The catalogue id of the cards, if CUDA's name for them is not known
    #[arg(long, value_name = "ID")]
    pub card: Option<String>,
    /// The catalogue id of the nodes' design: times then count for this design alone
    #[arg(long, value_name = "ID")]
    pub design: Option<String>,
    /// How many nodes, if the files lack the lines "Rank"
    #[arg(long, value_name = "COUNT")]
    pub nodes: Option<u32>,
    /// Ranks on each node, if the files lack the lines "Rank"
    #[arg(long, value_name = "COUNT")]
    pub ranks_per_node: Option<u32>,
    /// Take the times in place instead of those out of place
    #[arg(long)]
    pub in_place: bool,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE.ron")]
    pub output: Option<PathBuf>,
}

/// `motley export`.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// The cluster as a graph in `GraphViz` format
    Dot {
        #[command(flatten)]
        scenario: ScenarioArguments,
        /// Draw only so many nodes of each group
        #[arg(long, value_name = "COUNT")]
        nodes_per_group: Option<u32>,
        /// Write to a file instead of standard output
        #[arg(short, long, value_name = "FILE.dot")]
        output: Option<PathBuf>,
    },
    /// The kernels that the scenario runs and how long each takes, as a profile to be filled in
    Kernels {
        #[command(flatten)]
        scenario: ScenarioArguments,
        /// Write to a file instead of standard output
        #[arg(short, long, value_name = "FILE.ron")]
        output: Option<PathBuf>,
    },
    /// The collectives that the scenario calls and how long each takes on idle links, as a profile to be
    /// filled in
    Collectives {
        #[command(flatten)]
        scenario: ScenarioArguments,
        /// Write to a file instead of standard output
        #[arg(short, long, value_name = "FILE.ron")]
        output: Option<PathBuf>,
    },
    /// The order of passes on the stages of a pipeline
    Schedule {
        #[command(flatten)]
        scenario: ScenarioArguments,
        /// Characters or a picture
        #[arg(long, value_enum, default_value_t = DrawingFormat::Text)]
        format: DrawingFormat,
        /// How long passes are
        #[arg(long, value_enum, default_value_t = DrawingTimes::Unit)]
        times: DrawingTimes,
        /// Which pipeline
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        pipeline: u32,
        /// Columns of the text, at most
        #[arg(long, value_name = "COLUMNS", default_value_t = 80, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
        width: u32,
        /// Write to a file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// The forms of a drawn schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrawingFormat {
    /// Characters
    Text,
    /// A picture
    Svg,
}

/// How long the passes of a drawn schedule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrawingTimes {
    /// Each one unit, a whole backward pass two
    Unit,
    /// As the replay of the first iteration has them
    Simulated,
}

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}
