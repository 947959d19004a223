//! Parts of the page for other pages in its style.

use super::headings;
use crate::Report;

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
