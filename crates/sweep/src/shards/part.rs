//! Results of a whole shard.
//!
//! One row a line, then a line that says whose they are, how many, and their hash.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::log::Log;
use crate::files::Pending;

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Footer {
    plan_hash: String,
    shard: u32,
    begin: u64,
    end: u64,
    rows: u64,
    blake3: String,
}

impl Footer {
    fn of(identity: &Identity, rows: u64, hasher: &blake3::Hasher) -> Self {
        Self {
            plan_hash: identity.plan.to_owned(),
            shard: identity.shard,
            begin: identity.range.start,
            end: identity.range.end,
            rows,
            blake3: hasher.finalize().to_hex().to_string(),
        }
    }
}

/// Which part it is.
#[derive(Clone, Debug)]
pub(super) struct Identity<'a> {
    pub(super) plan: &'a str,
    pub(super) shard: u32,
    pub(super) range: Range<u64>,
}

/// Puts the rows of a log in their order into a part.
pub(super) fn write(path: &Path, identity: &Identity, log: Log) -> io::Result<()> {
    let pending = Pending::create(path)?;
    let mut file = BufWriter::new(pending.file()?);
    let mut hasher = blake3::Hasher::new();
    let rows = log.len() as u64;
    log.lines(&mut |line| {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")
    })?;
    let footer = Footer::of(identity, rows, &hasher);
    file.write_all(serde_json::to_string(&footer)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.flush()?;
    pending.persist()
}

/// Whether the part at `path` is whole, and the one that it should be, with so many rows; none if there
/// is no file.
pub(super) fn is_whole(path: &Path, identity: &Identity, rows: u64) -> io::Result<Option<bool>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    let mut hasher = blake3::Hasher::new();
    let mut previous: Vec<u8> = Vec::new();
    let mut count = 0;
    let mut line = Vec::new();
    // A line is a row as soon as another one follows it.
    while reader.read_until(b'\n', &mut line)? > 0 {
        if !previous.is_empty() {
            hasher.update(&previous);
            count += 1;
        }
        std::mem::swap(&mut previous, &mut line);
        line.clear();
    }
    let expected = Footer::of(identity, rows, &hasher);
    let footer: Option<Footer> = serde_json::from_slice(&previous).ok();
    Ok(Some(count == rows && footer == Some(expected)))
}

/// Hands out the lines of a part that is whole.
pub(super) fn lines(
    path: &Path,
    rows: u64,
    line: &mut dyn FnMut(&str) -> Result<(), super::SweepError>,
) -> Result<(), super::SweepError> {
    let failed = |error| super::SweepError::io(path, error);
    let file = File::open(path).map_err(failed)?;
    for text in BufReader::new(file).lines().take(rows as usize) {
        line(&text.map_err(failed)?)?;
    }
    Ok(())
}
