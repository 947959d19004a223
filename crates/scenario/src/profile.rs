//! The profile that a scenario names: read, checked, its mistakes shown at their places in its file.

use std::collections::HashMap;
use std::fs;
use std::path::Path as FilePath;

use motley_hardware::Catalog;
use motley_workload::Profile;

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::parse::parse;
use crate::source::SourceFile;
use crate::suggest::like_in_catalogue;
use crate::syntax::Path;

/// Longer files are not read: a million kernels take less.
const FILE_LIMIT: u64 = 256 << 20;

/// Reads the profile that is called `name` at `profile` of `source`, a path from `folder`.
///
/// # Errors
///
/// A file that cannot be read, at the name; all that is wrong in it, at its place in the file, which
/// becomes one of the source's texts.
pub(crate) fn read(
    name: &str,
    source: &mut SourceFile,
    folder: &FilePath,
    catalog: &Catalog,
) -> Result<Profile, Diagnostics> {
    let path = folder.join(name);
    let refuse = |source: &SourceFile, what: String| -> Diagnostics {
        let diagnostic =
            Diagnostic::error(code::PROFILE, format!("cannot read profile \"{name}\""));
        let place = Document::new(source).map(|of| of.place(&Path::ROOT.field("profile")));
        let diagnostic = match place {
            Ok(place) => diagnostic.label(place, what),
            Err(_) => diagnostic.note(what),
        };
        diagnostic.help("a path is relative to the folder of the scenario file").into()
    };
    let length = fs::metadata(&path).map(|file| file.len());
    let text = match length {
        Ok(length) if length > FILE_LIMIT => Err("larger than 256 MiB".to_owned()),
        _ => fs::read_to_string(&path).map_err(|error| error.to_string()),
    };
    let text = text.map_err(|what| refuse(source, what))?;
    let own = SourceFile::new(&path.display().to_string(), &text);
    let (called, text) = own.original(0);
    let file = source.add(called, text);
    let found = parse::<Profile>(&own).and_then(|profile| check(profile, &own, catalog));
    found.map_err(|diagnostics| diagnostics.in_file(file))
}

fn check(profile: Profile, own: &SourceFile, catalog: &Catalog) -> Result<Profile, Diagnostics> {
    let document = Document::new(own)?;
    let mut wrong = Diagnostics::default();
    let kernels = Path::ROOT.field("kernels");
    let layers = Path::ROOT.field("layers");
    let mut known: HashMap<String, Path> = HashMap::new();
    let mut entry = |path: Path, card: &str, key: String| {
        if catalog.device(card).is_none() {
            let label = like_in_catalogue(card, catalog.devices.keys().map(String::as_str));
            let message = format!("unknown card \"{card}\"");
            let place = document.place(&path.field("card"));
            wrong.push(
                Diagnostic::error(code::UNKNOWN_NAME, message)
                    .label(place, label)
                    .help("`motley catalog devices` lists every card"),
            );
        }
        if let Some(first) = known.get(&key) {
            wrong.push(
                Diagnostic::error(code::PROFILE, "the profile has two times of one thing")
                    .label(document.place(&path), "again here")
                    .label(document.place(first), "first here")
                    .help("keep one of the two"),
            );
        } else {
            known.insert(key, path);
        }
    };
    for (index, kernel) in profile.kernels.iter().enumerate() {
        entry(kernels.index(index), &kernel.card, kernel.key());
    }
    for (index, layer) in profile.layers.iter().enumerate() {
        entry(layers.index(index), &layer.card, layer.key());
    }
    for (index, kernel) in profile.kernels.iter().enumerate() {
        if kernel.time.0 <= 0.0 {
            let place = document.place(&kernels.index(index).field("time"));
            let message = "a kernel takes longer than no time";
            wrong.push(Diagnostic::error(code::OUT_OF_RANGE, message).label(place, "too short"));
        }
    }
    if wrong.is_empty() { Ok(profile) } else { Err(wrong) }
}
