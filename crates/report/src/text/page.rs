//! Parts of the page for other pages in its style.

use super::{headings, number, wrap};
use crate::Report;

/// `label` and `text` in as many lines of at most 80 columns as they need.
pub fn labelled(label: &str, text: &str) -> Vec<String> {
    wrap::labelled(label, text)
}

/// The question, the machine, and what is trained.
pub fn headings(report: &Report) -> Vec<String> {
    let mut lines = headings::title(report);
    lines.extend(headings::cluster(report));
    lines.extend(headings::model(report));
    lines
}

/// Who runs what.
pub fn plan(report: &Report) -> Vec<String> {
    headings::plan(report)
}

/// A duration with four significant digits.
pub fn seconds(value: f64) -> String {
    number::seconds(value)
}

/// A share, with one decimal.
pub fn percent(ratio: f64) -> String {
    number::percent(ratio)
}

/// A difference as a share, with its sign.
pub fn signed_percent(ratio: f64) -> String {
    number::signed_percent(ratio)
}

/// A count with thousands set apart.
pub fn count(value: u64) -> String {
    number::count(value)
}

/// GiB without the unit.
pub fn gib(bytes: f64) -> String {
    number::gib(bytes)
}
