//! What a row leaves open and a rule filled in.

/// In the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Assumptions(Vec<String>);

impl Assumptions {
    /// Notes one.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// What the row states, or what a rule says, which is noted.
    pub(super) fn fill<T>(&mut self, stated: Option<T>, rule: T, what: impl Into<String>) -> T {
        stated.unwrap_or_else(|| {
            self.note(what);
            rule
        })
    }
}

impl From<Assumptions> for Vec<String> {
    fn from(assumptions: Assumptions) -> Self {
        assumptions.0
    }
}
