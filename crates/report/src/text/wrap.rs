//! Lines with a label and a hanging indent.

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
    let kept: String = text.chars().take(room.saturating_sub(DOTS.len())).collect();
    kept.trim_end().to_owned() + DOTS
}

/// A line after which something was left out.
pub fn elide(line: &str) -> String {
    if line.ends_with(DOTS) {
        return line.to_owned();
    }
    let kept: String = line.chars().take(WIDTH - DOTS.len() - 1).collect();
    format!("{} {DOTS}", kept.trim_end())
}

fn columns(text: &str) -> usize {
    text.chars().count()
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
    }
}
