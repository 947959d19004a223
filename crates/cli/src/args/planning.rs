//! Commands that search plans.

use std::path::PathBuf;

use clap::Args;

use super::{Format, ScenarioArguments};

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
