//! The long form: every part of a model written out.

use serde::{Deserialize, Serialize};

use super::check::{Checker, limits};
use super::{FieldPath, ModelError};
use crate::Model;
use crate::model::{
    Attention, Embedding, Experts, FeedForward, Head, Layer, Mlp, Operation, Positions,
    Projections, Transformer,
};

/// A model with every part written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// What it is called.
    pub name: String,
    /// What stands before the layers.
    pub embedding: Embedding,
    /// The layers, from the first.
    pub layers: Vec<Run>,
    /// Modules for multi-token prediction behind the layers (DeepSeek-V3, arXiv 2412.19437, section
    /// 2.2), each with a layer as the last one is.
    #[serde(default, skip_serializing_if = "is_none")]
    pub mtp_layers: u32,
    /// What stands behind them.
    pub head: Head,
}

/// A few layers, several times one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// How many times.
    #[serde(default = "once")]
    pub repeat: u32,
    /// The layers that are repeated.
    pub layers: Vec<Layer>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

fn once() -> u32 {
    1
}

impl Stack {
    pub(super) fn build(&self) -> Result<Model, Vec<ModelError>> {
        let errors = self.check();
        if !errors.is_empty() {
            return Err(errors);
        }
        let layers = self
            .layers
            .iter()
            .flat_map(|run| (0..run.repeat).flat_map(|_| run.layers.iter().cloned()));
        let (name, embedding, head) =
            (self.name.clone(), self.embedding.clone(), self.head.clone());
        Ok(Model::new(name, embedding, layers, self.mtp_layers, head))
    }

    fn check(&self) -> Vec<ModelError> {
        let mut checker = Checker::new(&self.name);
        let root = FieldPath::default();
        self.check_embedding(&root.field("embedding"), &mut checker);
        self.check_runs(&root.field("layers"), &mut checker);
        self.check_predictions(&root.field("mtp_layers"), &mut checker);
        self.check_head(&root.field("head"), &mut checker);
        checker.errors
    }

    fn check_embedding(&self, path: &FieldPath, checker: &mut Checker) {
        match &self.embedding {
            Embedding::Tokens(tokens) => {
                checker.size(&path.field("vocab"), tokens.vocab, limits::ROWS);
                checker.size(&path.field("hidden"), tokens.hidden, limits::WIDTH);
                let positions = path.field("learned_positions");
                checker.size_or_none(&positions, tokens.learned_positions, limits::ROWS);
                checker.size_or_none(&path.field("token_types"), tokens.token_types, limits::WIDTH);
            }
            Embedding::Images(images) => {
                checker.size(&path.field("channels"), images.channels, limits::WIDTH);
                checker.size(&path.field("height"), images.height, limits::WIDTH);
                checker.size(&path.field("width"), images.width, limits::WIDTH);
            }
        }
    }

    fn check_runs(&self, path: &FieldPath, checker: &mut Checker) {
        let mut count = 0_u64;
        for (r, run) in self.layers.iter().enumerate() {
            let run_path = path.index(r);
            checker.size(&run_path.field("repeat"), run.repeat, limits::LAYERS);
            count += u64::from(run.repeat) * run.layers.len() as u64;
            for (l, layer) in run.layers.iter().enumerate() {
                let path = run_path.field("layers").index(l);
                match layer {
                    Layer::Convolutional(operations) => {
                        for (o, operation) in operations.iter().enumerate() {
                            let place = path.index(o);
                            check_operation(&place, operation, checker);
                        }
                    }
                    Layer::Transformer(layer) => {
                        self.check_transformer(&path, layer, checker);
                        if (r, l) == (0, 0) && layer.cross_attention.is_some() {
                            checker.error(
                                &path.field("cross_attention"),
                                "the first layer has no encoder before it to attend to",
                            );
                        }
                    }
                }
            }
        }
        if count == 0 {
            checker.error(path, "the stack has no layer");
        } else if count > u64::from(limits::LAYERS) {
            let limit = limits::LAYERS;
            checker
                .error(path, &format!("the stack has {count} layers, above the limit of {limit}"));
        } else if checker.errors.is_empty() {
            self.check_maps(path, checker);
        }
    }

