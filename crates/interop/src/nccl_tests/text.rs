//! What the programs print.

use super::run::{Half, RankPlace, Row, Run};
use super::{Found, Place};

/// The runs of a file, one after the other.
pub(super) fn read(text: &str) -> Found<Vec<Run>> {
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(text.lines()) {
        reader.line(Place::Line(number), line.trim());
    }
    let Reader { mut runs, run, mut wrong, .. } = reader;
    runs.extend((run != Run::default()).then_some(run));
    runs.retain(|run| run.header.is_some());
    if runs.is_empty() && wrong.is_empty() {
        let message = "no table: expected the output of nccl-tests, with its header line \
                       (# size count type ... time algbw busbw), or the JSON of -J";
        wrong.push((Place::Whole, message.to_owned()));
    }
    if wrong.is_empty() { Ok(runs) } else { Err(wrong) }
}

/// What says that another run begins if it has been said before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Opening {
    Version,
    Program,
    Threads,
}

#[derive(Default)]
struct Reader {
    runs: Vec<Run>,
    run: Run,
    opened: Vec<Opening>,
    columns: Columns,
    in_table: bool,
    wrong: Vec<(Place, String)>,
}

impl Reader {
    fn line(&mut self, place: Place, line: &str) {
        if let Some(comment) = line.strip_prefix('#') {
            let words: Vec<&str> = comment.split_whitespace().collect();
            self.comment(place, &words);
        } else if self.in_table {
            // Debugging output of NCCL comes between.
            if !line.is_empty() && !line.contains("NCCL") {
                match self.columns.row(place.clone(), line) {
                    Ok(row) => self.run.rows.push(row),
                    Err(message) => self.wrong.push((place, message)),
                }
            }
        } else if is_like_a_row(line) {
            let message = "a row before the header line (# size count type ... time algbw busbw), which \
                           says what its columns are: leave that line in";
            self.wrong.push((place, message.to_owned()));
        }
    }

    fn comment(&mut self, place: Place, words: &[&str]) {
        match words {
            ["nccl-tests", "version", version, rest @ ..] => {
                self.open(Opening::Version);
                self.run.version = Some((*version).to_owned());
                let library = rest.iter().find_map(|word| word.strip_prefix("nccl-library="));
                self.run.nccl = library.and_then(|code| code.parse().ok());
            }
            ["Collective", "test", "starting:", program] => {
                self.open(Opening::Program);
                self.run.program = Some(((*program).to_owned(), place));
            }
            ["nThread", threads, "nGpus", cards, ..] => {
                self.open(Opening::Threads);
                let counts = (threads.parse::<u32>(), cards.parse::<u32>());
                if let (Ok(threads), Ok(cards)) = counts {
                    self.run.per_process = threads.checked_mul(cards);
                }
            }
            ["Rank", rest @ ..] => {
                if let Some(rank) = rank(place.clone(), rest) {
                    self.run.ranks.push(rank);
                } else {
                    let message = "expected `Rank N Group N Pid N on HOST device N [BUS] NAME`";
                    self.wrong.push((place, message.to_owned()));
                }
            }
            ["size", "count", ..] => {
                if let Some(columns) = Columns::of(words) {
                    self.columns = columns;
                    self.in_table = true;
                    self.run.header = Some(place);
                } else {
                    let message = "a header line without the columns size, count, type and time";
                    self.wrong.push((place, message.to_owned()));
                }
            }
            ["Out", "of", "bounds", ..] | ["Avg", "bus", "bandwidth", ..] => self.in_table = false,
            _ => {}
        }
    }

    fn open(&mut self, opening: Opening) {
        if self.run.header.is_some() || self.opened.contains(&opening) {
            self.runs.push(std::mem::take(&mut self.run));
            self.opened.clear();
            self.in_table = false;
        }
        self.opened.push(opening);
    }
}

fn is_like_a_row(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.len() >= 8 && words[..2].iter().all(|word| word.parse::<u64>().is_ok())
}

/// `N [Group N] Pid N on HOST device N [BUS] NAME`.
fn rank(place: Place, words: &[&str]) -> Option<RankPlace> {
    let (&rank, mut rest) = words.split_first()?;
    let mut group = 0;
    if let ["Group", number, after @ ..] = rest {
        group = number.parse().ok()?;
        rest = after;
    }
    let ["Pid", _, "on", host, "device", _, bus, name @ ..] = rest else { return None };
    (bus.starts_with('[') && bus.ends_with(']')).then_some(())?;
    let (host, device) = ((*host).to_owned(), name.join(" "));
    Some(RankPlace { place, rank: rank.parse().ok()?, group, host, device })
}

/// Where the columns of a table are.
#[derive(Clone, Debug, Default)]
struct Columns {
    names: Vec<String>,
    /// Of each half that there is: its time, and its count of wrong elements.
    halves: Vec<(usize, Option<usize>)>,
    element: usize,
}

impl Columns {
    fn of(words: &[&str]) -> Option<Self> {
        let names: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let element = names.iter().position(|name| name == "type")?;
        let is_time = |name: &str| name == "time" || name == "cputime";
        let times: Vec<usize> = (0..names.len()).filter(|&at| is_time(&names[at])).collect();
        let half = |(number, &time): (usize, &usize)| {
            let end = times.get(number + 1).copied().unwrap_or(names.len());
            // Older versions print the largest error instead, which is no count.
            (time, (time..end).find(|&at| names[at] == "#wrong"))
        };
        let halves: Vec<_> = times.iter().enumerate().map(half).collect();
        (!halves.is_empty()).then_some(Self { names, halves, element })
    }

    fn row(&self, place: Place, line: &str) -> Result<Row, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        // A time of day is a date and a time.
        let stamped = self.names.last().is_some_and(|name| name == "timestamp");
        let expected = self.names.len() + usize::from(stamped);
        if words.len() != expected {
            return Err(format!(
                "a row of {} columns where the header line has {expected} ({})",
                words.len(),
                self.names.join(" ")
            ));
        }
        let count = |at: usize| {
            words[at].parse::<u64>().map_err(|_| {
                format!("{} is \"{}\"; expected a whole number", self.names[at], words[at])
            })
        };
        let half = |&(time, wrong): &(usize, Option<usize>)| -> Result<Half, String> {
            let number = |at: usize| {
                words[at].parse::<f64>().map_err(|_| {
                    format!("{} is \"{}\"; expected a number", self.names[at], words[at])
                })
            };
            let checked = wrong.filter(|&at| words[at] != "N/A");
            let wrong = checked.map(number).transpose()?;
            Ok(Half { time: number(time)?, wrong, host: self.names[time] == "cputime" })
        };
        let mut halves = [None; 2];
        for (slot, columns) in halves.iter_mut().zip(&self.halves) {
            *slot = Some(half(columns)?);
        }
        let element = words[self.element].to_owned();
        Ok(Row { place, size: count(0)?, count: count(1)?, element, halves })
    }
}
