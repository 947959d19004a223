//! Tables with a heading.

use super::{WIDTH, wrap};

/// Between columns.
const GAP: usize = 2;

/// The last column stands beside the others if it has so much room; else below them.
const LEAST: usize = 24;

/// Where the last column begins if it stands below.
const BELOW: usize = 4;

/// Rows of cells under their headings, each as many lines of at most 80 columns as it needs (a single word may
/// be longer). The first column is aligned to the left, others to the right; the last one is words, which go
/// on below themselves, and on lines of their own where the other columns leave little room.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let all = || std::iter::once(&headings).chain(rows);
    let figures = headings.len().saturating_sub(1);
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..figures)
        .map(|column| all().map(|row| wrap::columns(&cell(row, column))).max().unwrap_or(0))
        .collect();
    let before = widths.iter().map(|width| width + GAP).sum::<usize>();
    let words = all().map(|row| wrap::columns(&cell(row, figures))).max().unwrap_or(0);
    let beside = before + words.min(LEAST) <= WIDTH;
    let mut lines = Vec::new();
    for (number, row) in all().enumerate() {
        let mut line = String::new();
        for (column, width) in widths.iter().enumerate() {
            let text = cell(row, column);
            let blank = " ".repeat(width - wrap::columns(&text));
            line += &if column == 0 { text + &blank } else { blank + &text };
            line += &" ".repeat(GAP);
        }
        let text = cell(row, figures);
        if beside {
            lines.extend(wrap::hanging(&line, before, &text, WIDTH));
        } else {
            lines.push(line.trim_end().to_owned());
            // What stands below needs no heading.
            if number > 0 && !text.is_empty() {
                lines.extend(wrap::hanging(&" ".repeat(BELOW), BELOW, &text, WIDTH));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::table;

    fn check(headings: &[&str], rows: &[&[&str]], lines: &[&str]) {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
        assert_eq!(table(headings, &rows), lines);
    }

    #[test]
    fn columns_are_aligned() {
        check(
            &["id", "GB/s", "name"],
            &[&["a100", "1555", "A100"], &["日本", "80", "two words"], &["x", "", ""]],
            &["id    GB/s  name", "a100  1555  A100", "日本    80  two words", "x"],
        );
    }

    #[test]
    fn long_words_go_on_below_themselves() {
        let name = "word ".repeat(20);
        check(
            &["id", "name"],
            &[&["a", &name]],
            &[
                "id  name",
                &format!("a   {}", "word ".repeat(15).trim_end()),
                &format!("    {}", "word ".repeat(5).trim_end()),
            ],
        );
    }

    #[test]
    fn where_there_is_no_room_they_stand_below() {
        let id = "i".repeat(60);
        check(
            &["id", "name"],
            &[&[&id, "one of a number of long names"], &["j", ""]],
            &["id", &id, "    one of a number of long names", "j"],
        );
    }
}
