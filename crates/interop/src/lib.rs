//! Importers of the field's formats.
//!
//! | format | function |
//! |---|---|
//! | a model's `config.json` on Hugging Face | [`huggingface()`] |
//!
//! An importer understands a file wholly or refuses it: a field that may change what is simulated
//! and is not understood is an error that names it.

mod huggingface;

pub use huggingface::{ImportError, Imported, Problem, huggingface};
