//! The profile that a scenario names: read, checked, its mistakes shown at their places in its file.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use motley_hardware::Catalog;
use motley_workload::{Profile, ProfiledCollective};

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::parse::parse;
use crate::source::SourceFile;
use crate::suggest::like_in_catalogue;
use crate::syntax::Path;

/// Longer files are not read: a million kernels take less.
const FILE_LIMIT: u64 = 256 << 20;

/// Where the profiles that scenarios name are read from; each is read once.
#[derive(Debug)]
pub struct Profiles {
    origin: Origin,
    known: Mutex<BTreeMap<String, Arc<(String, Profile)>>>,
}

#[derive(Debug)]
enum Origin {
    Folder(PathBuf),
    Texts(BTreeMap<String, String>),
}

impl Profiles {
    /// Names are paths from a folder.
    pub fn in_folder(folder: &FilePath) -> Self {
        Self { origin: Origin::Folder(folder.to_owned()), known: Mutex::default() }
    }

    /// These texts, by the names that scenarios have for them.
    pub fn of_texts(texts: BTreeMap<String, String>) -> Self {
        Self { origin: Origin::Texts(texts), known: Mutex::default() }
    }

    /// The texts that have been read so far, by the names that scenarios have for them.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(name, file)| (name.clone(), file.0.clone())).collect()
    }

    /// What messages call a profile, and its text.
    fn open(&self, name: &str) -> (String, Result<String, String>) {
        match &self.origin {
            Origin::Folder(folder) => {
                let path = folder.join(name);
                let length = fs::metadata(&path).map(|file| file.len());
                let text = match length {
                    Ok(length) if length > FILE_LIMIT => Err("larger than 256 MiB".to_owned()),
                    _ => fs::read_to_string(&path).map_err(|error| error.to_string()),
                };
                (path.display().to_string(), text)
            }
            Origin::Texts(texts) => {
                let text = texts.get(name).cloned();
                (name.to_owned(), text.ok_or_else(|| "not among the texts at hand".to_owned()))
            }
        }
    }

    /// Reads the profile that is called `name` at `profile` of `source`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, at the name; all that is wrong in it, at its place in the file, which
    /// becomes one of the source's texts.
    pub(crate) fn read(
        &self,
        name: &str,
        source: &mut SourceFile,
        catalog: &Catalog,
    ) -> Result<Profile, Diagnostics> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = known().get(name) {
            return Ok(file.1.clone());
        }
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
        let (called, text) = self.open(name);
        let text = text.map_err(|what| refuse(source, what))?;
        let own = SourceFile::new(&called, &text);
        let (called, text) = own.original(0);
        let file = source.add(called, text);
        let found = parse::<Profile>(&own).and_then(|profile| check(profile, &own, catalog));
        let profile = found.map_err(|diagnostics| diagnostics.in_file(file))?;
        known().insert(name.to_owned(), Arc::new((text.to_owned(), profile.clone())));
        Ok(profile)
    }
}

fn check(profile: Profile, own: &SourceFile, catalog: &Catalog) -> Result<Profile, Diagnostics> {
    let document = Document::new(own)?;
    let mut wrong = Diagnostics::default();
    let kernels = Path::ROOT.field("kernels");
    let layers = Path::ROOT.field("layers");
    let mut known: HashMap<String, Path> = HashMap::new();
    let mut entry = |path: Path, card: &str, key: String| {
        wrong.extend(unknown_card(card, &path, &document, catalog));
        if let Some(first) = known.get(&key) {
            wrong.push(twice(&document, &path, first));
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
    let collectives = Path::ROOT.field("collectives");
    let at = |index: usize| collectives.index(index);
    let mut sizes: HashMap<String, Path> = HashMap::new();
    for (index, collective) in profile.collectives.iter().enumerate() {
        check_collective(collective, &at(index), &document, catalog, &mut wrong);
        if let Some(first) = sizes.get(&collective.key()) {
            wrong.push(twice(&document, &at(index), first));
        } else {
            sizes.insert(collective.key(), at(index));
        }
    }
    if wrong.is_empty() { Ok(profile) } else { Err(wrong) }
}

fn check_collective(
    collective: &ProfiledCollective,
    path: &Path,
    document: &Document,
    catalog: &Catalog,
    wrong: &mut Diagnostics,
) {
    let mut refuse = |path: &Path, message: &str, label: &str, help: &str| {
        let place = document.place(path);
        wrong.push(Diagnostic::error(code::OUT_OF_RANGE, message).label(place, label).help(help));
    };
    if collective.bytes.0 <= 0.0 {
        let help = "leave out what moves nothing: its time is of no size";
        refuse(&path.field("bytes"), "a measured collective moves something", "too small", help);
    }
    if collective.time.0 <= 0.0 {
        let help = "a time of zero is one that was not measured: leave the entry out";
        refuse(&path.field("time"), "a collective takes longer than no time", "too short", help);
    }
    let members = path.field("members");
    let mut ranks: u64 = 0;
    for (index, nodes) in collective.members.iter().enumerate() {
        let here = members.index(index);
        ranks += u64::from(nodes.nodes) * u64::from(nodes.ranks_per_node);
        for (field, count) in [("nodes", nodes.nodes), ("ranks_per_node", nodes.ranks_per_node)] {
            if count == 0 {
                let help = "leave out nodes that have no part in it";
                refuse(&here.field(field), "a communicator has no empty nodes", "zero", help);
            }
        }
    }
    if ranks < 2 && collective.members.iter().all(|of| of.nodes > 0 && of.ranks_per_node > 0) {
        let help = "for example members: [(card: \"a100-sxm-80\", nodes: 2, ranks_per_node: 8)]";
        refuse(&members, "a collective is of two ranks or more", "fewer than two ranks", help);
    }
    for (index, nodes) in collective.members.iter().enumerate() {
        let here = members.index(index);
        wrong.extend(unknown_card(&nodes.card, &here, document, catalog));
        let Some(design) = &nodes.design else { continue };
        if catalog.node(design).is_none() {
            let label = like_in_catalogue(design, catalog.nodes.keys().map(String::as_str));
            let message = format!("unknown node design \"{design}\"");
            wrong.push(
                Diagnostic::error(code::UNKNOWN_NAME, message)
                    .label(document.place(&here.field("design")), label)
                    .help("`motley catalog nodes` lists every node design"),
            );
        }
    }
}

fn unknown_card(
    card: &str,
    entry: &Path,
    document: &Document,
    catalog: &Catalog,
) -> Option<Diagnostic> {
    if catalog.device(card).is_some() {
        return None;
    }
    let label = like_in_catalogue(card, catalog.devices.keys().map(String::as_str));
    let message = format!("unknown card \"{card}\"");
    let place = document.place(&entry.field("card"));
    let diagnostic = Diagnostic::error(code::UNKNOWN_NAME, message).label(place, label);
    Some(diagnostic.help("`motley catalog devices` lists every card"))
}

fn twice(document: &Document, again: &Path, first: &Path) -> Diagnostic {
    Diagnostic::error(code::PROFILE, "the profile has two times of one thing")
        .label(document.place(again), "again here")
        .label(document.place(first), "first here")
        .help("keep one of the two")
}
