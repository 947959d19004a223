//! `motley import`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use motley_interop::huggingface;

use crate::args::Import;
use crate::exit::{CommandFailure, Exit, remark};
use crate::files::hand_over;

/// Longer files are not read: no model needs so much.
const FILE_LIMIT: u64 = 16 << 20;

pub(crate) fn import(arguments: &Import) -> Result<Exit, CommandFailure> {
    let Import::Huggingface { config, name, output } = arguments;
    let text = read(config)?;
    let imported = huggingface(&text, name.as_deref()).map_err(|error| {
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
    hand_over(&written, output.as_deref())?;
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<String, CommandFailure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > FILE_LIMIT {
        let message = format!("{} is larger than 16 MiB: not a config.json", path.display());
        return Err(CommandFailure::input(message));
    }
    String::from_utf8(bytes)
        .map_err(|_| CommandFailure::input(format!("{} is not UTF-8 text", path.display())))
}
