//! Where figures and numbers go.

use std::path::{Path, PathBuf};

use anyhow::Result;
use motley_plot::Figure;

/// A folder of figures and numbers.
pub(super) struct Output {
    folder: PathBuf,
}

impl Output {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Writes a figure as SVG.
    pub(super) fn figure(&self, name: &str, figure: &Figure) -> Result<()> {
        self.write(&format!("{name}.svg"), &figure.svg()?)
    }

    /// Writes rows as CSV.
    pub(super) fn numbers(&self, name: &str, columns: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let lines = std::iter::once(columns.join(","))
            .chain(rows.iter().map(|row| row.join(",")))
            .map(|line| line + "\n");
        self.write(&format!("{name}.csv"), &lines.collect::<String>())
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(name);
        std::fs::write(&path, content)?;
        log(&format!("{} written", path.display()));
        Ok(())
    }
}

/// Says how far it is.
#[expect(clippy::print_stderr, reason = "a chore talks to whoever runs it")]
pub(super) fn log(text: &str) {
    eprintln!("{text}");
}

/// A number in four digits.
pub(super) fn four(value: f64) -> String {
    motley_report::number::four_digits(value).replace(',', "")
}

/// The same, or nothing.
pub(super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(String::new, four)
}
