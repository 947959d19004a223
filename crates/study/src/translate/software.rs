//! Software stacks, and what each does unless it is told otherwise.

use motley_scenario::raw::RawGradientSync;
use motley_scheduler::ActivationSends;
use motley_units::Bytes;
use motley_workload::{Fusion, HostLaunch, Precision};

use super::model::reads_images;
use crate::runs::Row;

/// Who runs the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Software {
    /// Megatron-LM up to the SC'21 paper.
    EarlyMegatron,
    /// Megatron-LM from 2022: fused gradient accumulation, weight gradients beside all-reduces.
    Megatron,
    /// Megatron-Core: NeMo, MLPerf; buckets over the backward pass.
    MegatronCore,
    /// Megatron-Core as the benchmark recipes of Megatron-Bridge set it up
    /// (github.com/NVIDIA-NeMo/Megatron-Bridge, `perf_recipes`).
    MegatronBridge,
    /// DeepSpeed's pipelines around Megatron-LM's layers of 2021.
    MegatronDeepSpeed,
    /// The same without its fused kernels: DeepSpeed's examples of 2020, which must be asked for each.
    UnfusedMegatron,
    /// Aleph Alpha's trainer (github.com/Aleph-Alpha/scaling), whose measurements name the kernels that are
    /// fused.
    Scaling,
    /// Hugging Face's nanotron.
    Nanotron,
    /// PyTorch's FSDP or DDP around a model: llm-foundry, torchtitan, BERT of DeepLearningExamples;
    /// also whatever trains models of images, all of which average gradients in the same way.
    PyTorch,
    /// Anything else.
    Other,
}

/// Sources by a part of their names, in lower case. The first that fits is taken.
const SOURCES: [(&str, Software); 32] = [
    ("zero bubble", Software::Megatron),
    ("megatron-core", Software::MegatronCore),
    ("megatron-bridge", Software::MegatronBridge),
    ("nemo", Software::MegatronCore),
    ("mlperf", Software::MegatronCore),
    ("gpu-recipes", Software::MegatronCore),
    ("simumax", Software::MegatronCore),
    ("megascale", Software::MegatronCore),
    ("megatron-deepspeed", Software::MegatronDeepSpeed),
    ("bigscience", Software::MegatronDeepSpeed),
    ("bloom", Software::MegatronDeepSpeed),
    ("vtrain", Software::MegatronDeepSpeed),
    ("amp (", Software::UnfusedMegatron),
    ("sailor", Software::MegatronDeepSpeed),
    ("mt-nlg", Software::MegatronDeepSpeed),
    ("glm-130b", Software::MegatronDeepSpeed),
    ("deepspeed", Software::MegatronDeepSpeed),
    ("aleph", Software::Scaling),
    ("hagemann", Software::Scaling),
    ("pythia", Software::MegatronDeepSpeed),
    ("nanotron", Software::Nanotron),
    ("smollm", Software::Nanotron),
    ("llm-foundry", Software::PyTorch),
    ("mosaic", Software::PyTorch),
    ("mpt-", Software::PyTorch),
    ("torchtitan", Software::PyTorch),
    ("fsdp", Software::PyTorch),
    ("deeplearningexamples", Software::PyTorch),
    ("flash", Software::PyTorch),
    ("gavel", Software::PyTorch),
    ("megatron", Software::Megatron),
    ("korthikanti", Software::Megatron),
];

impl Software {
    /// By the source's name and year.
    pub fn of(row: &Row) -> Self {
        let name = row.source.name.to_lowercase();
        if reads_images(row) {
            return Self::PyTorch;
        }
        let found = SOURCES.iter().find(|(part, _)| name.contains(part)).map(|(_, stack)| *stack);
        match (found, row.source.year) {
            (Some(Self::Megatron), Some(..=2021)) => Self::EarlyMegatron,
            (Some(Self::Megatron), Some(2023..)) if !name.contains("zero bubble") => {
                Self::MegatronCore
            }
            (Some(stack), _) => stack,
            (None, _) => Self::Other,
        }
    }

