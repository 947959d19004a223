//! The published runs that come with motley.
//!
//! `suite/` has a file for each source: its citation, what its runs have in common, and tables in
//! which a row says what is its own. Rows become the same [`Row`](crate::runs::Row) as lines of JSON
//! do, checked for the same mistakes, so there is one way to translate a run. `docs/runs.md` says by
//! which rule runs were chosen.

mod constant;
mod file;
mod merge;

use std::sync::LazyLock;

pub use constant::{Constant, MeasuredOn, constants};
pub use file::{Choice, Citation};

use crate::runs::Runs;

/// The files of `suite/`, by name.
macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../suite/", $name, ".ron")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "amp",
    "bloom",
    "bloomberggpt",
    "dle_bert_pytorch",
    "dle_bert_tensorflow",
    "dle_resnet_mxnet",
    "dle_resnet_pytorch",
    "dle_resnet_tensorflow",
    "dle_transformer",
    "flagperf",
    "gavel",
    "glm_130b",
    "gpu_recipes",
    "hagemann_2023",
    "jean_zay",
    "korthikanti_2022",
    "llm_foundry",
    "megatron_bridge",
    "megatron_core_0_8",
    "megatron_readme_2020",
    "megatron_readme_2021",
    "mlperf_0_7",
    "mlperf_2_0",
    "mlperf_3_1",
    "mlperf_4_0",
    "mlperf_4_1",
    "mlperf_5_0",
    "nanotron",
    "nemo_24_03",
    "nemo_24_07",
    "neusight",
    "sailor",
    "sc21",
    "simumax",
    "tensorflow_2017",
    "tinyllama",
    "vtrain",
    "zero_bubble",
];

/// Published runs and where they are from.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// A source for each file, in the order of the files' names.
    pub sources: Vec<SuiteSource>,
    /// All runs, those of a source together.
    pub runs: Runs,
}

/// A source of published runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteSource {
    /// The file's name, without `.ron`.
    pub file: String,
    /// The first word of its runs' ids; several sources of one publisher may share it.
    pub key: String,
    /// Where it was published.
    pub citation: Citation,
    /// Which of its runs are here.
    pub runs: Choice,
    /// Which of the runs that did not fit into memory are here.
    pub failures: Option<Choice>,
    /// What is known of why predictions are off.
    pub remark: Option<String>,
    /// Where in the source the runs are.
    pub places: Vec<String>,
    /// The ids of its runs.
    pub ids: Vec<String>,
}

static SUITE: LazyLock<Suite> =
    LazyLock::new(|| Suite::parse(FILES).expect("the files are compiled in and read by the tests"));

/// The suite that is compiled in.
pub fn suite() -> &'static Suite {
    &SUITE
}

impl Suite {
    /// Reads files: their names, without `.ron`, and their texts.
    fn parse(files: &[(&str, &str)]) -> Result<Self, Vec<String>> {
        let mut suite = Self { sources: Vec::new(), runs: Runs::default() };
        let mut mistakes = Vec::new();
        for (name, text) in files {
            match file::read(name, text) {
                Ok((source, rows)) => {
                    suite.sources.push(source);
                    suite.runs.rows.extend(rows.into_iter().map(|row| (row, Vec::new())));
                }
                Err(found) => mistakes.extend(found),
            }
        }
        if mistakes.is_empty() { Ok(suite) } else { Err(mistakes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that lies in the folder and is not compiled in would be missed by nobody.
    #[test]
    fn every_file_of_the_folder_is_compiled_in() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("suite");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let listed: Vec<String> = FILES.iter().map(|(name, _)| format!("{name}.ron")).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn files_are_without_mistakes() {
        assert_eq!(Suite::parse(FILES).err(), None);
    }
}