    /// Whether every operation on feature maps fits those that it reads; the first that does not.
    fn check_maps(&self, path: &FieldPath, checker: &mut Checker) {
        let mut maps = self.embedding.output();
        for (r, run) in self.layers.iter().enumerate() {
            for (l, layer) in (0..run.repeat).flat_map(|_| run.layers.iter().enumerate()) {
                let Layer::Convolutional(operations) = layer else { continue };
                for (o, operation) in operations.iter().enumerate() {
                    match operation.output(maps) {
                        Ok(output) => maps = output,
                        Err(reason) => {
                            let place = path.index(r).field("layers").index(l).index(o);
                            checker.error(&place, &reason);
                            return;
                        }
                    }
                }
            }
        }
    }

    fn check_transformer(&self, path: &FieldPath, layer: &Transformer, checker: &mut Checker) {
        let Embedding::Tokens(tokens) = &self.embedding else {
            checker.error(path, "a transformer layer does not read images");
            return;
        };
        check_attention(&path.field("attention"), &layer.attention, tokens.hidden, checker);
        if let Some(cross) = &layer.cross_attention {
            let path = path.field("cross_attention");
            check_attention(&path, cross, tokens.hidden, checker);
            if matches!(cross.projections, Projections::Latent { .. }) {
                let path = path.field("projections");
                checker.error(&path, "latent attention to an encoder's output is not modelled");
            }
        }
        let path = path.field("feed_forward");
        match &layer.feed_forward {
            FeedForward::Dense(mlp) => check_mlp(&path, *mlp, checker),
            FeedForward::Experts(bank) => check_experts(&path, bank, checker),
        }
    }

    /// Modules for multi-token prediction repeat the last layer, on tokens.
    fn check_predictions(&self, path: &FieldPath, checker: &mut Checker) {
        checker.size_or_none(path, self.mtp_layers, limits::PREDICTED);
        let last = self.layers.last().and_then(|run| run.layers.last());
        let decoder = |layer: &Layer| match layer {
            Layer::Transformer(layer) => layer.cross_attention.is_none(),
            Layer::Convolutional(_) => false,
        };
        if self.mtp_layers > 0 && last.is_some_and(|layer| !decoder(layer)) {
            let message = "modules for multi-token prediction have a transformer layer as the last one \
                           is, without cross-attention; leave `mtp_layers` out";
            checker.error(path, message);
        }
    }

    fn check_head(&self, path: &FieldPath, checker: &mut Checker) {
        match (&self.head, &self.embedding) {
            (Head::Language(_), Embedding::Images(_)) => {
                checker.error(path, "a model of images has no vocabulary; give it a `Classifier`");
            }
            (Head::Classifier(_), Embedding::Tokens(_)) => {
                checker.error(path, "a classifier of token sequences is not modelled");
            }
            (Head::Classifier(head), Embedding::Images(_)) => {
                checker.size(&path.field("classes"), head.classes, limits::ROWS);
            }
            (Head::Language(_), Embedding::Tokens(_)) => {}
        }
    }
}

