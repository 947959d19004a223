//! Runs one case a number of times, for instruction counters, samplers and peak memory.
//!
//! What a case takes is the difference between two runs that differ in the number of times, so
//! that start and preparation cancel.

use std::env;

use anyhow::{Context, Result, ensure};
use motley_benches::{Case, Work};

#[expect(clippy::print_stdout, reason = "what it is for")]
fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    ensure!(arguments.len() == 2, "usage: instructions CASE TIMES");
    let times: u32 = arguments[1].parse().context("TIMES is not a number")?;

    let mut done = Work::default();
    Case::named(&arguments[0])?.run(&mut |once| {
        for _ in 0..times {
            done = once()?;
        }
        Ok(())
    })?;
    let Work { ranks, operations, flows, solves, end } = done;
    let end = end.as_secs_f64();
    println!("ranks {ranks} operations {operations} flows {flows} solves {solves} end {end:.12} s");
    Ok(())
}
