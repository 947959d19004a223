//! The schema of a row. A field that is left out or null is one that the source does not state.

use serde::{Deserialize, Deserializer};

/// A struct whose every field may be left out, and the names that may stand in its place of the row.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }
        remarks: $remarks:expr
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $kind,)*
        }

        impl $name {
            /// What a program reads.
            pub(super) const FIELDS: &[&str] = &[$(stringify!($field)),*];
            /// What a source says in its own words, which changes no prediction.
            pub(super) const REMARKS: &[&str] = $remarks;
        }
    };
}

record! {
    /// One measured run.
    Row {
        /// What it is called; the first word names its source.
        id: String,
        /// Where it was published.
        source: Source,
        /// What was trained.
        model: Model,
        /// On what.
        hardware: Hardware,
        /// How it was split and run.
        parallel: Parallel,
        /// What came out; without a figure the row asks only whether the run fits.
        measured: Measured,
        /// How the run ended, of runs that did not finish: `OOM Error`.
        status: Option<String>,
        /// `full`, `partial` or `low`: whether the source states all that a replay needs.
        replayable: Option<String>,
        /// Keywords.
        tags: Vec<String>,
    }
    remarks: &["confidence", "notes"]
}

record! {
    /// Where a run was published.
    Source {
        /// The source's name.
        name: String,
        /// When.
        #[serde(deserialize_with = "count")]
        year: Option<u32>,
        /// Its address.
        url: Option<String>,
    }
    remarks: &["kind", "where"]
}

record! {
    /// What was trained.
    Model {
        /// What it is called.
        name: Option<String>,
        /// Billions of parameters, as the source counts them.
        params_b: Option<f64>,
        /// Transformer layers.
        #[serde(deserialize_with = "count")]
        layers: Option<u32>,
        /// Width of the residual stream.
        #[serde(deserialize_with = "count")]
        hidden: Option<u32>,
        /// Inner width of the MLP.
        #[serde(deserialize_with = "count")]
        ffn: Option<u32>,
        /// Query heads.
        #[serde(deserialize_with = "count")]
        heads: Option<u32>,
        /// Key and value heads.
        #[serde(deserialize_with = "count")]
        kv_heads: Option<u32>,
        /// Width of a head, where it is not `hidden / heads`.
        #[serde(deserialize_with = "count")]
        head_dim: Option<u32>,
        /// Rows of the vocabulary.
        #[serde(deserialize_with = "count")]
        vocab: Option<u32>,
        /// Tokens of a sequence.
        #[serde(deserialize_with = "count")]
        seq: Option<u32>,
        /// Three matrices in the MLP.
        gated_mlp: Option<bool>,
        /// One matrix for embedding and head.
        tied_embeddings: Option<bool>,
        /// The kind of attention, in words.
        attention: Option<String>,
        /// Height, width and channels of an image, `224x224x3`.
        image: Option<String>,
        /// Of mixtures of experts.
        moe: Option<Experts>,
    }
    remarks: &["head", "notes", "fwd_gmacs_per_image"]
}

record! {
    /// A mixture of experts.
    Experts {
        /// How many there are.
        #[serde(deserialize_with = "count")]
        experts: Option<u32>,
        /// How many each token visits.
        #[serde(deserialize_with = "count")]
        topk: Option<u32>,
        /// Experts that every token visits.
        #[serde(deserialize_with = "count")]
        shared: Option<u32>,
        /// Inner width of one.
        #[serde(deserialize_with = "count")]
        moe_ffn: Option<u32>,
        /// Inner width of all shared ones together, where they are not as wide as the others.
        #[serde(deserialize_with = "count")]
        shared_ffn: Option<u32>,
        /// Layers at the beginning that have none.
        #[serde(deserialize_with = "count", alias = "first_dense_layers")]
        dense_layers: Option<u32>,
        /// What an expert takes on, in means; dropless unless given.
        capacity_factor: Option<f64>,
    }
    remarks: &["first_dense_layers"]
}

record! {
    /// The machines.
    Hardware {
        /// The card's catalogue id; none for mixed clusters.
        device: Option<String>,
        /// Cards in all.
        #[serde(deserialize_with = "count")]
        gpus: Option<u32>,
        /// Nodes.
        #[serde(deserialize_with = "count")]
        nodes: Option<u32>,
        /// Cards of a node.
        #[serde(deserialize_with = "count")]
        gpus_per_node: Option<u32>,
        /// What joins the cards of a node.
        gpu_link: Option<String>,
        /// What joins nodes.
        fabric: Option<Fabric>,
        /// Nodes of several kinds.
        groups: Option<Vec<Machines>>,
    }
    remarks: &["gpu", "gpu_mem_gb", "intra_link", "inter_fabric"]
}

record! {
    /// The network between nodes.
    Fabric {
        /// `infiniband`, `roce`, `efa`, `ethernet`, `omni-path`, `slingshot`.
        kind: Option<String>,
        /// One direction, all NICs of a node together.
        gbps_per_node: Option<f64>,
        /// Downward over upward capacity of a leaf.
        oversubscription: Option<f64>,
        /// Whether the source states it; else it is what machines of this kind usually have.
        stated: Option<bool>,
    }
    remarks: &[]
}

