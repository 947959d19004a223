//! Importers of the field's formats.
//!
//! | format | function |
//! |---|---|
//! | a model's `config.json` on Hugging Face | [`huggingface()`] |
//! | the output of nccl-tests, as text or JSON | [`nccl_tests()`] |
//!
//! An importer understands a file wholly or refuses it: a field that may change what is simulated
//! and is not understood is an error that names it.

mod huggingface;
mod nccl_tests;

pub use huggingface::{ImportError, Imported, Problem, huggingface};
pub use nccl_tests::{File, MeasuredCollectives, Mistake, Place, Refused, Told, nccl_tests};
