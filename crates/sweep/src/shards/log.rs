//! Rows of a shard that is under way: a file that is appended to, a checksum on each line.
//!
//! A row is on its way to the disk as one write when its point is finished, so whoever kills the process
//! loses what is under way and nothing else. A line that is torn, or was written for another plan, fails
//! its checksum and is passed over. Two processes at one shard do no harm: both write the same rows.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::evaluate::{Row, Status};
use crate::table::Cell;

/// Hexadecimal digits of a checksum.
const CHECKSUM: usize = 16;

#[derive(Serialize, Deserialize)]
struct Written(u64, String, Vec<Box<RawValue>>, Option<String>);

/// A row as one line of JSON, numbers in the shortest form that reads back exactly.
pub(super) fn line(row: &Row) -> String {
    let metric = |cell: &Cell| {
        let value = match cell {
            Cell::Number(number) => serde_json::Value::from(*number),
            Cell::Text(text) => serde_json::Value::from(text.as_str()),
            Cell::None => serde_json::Value::Null,
        };
        serde_json::value::to_raw_value(&value).unwrap_or_default()
    };
    let written = Written(
        row.index,
        row.status.name().to_owned(),
        row.metrics.iter().map(metric).collect(),
        row.error.clone(),
    );
    serde_json::to_string(&written).unwrap_or_default()
}

/// The row that a line says, if it says one of so many metrics.
pub(super) fn row(line: &str, metrics: usize) -> Option<Row> {
    let Written(index, status, cells, error) = serde_json::from_str(line).ok()?;
    let cell = |value: &RawValue| match value.get() {
        "null" => Some(Cell::None),
        text if text.starts_with('"') => serde_json::from_str(text).ok().map(Cell::Text),
        number => number.parse().ok().map(Cell::Number),
    };
    let metrics_read: Option<Vec<Cell>> = cells.iter().map(|value| cell(value)).collect();
    let read = metrics_read.filter(|read| read.len() == metrics)?;
    Some(Row { index, status: Status::named(&status)?, metrics: read, error })
}

fn checksum(plan: &str, line: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(plan.as_bytes());
    hasher.update(line.as_bytes());
    hasher.finalize().to_hex()[..CHECKSUM].to_owned()
}

/// The rows of a shard so far.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Where the file ends.
    end: u64,
    plan: String,
    /// By point: where its line is and how long it is.
    rows: Vec<(u64, u64, u32)>,
}

impl Log {
    /// Opens the log of a shard and looks at each of its rows, as (number of the point, status).
    pub(super) fn open(
        path: &Path,
        plan: &str,
        range: &Range<u64>,
        metrics: usize,
        seen: &mut dyn FnMut(u64, Status),
    ) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut log = Self { file, end: 0, plan: plan.to_owned(), rows: Vec::new() };
        let mut known = std::collections::HashSet::new();
        let mut reader = BufReader::new(log.file.try_clone()?);
        let mut bytes = Vec::new();
        let mut complete = true;
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            let start = log.end;
            log.end += bytes.len() as u64;
            complete = bytes.last() == Some(&b'\n');
            let text = std::str::from_utf8(&bytes).ok().filter(|_| complete);
            let found = text.and_then(|text| {
                let (sum, line) = text.trim_end_matches('\n').split_once(' ')?;
                let row = row(line, metrics).filter(|_| sum == checksum(plan, line))?;
                let is_new = range.contains(&row.index) && known.insert(row.index);
                is_new.then_some((row, (CHECKSUM + 1) as u64, line.len() as u32))
            });
            if let Some((row, before, length)) = found {
                log.rows.push((row.index, start + before, length));
                seen(row.index, row.status);
            }
            bytes.clear();
        }
        if !complete {
            log.file.write_all(b"\n")?;
            log.end += 1;
        }
        Ok(log)
    }

    /// Adds a row.
    pub(super) fn append(&mut self, row: &Row) -> io::Result<()> {
        let line = line(row);
        let whole = format!("{} {line}\n", checksum(&self.plan, &line));
        self.file.write_all(whole.as_bytes())?;
        // Others may have written, too: where the file ends is asked, not reckoned.
        let end = self.file.stream_position()?;
        self.end = end;
        let start = end - line.len() as u64 - 1;
        self.rows.push((row.index, start, line.len() as u32));
        Ok(())
    }

    /// All lines in the order of points.
    pub(super) fn lines(mut self, line: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        self.rows.sort_unstable();
        let mut reader = BufReader::with_capacity(1 << 16, self.file);
        let mut at = reader.stream_position()?;
        let mut bytes = Vec::new();
        for (_, start, length) in self.rows {
            // Points that were finished in their order are read without a look at the disk for each.
            reader.seek_relative(start.cast_signed() - at.cast_signed())?;
            bytes.resize(length as usize, 0);
            reader.read_exact(&mut bytes)?;
            at = start + u64::from(length);
            line(std::str::from_utf8(&bytes).map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// How many rows of a shard are in its log; none if there is no log.
pub(super) fn count(path: &Path, plan: &str, range: &Range<u64>, metrics: usize) -> u64 {
    if !path.exists() {
        return 0;
    }
    Log::open(path, plan, range, metrics, &mut |_, _| {}).map_or(0, |log| log.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_being_written() {
        let row_of = |index: u64| Row {
            index,
            status: Status::Ok,
            metrics: vec![
                Cell::Number(1.0 / (index + 3) as f64),
                Cell::Text("a\n\"b\"".to_owned()),
                Cell::None,
            ],
            error: Some("é".to_owned()),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let open = |seen: &mut Vec<u64>| {
            Log::open(&path, "plan", &(0..10), 3, &mut |index, _| seen.push(index)).unwrap()
        };
        let mut log = open(&mut Vec::new());
        for index in [5, 2, 9] {
            log.append(&row_of(index)).unwrap();
        }
        drop(log);
        // Torn in the middle of the last row, a letter changed in the first, one row of another sweep.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 7);
        bytes[30] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let mut other = Log::open(&path, "other", &(0..10), 3, &mut |_, _| {}).unwrap();
        other.append(&row_of(3)).unwrap();
        let mut seen = Vec::new();
        let mut log = open(&mut seen);
        assert_eq!(seen, [2]);
        log.append(&row_of(0)).unwrap();
        let mut found = Vec::new();
        log.lines(&mut |line| {
            found.push(row(line, 3).unwrap());
            Ok(())
        })
        .unwrap();
        assert_eq!(found, [row_of(0), row_of(2)]);
    }
}
