//! Whole scenarios, as a person would run them.

use anyhow::{Context, Result};
use motley::{Scenario, load_text};

/// A scenario file with overrides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    file: &'static str,
    text: &'static str,
    overrides: &'static [&'static str],
}

/// A file of `scenarios/`, compiled in.
macro_rules! scenario_file {
    ($file:literal, $overrides:expr) => {
        Question {
            file: $file,
            text: include_str!(concat!("../../scenarios/", $file)),
            overrides: $overrides,
        }
    };
}

impl Question {
    /// BERT-large on 16 V100 and 16 P100: two classes of pipelines, overlapped gradients.
    pub const BERT_V100_P100: Self = scenario_file!("v100_p100_bert_large_balanced.ron", &[]);

    /// GPT 1T on 512 A100: 64 stages, interleaved, selective recomputation.
    pub const KORTHIKANTI_1T_SELECTIVE: Self =
        scenario_file!("measured/korthikanti_2022_1t_selective.ron", &[]);

    /// GPT-3 175B on 1,024 A100 with batch 1,536, the example of Narayanan et al. 2021, section
    /// 5.1; which does not tell the degrees, chosen here.
    pub const GPT3_1024: Self = scenario_file!(
        "measured/sc21_76b.ron",
        &[
            "model=Preset(\"gpt3-175b\")",
            "training.global_batch=1536",
            "plan.dp=16",
            "plan.pp=8",
            "plan.micro_batch_size=1",
        ]
    );

    /// Llama-2-7B on 128 A100 and 128 V100, its plan open.
    pub const POOL_256: Self = scenario_file!(
        "pools/a100_v100_llama2_7b.ron",
        &[
            "cluster.groups[0].count=16",
            "cluster.groups[1].count=16",
            "training.global_batch=2048",
            "plan=Auto",
        ]
    );

    /// The same on 16 A100 and 48 V100, its plan open.
    pub const POOL_64: Self = scenario_file!("pools/a100_v100_llama2_7b.ron", &["plan=Auto"]);

    /// GPT-3 175B on 1,024 H100 in pods of 32 nodes with adaptive routing, as NVIDIA builds them.
    pub const GPT3_1024_H100: Self = scenario_file!(
        "measured/sc21_76b.ron",
        &[
            "model=Preset(\"gpt3-175b\")",
            "cluster.groups[0].design=\"dgx-h100\"",
            "cluster.fabric.shape=RailOptimized(nodes_per_pod: 32, spines: 16)",
            "cluster.fabric.routing=Adaptive",
            "training.global_batch=1536",
            "plan.dp=16",
            "plan.pp=8",
            "plan.micro_batch_size=1",
        ]
    );

    /// Reads and resolves the text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self) -> Result<Scenario> {
        self.load_with(&[])
    }

    /// The same with further overrides.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load_with(&self, overrides: &[&str]) -> Result<Scenario> {
        let overrides: Vec<String> =
            self.overrides.iter().chain(overrides).map(|&each| each.to_owned()).collect();
        load_text(self.file, self.text, &overrides).with_context(|| self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_can_be_planned() {
        for (question, ranks) in [
            (Question::BERT_V100_P100, 32),
            (Question::KORTHIKANTI_1T_SELECTIVE, 512),
            (Question::GPT3_1024, 1024),
            (Question::GPT3_1024_H100, 1024),
        ] {
            let scenario = question.load().unwrap();
            let prepared = motley::prepare(&scenario).unwrap();
            assert_eq!(prepared.lowered.job.ranks.len(), ranks, "{question:?}");
        }
    }
}
