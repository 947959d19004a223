//! `cargo xtask study`: the figures of `docs/study`, from the scenarios in `scenarios/claims`.
//!
//! Each question is a file; it writes its figure as SVG and its numbers as CSV. The chapter quotes them.

mod days;
mod four_for_one;
mod generations;
mod h800;
mod map;
mod old_cards;
mod output;
mod vendors;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use motley::{Scenario, load};
use motley_planner::{Found, Options, Origin, search};

use output::Output;

/// What to draw.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which question; all unless given
    #[arg(value_enum)]
    questions: Vec<Question>,
    /// Where figures and numbers go
    #[arg(long, default_value = "docs/study")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Question {
    H800,
    H800Network,
    FourForOne,
    Days,
    Generations,
    OldCards,
    Vendors,
    Map,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let output = Output::new(&arguments.output);
    let all = Question::value_variants();
    for question in all {
        if !arguments.questions.is_empty() && !arguments.questions.contains(question) {
            continue;
        }
        match question {
            Question::H800 => h800::run(&output)?,
            Question::H800Network => h800::network(&output)?,
            Question::FourForOne => four_for_one::run(&output)?,
            Question::Days => days::run(&output)?,
            Question::Generations => generations::run(&output)?,
            Question::OldCards => old_cards::run(&output)?,
            Question::Vendors => vendors::run(&output)?,
            Question::Map => map::run(&output)?,
        }
    }
    Ok(())
}

/// A scenario of `scenarios/claims` with overrides.
fn claim(name: &str, overrides: &[String]) -> Result<Scenario> {
    Ok(load(&PathBuf::from(format!("scenarios/claims/{name}.ron")), overrides)?)
}

/// What a search finds with so many seconds of effort.
fn planned(scenario: &Scenario, budget_s: f64) -> Result<Found> {
    Ok(search(scenario, &Options { budget_s, settings: None }, &|_| {})?)
}

/// Samples per second of the best plan, 0 if none fits.
fn throughput(scenario: &Scenario, found: &Found) -> f64 {
    let best = found.best().and_then(|best| best.time);
    best.map_or(0.0, |time| f64::from(scenario.global_batch) / time.as_secs_f64())
}

/// The same of the plan that a rival would choose.
fn of_rival(scenario: &Scenario, found: &Found, rival: Origin) -> f64 {
    let chosen = found.rivals.iter().find(|(origin, _)| *origin == rival);
    let time = chosen.and_then(|(_, judged)| judged.as_ref()?.time);
    time.map_or(0.0, |time| f64::from(scenario.global_batch) / time.as_secs_f64())
}
