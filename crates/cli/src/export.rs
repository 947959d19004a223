//! `motley export`.

use motley::load;
use motley_topology::Cluster;

use crate::args::Export;
use crate::exit::{CommandFailure, Exit, print};
use crate::files::write_atomically;

pub(crate) fn export(arguments: &Export) -> Result<Exit, CommandFailure> {
    let Export::Dot { scenario, output } = arguments;
    let scenario = load(&scenario.scenario, &scenario.set)?;
    let cluster = Cluster::build(scenario.cluster).map_err(motley::SimulateError::from)?;
    let drawing = motley_topology::dot(&cluster);
    match output {
        Some(path) => write_atomically(path, drawing.as_bytes())?,
        None => print(&drawing)?,
    }
    Ok(Exit::Ok)
}
