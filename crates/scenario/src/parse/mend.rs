//! Mending a copy of the text where it was refused, so that reading comes further.

use serde::de::DeserializeOwned;

use super::attempt::{Fuel, Refusal, attempt};
use super::expectation::Expectation;
use super::explain::holder;
use crate::document::Document;
use crate::source::SourceFile;
use crate::suggest::nearest;
use crate::syntax::{Path, Span, Tree};

/// How many missing fields within each other are made up.
const DEPTH: usize = 4;

/// A copy that is not refused at this place any more; none if nothing helps.
pub(super) fn mend<T: DeserializeOwned>(
    document: &Document<'_>,
    refusal: &Refusal,
    fuel: &mut Fuel,
) -> Option<SourceFile> {
    use ron::Error as E;
    match &refusal.error {
        E::NoSuchStructField { expected, found, .. } => {
            unknown_field(document, refusal, found, expected)
        }
        E::DuplicateStructField { field, .. } => {
            let holder = document.found(&holder(&refusal.path, field)).value;
            let mut same =
                holder.fields().iter().filter(|each| each.name.of(document.text()) == *field);
            let again = same.nth(1)?;
            Some(replaced(document.source, Span::new(again.name.start, again.end), ""))
        }
        E::MissingStructField { field, .. } => {
            let holder = holder(&refusal.path, field);
            made_up::<T>(document.source, &holder, field, DEPTH, fuel)
        }
        E::ExpectedDifferentStructName { .. } => {
            let found = document.found(&refusal.path).value;
            match found.name() {
                Some(name) if name != found.span => Some(replaced(document.source, name, "")),
                _ => fitted::<T>(document.source, &refusal.path, DEPTH, fuel),
            }
        }
        _ => fitted::<T>(document.source, &refusal.path, DEPTH, fuel),
    }
}

/// A slip of the pen is put right, so that its value is looked at; other fields are taken out.
fn unknown_field(
    document: &Document<'_>,
    refusal: &Refusal,
    name: &str,
    expected: &[&str],
) -> Option<SourceFile> {
    let text = document.text();
    let holder = document.found(&holder(&refusal.path, name)).value;
    let field = holder.field(text, name)?;
    let absent = expected.iter().copied().filter(|known| holder.field(text, known).is_none());
    Some(match nearest(name, absent) {
        Some(meant) => replaced(document.source, field.name, meant),
        None => replaced(document.source, Span::new(field.name.start, field.end), ""),
    })
}

/// A copy with other text at `span`, which counts as written there.
fn replaced(source: &SourceFile, span: Span, text: &str) -> SourceFile {
    let mut copy = source.clone();
    copy.splice(span, &[(text, source.place(span))]);
    copy
}

/// A copy with a value at `path` that is not refused.
fn fitted<T: DeserializeOwned>(
    source: &SourceFile,
    path: &Path,
    depth: usize,
    fuel: &mut Fuel,
) -> Option<SourceFile> {
    let tree = Tree::parse(source.text()).ok()?;
    let found = tree.find(source.text(), path);
    if found.steps < path.0.len() {
        return None;
    }
    let span = found.value.span;
    let expectation = Expectation::probe::<T>(source.text(), span, fuel);
    expectation.candidates().iter().find_map(|candidate| {
        let copy = replaced(source, span, candidate);
        accepted::<T>(copy, path, depth, fuel)
    })
}

/// The copy, if it is not refused at `path` or below; fields missing below are made up.
fn accepted<T: DeserializeOwned>(
    copy: SourceFile,
    path: &Path,
    depth: usize,
    fuel: &mut Fuel,
) -> Option<SourceFile> {
    let Err(refusal) = attempt::<T>(copy.text(), fuel)? else { return Some(copy) };
    if !refusal.path.0.starts_with(&path.0) {
        return Some(copy);
    }
    match refusal.error {
        ron::Error::MissingStructField { field, .. } if depth > 0 => {
            let copy = made_up::<T>(&copy, &holder(&refusal.path, field), field, depth - 1, fuel)?;
            accepted::<T>(copy, path, depth, fuel)
        }
        _ => None,
    }
}

/// A copy in which the struct at `path` has the field `name`, with a value that is not refused.
fn made_up<T: DeserializeOwned>(
    source: &SourceFile,
    path: &Path,
    name: &str,
    depth: usize,
    fuel: &mut Fuel,
) -> Option<SourceFile> {
    let tree = Tree::parse(source.text()).ok()?;
    let found = tree.find(source.text(), path);
    let insertion = found.value.insertion()?;
    let place = source.place(found.head(source.text()));
    let mut copy = source.clone();
    let text = format!("{}{name}: ()", insertion.before);
    copy.splice(Span::new(insertion.at, insertion.at), &[(&text, place)]);
    fitted::<T>(&copy, &path.field(name), depth, fuel)
}