    /// How docs and assumptions call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EarlyMegatron => "Megatron-LM until 2021",
            Self::Megatron => "Megatron-LM from 2022",
            Self::MegatronCore => "Megatron-Core",
            Self::MegatronBridge => "Megatron-Bridge's recipes",
            Self::MegatronDeepSpeed => "Megatron-DeepSpeed",
            Self::UnfusedMegatron | Self::Scaling => "Megatron-DeepSpeed without fused kernels",
            Self::Nanotron => "nanotron",
            Self::PyTorch => "PyTorch",
            Self::Other => "an unknown stack",
        }
    }

    /// Megatron-Core, whoever sets it up.
    pub(super) fn is_megatron_core(self) -> bool {
        matches!(self, Self::MegatronCore | Self::MegatronBridge)
    }

    /// MosaicML's llm-foundry, around PyTorch.
    pub(super) fn is_llm_foundry(self, row: &Row) -> bool {
        let name = row.source.name.to_lowercase();
        let named = ["llm-foundry", "mosaic", "mpt-"].iter().any(|part| name.contains(part));
        self == Self::PyTorch && named
    }

    /// Replicas that share out optimizer states get all sums of gradients: DeepSpeed's pipelines in bf16
    /// (`_bf16_reduce_grads`), scaling (`allreduce_no_retain`).
    pub(super) fn reduces_whole(self, precision: Precision) -> bool {
        self == Self::Scaling || self == Self::MegatronDeepSpeed && precision == Precision::Bf16
    }

    /// Tensor ranks send parts of activations between stages: Megatron-LM until its core dropped
    /// `scatter_gather_tensors_in_pipeline` in 2023, DeepSpeed's `PartitionedTensor`.
    pub(super) fn scatters_sends(self) -> bool {
        matches!(
            self,
            Self::EarlyMegatron
                | Self::Megatron
                | Self::MegatronDeepSpeed
                | Self::UnfusedMegatron
                | Self::Other
        )
    }

    /// Rows of the vocabulary are padded to a multiple of 128 for each tensor rank
    /// (`--make-vocab-size-divisible-by`).
    pub(super) fn pads_vocabulary(self) -> bool {
        self.is_megatron()
    }

    /// GPT models train with dropout (`--hidden-dropout 0.1`).
    pub(super) fn drops_out(self) -> bool {
        self.is_megatron()
    }

    fn is_megatron(self) -> bool {
        matches!(
            self,
            Self::EarlyMegatron
                | Self::Megatron
                | Self::MegatronDeepSpeed
                | Self::UnfusedMegatron
                | Self::Scaling
        ) || self.is_megatron_core()
    }

    /// Weight-gradient products add to an fp32 buffer themselves (Apex's
    /// `fused_weight_gradient_mlp_cuda`, Megatron-LM since 2022).
    pub(super) fn fuses_gradient_accumulation(self) -> bool {
        self == Self::Megatron || self.is_megatron_core()
    }

    /// Weight gradients are computed while input gradients are all-reduced.
    pub(super) fn overlaps_weight_gradients(self) -> bool {
        matches!(self, Self::Megatron | Self::Nanotron) || self.is_megatron_core()
    }

    /// When a stage sends on what a forward pass has computed: `DeepSpeed`'s pipelines first receive what
    /// the next backward pass begins with; scaling's, made after them, send first
    /// (`PipelineScheduleTrain`).
    pub(super) fn activation_sends(self) -> ActivationSends {
        match self {
            Self::MegatronDeepSpeed | Self::UnfusedMegatron => ActivationSends::AfterGradient,
            _ => ActivationSends::AtOnce,
        }
    }

    /// Bytes of a gradient of bf16 training; fp16 has 2 everywhere but where 4 are stated.
    pub(super) fn bf16_gradient_bytes(self) -> u32 {
        match self {
            // `accumulate_allreduce_grads_in_fp32`, on for bf16; nanotron's `accumulate_grad_in_fp32`.
            // DeepSpeed's `BF16_Optimizer`.
            Self::EarlyMegatron
            | Self::Megatron
            | Self::MegatronCore
            | Self::MegatronDeepSpeed
            | Self::Nanotron => 4,
            // The parameters' own type; in Megatron-Bridge's recipes `grad_reduce_in_fp32 = False`.
            Self::MegatronBridge
            | Self::UnfusedMegatron
            | Self::Scaling
            | Self::PyTorch
            | Self::Other => 2,
        }
    }

    /// Attention is FlashAttention unless the source says otherwise. Megatron-LM has it since 2023 for
    /// who asks (`--use-flash-attn`), Megatron-Core by default with Transformer Engine.
    pub(super) fn flashes(self, year: Option<u32>) -> bool {
        match self {
            Self::EarlyMegatron
            | Self::Megatron
            | Self::MegatronDeepSpeed
            | Self::UnfusedMegatron
            | Self::Scaling => false,
            Self::MegatronCore | Self::MegatronBridge | Self::Nanotron => true,
            // PyTorch 2.0, March 2023.
            Self::PyTorch | Self::Other => year.is_some_and(|year| year >= 2023),
        }
    }

    /// The newest version of FlashAttention that the stack has: none where that is what its cards have.
    /// Version 2 came out in July 2023. Hopper's own are version 3 and cuDNN's, of 2024: by way of
    /// Transformer Engine these are in Megatron-Core, while the package `flash-attn` and PyTorch go on
    /// with version 2. llm-foundry's runs of 2023 ask for `attn_impl: triton`, which is version 1.
    pub(super) fn flash_version(self, year: Option<u32>) -> Option<u8> {
        match (self.is_megatron_core(), year?) {
            (_, ..=2022) | (false, 2023) => Some(1),
            (true, 2023) | (false, _) => Some(2),
            (true, _) => None,
        }
    }

    /// How the host launches kernels.
    pub(super) fn host_launch(self) -> HostLaunch {
        match self {
            Self::EarlyMegatron
            | Self::Megatron
            | Self::MegatronCore
            | Self::MegatronBridge
            | Self::Other => HostLaunch::Megatron,
            Self::MegatronDeepSpeed
            | Self::UnfusedMegatron
            | Self::Scaling
            | Self::Nanotron
            | Self::PyTorch => HostLaunch::Eager,
        }
    }

    /// Which chains of operations run as one kernel.
    pub(super) fn fusion(self) -> Fusion {
        match self {
            // Of an unknown stack nothing is known.
            Self::EarlyMegatron
            | Self::Megatron
            | Self::MegatronCore
            | Self::MegatronBridge
            | Self::MegatronDeepSpeed
            | Self::Other => Fusion::default(),
            // `TritonRMSNorm`, flash-attn's rotary; `GLUActivation` is eager. `qkv_proj` and
            // `gate_up_proj` are one product each.
            Self::Nanotron => {
                Fusion { norm: true, rotary: true, qkv: true, gate: true, ..Fusion::NOTHING }
            }
            // AMP's script asks for none of `--bias-gelu-fusion`, `--bias-dropout-fusion`,
            // `--scaled-upper-triang-masked-softmax-fusion`, which Megatron-LM of 2020 wants to be asked
            // for. Megatron-LM's `query_key_value` is one product, as is Aleph Alpha's; there the gate is a
            // layer of its own (`ParallelSwiGLUMLP` in github.com/Aleph-Alpha/scaling).
            Self::UnfusedMegatron | Self::Scaling => Fusion { qkv: true, ..Fusion::NOTHING },
            // Hugging Face's models, torchtitan's: a layer for each matrix.
            Self::PyTorch => Fusion::NOTHING,
        }
    }

    /// Gradients are averaged over the backward pass unless the source says otherwise.
    pub(super) fn overlaps_gradients(self) -> bool {
        matches!(self, Self::Nanotron | Self::PyTorch) || self.is_megatron_core()
    }

    /// How gradients are averaged if over the backward pass.
    pub(super) fn buckets(self) -> RawGradientSync {
        let bytes = match self {
            // 40 million parameters, Megatron-Core's default, in fp32 or bf16.
            Self::MegatronCore => 160e6,
            Self::MegatronBridge => 80e6,
            // `reduce_bucket_size`: 5e8 elements of 2 bytes.
            Self::MegatronDeepSpeed | Self::UnfusedMegatron | Self::Scaling => 1e9,
            // PyTorch DDP's `bucket_cap_mb`.
            _ => 25.0 * 1024.0 * 1024.0,
        };
        RawGradientSync::Overlapped { bucket: Bytes(bytes) }
    }
}
