//! Every code has a page whose example has that code.

use motley_scenario::code::{Mistake, PAGES, Page, is_code};

/// All codes that the crate defines.
fn codes() -> Vec<&'static str> {
    let source = include_str!("../../src/code.rs");
    source.split('"').filter(|text| is_code(text)).collect()
}

#[test]
fn every_code_has_a_page() {
    let pages: Vec<&str> = PAGES.iter().map(|page| page.code).collect();
    assert_eq!(pages, codes());
    assert!(pages.len() >= 18);
}

#[test]
fn every_example_has_its_code() {
    // Studies are refused by a crate above; the command line's tests hold their pages to their codes.
    for page in PAGES.iter().filter(|page| !matches!(page.mistake, Mistake::Study(_))) {
        let (shown, found) = match page.messages(|_, _| None) {
            Ok(warnings) => {
                assert!(page.code.starts_with('W'), "{}: accepted\n{warnings}", page.code);
                (warnings.clone(), vec![warnings])
            }
            Err(rejected) => {
                let codes = rejected.diagnostics.iter().map(|each| each.code.to_owned()).collect();
                (rejected.render(false), codes)
            }
        };
        assert!(found.iter().all(|each| each.contains(page.code)), "{}: {shown}", page.code);
        assert!(!found.is_empty());
        // What is right is said as it stands in the scenario.
        if let (Mistake::Written { right, .. }, Some(line)) = (page.mistake, page.right()) {
            assert!(line.contains(right), "{line}");
        }
    }
}

#[test]
fn pages_are_found_in_any_case() {
    for page in PAGES {
        for code in [page.code.to_owned(), page.code.to_lowercase()] {
            assert_eq!(Page::find(&code), Some(page));
        }
    }
    for code in ["E9999", "E01", "", "0101"] {
        assert_eq!(Page::find(code), None);
    }
}

#[test]
fn what_looks_like_a_code() {
    for (text, looks) in [
        ("E0101", true),
        ("e0101", true),
        ("w0501", true),
        ("E9999", true),
        ("E010", false),
        ("E01010", false),
        ("E0101.ron", false),
        ("./E0101", false),
        ("X0101", false),
        ("", false),
    ] {
        assert_eq!(is_code(text), looks, "{text}");
    }
}
