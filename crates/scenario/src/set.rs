//! Overrides: `--set path=value`, with the value in RON.

use crate::code;
use crate::diagnostic::Diagnostic;
use crate::document::{Document, syntax_diagnostic};
use crate::source::{Place, SourceFile};
use crate::suggest::nearest;
use crate::syntax::{Found, Insertion, Kind, Path, Span, Step, Tree, Value};

/// How messages call an override.
const NAME: &str = "--set";

/// A part of an override's path and where it stands in the override.
type Part = (Step, Span);

/// Puts the value of one override, `plan.dp=8`, into the text: in place of the value that is
/// there, or as a new field of its struct, or behind the last item of its list.
///
/// Names of enum variants on the way may be left out: `plan.Uniform.dp` is `plan.dp`. Whether the
/// field exists and takes the value is for [`crate::parse()`] to say, which points at the override.
///
/// # Errors
///
/// An override that is not `path=value`, whose value is not RON, or whose path leads nowhere.
pub fn apply(source: &mut SourceFile, text: &str) -> Result<(), Diagnostic> {
    let file = source.add(NAME, text);
    let place = |start, end| Place { file, span: Span::new(start, end) };
    let fail = |message: String, place, label: &str| {
        Diagnostic::error(code::OVERRIDE, message).label(place, label)
    };
    let Some((path_text, value_text)) = text.split_once('=') else {
        let message = format!("`{text}` is not an override");
        let diagnostic = fail(message, place(0, text.len()), "expected `path=value`");
        return Err(diagnostic.help("for example --set plan.dp=8"));
    };
    let parts = parts(path_text).map_err(|(span, label)| {
        let message = format!("`{path_text}` is not a path");
        fail(message, Place { file, span }, label).help("for example cluster.groups[1].count")
    })?;
    let value_start = path_text.len() + 1;
    let in_override = |span: Span| place(value_start + span.start, value_start + span.end);
    let value = Tree::parse(value_text).map_err(|error| {
        syntax_diagnostic(in_override, *error)
            .help("the value is written as in a scenario file; text needs quotes, name=\"a\"")
    })?;
    // Comments around the value stay out: they would swallow what follows it in the file.
    let value = (value.root.span.of(value_text), in_override(value.root.span));
    let tree = Document::new(source)?.tree;
    let path = Path(parts.iter().map(|(step, _)| step.clone()).collect());
    let (found, taken) = walk(&tree, source.text(), &path);
    let Some((step, span)) = parts.get(taken) else {
        source.splice(found.value.span, &[value]);
        return Ok(());
    };
    let is_last = parts.len() == taken + 1;
    let Some(insertion) = addition(found.value, step).filter(|_| is_last) else {
        let there = Path(path.0[..taken].to_vec());
        let place = Place { file, span: *span };
        return Err(leads_nowhere(&found, source.text(), &there, step, is_last, place));
    };
    let glue = (insertion.before, place(span.start, span.start));
    let at = Span::new(insertion.at, insertion.at);
    if let Step::Index(_) = step {
        source.splice(at, &[glue, value]);
    } else {
        let name = (span.of(text), Place { file, span: *span });
        let colon = (": ", place(span.end, value_start));
        source.splice(at, &[glue, name, colon, value]);
    }
    Ok(())
}

/// Follows a path as far as it exists; a name is a field, else the variant that the value is.
fn walk<'t>(tree: &'t Tree, text: &str, path: &Path) -> (Found<'t>, usize) {
    let mut real = Path::ROOT;
    for (taken, step) in path.0.iter().enumerate() {
        let candidates = match step {
            Step::Field(name) => vec![step.clone(), Step::Variant(name.clone())],
            _ => vec![step.clone()],
        };
        let next = candidates.into_iter().find_map(|step| {
            let mut longer = real.clone();
            longer.0.push(step);
            (tree.find(text, &longer).steps == longer.0.len()).then_some(longer)
        });
        match next {
            Some(longer) => real = longer,
            None => return (tree.find(text, &real), taken),
        }
    }
    (tree.find(text, &real), path.0.len())
}

/// Where a step that does not exist yet could be added.
fn addition(value: &Value, step: &Step) -> Option<Insertion> {
    let insertion = value.insertion()?;
    match (&value.kind, step) {
        (Kind::Struct { .. }, Step::Field(_)) => Some(insertion),
        (Kind::Tuple { items, .. }, Step::Field(_)) if items.is_empty() => Some(insertion),
        (Kind::List { items, .. }, Step::Index(index)) if items.len() == *index => Some(insertion),
        _ => None,
    }
}

fn leads_nowhere(
    found: &Found<'_>,
    text: &str,
    there: &Path,
    step: &Step,
    is_last: bool,
    place: Place,
) -> Diagnostic {
    let whole = if there.0.is_empty() { "the scenario".to_owned() } else { format!("`{there}`") };
    match step {
        Step::Index(index) => {
            let message = format!("{whole} has no item [{index}]");
            let label = match (&found.value.kind, found.value.items().len()) {
                (Kind::List { .. }, count) => format!("it has {count}; [{count}] adds one"),
                _ => "not a list".to_owned(),
            };
            Diagnostic::error(code::OVERRIDE, message).label(place, label)
        }
        Step::Field(name) | Step::Variant(name) => {
            let message = format!("{whole} has no `{name}`");
            let names: Vec<&str> =
                found.value.fields().iter().map(|field| field.name.of(text)).collect();
            let label = match nearest(name, names.iter().copied()) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => "not given in the file".to_owned(),
            };
            let diagnostic = Diagnostic::error(code::OVERRIDE, message).label(place, label);
            let new = if is_last { there.clone() } else { there.field(name) };
            diagnostic.help(format!("to add something new, set it as a whole: --set '{new}=...'"))
        }
    }
}

/// `cluster.groups[1].count` as steps.
fn parts(path: &str) -> Result<Vec<Part>, (Span, &'static str)> {
    let mut parts = Vec::new();
    let mut at = 0;
    for dotted in path.split('.') {
        let (name, indices) = dotted.split_at(dotted.find('[').unwrap_or(dotted.len()));
        let trimmed = name.trim();
        let start = at + name.len() - name.trim_start().len();
        let span = Span::new(start, start + trimmed.len());
        let is_name = |c: char| c == '_' || c.is_alphanumeric();
        if trimmed.is_empty() || !trimmed.chars().all(is_name) {
            return Err((span, "expected the name of a field"));
        }
        parts.push((Step::Field(trimmed.to_owned()), span));
        let mut start = at + name.len();
        for bracket in indices.trim_end().split_inclusive(']') {
            let span = Span::new(start, start + bracket.len());
            let index = bracket
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .and_then(|digits| digits.trim().parse().ok());
            let Some(index) = index else { return Err((span, "expected `[0]`, `[1]`, ...")) };
            parts.push((Step::Index(index), span));
            start += bracket.len();
        }
        at += dotted.len() + 1;
    }
    Ok(parts)
}
