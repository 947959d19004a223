//! Chores of the repository: `cargo xtask fit`, `cargo xtask study`.

mod fit;
mod study;

use anyhow::Result;
use clap::Parser;

/// Chores of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Chore {
    /// Fit the constants of kernels to measured ones, and say how far predictions are off.
    Fit(fit::Arguments),
    /// Draw the figures of docs/study, and write their numbers.
    Study(study::Arguments),
}

fn main() -> Result<()> {
    match Chore::parse() {
        Chore::Fit(arguments) => fit::run(&arguments),
        Chore::Study(arguments) => study::run(&arguments),
    }
}
