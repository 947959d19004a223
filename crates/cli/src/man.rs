//! `motley man`.

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::{Arguments, Man as Options};
use crate::exit::{CommandFailure, Exit, print, remark};
use crate::files::PendingFile;

/// Prints the page of `motley`, or writes one for it and one for each command.
pub(crate) fn man(arguments: &Options) -> Result<Exit, CommandFailure> {
    let mut root = Arguments::command().disable_help_subcommand(true);
    // Commands know their full names and global options only after this.
    root.build();
    let Some(folder) = &arguments.output else {
        print(&page(&root)?)?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    let mut pages = Vec::new();
    collect(&root, &mut pages);
    for command in &pages {
        let path = folder.join(format!("{}.1", file_name(command)));
        PendingFile::create(&path)?.write(page(command)?.as_bytes())?;
    }
    remark(&format!("wrote {} pages into {}", pages.len(), folder.display()));
    Ok(Exit::Ok)
}

/// A command, and all commands in it.
fn collect<'c>(command: &'c Command, into: &mut Vec<&'c Command>) {
    into.push(command);
    for sub in command.get_subcommands() {
        collect(sub, into);
    }
}

/// `motley-export-dot`.
fn file_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command) -> std::io::Result<String> {
    let mut roff = Vec::new();
    let title = file_name(command);
    let source = concat!("motley ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(&title).source(source).render(&mut roff)?;
    Ok(String::from_utf8_lossy(&roff).into_owned())
}
