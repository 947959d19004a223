//! Measured collectives from the output of nccl-tests (github.com/NVIDIA/nccl-tests).
//!
//! Both forms are read, what the programs print and what they write under `-J`. A column is found by its
//! name in the header line, which differs between versions and with options.
//!
//! Sizes need no conversion: nccl-tests prints the larger of what a rank sends and what it receives, which
//! is the full buffer of an all-gather, reduce-scatter or all-to-all, and one rank's buffer of the others.

mod devices;
mod json;
mod points;
mod program;
mod run;
mod text;

use std::collections::BTreeMap;

use motley_workload::Profile;

use self::points::Point;

/// What the user says beside the files, where these do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The program: `all_reduce`, `all_reduce_perf`.
    pub collective: Option<String>,
    /// The catalogue id of all ranks' cards.
    pub card: Option<String>,
    /// The catalogue id of all nodes' design.
    pub design: Option<String>,
    /// How many nodes.
    pub nodes: Option<u32>,
    /// Ranks on each node.
    pub ranks_per_node: Option<u32>,
    /// Take the times in place, not those out of place.
    pub in_place: bool,
}

/// A file, as it is called and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// For messages and for the profile's source.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Collectives that were imported.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredCollectives {
    /// A profile that has them and nothing else.
    pub profile: Profile,
    /// What was left out, for people.
    pub remarks: Vec<String>,
}

/// Files that cannot be imported, and all reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused {
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{place}: {message}")]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What was found, what was expected, what would help.
    pub message: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// All of it.
    Whole,
    /// A line, counted from 1.
    Line(usize),
    /// A field of a JSON document, such as `results[3].size`.
    Field(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, ":{line}"),
            Self::Field(field) => write!(f, ": `{field}`"),
        }
    }
}

/// What is wrong in a file whose name the caller knows.
type Found<T> = Result<T, Vec<(Place, String)>>;

/// The collectives that these files have measured, those that motley knows under `told` where files do
/// not say.
///
/// # Errors
/// All that is wrong with the files or missing.
pub fn nccl_tests(files: &[File], told: &Told) -> Result<MeasuredCollectives, Refused> {
    let mut mistakes = Vec::new();
    let mut remarks = Vec::new();
    let mut sources: Vec<String> = Vec::new();
    let mut points: Vec<(&str, Point)> = Vec::new();
    for file in files {
        match read(file.text, told) {
            Ok(read) => {
                for (run, of_run) in read {
                    sources.push(format!("{} ({})", run, file.name));
                    points.extend(of_run.points.into_iter().map(|point| (file.name, point)));
                    if of_run.empty > 0 {
                        let rows = if of_run.empty == 1 { "row" } else { "rows" };
                        let skipped =
                            format!("{}: {} {rows} of 0 bytes left out", file.name, of_run.empty);
                        remarks.push(skipped);
                    }
                }
            }
            Err(found) => mistakes.extend(found.into_iter().map(|(place, message)| Mistake {
                file: file.name.to_owned(),
                place,
                message,
            })),
        }
    }
    let mut known: BTreeMap<String, (&str, &Place)> = BTreeMap::new();
    for (file, point) in &points {
        let key = point.collective.key();
        let Some((first_file, first_place)) = known.get(&key) else {
            known.insert(key, (file, &point.place));
            continue;
        };
        let message = format!(
            "a second time of {} bytes; the first is at {first_file}{first_place}: keep one type (-d), \
             operation (-o) and root of one run",
            point.collective.bytes.0
        );
        mistakes.push(Mistake { file: (*file).to_owned(), place: point.place.clone(), message });
    }
    if !mistakes.is_empty() {
        return Err(Refused { mistakes });
    }
    sources.dedup();
    let mut collectives: Vec<_> = points.into_iter().map(|(_, point)| point.collective).collect();
    collectives.sort_by(|one, other| {
        (one.collective, &one.members)
            .cmp(&(other.collective, &other.members))
            .then_with(|| one.bytes.0.total_cmp(&other.bytes.0))
    });
    let source = (!sources.is_empty()).then(|| sources.join("; "));
    let profile = Profile { source, collectives, ..Profile::default() };
    Ok(MeasuredCollectives { profile, remarks })
}

/// What the runs of a file are called, and their points.
fn read(text: &str, told: &Told) -> Found<Vec<(String, points::OfRun)>> {
    let document = text.trim_start_matches('\u{feff}').trim_start();
    let runs = if document.starts_with(['{', '[']) {
        vec![json::read(document)?]
    } else {
        text::read(text)?
    };
    let mut wrong = Vec::new();
    let mut read = Vec::new();
    for run in &runs {
        match points::points(run, told) {
            Ok(points) => read.push((run.title(points.kind, told.in_place), points)),
            Err(mut found) => wrong.append(&mut found),
        }
    }
    if wrong.is_empty() { Ok(read) } else { Err(wrong) }
}
