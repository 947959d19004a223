//! Parts put together.

use std::path::Path;

use super::status::{ShardState, id_list};
use super::{Sweep, SweepError, Tally, log, part};
use crate::table::Writer;

impl Sweep {
    /// Puts the parts of all shards together into a table, in the order of points: the same bytes however
    /// they came about. Rows are passed on one by one.
    ///
    /// # Errors
    /// If a shard is not done or a file cannot be read or written.
    pub fn merge(&self, output: &Path) -> Result<Tally, SweepError> {
        let mut missing = Vec::new();
        let mut counts = Vec::new();
        for shard in 0..self.shards() {
            let (state, rows) = self.state(shard)?;
            counts.push(rows);
            if state != ShardState::Done {
                missing.push(shard);
            }
        }
        if !missing.is_empty() {
            return Err(SweepError::Incomplete {
                missing: missing.len() as u32,
                shards: self.shards(),
                list: id_list(&missing),
            });
        }
        let mut writer = Writer::create(output, self.study.headings(), self.provenance())?;
        let metrics = self.study.metrics().len();
        let mut tally = Tally::default();
        for (shard, &rows) in (0..).zip(&counts) {
            let path = self.path(shard, "jsonl");
            part::lines(&path, rows, &mut |line| {
                let row = log::row(line, metrics);
                let pair = row.and_then(|row| Some((self.study.point(row.index)?, row)));
                let (point, row) =
                    pair.ok_or_else(|| SweepError::folder(&path, "a line is not a row"))?;
                tally.add(row.status);
                Ok(writer.row(&row.cells(point))?)
            })?;
        }
        writer.finish()?;
        Ok(tally)
    }
}
