//! The fields of a file, each of which must be asked for or known to be harmless.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::harmless::HARMLESS;
use super::{ImportError, Problem};

/// More layers than this are surely a slip.
const MOST_LAYERS: u32 = 10_000;

/// The fields of a file: which were asked for, and what is wrong with them.
pub(super) struct Fields {
    object: Map<String, Value>,
    asked: BTreeSet<String>,
    problems: Vec<Problem>,
    remarks: Vec<String>,
}

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self { object, asked: BTreeSet::new(), problems: Vec::new(), remarks: Vec::new() }
    }

    /// Notes what is wrong with a field.
    pub(super) fn problem(&mut self, field: &str, message: String) {
        self.problems.push(Problem { field: field.to_owned(), message });
    }

    /// Notes what the model leaves out.
    pub(super) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// The value of a field, unless it is not there or null.
    fn value(&mut self, name: &str) -> Option<Value> {
        self.asked.insert(name.to_owned());
        self.object.get(name).filter(|value| !value.is_null()).cloned()
    }

    /// A value read by `read`; what is of another kind is a problem.
    fn typed<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let typed = read(&value);
        if typed.is_none() {
            self.problem(name, format!("expected {expected}, found {value}"));
        }
        typed
    }

    /// A field that must be there.
    fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && self.object.get(name).is_none_or(Value::is_null) {
            self.problem(name, "is missing".to_owned());
        }
        value
    }

    /// A size that may be left out.
    pub(super) fn optional_size(&mut self, name: &str) -> Option<u32> {
        self.typed(name, "a whole number up to 4294967295", |value| {
            u32::try_from(value.as_u64()?).ok()
        })
    }

    /// A size that must be there.
    pub(super) fn size(&mut self, name: &str) -> Option<u32> {
        let size = self.optional_size(name);
        self.required(name, size)
    }

    /// A size under the first of several names that is there.
    pub(super) fn size_of(&mut self, names: &[&str]) -> Option<u32> {
        let found: Vec<Option<u32>> = names.iter().map(|name| self.optional_size(name)).collect();
        let found = found.into_iter().flatten().next();
        self.required(names.first().copied().unwrap_or_default(), found)
    }

    /// A number of layers, under the first of several names that is there.
    pub(super) fn layers(&mut self, names: &[&str]) -> Option<u32> {
        let layers = self.size_of(names)?;
        if layers > MOST_LAYERS {
            let name = names.first().copied().unwrap_or_default();
            self.problem(name, format!("{layers} layers are more than any model has"));
        }
        Some(layers.min(MOST_LAYERS))
    }

    /// Yes or no, `default` if it is left out.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.typed(name, "true or false", Value::as_bool).unwrap_or(default)
    }

    /// A number that may be left out.
    pub(super) fn optional_number(&mut self, name: &str) -> Option<f64> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// Whether a share, `default` if it is left out, is above zero: dropout.
    pub(super) fn drops(&mut self, name: &str, default: bool) -> bool {
        self.optional_number(name).map_or(default, |share| share > 0.0)
    }

    /// A text that may be left out.
    pub(super) fn optional_text(&mut self, name: &str) -> Option<String> {
        self.typed(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = self.optional_text(name);
        self.required(name, text)
    }

    /// A list of texts, empty if it is left out.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        self.typed(name, "a list of texts", |value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        })
        .unwrap_or_default()
    }

    /// A list of sizes, empty if it is left out.
    pub(super) fn sizes(&mut self, name: &str) -> Vec<u32> {
        self.typed(name, "a list of whole numbers", |value| {
            value.as_array()?.iter().map(|item| u32::try_from(item.as_u64()?).ok()).collect()
        })
        .unwrap_or_default()
    }

    /// Counts a field as understood that changes nothing; says whether it is there.
    pub(super) fn ignored(&mut self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// A field that is understood for some values only.
    pub(super) fn only(&mut self, name: &str, understood: &[Value], otherwise: &str) {
        if let Some(value) = self.value(name)
            && !understood.contains(&value)
        {
            self.problem(name, format!("{value} is not modelled: {otherwise}"));
        }
    }

    /// The remarks, if nothing is wrong and nothing is left that was not understood. Where something
    /// is wrong, reading has stopped before it asked for everything, and what is left says nothing.
    pub(super) fn finish(mut self) -> Result<Vec<String>, ImportError> {
        if !self.problems.is_empty() {
            return Err(self.into_error());
        }
        let left: Vec<String> = self
            .object
            .keys()
            .filter(|name| !self.asked.contains(*name) && !HARMLESS.contains(&name.as_str()))
            .cloned()
            .collect();
        for name in left {
            self.problem(
                &name,
                "is not understood for this architecture; take it out if it changes no shape"
                    .to_owned(),
            );
        }
        if self.problems.is_empty() { Ok(self.remarks) } else { Err(self.into_error()) }
    }

    /// What is wrong so far.
    pub(super) fn into_error(self) -> ImportError {
        ImportError { problems: self.problems }
    }
}
