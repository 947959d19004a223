//! `motley export`.

use motley::{load, prepare};
use motley_report::{Drawing, Recording, TextLimits};
use motley_topology::{Cluster, DotOptions, dot};
use motley_workload::Profile;

use crate::args::{DrawingFormat, DrawingTimes, Export, ScenarioArguments};
use crate::exit::{CommandFailure, Exit};
use crate::files::hand_over;

pub(crate) fn export(arguments: &Export) -> Result<Exit, CommandFailure> {
    let (drawing, output) = match arguments {
        Export::Dot { scenario, nodes_per_group, output } => {
            let scenario = load(&scenario.scenario, &scenario.set)?;
            let cluster = Cluster::build(scenario.cluster).map_err(motley::SimulateError::from)?;
            (dot(&cluster, DotOptions { nodes_per_group: *nodes_per_group }), output)
        }
        Export::Kernels { scenario, output } => {
            let scenario = load(&scenario.scenario, &scenario.set)?;
            let prepared = prepare(&scenario)?;
            let profile = Profile { kernels: prepared.kernels, ..own_profile() };
            (profile.to_ron(), output)
        }
        Export::Collectives { scenario, output } => {
            let scenario = load(&scenario.scenario, &scenario.set)?;
            let prepared = prepare(&scenario)?;
            let profile = Profile { collectives: prepared.collectives, ..own_profile() };
            (profile.to_ron(), output)
        }
        Export::Schedule { scenario, format, times, pipeline, width, output } => {
            let drawing = schedule(scenario, *times, *pipeline)?;
            let drawing = match format {
                DrawingFormat::Text => drawing.text(TextLimits { width: *width }),
                DrawingFormat::Svg => drawing.svg(),
            };
            (drawing, output)
        }
    };
    hand_over(&drawing, output.as_deref())?;
    Ok(Exit::Ok)
}

/// A profile of what motley predicts.
fn own_profile() -> Profile {
    let source = Some(format!("motley {}", env!("CARGO_PKG_VERSION")));
    Profile { source, ..Profile::default() }
}

fn schedule(
    scenario: &ScenarioArguments,
    times: DrawingTimes,
    pipeline: u32,
) -> Result<Drawing, CommandFailure> {
    let scenario = load(&scenario.scenario, &scenario.set)?;
    let prepared = prepare(&scenario)?;
    let unknown = || {
        CommandFailure::input(format!(
            "there is no pipeline {pipeline}; the plan has pipelines 0 to {}",
            prepared.plan.pipelines.len() - 1
        ))
    };
    match times {
        DrawingTimes::Unit => {
            Drawing::planned(&prepared.plan, &prepared.lowered, pipeline as usize)
                .ok_or_else(unknown)
        }
        DrawingTimes::Simulated => {
            let mut recording =
                Recording::new(&prepared.lowered, pipeline as usize).ok_or_else(unknown)?;
            let replays = prepared.replay(&mut recording, &|| {})?;
            Ok(Drawing::simulated(&recording, &prepared.plan, replays.runs[0].outcome.end))
        }
    }
}
