//! How wide text is, and how it is cut.

use super::canvas::PIXEL;

/// The fonts of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Font {
    /// The title.
    Title,
    /// Names of axes and series.
    Label,
    /// Ticks, notes and cells.
    Small,
}

impl Font {
    /// Size in tenths of a pixel.
    pub(crate) fn size(self) -> i32 {
        PIXEL
            * match self {
                Self::Title => 16,
                Self::Label => 13,
                Self::Small => 12,
            }
    }

    /// From one line to the next.
    pub(crate) fn line(self) -> i32 {
        self.size() * 13 / 10
    }

    /// Width of a text, on the safe side: in DejaVu Sans, which is wider than what browsers usually take.
    pub(crate) fn width(self, text: &str) -> i32 {
        let ems: f64 = text.chars().map(advance).sum();
        let bold = if self == Self::Title { 1.1 } else { 1.0 };
        (ems * bold * f64::from(self.size())).ceil() as i32
    }

    /// The text itself, or as much of its beginning as fits with a sign that there is more.
    pub(crate) fn shortened(self, text: &str, width: i32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut kept = String::new();
        for letter in text.chars() {
            kept.push(letter);
            if self.width(&kept) + self.width("…") > width {
                kept.pop();
                break;
            }
        }
        kept.truncate(kept.trim_end().len());
        kept.push('…');
        kept
    }

    /// The text in lines of at most that width, broken at spaces; a longer word is shortened.
    pub(crate) fn wrapped(self, text: &str, width: i32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            if let Some(line) = lines.last_mut() {
                let joined = format!("{line} {word}");
                if self.width(&joined) <= width {
                    *line = joined;
                    continue;
                }
            }
            lines.push(self.shortened(word, width));
        }
        lines
    }
}

/// Width of a letter in ems.
fn advance(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '\'' | '|' => 0.29,
        '.' | ',' | ':' | ';' | ' ' | '/' | '!' | 'I' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' => 0.42,
        'm' | 'M' | 'W' | '%' | '@' | '…' => 0.98,
        'w' | 'A'..='Z' | '+' | '=' | '<' | '>' => 0.8,
        '0'..='9' => 0.64,
        // Ideographs, kana, Hangul and full-width forms.
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'.. => 1.0,
        _ => 0.62,
    }
}

/// The text without what XML cannot hold.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| {
            let forbidden = letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}');
            if forbidden { ' ' } else { letter }
        })
        .collect()
}
