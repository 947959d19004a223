//! Sweeps, and what is made of their tables.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

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
