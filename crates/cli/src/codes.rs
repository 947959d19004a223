//! What the codes of messages mean: `motley explain E0101` and `motley explain --list`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use motley_report::{WIDTH, wrap};
use motley_scenario::code::{Mistake, PAGES, Page};
use motley_scenario::{Failure, Rejected, nearest};
use motley_sweep::{Material, Study};
use serde_json::{Value, json};

use crate::args::Format;
use crate::exit::{CommandFailure, Exit, print};

/// Prints the page of a code.
pub(crate) fn page(code: &str, format: Format) -> Result<Exit, CommandFailure> {
    let Some(page) = Page::find(code) else {
        let code = code.to_uppercase();
        let near = nearest(&code, PAGES.iter().map(|page| page.code));
        let hint = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        let rest = "`motley explain --list` lists all codes";
        return Err(CommandFailure::input(format!("no message has the code {code}; {hint}{rest}")));
    };
    match format {
        Format::Text => print(&text(page))?,
        Format::Json => print(&format!("{:#}\n", document(page)))?,
    }
    Ok(Exit::Ok)
}

/// Prints a line for each code; as JSON, one page a line.
pub(crate) fn list(format: Format) -> Result<Exit, CommandFailure> {
    let mut lines = String::new();
    for page in PAGES {
        let _ = match format {
            Format::Text => writeln!(lines, "{}  {}", page.code, page.title),
            Format::Json => writeln!(lines, "{}", document(page)),
        };
    }
    print(&lines)?;
    Ok(Exit::Ok)
}

/// What motley says about the example.
fn messages(page: &Page) -> String {
    page.messages(study_refused).unwrap_or_else(|rejected| rejected.render(false))
}

/// What is wrong with a study of a scenario, if anything.
fn study_refused(study: &str, base: &str) -> Option<Rejected> {
    let material = Material {
        study_name: "study.ron".to_owned(),
        study: study.to_owned(),
        base_name: "scenario.ron".to_owned(),
        base: base.to_owned(),
        profiles: BTreeMap::new(),
    };
    match Study::from_material(&material) {
        Err(Failure::Rejected(rejected)) => Some(*rejected),
        _ => None,
    }
}

fn text(page: &Page) -> String {
    let mut text = format!("{}: {}\n\n", page.code, page.title);
    paragraphs(&mut text, page.meaning);
    let refused = if page.code.starts_with('W') { "gives" } else { "is refused" };
    let _ = match page.mistake {
        Mistake::Override { wrong, .. } => {
            writeln!(text, "For example, `--set {wrong}` {refused}:\n")
        }
        _ => writeln!(text, "For example, this {refused}:\n"),
    };
    for line in messages(page).lines().flat_map(|line| folded(line, WIDTH - 4)) {
        let _ = writeln!(text, "{}", format!("    {line}").trim_end());
    }
    if let Some(right) = page.right() {
        let _ = writeln!(text, "\nRight would be:\n\n    {right}");
    }
    text.push('\n');
    paragraphs(&mut text, page.mend);
    // Paragraphs end with an empty line; a page does not.
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A line of a message in as many lines as it needs, if it is words: what follows a colon hangs below itself.
fn folded(line: &str, width: usize) -> Vec<String> {
    let words = ["= help: ", "= note: ", "]: "].into_iter().find_map(|before| {
        let at = line.find(before)? + before.len();
        Some(line.split_at(at))
    });
    match words {
        Some((before, words)) if wrap::columns(line) > width => {
            wrap::hanging(before, wrap::columns(before), words, width)
        }
        _ => vec![line.to_owned()],
    }
}

/// Paragraphs, each followed by an empty line.
fn paragraphs(text: &mut String, paragraphs: &str) {
    for paragraph in paragraphs.split("\n\n") {
        for line in wrap::wrapped(paragraph, WIDTH) {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
    }
}

fn document(page: &Page) -> Value {
    json!({
        "code": page.code,
        "title": page.title,
        "meaning": page.meaning,
        "example": messages(page),
        "right": page.right(),
        "mend": page.mend,
    })
}
