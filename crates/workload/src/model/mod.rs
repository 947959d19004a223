//! A model: an embedding, a stack of layers, a head.
//!
//! Layers may be unlike. Equal layers are one *kind*: what depends on a layer is asked by its kind
//! and computed once for each.

mod attention;
mod convolution;
mod embedding;
mod extent;
mod feed_forward;
mod head;
mod norm;
mod spread;
mod transformer;
mod weight;

use serde::{Deserialize, Serialize};

pub(crate) use attention::Latents;
pub use attention::{Attention, AttentionMask, Positions, Projections, QkNorm};
pub(crate) use convolution::output_of;
pub use convolution::{Branches, Convolution, FullyConnected, Join, Operation, Padding, Pool};
pub use embedding::{Embedding, Images, TokenEmbedding};
pub use extent::Extent;
pub use feed_forward::{Experts, FeedForward, Mlp, Router, SharedExpert};
pub use head::{Classifier, Head, LanguageHead};
pub use norm::Norm;
pub use spread::Spread;
pub use transformer::{NormPlacement, Residual, Transformer};
pub(crate) use transformer::{cross_inputs, prediction_weight};
pub use weight::{ParameterCount, Projection};
pub(crate) use weight::{Split, Weight, WeightRows};

use crate::{RecomputeModule, Training};

/// One layer of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// Attention and feed-forward.
    Transformer(Transformer),
    /// Operations on feature maps, one after the other.
    Convolutional(Vec<Operation>),
}

/// A model: an embedding, a stack of layers, a head. [`crate::Description::build`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What it is called.
    pub name: String,
    pub(crate) embedding: Embedding,
    kinds: Vec<LayerKind>,
    /// The kind of each layer.
    stack: Vec<KindId>,
    pub(crate) head: Head,
}

/// Layers that are equal, input and all.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerKind {
    /// What they are.
    pub layer: Layer,
    /// What they read.
    pub input: Extent,
    /// What they put out.
    pub output: Extent,
    /// Modules for multi-token prediction that it is; 0: it is a layer of the stack.
    depth: u32,
    parameters: ParameterCount,
    active_parameters: f64,
}

/// The place of a kind in [`Model::kinds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindId(pub u16);

/// What a model is made of: the pieces that stages hold, and whose work and parameters are asked
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Before the stack.
    Embedding,
    /// A layer of a kind.
    Layer(KindId),
    /// Behind the stack.
    Head,
}

impl LayerKind {
    /// A layer on its input, or so many modules that predict further tokens with such a layer each. The
    /// first layer with cross-attention begins the target sequence.
    fn new(layer: Layer, input: Extent, depth: u32) -> Self {
        let output = match &layer {
            Layer::Transformer(_) if depth > 0 => {
                Extent::Predictions { hidden: input.width() as u32, depth }
            }
            Layer::Transformer(Transformer { cross_attention: Some(_), .. }) => {
                Extent::Target { hidden: input.width() as u32 }
            }
            Layer::Transformer(_) => input,
            Layer::Convolutional(operations) => output_of(operations, input),
        };
        let mut kind = Self {
            layer,
            input,
            output,
            depth,
            parameters: ParameterCount::default(),
            active_parameters: 0.0,
        };
        let (weights, vectors) = (kind.weights(), kind.vectors());
        kind.parameters = weights.iter().map(Weight::parameters).sum::<ParameterCount>()
            + ParameterCount::dense(vectors);
        kind.active_parameters =
            weights.iter().map(Weight::active_parameters).sum::<f64>() + vectors;
        kind
    }

    /// Whether the decoder begins here: encoder's norm and the target's embedding come first.
    pub(crate) fn enters_target(&self) -> bool {
        matches!((self.input, self.output), (Extent::Sequence { .. }, Extent::Target { .. }))
    }

    /// Width of the stream that the layer works on.
    pub(crate) fn hidden(&self) -> u64 {
        self.output.width()
    }

    /// How often it has what its layer has.
    pub(crate) fn layers(&self) -> usize {
        self.depth.max(1) as usize
    }

    /// Whether it predicts further tokens behind the stack: it looks words up, too.
    pub(crate) fn predicts(&self) -> bool {
        self.depth > 0
    }

    /// All matrices.
    pub(crate) fn weights(&self) -> Vec<Weight> {
        match &self.layer {
            Layer::Transformer(layer) => {
                let mut weights = layer.weights(self.hidden());
                weights.extend(self.predicts().then(|| prediction_weight(self.hidden())));
                vec![weights; self.layers()].concat()
            }
            Layer::Convolutional(operations) => convolution::weights(operations, self.input),
        }
    }

    /// The layer, if it is a transformer's.
    pub(crate) fn transformer(&self) -> Option<&Transformer> {
        match &self.layer {
            Layer::Transformer(layer) => Some(layer),
            Layer::Convolutional(_) => None,
        }
    }

