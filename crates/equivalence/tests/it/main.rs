//! What equal and unlike cards are worth, on clusters small enough to know the answer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

mod design;
mod equal_cards;
mod setup;
mod value;
