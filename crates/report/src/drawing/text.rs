//! A drawing in characters.

use super::{Block, Drawing, Lane};
use crate::text::number;
use crate::text::wrap::wrapped;

/// How large a drawing in text may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLimits {
    /// Columns of a line.
    pub width: u32,
}

impl Default for TextLimits {
    fn default() -> Self {
        Self { width: 80 }
    }
}

impl Drawing {
    /// A row for each stage, a cell for each unit of time; idle cells are dots. What does not fit
    /// into the limits is cut at the end of time, and the last line says so.
    pub fn text(&self, limits: TextLimits) -> String {
        let blocks = || self.rows.iter().flatten();
        let name = blocks().map(|block| self.label(block).len()).max().unwrap_or(1);
        // A name and a space; passes that run together share a cell.
        let shared = blocks().any(|block| block.lane != Lane::Whole);
        let cell = if shared { (2 * name + 2).div_ceil(2) } else { name + 1 };
        let heading = "stage ".len() + self.rows.len().saturating_sub(1).to_string().len() + 1;
        let room = (limits.width as usize).saturating_sub(heading).max(cell) / cell;
        let units = self.end.ceil() as usize;
        let shown = units.min(room);

        let legend: Vec<String> = self.legend().into_iter().map(|(_, entry)| entry).collect();
        let legend =
            format!("{}; numbers are micro-batches{}", legend.join(", "), self.chunk_legend());
        let mut lines = wrapped(&self.title, limits.width as usize);
        lines.extend(wrapped(&legend, limits.width as usize));
        for (stage, row) in self.rows.iter().enumerate() {
            let name = format!("stage {stage} ");
            lines.push(format!("{name:<heading$}{}", self.line(row, shown, cell).trim_end()));
        }
        let unit = match self.unit_seconds {
            None => String::new(),
            Some(seconds) => format!(", a cell is {}", number::seconds(seconds)),
        };
        lines.extend(wrapped(&format!("{}{unit}", self.summary()), limits.width as usize));
        if shown < units {
            let cut = format!(
                "cut: {} of {units} cells do not fit into {} columns; {} would show all",
                units - shown,
                limits.width,
                heading + units * cell,
            );
            lines.extend(wrapped(&cut, limits.width as usize));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn chunk_legend(&self) -> &'static str {
        match self.chunks {
            0 | 1 => "",
            2 => ", small letters the second chunk of a stage",
            _ => ", behind the point the chunk of a stage",
        }
    }

    /// The blocks of one stage, `cell` characters for each of `shown` units.
    fn line(&self, row: &[Block], shown: usize, cell: usize) -> String {
        let columns = shown * cell;
        let mut line: Vec<char> =
            (0..columns).map(|column| if column % cell == 0 { '.' } else { ' ' }).collect();
        let column = |time: f64| (time * cell as f64).round() as usize;
        for block in row.iter().filter(|block| block.lane != Lane::Lower) {
            let (start, end) = (column(block.start), column(block.end).min(columns));
            if start >= end {
                continue;
            }
            let mut name = self.label(block);
            if block.lane == Lane::Upper
                && let Some(below) = row.iter().find(|other| {
                    other.lane == Lane::Lower && other.start < block.end && block.start < other.end
                })
            {
                name = format!("{name}&{}", self.label(below));
            }
            let length = end - start;
            // The last column keeps neighbours apart where there is room.
            let inside = if length > name.len() { length - 1 } else { length };
            for (k, target) in line[start..end].iter_mut().enumerate() {
                *target = match name.chars().nth(k) {
                    Some(letter) => letter,
                    None if k < inside => '-',
                    None => ' ',
                };
            }
        }
        line.into_iter().collect()
    }
}
