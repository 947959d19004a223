//! The critical path, for people.

use motley_report::{number, wrap};

use super::{page, time, title};
use crate::Explanation;

/// Smaller shares are not listed.
const LEAST: f64 = 0.001;

/// Shares that are listed, at most.
const LISTED: usize = 12;

/// The explanation as lines of at most 80 columns, without colour.
pub fn explanation_text(explanation: &Explanation) -> String {
    let mut lines = title(explanation.title.as_deref());
    let first = format!(
        "{}; the critical path goes over from rank to rank {} times",
        time(explanation.iteration),
        number::count(explanation.hop_count)
    );
    lines.extend(wrap::labelled("Iteration", &first));
    for (position, sentence) in explanation.sentences.iter().enumerate() {
        lines.extend(wrap::labelled(if position == 0 { "Path" } else { "" }, sentence));
    }
    lines.push(String::new());
    let row = |share: &str, length: &str, stage: &str, card: &str, kind: &str| {
        format!("{share:>7}{length:>11}{stage:>7}  {:<22}{kind}", wrap::clip(card, 21))
    };
    lines.push(row("share", "time", "stage", "card", "of the critical path"));
    let told = explanation.shares.iter().filter(|share| share.path_ratio >= LEAST).count();
    let (told, rest) = explanation.shares.split_at(told.min(LISTED));
    for share in told {
        lines.push(row(
            &number::percent(share.path_ratio),
            &time(share.time),
            &share.stage_index.to_string(),
            &share.card_id,
            &share.kind,
        ));
    }
    if !rest.is_empty() {
        let left: f64 = rest.iter().map(|share| share.path_ratio).sum();
        lines.push(format!("{:>7}  in {} smaller parts", number::percent(left), rest.len()));
    }
    lines.extend(wrap::labelled("Shares", &format!("of {}", explanation.baseline)));
    page(&lines)
}