fn check_attention(path: &FieldPath, attention: &Attention, hidden: u32, checker: &mut Checker) {
    let heads = attention.heads;
    checker.size(&path.field("heads"), heads, limits::HEADS);
    if let Some(window) = attention.window {
        checker.size(&path.field("window"), window, limits::ROWS);
    }
    let projections = path.field("projections");
    let widths: u32 = match attention.projections {
        Projections::Grouped { kv_heads, head_dim } => {
            checker.size(&projections.field("kv_heads"), kv_heads, limits::HEADS);
            checker.size(&projections.field("head_dim"), head_dim, limits::HEADS);
            checker.groups(&projections.field("kv_heads"), heads, kv_heads);
            head_dim
        }
        Projections::Latent { q_rank, kv_rank, nope_dim, rope_dim, v_dim } => {
            if let Some(rank) = q_rank {
                checker.size(&projections.field("q_rank"), rank, limits::WIDTH);
            }
            checker.size(&projections.field("kv_rank"), kv_rank, limits::WIDTH);
            checker.size(&projections.field("nope_dim"), nope_dim, limits::HEADS);
            checker.size_or_none(&projections.field("rope_dim"), rope_dim, limits::HEADS);
            checker.size(&projections.field("v_dim"), v_dim, limits::HEADS);
            nope_dim.saturating_add(rope_dim)
        }
    };
    // T5 11B goes furthest, with 16 times the stream.
    checker.head_width(&path.field("heads"), heads, widths, hidden, 32);
    match attention.positions {
        Positions::PartialRotary { dim } if dim == 0 || dim > widths => checker.error(
            &path.field("positions").field("dim"),
            &format!("{dim} elements of a head of {widths} cannot be rotated"),
        ),
        Positions::RelativeBias { buckets } => {
            checker.size(&path.field("positions").field("buckets"), buckets, limits::WIDTH);
        }
        _ => {}
    }
}

fn check_operation(path: &FieldPath, operation: &Operation, checker: &mut Checker) {
    match operation {
        Operation::Convolution(convolution) => {
            checker.size(&path.field("channels"), convolution.channels, limits::WIDTH);
            let (rows, columns) = convolution.kernel;
            checker.size(&path.field("kernel"), rows.min(columns), limits::WIDTH);
            checker.size(&path.field("stride"), convolution.stride, limits::WIDTH);
        }
        Operation::MaxPool(pool) | Operation::AveragePool(pool) => {
            checker.size(&path.field("kernel"), pool.kernel, limits::WIDTH);
            checker.size(&path.field("stride"), pool.stride, limits::WIDTH);
        }
        Operation::Linear(linear) => {
            checker.size(&path.field("outputs"), linear.outputs, limits::FFN);
        }
        Operation::Branches(branches) => {
            let rows = path.field("rows");
            for (r, row) in branches.rows.iter().enumerate() {
                for (o, operation) in row.iter().enumerate() {
                    check_operation(&rows.index(r).index(o), operation, checker);
                }
            }
        }
        Operation::GlobalAveragePool | Operation::Activation => {}
    }
}

fn check_mlp(path: &FieldPath, mlp: Mlp, checker: &mut Checker) {
    checker.size(&path.field("ffn"), mlp.ffn, limits::FFN);
}

fn check_experts(path: &FieldPath, bank: &Experts, checker: &mut Checker) {
    let Experts { experts, top_k, .. } = *bank;
    checker.size(&path.field("experts"), experts, limits::EXPERTS);
    checker.size(&path.field("top_k"), top_k, limits::EXPERTS);
    if top_k > experts {
        checker.error(
            &path.field("top_k"),
            &format!("a token cannot visit {top_k} of {experts} experts"),
        );
    }
    check_mlp(&path.field("expert"), bank.expert, checker);
    if let Some(shared) = bank.shared {
        checker.size(&path.field("shared").field("ffn"), shared.ffn, limits::FFN);
    }
    if let Some((groups, top_groups)) = bank.router.groups() {
        let router = path.field("router");
        if groups == 0 || !experts.is_multiple_of(groups) {
            let message = format!("{experts} experts do not form {groups} equal groups");
            checker.error(&router.field("groups"), &message);
        } else if top_groups == 0 || top_groups > groups {
            let message = format!("a token cannot choose from {top_groups} of {groups} groups");
            checker.error(&router.field("top_groups"), &message);
        } else if top_k > experts / groups * top_groups {
            let standing = experts / groups * top_groups;
            let message = format!(
                "a token cannot visit {top_k} of the {standing} experts of {top_groups} groups"
            );
            checker.error(&path.field("top_k"), &message);
        }
    }
}
