//! What a code means, with an example that is refused.

use super::PAGES;
use crate::load::{Rejected, load_text, utf8};

/// A scenario that every example changes at one place.
const WHOLE: &str = include_str!("example.ron");

/// How messages call it.
const NAME: &str = "scenario.ron";

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The code, `E0201`.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why that is refused, or warned of; paragraphs parted by empty lines.
    pub meaning: &'static str,
    /// A mistake that has this code.
    pub mistake: Mistake,
    /// What to do; paragraphs parted by empty lines.
    pub mend: &'static str,
}

/// A mistake in a scenario that is otherwise right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Something was written in place of something else.
    Written {
        /// What is right, as the scenario has it.
        right: &'static str,
        /// What is written in its place.
        wrong: &'static str,
    },
    /// An override, as behind `--set`.
    Override {
        /// One that is right.
        right: &'static str,
        /// One that is wrong.
        wrong: &'static str,
    },
    /// The file begins with these bytes.
    Bytes(&'static [u8]),
    /// A study of the scenario.
    Study(&'static str),
}

impl Page {
    /// The page of a code, written in capital or small letters.
    pub fn find(code: &str) -> Option<&'static Self> {
        PAGES.iter().find(|page| page.code.eq_ignore_ascii_case(code))
    }

    /// The messages about the example. `refused` says what is wrong with a study of a scenario, of which this
    /// crate knows nothing: the texts of both are given.
    ///
    /// # Errors
    ///
    /// The messages, where they refuse it; warnings are the value.
    pub fn messages(
        &self,
        refused: impl Fn(&str, &str) -> Option<Rejected>,
    ) -> Result<String, Rejected> {
        let mut overrides = Vec::new();
        let bytes = match self.mistake {
            Mistake::Written { right, wrong } => WHOLE.replacen(right, wrong, 1).into_bytes(),
            Mistake::Override { wrong, .. } => {
                overrides.push(wrong.to_owned());
                WHOLE.as_bytes().to_vec()
            }
            Mistake::Bytes(start) => [start, WHOLE.as_bytes()].concat(),
            Mistake::Study(study) => return refused(study, WHOLE).map_or(Ok(String::new()), Err),
        };
        let scenario = load_text(NAME, &utf8(NAME, bytes)?, &overrides)?;
        Ok(scenario.warnings.render(&scenario.source, false))
    }

    /// What is right in place of the mistake, if that can be said in a line.
    pub fn right(&self) -> Option<String> {
        match self.mistake {
            Mistake::Written { right, .. } => {
                let line = WHOLE.lines().find(|line| line.contains(right))?;
                Some(line.trim().to_owned())
            }
            Mistake::Override { right, .. } => Some(format!("--set {right}")),
            Mistake::Bytes(_) | Mistake::Study(_) => None,
        }
    }
}

/// Whether a text looks like a code: a letter for the kind of message and four digits.
pub fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(['E', 'e', 'W', 'w']);
    digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
}
