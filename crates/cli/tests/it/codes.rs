//! `motley explain CODE`, and where messages point to it.

use motley_scenario::code::PAGES;

use crate::command::{MIXED, answer, changed, folder_with, motley};

#[test]
fn every_code_is_explained() {
    let folder = folder_with("it.ron", MIXED);
    let list = answer(folder.path(), &["explain", "--list"]);
    assert_eq!(list.lines().count(), PAGES.len());
    for page in PAGES {
        assert!(list.contains(&format!("{}  {}\n", page.code, page.title)), "{list}");
        let text = answer(folder.path(), &["explain", page.code]);
        assert!(text.starts_with(&format!("{}: {}\n\n", page.code, page.title)), "{text}");
        assert!(text.contains(&format!("[{}]", page.code)), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!text.contains('\u{1b}') && text.ends_with('\n') && !text.ends_with("\n\n"));
        assert_eq!(answer(folder.path(), &["explain", &page.code.to_lowercase()]), text);
        let json = answer(folder.path(), &["explain", page.code, "--format", "json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["code"], page.code);
    }
}

#[test]
fn what_is_no_code() {
    let folder = folder_with("E0101", MIXED);
    for (arguments, message) in [
        (&["explain", "E0100"][..], "no message has the code E0100; did you mean E010"),
        (&["explain", "e9876"], "no message has the code E9876; "),
        (&["explain", "E0101", "--set", "plan.dp=4"], "--set changes scenarios"),
        (&["explain"], "<SCENARIO|CODE>"),
        (&["explain", "--list", "E0101"], "cannot be used with"),
    ] {
        let ran = motley(folder.path(), arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?} {}", ran.stderr);
        assert!(ran.stderr.contains(message) && ran.stdout.is_empty(), "{}", ran.stderr);
    }
    // A file of such a name is named by its path.
    let path = answer(folder.path(), &["explain", "./E0101"]);
    assert!(path.contains("ritical path"), "{path}");
    assert!(answer(folder.path(), &["explain", "E0101"]).starts_with("E0101: "));
}

/// Once at the end, whatever came before.
#[test]
fn messages_point_to_the_pages() {
    let one = changed(MIXED, &[("count: 1", "cuont: 1")]);
    let two = changed(&one, &[("Gbps(100)", "100")]);
    let folder = folder_with("one.ron", &one);
    std::fs::write(folder.path().join("two.ron"), &two).unwrap();
    std::fs::write(folder.path().join("right.ron"), MIXED).unwrap();
    let single = "\n\nfor more information about this error, try `motley explain E0201`\n";
    let several =
        "\n\nfor more information about these errors, try `motley explain E0201` (or E0206)\n";
    for (arguments, hint) in [
        (&["run", "one.ron"][..], Some(single)),
        (&["run", "two.ron"], Some(several)),
        (&["check", "one.ron", "right.ron"], Some(single)),
        (&["check", "one.ron", "two.ron"], Some(several)),
        (&["check", "right.ron"], None),
        (&["check", "no-such-file.ron"], None),
    ] {
        let ran = motley(folder.path(), arguments);
        let count = ran.stderr.matches("for more information").count();
        assert_eq!(count, usize::from(hint.is_some()), "{arguments:?} {}", ran.stderr);
        assert!(ran.stderr.ends_with(hint.unwrap_or("")), "{arguments:?} {}", ran.stderr);
        assert!(!ran.stdout.contains("for more information"));
    }
}
