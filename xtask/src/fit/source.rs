//! Who measured, and what their times hold beside the kernel.

use motley_hardware::Device;

use super::kernels::Kind;

/// A body of measurements.
#[derive(Debug)]
pub(crate) struct Source {
    /// How a row's `source` begins.
    prefix: &'static str,
    /// What citations call it.
    pub(crate) name: &'static str,
    /// The kinds of kernels, on cards of which architectures, that constants are fitted to; others
    /// are evaluated only.
    fits: &'static [(Kind, &'static [&'static str])],
    /// What is timed beside the kernel, to be found with the constants.
    beside: &'static [(Kind, &'static [&'static str], Beside)],
}

/// What a source's times hold beside the kernel. None of it is a constant of a card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    /// A fixed time: launches of further kernels, the host.
    pub(crate) fixed: bool,
    /// Bytes for each element of the input: it is quantised first; keys and values are copied into a
    /// cache.
    pub(crate) input: bool,
    /// A clock of its own: a loop so long that the power limit holds the clock down.
    pub(crate) clock: bool,
}

use Kind::{AttentionBackward, AttentionBoth, AttentionForward, Gemm, GroupedGemm};

const FIXED: Beside = Beside { fixed: true, input: false, clock: false };
const CONVERTED: Beside = Beside { fixed: true, input: true, clock: false };
const THROTTLED: Beside = Beside { fixed: false, input: false, clock: true };

const ALL: &[&str] = &["pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell"];

const SOURCES: &[Source] = &[
    Source {
        prefix: "Baidu DeepBench",
        name: "DeepBench (github.com/baidu-research/DeepBench)",
        fits: &[(Gemm, ALL)],
        beside: &[],
    },
    Source {
        prefix: "NVIDIA aiconfigurator gemm_perf",
        name: "aiconfigurator (github.com/ai-dynamo/aiconfigurator)",
        fits: &[(Gemm, ALL)],
        beside: &[],
    },
    // Kernels of inference; under SGLang FlashAttention 3 on Hopper, FlashInfer on Ampere.
    Source {
        prefix: "NVIDIA aiconfigurator context_attention_perf (SGLang",
        name: "aiconfigurator's prefill under SGLang (github.com/ai-dynamo/aiconfigurator)",
        fits: &[(AttentionForward, &["hopper"])],
        beside: &[(AttentionForward, ALL, CONVERTED)],
    },
    // TensorRT-LLM's own kernels, which do not train.
    Source {
        prefix: "NVIDIA aiconfigurator context_attention_perf (TRTLLM",
        name: "aiconfigurator's prefill under TensorRT-LLM (github.com/ai-dynamo/aiconfigurator)",
        fits: &[],
        beside: &[(AttentionForward, ALL, CONVERTED)],
    },
    Source {
        prefix: "NeuSight",
        name: "NeuSight (github.com/sitar-lab/NeuSight)",
        // Its P100 and T4 are slower than DeepBench's, by a quarter and a fifth on products of every
        // size: power and clock of the hosts are not known.
        fits: &[(Gemm, &["volta", "ampere"])],
        beside: &[(Gemm, &["volta", "ampere"], FIXED), (Gemm, &["pascal", "turing"], THROTTLED)],
    },
    Source {
        prefix: "SimuMax",
        name: "SimuMax (github.com/MooreThreads/SimuMax)",
        fits: &[(Gemm, ALL), (GroupedGemm, ALL), (AttentionForward, ALL), (AttentionBackward, ALL)],
        beside: &[(Gemm, &["blackwell"], THROTTLED), (GroupedGemm, &["blackwell"], THROTTLED)],
    },
    Source {
        prefix: "DeepGEMM",
        name: "DeepGEMM (github.com/deepseek-ai/DeepGEMM)",
        fits: &[(Gemm, ALL)],
        beside: &[],
    },
    Source {
        prefix: "FlashAttention repo",
        name: "figures of FlashAttention (github.com/Dao-AILab/flash-attention)",
        fits: &[(AttentionForward, ALL), (AttentionBoth, ALL)],
        beside: &[],
    },
];

/// What is known of a source; none if nothing is.
pub(crate) fn source(called: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| called.starts_with(source.prefix))
}

impl Source {
    /// Whether constants are fitted to such kernels on such a card.
    pub(crate) fn fits(&self, kind: Kind, device: &Device) -> bool {
        let architecture = device.architecture.as_str();
        self.fits.iter().any(|(of, on)| *of == kind && on.contains(&architecture))
    }

    /// What is timed beside such a kernel. Quantised products convert their input first.
    pub(crate) fn beside(&self, kind: Kind, device: &Device, quantised: bool) -> Beside {
        let architecture = device.architecture.as_str();
        let converts = quantised && self.name.starts_with("aiconfigurator");
        let of = self.beside.iter().find(|(of, on, _)| *of == kind && on.contains(&architecture));
        let of = of.map(|(.., beside)| *beside);
        of.unwrap_or(if converts { CONVERTED } else { Beside::default() })
    }
}
