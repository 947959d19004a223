//! Prints a closed loop for another simulator to repeat.
//!
//! The first line has the numbers of links, of sources and of sends by each source; then comes a
//! line for each flow, those of one source after the other in the order of sending: sending host,
//! receiving host, bytes, and the links that it crosses, each of 1 GB/s. Links are numbered from
//! zero; the first belong to the hosts, outgoing, the next to the hosts, incoming.

use std::env;
use std::io::{BufWriter, Write, stdout};

use anyhow::{Result, bail, ensure};
use motley_benches::Case;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    ensure!(arguments.len() == 1, "usage: flows CASE");
    let Case::Solver(closed_loop) = Case::named(&arguments[0])? else {
        bail!("{} is no closed loop; solver/spread/1k, for example, is", arguments[0]);
    };
    let mut out = BufWriter::new(stdout().lock());
    let links = closed_loop.fabric().links().len();
    writeln!(out, "{links} {} {}", closed_loop.sources(), closed_loop.sends)?;
    for flow in (0..closed_loop.sources()).flat_map(|source| closed_loop.flows_of(source)) {
        write!(out, "{} {} {}", flow.from, flow.to, flow.bytes)?;
        for link in flow.route {
            write!(out, " {}", link.0)?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}