    /// Whether tokens are routed to experts here.
    pub fn has_experts(&self) -> bool {
        self.transformer()
            .is_some_and(|layer| matches!(layer.feed_forward, FeedForward::Experts(_)))
    }

    /// Whether the attention adds a learned bias to its scores, which no FlashAttention takes.
    pub fn has_biased_scores(&self) -> bool {
        self.relative_bias() > 0.0
    }

    /// Entries of the attention's table of relative positions.
    fn relative_bias(&self) -> f64 {
        self.transformer().map_or(0.0, |layer| layer.attention.relative_bias())
    }

    /// Parameters that are not of matrices.
    fn vectors(&self) -> f64 {
        match &self.layer {
            Layer::Transformer(layer) => {
                let entry = if self.enters_target() { layer.norm.per_channel() } else { 0.0 };
                // Of a module the norms of both that it joins, and the one before its scores.
                let joined = if self.predicts() { 3.0 * layer.norm.per_channel() } else { 0.0 };
                self.layers() as f64
                    * (layer.vectors(self.hidden()) + (entry + joined) * self.hidden() as f64)
            }
            Layer::Convolutional(operations) => convolution::vectors(operations, self.input),
        }
    }
}

impl Model {
    /// Puts a model together; `stack` says what each layer is, `depth` how many modules for multi-token
    /// prediction follow it, which have layers as its last one is.
    pub(crate) fn new(
        name: String,
        embedding: Embedding,
        stack: impl IntoIterator<Item = Layer>,
        depth: u32,
        head: Head,
    ) -> Self {
        let mut model = Self { name, kinds: Vec::new(), stack: Vec::new(), head, embedding };
        let mut input = model.embedding.output();
        for layer in stack {
            let known =
                model.kinds.iter().position(|kind| kind.input == input && kind.layer == layer);
            let index = known.unwrap_or_else(|| {
                model.kinds.push(LayerKind::new(layer, input, 0));
                model.kinds.len() - 1
            });
            input = model.kinds[index].output;
            model.stack.push(KindId(index as u16));
        }
        if let Some(last) = model.stack.last().copied().filter(|_| depth > 0) {
            let layer = model.layer_kind(last).layer.clone();
            model.stack.push(KindId(model.kinds.len() as u16));
            model.kinds.push(LayerKind::new(layer, input, depth));
        }
        model
    }

    /// How many layers stages are cut from: those of the stack, and one more for all modules for
    /// multi-token prediction.
    pub fn layer_count(&self) -> u32 {
        self.stack.len() as u32
    }

    /// How many layers the stack has, modules for multi-token prediction aside.
    pub fn stacked_layers(&self) -> u32 {
        self.layer_count() - u32::from(self.predicted_ahead() > 0)
    }

    /// The kinds of its layers, in the order of their first ones.
    pub fn kinds(&self) -> &[LayerKind] {
        &self.kinds
    }

    /// What a layer is.
    ///
    /// # Panics
    /// If the stack is not so high.
    pub fn part(&self, layer: u32) -> Part {
        Part::Layer(self.stack[layer as usize])
    }

    /// The kind of a part, if it is a layer.
    pub(crate) fn kind(&self, part: Part) -> Option<&LayerKind> {
        match part {
            Part::Layer(kind) => Some(self.layer_kind(kind)),
            Part::Embedding | Part::Head => None,
        }
    }

    /// The kind at its place.
    pub(crate) fn layer_kind(&self, kind: KindId) -> &LayerKind {
        &self.kinds[usize::from(kind.0)]
    }

