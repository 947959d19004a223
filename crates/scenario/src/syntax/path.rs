//! The way from the root of a file to a value.

use std::fmt;

use super::{Field, Kind, Span, Tree, Value};

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a field of a struct, or an entry of a map.
    Field(String),
    /// Into an item of a list or tuple, from 0.
    Index(usize),
    /// Into the content of an enum variant. May be left out where the content has fields.
    Variant(String),
}

/// A way from the root: `plan.pipelines[0].stages[2].gpus`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The outermost value.
    pub const ROOT: Self = Self(Vec::new());

    /// One field further.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.then(Step::Field(name.to_owned()))
    }

    /// One item further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The way to what holds this value, and the last step; none at the root.
    pub fn split_last(&self) -> Option<(Self, &Step)> {
        self.0.split_last().map(|(last, rest)| (Self(rest.to_vec()), last))
    }

    /// The last field of the way, for messages.
    pub fn last_field(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) | Step::Variant(name) => {
                    f.write_str(if at == 0 { "" } else { "." })?;
                    f.write_str(name)?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// How far a way leads in a text.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t> {
    /// The last value that exists on the way.
    pub value: &'t Value,
    /// The field that holds it, if a field does.
    pub field: Option<&'t Field>,
    /// How many steps were taken; the way exists if these are all.
    pub steps: usize,
}

/// Where a field or item can be added to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insertion {
    /// The byte before which it goes.
    pub at: usize,
    /// What parts it from the one before.
    pub before: &'static str,
}

impl Found<'_> {
    /// A place that fits on a line: the value itself, or for a value over several lines the name
    /// of its field or variant, or its first character.
    pub fn head(&self, text: &str) -> Span {
        if !self.value.span.of(text).contains('\n') {
            return self.value.span;
        }
        match (self.field, self.value.name()) {
            (Some(field), _) => field.name,
            (None, Some(name)) => name,
            (None, None) => Span::new(self.value.span.start, self.value.span.start + 1),
        }
    }
}

impl Tree {
    /// Follows a way as far as it exists.
    pub fn find(&self, text: &str, path: &Path) -> Found<'_> {
        let mut found = Found { value: unwrapped(&self.root, text), field: None, steps: 0 };
        for step in &path.0 {
            let next = match step {
                Step::Field(name) => found
                    .value
                    .field(text, name)
                    .map(|field| (&field.value, Some(field)))
                    .or_else(|| found.value.entry(text, name).map(|value| (value, None))),
                Step::Index(index) => found.value.items().get(*index).map(|item| (item, None)),
                Step::Variant(name) => found.value.content(text, name).map(|c| (c, found.field)),
            };
            let Some((value, field)) = next else { break };
            found = Found { value: unwrapped(value, text), field, steps: found.steps + 1 };
        }
        found
    }
}

impl Tree {
    /// The way to the innermost value that covers the byte `offset` or ends just there.
    pub fn path_at(&self, text: &str, offset: usize) -> Path {
        let covers = |value: &Value| value.span.start < offset && offset <= value.span.end;
        let mut path = Path::ROOT;
        let mut value = &self.root;
        loop {
            value = unwrapped(value, text);
            let field = value.fields().iter().find(|field| covers(&field.value));
            let item = value.items().iter().position(covers);
            (path, value) = match (field, item) {
                (Some(field), _) => (path.field(plain(field.name.of(text))), &field.value),
                (None, Some(index)) => (path.index(index), &value.items()[index]),
                (None, None) => return path,
            };
        }
    }
}

/// The value inside `Some(...)`, which a file may write or leave out.
fn unwrapped<'t>(value: &'t Value, text: &str) -> &'t Value {
    match &value.kind {
        Kind::Tuple { name: Some(name), items, .. } if name.of(text) == "Some" => {
            items.first().map_or(value, |inner| unwrapped(inner, text))
        }
        _ => value,
    }
}

impl Value {
    /// The name before the bracket of a struct or tuple.
    pub fn name(&self) -> Option<Span> {
        match self.kind {
            Kind::Struct { name, .. } | Kind::Tuple { name, .. } => name,
            Kind::Name => Some(self.span),
            _ => None,
        }
    }

    /// The fields of a struct.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Struct { fields, .. } => fields,
            _ => &[],
        }
    }

    /// The first field of that name.
    pub fn field(&self, text: &str, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| plain(field.name.of(text)) == name)
    }

    /// The items of a list or tuple.
    pub fn items(&self) -> &[Value] {
        match &self.kind {
            Kind::List { items, .. } | Kind::Tuple { items, .. } => items,
            _ => &[],
        }
    }

    /// The value of a map's textual key.
    fn entry(&self, text: &str, key: &str) -> Option<&Value> {
        let Kind::Map { entries } = &self.kind else { return None };
        entries
            .iter()
            .find(|(written, _)| written.span.of(text).trim_matches('"') == key)
            .map(|(_, value)| value)
    }

    /// The content of the enum variant `name`: the one item of `Name(item)`, else the value itself.
    fn content(&self, text: &str, name: &str) -> Option<&Value> {
        if plain(self.name()?.of(text)) != name {
            return None;
        }
        match self.items() {
            [only] => Some(only),
            _ => Some(self),
        }
    }

    /// Where another field or item can be added, unless this is a plain value.
    pub fn insertion(&self) -> Option<Insertion> {
        let (inside, last) = match &self.kind {
            Kind::Struct { inside, fields, .. } => (inside, fields.last().map(|f| f.value.span)),
            Kind::Tuple { inside, items, .. } | Kind::List { inside, items } => {
                (inside, items.last().map(|item| item.span))
            }
            _ => return None,
        };
        Some(match last {
            Some(last) => Insertion { at: last.end, before: ", " },
            None => Insertion { at: *inside, before: "" },
        })
    }

    /// This value and all within it, outermost first, in the order of the text.
    pub fn walk<'t>(&'t self, visit: &mut impl FnMut(&'t Value)) {
        visit(self);
        match &self.kind {
            Kind::Struct { fields, .. } => {
                for field in fields {
                    field.value.walk(visit);
                }
            }
            Kind::Map { entries } => {
                for (key, value) in entries {
                    key.walk(visit);
                    value.walk(visit);
                }
            }
            _ => {
                for item in self.items() {
                    item.walk(visit);
                }
            }
        }
    }
}

/// An identifier without the `r#` that marks it as one.
fn plain(identifier: &str) -> &str {
    identifier.strip_prefix("r#").unwrap_or(identifier)
}
