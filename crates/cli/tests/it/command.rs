//! Runs the binary.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with these arguments, in `folder`, without colours or threads that the caller's
/// environment asks for.
pub(crate) fn command(folder: &Path, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_motley"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    for variable in ["NO_COLOR", "RAYON_NUM_THREADS", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command
}

pub(crate) fn finish(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `motley` with these arguments in `folder`.
pub(crate) fn motley(folder: &Path, arguments: &[&str]) -> Ran {
    finish(command(folder, arguments))
}

/// The same; it must succeed, and its output is the answer.
#[track_caller]
pub(crate) fn answer(folder: &Path, arguments: &[&str]) -> String {
    let ran = motley(folder, arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}\n{}", ran.stderr);
    ran.stdout
}

/// Verdicts one a line: what does not fit behind a path goes on in the next line.
pub(crate) fn unfolded(verdicts: &str) -> String {
    verdicts.replace("\n    ", " ")
}

/// The folder of the whole project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder that holds one file.
pub(crate) fn folder_with(name: &str, content: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), content).unwrap();
    folder
}

/// Two unlike nodes with all three kinds of parallelism.
pub(crate) const MIXED: &str = r#"Scenario(
    question: "What does the mix cost?",
    cluster: (
        groups: [
            (design: "dgx1-v100", count: 1),
            (design: "dgx1-p100", count: 1),
        ],
        fabric: (technology: InfiniBand, port: Gbps(100), oversubscription: 1.0),
    ),
    model: Preset("gpt3-350m"),
    training: (global_batch: 64, sequence_length: 1024, precision: Fp16),
    plan: Uniform(dp: 4, tp: 2, pp: 2, micro_batch_size: 1),
    noise: (kernel_jitter: 0.05, card_spread: 0.02),
)
"#;

/// One node, every stage written out, half of its cards idle.
pub(crate) const EXPLICIT: &str = r#"Scenario(
    cluster: (groups: [(design: "dgx1-v100", count: 1)]),
    model: Preset("gpt3-350m"),
    training: (global_batch: 20, sequence_length: 1024, precision: Fp16),
    plan: Explicit(
        pipelines: [
            (micro_batches: 12, micro_batch_size: 1, stages: [
                (gpus: [0], layers: 0..14),
                (gpus: [1], layers: 14..24),
            ]),
            (micro_batches: 8, micro_batch_size: 1, stages: [
                (gpus: 2..4, layers: 0..24),
            ]),
        ],
    ),
)
"#;

/// `text` with each `(from, to)` applied once; `from` must be there.
pub(crate) fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text.replacen(from, to, 1)
    })
}
