//! What is read from and written in forms of others.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ScenarioArguments;

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
