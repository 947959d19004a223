//! `motley import`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use motley_hardware::Catalog;
use motley_interop::{File as Output, Told, huggingface, nccl_tests};

use crate::args::{Import, NcclTests};
use crate::exit::{CommandFailure, Exit, remark};
use crate::files::hand_over;

/// Longer files are not read: no model and no table of times needs so much.
const FILE_LIMIT: u64 = 16 << 20;

pub(crate) fn import(arguments: &Import) -> Result<Exit, CommandFailure> {
    match arguments {
        Import::Huggingface { config, name, output } => {
            model(config, name.as_deref(), output.as_deref())
        }
        Import::NcclTests(arguments) => collectives(arguments),
    }
}

fn model(config: &Path, name: Option<&str>, output: Option<&Path>) -> Result<Exit, CommandFailure> {
    let text = read(config)?;
    let imported = huggingface(&text, name).map_err(|error| {
        let file = config.display();
        let problems = error.problems.iter().map(|problem| format!("{file}: {problem}"));
        CommandFailure::input(problems.collect::<Vec<_>>().join("\nerror: "))
    })?;
    let mut written = String::new();
    for left_out in &imported.remarks {
        remark(&format!("{}: {left_out}", config.display()));
        let _ = writeln!(written, "// {left_out}");
    }
    written.push_str(&imported.model.to_ron());
    written.push('\n');
    hand_over(&written, output)?;
    Ok(Exit::Ok)
}

fn collectives(arguments: &NcclTests) -> Result<Exit, CommandFailure> {
    known(arguments)?;
    let names: Vec<String> =
        arguments.files.iter().map(|path| path.display().to_string()).collect();
    let texts = arguments
        .files
        .iter()
        .map(|path| read(path))
        .collect::<Result<Vec<_>, CommandFailure>>()?;
    let files: Vec<Output> =
        names.iter().zip(&texts).map(|(name, text)| Output { name, text }).collect();
    let told = Told {
        collective: arguments.collective.clone(),
        card: arguments.card.clone(),
        design: arguments.design.clone(),
        nodes: arguments.nodes,
        ranks_per_node: arguments.ranks_per_node,
        in_place: arguments.in_place,
    };
    let measured = nccl_tests(&files, &told).map_err(|refused| {
        let mistakes = refused.mistakes.iter().map(ToString::to_string);
        CommandFailure::input(mistakes.collect::<Vec<_>>().join("\nerror: "))
    })?;
    measured.remarks.iter().for_each(|left_out| remark(left_out));
    hand_over(&measured.profile.to_ron(), arguments.output.as_deref())?;
    Ok(Exit::Ok)
}

/// Whether the catalogue has the card and the design that were named.
fn known(arguments: &NcclTests) -> Result<(), CommandFailure> {
    let catalog = Catalog::builtin();
    let unknown = |option: &str, id: &str, kind: &str| {
        CommandFailure::input(format!(
            "{option}: \"{id}\" is not in the catalogue; `motley catalog {kind}` lists what is"
        ))
    };
    if let Some(card) = arguments.card.as_ref().filter(|card| catalog.device(card).is_none()) {
        return Err(unknown("--card", card, "devices"));
    }
    if let Some(design) = arguments.design.as_ref().filter(|design| catalog.node(design).is_none())
    {
        return Err(unknown("--design", design, "nodes"));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, CommandFailure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > FILE_LIMIT {
        let message = format!("{} is larger than 16 MiB, more than any such file", path.display());
        return Err(CommandFailure::input(message));
    }
    String::from_utf8(bytes)
        .map_err(|_| CommandFailure::input(format!("{} is not UTF-8 text", path.display())))
}
