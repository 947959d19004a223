//! From text to typed values, and from what `ron` and `serde` refuse to messages.
//!
//! `serde` stops at the first mistake. To report all of them, the mistake is mended in a copy of
//! the text (an unknown field is taken out, a value of the wrong kind replaced by one that fits)
//! and the copy is read again, until it is accepted or cannot be mended. Each byte of the copy
//! knows where it was written, so that messages point into the file. What a mended copy says is
//! never used as a scenario.

mod attempt;
mod expectation;
mod explain;
mod mend;

use serde::de::DeserializeOwned;

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::source::SourceFile;
use crate::syntax::Kind;

use attempt::{Fuel, Refusal};

/// Mistakes that are reported of one file before giving up.
const ROUNDS: usize = 50;

/// Reads a scenario file, or any other file of RON with `Some(...)` left out.
///
/// # Errors
///
/// Every mistake that can be told apart from the others.
pub fn parse<T: DeserializeOwned>(source: &SourceFile) -> Result<T, Diagnostics> {
    let document = Document::new(source)?;
    let mut diagnostics = Diagnostics::default();
    inclusive_ranges(&document, &mut diagnostics);
    let mut fuel = Fuel::for_text(source.text());
    let mut mended = source.clone();
    for _ in 0..ROUNDS {
        let refusal = match attempt::attempt::<T>(mended.text(), &mut fuel) {
            Some(Ok(value)) if diagnostics.is_empty() => return Ok(value),
            Some(Ok(_)) | None => break,
            Some(Err(refusal)) => refusal,
        };
        let Ok(document) = Document::new(&mended) else { break };
        let refusal = attributed(&document, refusal);
        diagnostics.push(explain::explain::<T>(&document, &refusal, &mut fuel));
        match mend::mend::<T>(&document, &refusal, &mut fuel) {
            Some(further) => mended = further,
            None => break,
        }
    }
    Err(diagnostics)
}

/// `a..=b` is refused everywhere: some readers would take it for `a..b`.
fn inclusive_ranges(document: &Document<'_>, diagnostics: &mut Diagnostics) {
    document.tree.root.walk(&mut |value| {
        if value.kind == (Kind::Range { inclusive: true }) {
            diagnostics.push(
                Diagnostic::error(code::WRONG_KIND, "ranges exclude their end: found `..=`")
                    .label(document.source.place(value.span), "expected `start..end`")
                    .help("`0..8` is 0 to 7"),
            );
        }
    });
}

/// `ron` reads `1.5` as the integer 1 and then misses a comma in what is around it: such a
/// complaint is about the value at its position, not about the one that it names.
fn attributed(document: &Document<'_>, refusal: Refusal) -> Refusal {
    if !refusal.is_about_what_follows() {
        return refusal;
    }
    let path = document.tree.path_at(document.text(), refusal.offset);
    Refusal { path, ..refusal }
}
