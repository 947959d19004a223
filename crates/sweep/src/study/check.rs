//! Every value of every axis held against the base scenario, before anything is simulated.
//!
//! What no other value of another axis could put right is said at its place in the study: a field that
//! does not exist, a value of another kind, a name that the catalogue lacks. What depends on the
//! combination (a plan that does not fit the cluster) is for the rows to say.

use motley_scenario::syntax::{Path, Span, Step, Tree};
use motley_scenario::{Diagnostic, Place, Rejected, SourceFile, code, set};

use super::axis::{self, Values};
use super::read::{Document, then};
use super::{Base, Study};

/// Values of one axis that are checked where each is written down, and numbers of a range, besides the last.
const CHECKED: u64 = 1000;
const STEPS: u64 = 8;

/// Where a range is checked that samples are taken of.
const SHARES: [f64; 3] = [0.0, 0.3, 1.0];

/// Whether a mistake stays one whatever else is changed.
fn is_hopeless(diagnostic: &Diagnostic) -> bool {
    let kinds = ["E01", "E02", "E03", code::UNKNOWN_NAME, code::PROFILE];
    kinds.iter().any(|kind| diagnostic.code.starts_with(kind))
}

/// The seed that the base gives, or zero, a scenario's default.
pub(super) fn seed(base: &Base, common: &[String]) -> u64 {
    let mut source = SourceFile::new(&base.name, &base.text);
    for each in common {
        // What cannot be applied is said by the check.
        let _ = set::apply(&mut source, each);
    }
    let text = source.text();
    let path = Path::ROOT.field("seed");
    let Ok(tree) = Tree::parse(text) else { return 0 };
    let found = tree.find(text, &path);
    if found.steps == 1 { ron::from_str(found.value.span.of(text)).unwrap_or(0) } else { 0 }
}

/// Where an override of a point comes from.
struct Origin<'s> {
    /// Where its template stands, and the template.
    path: Path,
    template: &'s str,
    /// What the override has in common with it, in bytes from the beginning.
    common: usize,
    /// Where its value stands, if that is somewhere else.
    value: Option<Path>,
}

impl Study {
    /// Says what is wrong with the values of axes.
    pub(super) fn check(&self, name: &str, text: &str) -> Result<(), Rejected> {
        let mut document = Document::new(name, text);
        let first = self.first();
        self.check_point(&mut document, &first);
        for dimension in &self.dimensions {
            for number in dimension.axes() {
                let axis = &self.axes[number];
                let is_range = matches!(axis.values, Values::Range { .. });
                let values: Vec<axis::Value> = if is_range && dimension.sampling.is_some() {
                    SHARES.map(|share| axis.at_share(share)).to_vec()
                } else {
                    let last = axis.count().saturating_sub(1);
                    let most = if is_range { STEPS } else { CHECKED };
                    (1..=last.min(most)).chain([last]).map(|step| axis.at_step(step)).collect()
                };
                for value in values {
                    let before = document.wrong.len();
                    let mut values = first.clone();
                    values[number] = value;
                    self.check_point(&mut document, &values);
                    // What is wrong with one number of a range is wrong with others.
                    if is_range && document.wrong.len() > before {
                        break;
                    }
                }
            }
        }
        if document.wrong.is_empty() { Ok(()) } else { Err(document.rejected()) }
    }

    fn check_point(&self, document: &mut Document, values: &[axis::Value]) {
        if self.skipped(values) {
            return;
        }
        let Some(overrides) = self.overrides(values, 0) else { return };
        let Err(rejected) = self.base.with(&overrides) else { return };
        let origins = self.origins(values);
        for diagnostic in rejected.diagnostics.iter().filter(|found| is_hopeless(found)) {
            let mut moved = diagnostic.clone();
            for (place, _) in &mut moved.labels {
                let origin = place.file.checked_sub(1).and_then(|number| origins.get(number));
                *place = if let Some(origin) = origin {
                    origin.place(document, place.span)
                } else {
                    // The base, or a profile.
                    let (name, text) = rejected.source.original(place.file);
                    let known = document.known(name);
                    let file = known.unwrap_or_else(|| document.source.add(name, text));
                    Place { file, span: place.span }
                };
            }
            document.wrong.push(moved);
        }
    }

    /// Where the overrides of a point come from, in their order; not the last, the seed.
    fn origins(&self, values: &[axis::Value]) -> Vec<Origin<'_>> {
        let mut origins: Vec<Origin<'_>> = Vec::new();
        for (index, text) in self.common.iter().enumerate() {
            let path = Path::ROOT.field("set").index(index);
            origins.push(Origin { path, template: text, common: text.len(), value: None });
        }
        for (axis, value) in self.axes.iter().zip(values) {
            let lot = axis.lot(value);
            for (template, path) in &axis.texts[lot] {
                let common = template.find(['{', '}']).unwrap_or(template.len());
                let listed = matches!(axis.values, Values::Items(_)) && axis.settings.len() == 1;
                let value = listed.then(|| {
                    let list = Step::Variant("List".to_owned());
                    then(&axis.path.field("values"), list).index(value.item)
                });
                origins.push(Origin { path: path.clone(), template, common, value });
            }
        }
        origins
    }
}

impl Origin<'_> {
    fn place(&self, document: &Document, span: Span) -> Place {
        if span.end <= self.common {
            return document.inside(&self.path, self.template, span);
        }
        match &self.value {
            Some(value) if span.start >= self.common => document.place(value),
            _ => document.place(&self.path),
        }
    }
}
