//! Models from Hugging Face's `config.json`.
//!
//! What a field means, and what stands for it if it is left out, is what the `transformers` library
//! makes of it for the architecture (github.com/huggingface/transformers, `configuration_*.py` and
//! `modeling_*.py`).

mod bert;
mod bloom;
mod deepseek;
mod falcon;
mod fields;
mod gemma;
mod gpt;
mod gpt_oss;
mod harmless;
mod layers;
mod llama;
mod t5;

use motley_workload::{Description, Stack};
use serde_json::Value;

use self::fields::Fields;

/// A model that was imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The model, written out.
    pub model: Description,
    /// What the file says that the model leaves out, for people.
    pub remarks: Vec<String>,
}

/// A file that cannot be imported, and all reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ImportError {
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if self.field.is_empty() { String::new() } else { format!("`{}`: ", self.field) })]
pub struct Problem {
    /// The field; empty if it is the file as a whole.
    pub field: String,
    /// What was found, what was expected, what would help.
    pub message: String,
}

/// What reads the fields of an architecture.
type Reader = fn(&mut Fields) -> Option<Stack>;

/// Architectures by their `model_type`.
const READERS: [(&str, Reader); 19] = [
    ("bert", bert::read),
    ("bloom", bloom::read),
    ("deepseek_v2", deepseek::read),
    ("deepseek_v3", deepseek::read),
    ("falcon", falcon::read),
    ("gemma2", gemma::read_2),
    ("gemma3_text", gemma::read_3),
    ("gpt2", gpt::read_gpt2),
    ("gpt_neox", gpt::read_neox),
    ("gpt_oss", gpt_oss::read),
    ("gptj", gpt::read_gptj),
    ("llama", llama::read_llama),
    ("mistral", llama::read_mistral),
    ("mixtral", llama::read_mixtral),
    ("qwen2", llama::read_qwen2),
    ("qwen2_moe", llama::read_qwen2_moe),
    ("qwen3", llama::read_qwen3),
    ("qwen3_moe", llama::read_qwen3_moe),
    ("t5", t5::read),
];

/// Ends of the names of classes that train what is modelled: a language model with its head.
const HEADS: [&str; 6] = [
    "ForCausalLM",
    "ForMaskedLM",
    "ForPreTraining",
    "ForConditionalGeneration",
    "LMHeadModel",
    "Model",
];

/// The model that the text of a `config.json` describes, called `name` unless the file names it.
///
/// # Errors
/// All that is wrong with the file or not understood.
pub fn huggingface(text: &str, name: Option<&str>) -> Result<Imported, ImportError> {
    let problem = |field: &str, message: String| ImportError {
        problems: vec![Problem { field: field.to_owned(), message }],
    };
    let value: Value = serde_json::from_str(text)
        .map_err(|error| problem("", format!("this is not JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(problem("", "expected a JSON object, as in a config.json".to_owned()));
    };
    let mut fields = Fields::new(object);
    if fields.ignored("text_config") {
        let message = "a model of several kinds of input is not modelled; import this part alone";
        return Err(problem("text_config", message.to_owned()));
    }
    let Some(kind) = fields.text("model_type") else { return Err(fields.into_error()) };
    let Some(&(_, read)) = READERS.iter().find(|(known, _)| *known == kind) else {
        return Err(problem("model_type", unknown_architecture(&kind)));
    };
    check_head(&mut fields);
    let stack = read(&mut fields);
    let named = fields.optional_text("_name_or_path");
    let named = named.as_deref().and_then(|path| path.rsplit('/').find(|part| !part.is_empty()));
    let name = name.or(named).unwrap_or(&kind).to_owned();
    let remarks = fields.finish()?;
    let model = Description::Stack(Stack {
        name,
        ..stack.ok_or_else(|| problem("", "the model could not be read".to_owned()))?
    });
    match model.build() {
        Ok(_) => Ok(Imported { model, remarks }),
        Err(errors) => Err(ImportError {
            problems: errors
                .into_iter()
                .map(|error| Problem { field: String::new(), message: error.message })
                .collect(),
        }),
    }
}

fn unknown_architecture(kind: &str) -> String {
    let known: Vec<&str> = READERS.iter().map(|(known, _)| *known).collect();
    let near = known.iter().find(|known| strsim::damerau_levenshtein(kind, known) <= 2);
    let near = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    format!(
        "\"{kind}\" is not an architecture that can be imported{near}; known are {}",
        known.join(", ")
    )
}

/// What follows the layers must be a language model's head.
fn check_head(fields: &mut Fields) {
    for class in fields.texts("architectures") {
        if !HEADS.iter().any(|end| class.ends_with(end)) {
            fields.problem(
                "architectures",
                format!(
                    "\"{class}\" has another head than a language model's, which is not modelled"
                ),
            );
        }
    }
}
