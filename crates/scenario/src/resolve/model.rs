//! What is trained: a preset, or a model written out.

use motley_workload::{
    AttentionKernel, ExpertLoad, FieldPath, FieldStep, LayerKind, Model, ModelError, Preset,
    Training,
};

use super::Resolver;
use crate::code;
use crate::raw::RawModel;
use crate::syntax::Path;

impl Resolver<'_> {
    /// The model, unless it is unknown or cannot be.
    pub(super) fn model(&mut self, raw: &RawModel) -> Option<Model> {
        let path = Path::ROOT.field("model");
        let before = self.diagnostics.len();
        match raw {
            RawModel::Preset(name) if Preset::find(name).is_none() => {
                let known = Preset::all().iter().map(Preset::name);
                self.unknown_name("model preset", &path.index(0), name, known);
                return None;
            }
            RawModel::Shape(shape) if shape.head_dim.is_none() && shape.heads > 0 => {
                let (hidden, heads) = (shape.hidden, shape.heads);
                if hidden % heads != 0 {
                    let message = format!("hidden {hidden} is not a multiple of heads {heads}");
                    let diagnostic = self
                        .at(code::MODEL, &path.field("heads"), message, "does not divide `hidden`")
                        .help("give `head_dim`, the width of a head, or change `heads`");
                    self.diagnostics.push(diagnostic);
                }
            }
            _ => {}
        }
        match raw.build() {
            Ok(model) => (self.diagnostics.len() == before).then_some(model),
            Err(errors) => {
                for error in errors {
                    self.model_error(&path, &error, before);
                }
                None
            }
        }
    }

    /// A default that follows from another field is wrong only where that field is.
    fn model_error(&mut self, model: &Path, error: &ModelError, before: usize) {
        let place = place(model, &error.path);
        if self.document.has(&place) {
            self.error(code::MODEL, &place, error.to_string(), "not possible");
        } else if self.diagnostics.len() == before {
            self.error(code::MODEL, model, error.to_string(), "follows from this shape");
        }
    }

    /// What the training says of the model must be true of it.
    pub(super) fn training_fits(&mut self, model: &Model, training: &Training) {
        self.samples_fit(model, training);
        let path = Path::ROOT.field("training");
        let name = &model.name;
        if let Some(adapters) = &training.adapters {
            for error in adapters.check(model) {
                let place = place(&path.field("adapters"), &error.path);
                self.error(code::MODEL, &place, error.to_string(), "not possible");
            }
        }
        let experts = model.kinds().iter().any(LayerKind::has_experts);
        if training.expert_load != ExpertLoad::default() && !experts {
            let message = format!("model \"{name}\" has no experts to route tokens to");
            self.error(code::MODEL, &path.field("expert_load"), message, "to be left out");
        }
        let asked = training.attention == AttentionKernel::Flash && !training.attention_fallback;
        if asked && model.kinds().iter().any(LayerKind::has_biased_scores) {
            let message = format!(
                "model \"{name}\" adds a learned bias to its scores, which no FlashAttention takes"
            );
            let diagnostic = self
                .at(code::MODEL, &path.field("attention"), message, "not possible")
                .help("set it to `FlashWhereSupported` or `Unfused`");
            self.diagnostics.push(diagnostic);
        }
    }

    /// Sequences have a length, and images have none. A learned position embedding has a row for
    /// every position of a sequence.
    fn samples_fit(&mut self, model: &Model, training: &Training) {
        let path = Path::ROOT.field("training");
        let name = &model.name;
        let Some(tokens) = model.tokens() else {
            for (field, given) in [
                ("sequence_length", training.sequence_length.is_some()),
                ("target_length", training.target_length.is_some()),
            ] {
                if given {
                    let message = format!("model \"{name}\" reads images, which have no length");
                    self.error(code::MODEL, &path.field(field), message, "to be left out");
                }
            }
            return;
        };
        if training.sequence_length.is_none() {
            let message = format!("model \"{name}\" reads sequences: how long are they?");
            let diagnostic = self
                .at(code::MISSING_FIELD, &path, message, "needs a `sequence_length`")
                .help("add `sequence_length`, the tokens of a sequence");
            self.diagnostics.push(diagnostic);
        }
        if training.target_length.is_some() && !model.has_target() {
            let message = format!("model \"{name}\" has no decoder beside an encoder");
            self.error(code::MODEL, &path.field("target_length"), message, "to be left out");
        }
        let max = tokens.learned_positions;
        let lengths = [
            ("sequence_length", training.sequence_length),
            ("target_length", training.target_length),
        ];
        for (field, length) in lengths {
            if let Some(length) = length.filter(|length| max > 0 && *length > max) {
                let message = format!(
                    "sequences of {length} tokens do not fit model \"{name}\", which has {max} \
                     learned positions"
                );
                let diagnostic = self
                    .at(
                        code::MODEL,
                        &path.field(field),
                        message,
                        &format!("expected at most {max}"),
                    )
                    .help("shorten the sequences, or give a model with more positions");
                self.diagnostics.push(diagnostic);
            }
        }
    }
}

/// The place of the file where a place of the model is.
fn place(model: &Path, within: &FieldPath) -> Path {
    within.0.iter().fold(model.clone(), |path, step| match *step {
        FieldStep::Field(name) => path.field(name),
        FieldStep::Index(index) => path.index(index),
    })
}