record! {
    /// Equal nodes of a mixed cluster.
    Machines {
        /// The card's catalogue id.
        device: Option<String>,
        /// How many nodes.
        #[serde(deserialize_with = "count")]
        nodes: Option<u32>,
        /// Cards of a node.
        #[serde(deserialize_with = "count")]
        gpus_per_node: Option<u32>,
        /// Cards in all.
        #[serde(deserialize_with = "count")]
        gpus: Option<u32>,
        /// Their places in rank order.
        node_index: Option<Vec<u32>>,
    }
    remarks: &[]
}

record! {
    /// How the run was split.
    Parallel {
        /// Tensor-parallel degree.
        #[serde(deserialize_with = "count")]
        tp: Option<u32>,
        /// Sequence parallelism beside it.
        sp: Option<bool>,
        /// Context-parallel degree.
        #[serde(deserialize_with = "count")]
        cp: Option<u32>,
        /// Pipeline stages.
        #[serde(deserialize_with = "count")]
        pp: Option<u32>,
        /// Model chunks of a stage.
        #[serde(deserialize_with = "count")]
        vpp: Option<u32>,
        /// Expert-parallel degree.
        #[serde(deserialize_with = "count")]
        ep: Option<u32>,
        /// Tensor-parallel degree of experts, where it is another.
        #[serde(deserialize_with = "count")]
        etp: Option<u32>,
        /// Data-parallel degree.
        #[serde(deserialize_with = "count")]
        dp: Option<u32>,
        /// ZeRO stage; PyTorch's FSDP is 3.
        #[serde(deserialize_with = "count")]
        zero: Option<u32>,
        /// Samples of a micro-batch.
        #[serde(deserialize_with = "count")]
        mbs: Option<u32>,
        /// Samples of an iteration.
        #[serde(deserialize_with = "count")]
        gbs: Option<u32>,
        /// Micro-batches of an iteration on one data-parallel rank.
        #[serde(deserialize_with = "count")]
        grad_accum: Option<u32>,
        /// What batches are counted in, if not in samples.
        batch_unit: Option<String>,
        /// `none`, `selective` or `full`.
        recompute: Option<String>,
        /// The arithmetic.
        precision: Option<String>,
        /// The same in the source's words, which may say what gradients are kept in.
        precision_text: Option<String>,
        /// FlashAttention.
        flash_attention: Option<bool>,
        /// The order of passes.
        schedule: Option<String>,
        /// Gradients are averaged while the backward pass runs.
        overlap_dp: Option<bool>,
        /// Tensor-parallel exchanges run beside products.
        overlap_tp: Option<bool>,
        /// What runs beside what, in the source's words.
        overlap_text: Option<String>,
        /// The optimizer; Adam unless given.
        optimizer: Option<String>,
        /// Layers of the stages, or the bounds between stages.
        pipeline_partition: Option<Vec<u32>>,
        /// Stages or replicas that differ.
        stages: Option<Vec<Stage>>,
    }
    remarks: &[]
}

record! {
    /// A stage of a plan that is not uniform.
    Stage {
        /// Its layers.
        #[serde(deserialize_with = "count")]
        layers: Option<u32>,
        /// Its copies, one for each pipeline.
        replicas: Vec<Replica>,
    }
    remarks: &[]
}

record! {
    /// A copy of a stage.
    Replica {
        /// Tensor-parallel degree.
        #[serde(deserialize_with = "count")]
        tp: Option<u32>,
        /// Its cards.
        devices: Vec<ReplicaCards>,
    }
    remarks: &[]
}

record! {
    /// Cards of one kind in a copy of a stage.
    ReplicaCards {
        /// Their catalogue id.
        device: String,
        /// How many.
        #[serde(deserialize_with = "count")]
        gpus: Option<u32>,
    }
    remarks: &[]
}

/// What came out. Sources print many more figures, which nothing is compared with: FLOP/s count
/// different things in different sources.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Seconds of an iteration.
    pub iter_s: Option<f64>,
    /// Tokens per second of one card.
    pub tokens_s_gpu: Option<f64>,
    /// Tokens per second of all.
    pub tokens_s: Option<f64>,
    /// Samples per second of all.
    pub samples_s: Option<f64>,
    /// Memory of the fullest card; [`crate::translate`] says in which unit.
    pub mem_gb: Option<f64>,
}

/// A whole number; `32.0` is one too.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    struct Count;

    impl serde::de::Visitor<'_> for Count {
        type Value = u32;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a whole number of 0 or more")
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u32, E> {
            let unexpected = serde::de::Unexpected::Unsigned(number);
            u32::try_from(number).map_err(|_| E::invalid_value(unexpected, &self))
        }

        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u32, E> {
            if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
                Ok(number as u32)
            } else {
                Err(E::invalid_value(serde::de::Unexpected::Float(number), &self))
            }
        }
    }

    struct Stated;

    impl<'de> serde::de::Visitor<'de> for Stated {
        type Value = Option<u32>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a whole number of 0 or more, or null")
        }

        fn visit_unit<E>(self) -> Result<Option<u32>, E> {
            Ok(None)
        }

        fn visit_none<E>(self) -> Result<Option<u32>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Option<u32>, D::Error> {
            value.deserialize_any(Count).map(Some)
        }
    }

    deserializer.deserialize_option(Stated)
}

impl Parallel {
    /// What the source says of overlap, in lower case.
    pub(crate) fn overlap_words(&self) -> String {
        self.overlap_text.as_deref().unwrap_or_default().to_lowercase()
    }
}
