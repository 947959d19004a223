//! A user's measured times, which count instead of what the kernel model predicts.

mod collective;

use motley_units::Seconds;
use serde::{Deserialize, Serialize};

pub use self::collective::{
    CollectiveCurve, ProfiledCollective, ProfiledCollectiveKind, ProfiledNodes, Reach,
};
use crate::{Operands, Operator, Part, Precision, RON_EXTENSIONS, Shard, Work};

/// Measured times of kernels, of layers and of collectives. What is not in it is predicted as without
/// it. Kernels and layers are found as they were measured and not interpolated; collectives are, over
/// their size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Who measured what, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Kernels by shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<ProfiledKernel>,
    /// Whole layers by tensor-parallel degree and micro-batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<ProfiledLayer>,
    /// Collectives by communicator and size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collectives: Vec<ProfiledCollective>,
}

/// The measured time of one kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfiledKernel {
    /// The catalogue id of the card.
    pub card: String,
    /// What the card runs, which may be the fallback.
    pub precision: Precision,
    /// Which operator: what it is called in traces.
    pub operator: String,
    /// How its operands are written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub operands: Operands,
    /// Its shape on one rank.
    pub work: Work,
    /// From the end of the kernel before it, alone on the card.
    pub time: Seconds,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The measured times of one layer, or of what is before or behind the stack, on one rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfiledLayer {
    /// The catalogue id of the card.
    pub card: String,
    /// What the card runs, which may be the fallback.
    pub precision: Precision,
    /// Tensor-parallel degree.
    pub tp: u32,
    /// Samples of a micro-batch.
    pub micro_batch: u32,
    /// Which part of the model; a layer of the stack unless given.
    #[serde(default)]
    pub part: ProfiledPart,
    /// Whether the times hold what tensor-parallel ranks exchange.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tensor_exchange: TensorExchange,
    /// The forward pass.
    pub forward: Seconds,
    /// The backward pass, nothing computed again.
    pub backward: Seconds,
    /// The optimizer step on the part's parameters on one rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Seconds>,
}

/// What a layer's times hold of what tensor-parallel ranks exchange in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TensorExchange {
    /// Nothing: the times are those of the rank's kernels, and the exchange comes on top.
    #[default]
    Excluded,
    /// All of it, as hooks around modules measure.
    Included,
}

/// A part of a model, as profiles name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfiledPart {
    /// Before the stack.
    Embedding,
    /// Any layer of the stack.
    #[default]
    Layer,
    /// Layers of one kind, where layers are unlike: kinds are numbered as they first occur.
    LayerOfKind(u32),
    /// Behind the stack.
    Head,
}

impl ProfiledPart {
    /// Whether it stands for this part of a model.
    pub fn is(self, part: Part) -> bool {
        match (self, part) {
            (Self::Embedding, Part::Embedding)
            | (Self::Layer, Part::Layer(_))
            | (Self::Head, Part::Head) => true,
            (Self::LayerOfKind(of), Part::Layer(kind)) => of == u32::from(kind.0),
            _ => false,
        }
    }
}

impl ProfiledKernel {
    /// The kernel that `operator` is on a card in a precision, taking so long.
    pub fn of(card: &str, precision: Precision, operator: &Operator, time: Seconds) -> Self {
        let Operator { name, work, operands, .. } = operator;
        Self {
            card: card.to_owned(),
            precision,
            operator: (*name).to_owned(),
            operands: *operands,
            work: *work,
            time,
        }
    }

    /// What it is a time of: equal kernels, and only these, have equal keys.
    pub fn key(&self) -> String {
        let Self { card, precision, operator, operands, work, .. } = self;
        format!("{card} {precision:?} {operator:?} {operands:?} {work:?}")
    }
}

impl ProfiledLayer {
    /// What it is a time of.
    pub fn key(&self) -> String {
        let Self { card, precision, tp, micro_batch, part, .. } = self;
        format!("{card} {precision:?} tp {tp} micro-batch {micro_batch} {part:?}")
    }

    /// Whether it stands for a part on one rank. Sequences that several groups share were not measured.
    pub fn is(&self, card: &str, precision: Precision, shard: &Shard, part: Part) -> bool {
        self.card == card
            && self.precision == precision
            && self.tp == shard.tensor_parallel
            && self.micro_batch == shard.micro_batch_size
            && shard.context_parallel <= 1
            && self.part.is(part)
    }
}

impl Profile {
    /// The profile as a file.
    ///
    /// # Panics
    /// Never: all of these types can be written.
    pub fn to_ron(&self) -> String {
        let style = ron::ser::PrettyConfig::new()
            .struct_names(false)
            .depth_limit(2)
            .extensions(RON_EXTENSIONS)
            .new_line("\n");
        let text = ron::Options::default()
            .with_default_extension(RON_EXTENSIONS)
            .to_string_pretty(self, style)
            .expect("these types hold nothing that RON cannot write");
        text + "\n"
    }
}
