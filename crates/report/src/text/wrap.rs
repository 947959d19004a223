//! Lines with a label and a hanging indent.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::WIDTH;

/// Columns of the label.
pub const INDENT: usize = 11;

const DOTS: &str = "...";

/// `label` and `text` in as many lines as they need.
pub fn labelled(label: &str, text: &str) -> Vec<String> {
    let lines = wrapped(text, WIDTH - INDENT).into_iter().enumerate();
    lines.map(|(i, line)| format!("{:<INDENT$}{line}", if i == 0 { label } else { "" })).collect()
}

/// `text` in as many lines of at most `room` columns as it needs, at least one.
pub fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    // What a file says must not steer the terminal.
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty())
    {
        let word = clip(word, room);
        if !line.is_empty() && columns(&line) + 1 + columns(&word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

/// `text` in at most so many columns, cut with dots.
pub fn clip(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    fitting(text, room.saturating_sub(DOTS.len())).trim_end().to_owned() + DOTS
}

/// A line after which something was left out.
pub fn elide(line: &str) -> String {
    if line.ends_with(DOTS) {
        return line.to_owned();
    }
    format!("{} {DOTS}", fitting(line, WIDTH - DOTS.len() - 1).trim_end())
}

/// `text` behind `first`, in lines of at most `width` columns as far as words allow, which are never cut;
/// lines after the first are indented.
pub fn hanging(first: &str, indent: usize, text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    // Behind the first part, or behind an indentation, the next word follows as it is.
    let mut fresh = first.is_empty() || first.ends_with(' ');
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty())
    {
        let gap = usize::from(!fresh);
        let begun = columns(&line) > indent || !fresh;
        if begun && columns(&line) + gap + columns(word) > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)).trim_end().to_owned());
        } else if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// As much of the beginning of a text as fits.
fn fitting(text: &str, room: usize) -> &str {
    let mut taken = 0;
    for (at, letter) in text.char_indices() {
        taken += letter.width().unwrap_or(0);
        if taken > room {
            return &text[..at];
        }
    }
    text
}

/// Columns that a text takes in a terminal: letters of East Asian scripts take two.
pub fn columns(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, lines: usize) {
        let wrapped = labelled("Label", text);
        assert_eq!(wrapped.len(), lines, "{wrapped:?}");
        for line in &wrapped {
            assert!(columns(line) <= WIDTH, "{line}");
        }
        assert!(columns(&elide(&wrapped[0])) <= WIDTH);
    }

    #[test]
    fn no_line_is_too_long() {
        check("", 1);
        check("a few words", 1);
        check(&"word ".repeat(15), 2);
        check(&"x".repeat(200), 1);
        check(&format!("{} {}", "x".repeat(60), "\u{e4}".repeat(60)), 2);
        check(&"日本語 ".repeat(11), 2);
        check(&"日".repeat(60), 1);
    }

    #[test]
    fn words_hang_below_what_they_follow() {
        for (first, indent, text, width, lines) in [
            ("a.ron:", 4, "ok; all times: spec", 80, vec!["a.ron: ok; all times: spec"]),
            (
                "a.ron:",
                4,
                "ok; all times: spec",
                14,
                vec!["a.ron: ok; all", "    times:", "    spec"],
            ),
            ("= help: ", 8, "one two three", 15, vec!["= help: one two", "        three"]),
            ("", 2, "one two three", 7, vec!["one two", "  three"]),
            ("", 2, "unbreakable words", 7, vec!["unbreakable", "  words"]),
            ("a-long-path.ron:", 2, "ok", 7, vec!["a-long-path.ron:", "  ok"]),
            ("a:", 2, "", 7, vec!["a:"]),
        ] {
            assert_eq!(hanging(first, indent, text, width), lines, "{first:?} {text:?}");
        }
    }
}
