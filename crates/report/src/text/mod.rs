//! The report as a page of text.

mod bar;
mod findings;
mod headings;
pub mod number;
pub mod page;
mod table;
pub mod wrap;

pub use table::table;

use crate::Report;

/// Columns of a line at most.
pub const WIDTH: usize = 80;

/// Lines of the page at most: a terminal window of the usual size shows all of it.
const HEIGHT: usize = 24;

/// A part of the page.
#[derive(Debug)]
struct Section {
    lines: Vec<String>,
    /// It may be cut to so many lines if the page is too long.
    least: usize,
    /// A blank line before it, if the page has room: the smallest number is granted first.
    blank: Option<u8>,
}

impl Section {
    fn new(lines: Vec<String>) -> Self {
        Self { least: lines.len(), lines, blank: None }
    }

    fn least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    fn blank(self, order: u8) -> Self {
        Self { blank: Some(order), ..self }
    }
}

/// The report as at most 24 lines of at most 80 columns, without colour.
pub fn text(report: &Report) -> String {
    let mut sections = vec![
        Section::new(headings::title(report)).least(1),
        Section::new(headings::cluster(report)).least(1).blank(4),
        Section::new(headings::model(report)).least(1),
        Section::new(headings::plan(report)).least(1),
        Section::new(findings::out_of_memory(report)).blank(0),
        Section::new(findings::speed(report)).blank(1),
        Section::new(bar::time(report)).blank(2),
        Section::new(findings::cards(report)).least(3).blank(3),
        Section::new(findings::imbalance(report)).blank(5),
        Section::new(findings::links(report)).least(1),
        Section::new(findings::published(report)).least(1),
        Section::new(findings::simulated(report)),
    ];
    sections.retain(|section| !section.lines.is_empty());
    squeeze(&mut sections);
    let blanks = granted_blanks(&sections);
    let mut page = String::new();
    for (section, blank) in sections.iter().zip(blanks) {
        if blank {
            page.push('\n');
        }
        for line in &section.lines {
            page.push_str(line.trim_end());
            page.push('\n');
        }
    }
    page
}

fn height(sections: &[Section]) -> usize {
    sections.iter().map(|section| section.lines.len()).sum()
}

/// Cuts sections, the longest first, until the page is short enough or nothing may be cut; the
/// last line of a cut section says so.
fn squeeze(sections: &mut [Section]) {
    while height(sections) > HEIGHT {
        let longest = sections
            .iter_mut()
            .filter(|section| section.lines.len() > section.least)
            .max_by_key(|section| section.lines.len());
        let Some(section) = longest else { break };
        section.lines.pop();
        if let Some(last) = section.lines.last_mut() {
            *last = wrap::elide(last);
        }
    }
}

/// Before which sections the page has room for a blank line.
fn granted_blanks(sections: &[Section]) -> Vec<bool> {
    let mut wishes: Vec<(u8, usize)> = sections
        .iter()
        .enumerate()
        .skip(1)
        .filter_map(|(index, section)| section.blank.map(|order| (order, index)))
        .collect();
    wishes.sort_unstable();
    wishes.truncate(HEIGHT.saturating_sub(height(sections)));
    let mut granted = vec![false; sections.len()];
    for (_, index) in wishes {
        granted[index] = true;
    }
    granted
}