    /// Every part once, in the order of the model.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let layers = self.stack.iter().map(|&kind| Part::Layer(kind));
        std::iter::once(Part::Embedding).chain(layers).chain([Part::Head])
    }

    /// Every kind of part once.
    pub fn distinct_parts(&self) -> impl Iterator<Item = Part> + '_ {
        let layers = (0..self.kinds.len()).map(|kind| Part::Layer(KindId(kind as u16)));
        std::iter::once(Part::Embedding).chain(layers).chain([Part::Head])
    }

    /// What a layer reads; of the number of layers, what the head reads.
    ///
    /// # Panics
    /// If the stack is not so high.
    pub fn before(&self, layer: u32) -> Extent {
        match layer.checked_sub(1) {
            Some(below) => self.layer_kind(self.stack[below as usize]).output,
            None => self.embedding.output(),
        }
    }

    /// What the head reads.
    pub(crate) fn head_input(&self) -> Extent {
        self.before(self.layer_count())
    }

    /// How many modules predict further tokens behind the stack.
    pub fn predicted_ahead(&self) -> u32 {
        self.kinds.last().map_or(0, |kind| kind.depth)
    }

    /// Rows of a sample that the head scores.
    pub fn head_rows(&self, training: &Training) -> u64 {
        match self.head {
            Head::Language(_) => self.head_input().rows(training) * self.head_input().scored(),
            Head::Classifier(_) => 1,
        }
    }

    /// The token embedding, of models that read tokens.
    pub fn tokens(&self) -> Option<&TokenEmbedding> {
        match &self.embedding {
            Embedding::Tokens(tokens) => Some(tokens),
            Embedding::Images(_) => None,
        }
    }

    /// Whether there is a target sequence beside the source.
    pub fn has_target(&self) -> bool {
        matches!(self.head_input(), Extent::Target { .. })
    }

    /// The layer with which the decoder begins: it looks words up, too.
    pub fn target_entry(&self) -> Option<u32> {
        let entry = self.kinds.iter().position(LayerKind::enters_target)?;
        self.stack.iter().position(|kind| usize::from(kind.0) == entry).map(|layer| layer as u32)
    }

    /// Whether a layer looks words up: that with which the decoder begins, modules for multi-token
    /// prediction.
    pub fn looks_words_up(&self, layer: u32) -> bool {
        let kind = self.stack.get(layer as usize).map(|&kind| self.layer_kind(kind));
        kind.is_some_and(LayerKind::predicts) || self.target_entry() == Some(layer)
    }

    /// Whether the head multiplies with the word embedding.
    pub fn tied_head(&self) -> bool {
        matches!(&self.head, Head::Language(head) if head.tied)
    }

    /// Parameters of the word embedding alone.
    pub fn word_embedding(&self) -> f64 {
        self.tokens().map_or(0.0, TokenEmbedding::words)
    }

    /// Parameters of a part. A head that is tied to the embedding counts without the output
    /// matrix.
    pub fn parameters_of(&self, part: Part) -> ParameterCount {
        match part {
            Part::Embedding => ParameterCount::dense(
                self.tokens().map_or(0.0, TokenEmbedding::parameters) + self.relative_bias(),
            ),
            Part::Layer(kind) => self.layer_kind(kind).parameters,
            Part::Head => ParameterCount::dense(self.head_parameters()),
        }
    }

    /// All parameters.
    pub fn parameters(&self) -> f64 {
        self.parts().map(|part| self.parameters_of(part).total()).sum()
    }

    /// Parameters that one token meets: of experts only those that it visits.
    pub fn active_parameters(&self) -> f64 {
        let layers: f64 =
            self.stack.iter().map(|&kind| self.layer_kind(kind).active_parameters).sum();
        layers
            + self.parameters_of(Part::Embedding).total()
            + self.parameters_of(Part::Head).total()
    }

    /// Parameters of a part that lie in memory: its own and those of its adapters.
    pub fn held_parameters(&self, part: Part, training: &Training) -> ParameterCount {
        let own = self.parameters_of(part);
        if training.adapters.is_some() {
            own + self.trained_parameters(part, training)
        } else {
            own
        }
    }

    /// Whether a part is a layer with experts.
    pub fn has_experts(&self, part: Part) -> bool {
        let layer = self.kind(part).and_then(LayerKind::transformer);
        layer.is_some_and(|layer| matches!(layer.feed_forward, FeedForward::Experts(_)))
    }

    /// Whether one of its layers has a module that can be computed again by itself.
    pub fn has_module(&self, module: RecomputeModule) -> bool {
        self.kinds.iter().filter_map(LayerKind::transformer).any(|layer| layer.has_module(module))
    }

    /// Parameters of a part that are trained: all, or those of its adapters.
    pub fn trained_parameters(&self, part: Part, training: &Training) -> ParameterCount {
        let Some(adapters) = &training.adapters else { return self.parameters_of(part) };
        let weights = self.kind(part).map(LayerKind::weights).unwrap_or_default();
        ParameterCount::dense(weights.iter().map(|weight| adapters.parameters(weight)).sum())
    }

    /// Parameters of a part that its linear layers multiply in quantised copies, on cards that do so:
    /// the matrices of transformer layers, but for routers.
    pub fn quantised_parameters(&self, part: Part) -> ParameterCount {
        let transformer = self.kind(part).filter(|kind| kind.transformer().is_some());
        let weights = transformer.map(LayerKind::weights).unwrap_or_default();
        weights.iter().map(Weight::quantised).sum()
    }

    fn head_parameters(&self) -> f64 {
        match (&self.head, &self.embedding) {
            (Head::Language(head), Embedding::Tokens(tokens)) => {
                head.parameters(tokens.vocab, tokens.hidden)
            }
            (Head::Classifier(head), _) => {
                f64::from(head.classes) * (self.head_input().width() as f64 + 1.0)
            }
            (Head::Language(_), Embedding::Images(_)) => 0.0,
        }
    }

    /// Tables of relative positions: one for the encoder or the only stack, one for the decoder.
    fn relative_bias(&self) -> f64 {
        let of_first = |target: bool| {
            self.kinds
                .iter()
                .find(|kind| matches!(kind.output, Extent::Target { .. }) == target)
                .map_or(0.0, LayerKind::relative_bias)
        };
        of_first(false) + of_first(true)
    }
}
