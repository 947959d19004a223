//! `motley export`.

use motley::load;
use motley_topology::{Cluster, DotOptions, dot};

use crate::args::Export;
use crate::exit::{CommandFailure, Exit, print};
use crate::files::PendingFile;

pub(crate) fn export(arguments: &Export) -> Result<Exit, CommandFailure> {
    let Export::Dot { scenario, nodes_per_group, output } = arguments;
    let scenario = load(&scenario.scenario, &scenario.set)?;
    let cluster = Cluster::build(scenario.cluster).map_err(motley::SimulateError::from)?;
    let options = DotOptions { nodes_per_group: *nodes_per_group };
    let drawing = dot(&cluster, options);
    match output {
        Some(path) => PendingFile::create(path)?.write(drawing.as_bytes())?,
        None => print(&drawing)?,
    }
    Ok(Exit::Ok)
}
