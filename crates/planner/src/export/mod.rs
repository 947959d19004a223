//! Plans in the words of frameworks.

mod flagscale;
mod megatron;

pub use flagscale::flagscale;
pub use megatron::megatron;
