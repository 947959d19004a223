//! Studies, their points, and what becomes of files that are wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod mistakes;
mod points;

use std::path::Path;

use motley::Failure;
use motley_sweep::{Material, Study};
use tempfile::TempDir;

/// Two unlike nodes.
const BASE: &str = r#"Scenario(
    cluster: (
        groups: [(design: "dgx1-v100", count: 1), (design: "dgx1-p100", count: 1)],
        fabric: (technology: InfiniBand),
    ),
    model: Preset("gpt3-350m"),
    training: (global_batch: 64, sequence_length: 1024, precision: Fp16),
    plan: Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 1),
    seed: 5,
)
"#;

/// A folder with a study and its base.
fn folder_with(study: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.ron"), BASE).unwrap();
    std::fs::write(folder.path().join("it.ron"), study).unwrap();
    folder
}

fn read(folder: &Path) -> Result<(Study, Material), Failure> {
    Study::read(&folder.join("it.ron"))
}

/// A study with this between its brackets, beside the base.
fn study(content: &str) -> (Study, Material) {
    let folder = folder_with(&format!("Study(base: \"base.ron\", {content})"));
    read(folder.path()).unwrap_or_else(|failure| panic!("{failure}"))
}
