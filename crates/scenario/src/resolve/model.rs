//! What is trained: a preset, or a shape with its defaults.

use motley_workload::{Model, ModelError, Positions, Training};

use super::Resolver;
use crate::code;
use crate::raw::RawModel;
use crate::syntax::Path;

impl Resolver<'_> {
    /// The model, unless it is unknown or cannot be.
    pub(super) fn model(&mut self, raw: &RawModel) -> Option<Model> {
        let path = Path::ROOT.field("model");
        let model = match raw {
            RawModel::Preset(name) => {
                let preset = Model::preset(name);
                if preset.is_none() {
                    let known = Model::presets().map(|preset| preset.model.name.as_str());
                    self.unknown_name("model preset", &path.index(0), name, known);
                }
                return preset;
            }
            RawModel::Shape {
                name,
                layers,
                hidden,
                ffn,
                heads,
                kv_heads,
                head_dim,
                vocab,
                gated_mlp,
                tied_embeddings,
                positions,
                norm,
                attention,
                biases,
                dropout,
                token_types,
            } => Model {
                name: name.clone(),
                layers: *layers,
                hidden: *hidden,
                ffn: ffn.unwrap_or(hidden.saturating_mul(4)),
                heads: *heads,
                kv_heads: kv_heads.unwrap_or(*heads),
                head_dim: head_dim.unwrap_or(hidden / (*heads).max(1)),
                vocab: *vocab,
                gated_mlp: *gated_mlp,
                tied_embeddings: *tied_embeddings,
                positions: (*positions).into(),
                norm: *norm,
                attention: *attention,
                biases: *biases,
                dropout: *dropout,
                token_types: *token_types,
            },
        };
        let before = self.diagnostics.len();
        let head_dim = path.field("head_dim");
        if !self.document.has(&head_dim) && model.heads > 0 && model.hidden % model.heads != 0 {
            let (hidden, heads) = (model.hidden, model.heads);
            let message = format!("hidden {hidden} is not a multiple of heads {heads}");
            let diagnostic = self
                .at(code::MODEL, &path.field("heads"), message, "does not divide `hidden`")
                .help("give `head_dim`, the width of a head, or change `heads`");
            self.diagnostics.push(diagnostic);
        }
        for error in model.validate() {
            let field = match &error {
                ModelError::Zero { field, .. } | ModelError::TooLarge { field, .. } => *field,
                ModelError::UnevenGroups { .. } => "kv_heads",
                ModelError::HeadWidth { .. } => "heads",
                _ => "name",
            };
            let place = field.split('.').fold(path.clone(), |path, name| path.field(name));
            // A default that follows from another field is wrong only where that field is.
            if self.document.has(&place) {
                self.error(code::MODEL, &place, error.to_string(), "not possible");
            } else if self.diagnostics.len() == before {
                self.error(code::MODEL, &path, error.to_string(), "follows from this shape");
            }
        }
        (self.diagnostics.len() == before).then_some(model)
    }

    /// A learned position embedding has a row for every position of a sequence.
    pub(super) fn sequence_fits(&mut self, model: &Model, training: &Training) {
        if let Positions::Learned { max } = model.positions
            && training.sequence_length > max
        {
            let path = Path::ROOT.field("training").field("sequence_length");
            let message = format!(
                "sequences of {} tokens do not fit model \"{}\", which has {max} learned positions",
                training.sequence_length, model.name
            );
            let diagnostic = self
                .at(code::MODEL, &path, message, &format!("expected at most {max}"))
                .help("shorten the sequences, or give a `Shape` with more `positions`");
            self.diagnostics.push(diagnostic);
        }
    }
}
