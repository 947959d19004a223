//! Chores of the repository: `cargo xtask fit`.

mod fit;

use anyhow::Result;
use clap::Parser;

/// Chores of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Chore {
    /// Fit the constants of kernels to measured ones, and say how far predictions are off.
    Fit(fit::Arguments),
}

fn main() -> Result<()> {
    match Chore::parse() {
        Chore::Fit(arguments) => fit::run(&arguments),
    }
}
