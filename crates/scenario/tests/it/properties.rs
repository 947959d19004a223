//! What holds of every text.

use motley_scenario::syntax::{Kind, Path, Span, Tree, Value, tokens};
use motley_scenario::{Diagnostics, SourceFile};
use motley_scenario::{load_text, parse};
use proptest::prelude::*;

use crate::base::{EXPLICIT, UNIFORM};

/// RON values of every shape, with odd spacing and comments between the tokens.
fn ron() -> impl Strategy<Value = String> {
    let blank =
        prop_oneof![Just(""), Just(" "), Just("\r\n\t"), Just("/* /* , */ ( */"), Just("// )\n")];
    let leaf = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}")),
        any::<char>().prop_map(|c| format!("{c:?}")),
        any::<String>().prop_map(|s| format!("{s:?}")),
        "[a-z\"()\\[\\]\\\\,]{0,9}".prop_map(|s| format!("r##\"{s}\"##")),
        prop_oneof![
            Just("true"),
            Just("Unit"),
            Just("None"),
            Just("0x1F"),
            Just("1_000u32"),
            Just("0..8"),
            Just("inf"),
            Just("b'a'"),
            Just("b\"ab\""),
            Just("()")
        ]
        .prop_map(str::to_owned),
    ];
    let name = "[a-zA-Z_][a-zA-Z_0-9]{0,5}";
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let items = prop::collection::vec((blank.clone(), inner.clone(), blank.clone()), 0..4);
        let fields =
            prop::collection::vec((blank.clone(), name, blank.clone(), inner.clone()), 1..4);
        let list = |items: Vec<(&str, String, &str)>| {
            items
                .into_iter()
                .map(|(a, item, b)| format!("{a}{item}{b}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        let named =
            prop_oneof![Just(String::new()), Just("Name".to_owned()), Just("r#type ".to_owned())];
        prop_oneof![
            items.clone().prop_map(move |items| format!("[{}]", list(items))),
            (named.clone(), items, any::<bool>()).prop_map(move |(name, items, comma)| {
                let comma = if comma && !items.is_empty() { "," } else { "" };
                format!("{name}({}{comma})", list(items))
            }),
            (named, fields).prop_map(|(name, fields)| {
                let fields: Vec<_> =
                    fields.into_iter().map(|(a, n, b, v)| format!("{a}{n}{b}:{v}")).collect();
                format!("{name}({})", fields.join(","))
            }),
            (inner.clone(), blank.clone(), inner).prop_map(|(k, b, v)| format!("{{{k}{b}:{v},}}")),
        ]
    })
}

/// Spans lie within their parent's, in order, without overlap.
fn nested(value: &Value, text: &str) {
    let mut at = value.span.start;
    let mut child = |span: Span| {
        assert!(at <= span.start && span.start <= span.end && span.end <= value.span.end, "{text}");
        at = span.end;
    };
    match &value.kind {
        Kind::Struct { fields, .. } => fields.iter().for_each(|field| {
            child(field.name);
            child(field.value.span);
        }),
        Kind::Map { entries } => entries.iter().for_each(|(key, value)| {
            child(key.span);
            child(value.span);
        }),
        _ => value.items().iter().for_each(|item| child(item.span)),
    }
}

fn check_text(text: &str) {
    let mut at = 0;
    for token in tokens(text) {
        let Ok(token) = token else { break };
        assert_eq!(token.span.start, at, "{text}");
        assert!(token.span.end > at && text.is_char_boundary(token.span.end), "{text}");
        at = token.span.end;
    }
    match Tree::parse(text) {
        Ok(tree) => {
            assert_eq!(at, text.len(), "the tokens are not the text {text}");
            tree.root.walk(&mut |value| nested(value, text));
        }
        Err(error) => assert!(error.span.end <= text.len(), "{text}"),
    }
}

/// Whatever becomes of the text, it becomes it without a panic, and what is refused is shown.
fn check_scenario(text: &str) {
    if let Err(rejected) = load_text("test.ron", text, &[]) {
        assert!(!rejected.diagnostics.is_empty(), "{text}");
        assert!(rejected.render(true).contains("test.ron"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_ron_text_has_a_tree(text in ron()) {
        let options = ron::Options::default();
        let accepted = options.from_str::<ron::Value>(&text);
        let tree = Tree::parse(&text);
        prop_assert!(tree.is_ok(), "{text}: {tree:?}");
        prop_assert!(accepted.is_ok(), "{text}: {accepted:?}");
        check_text(&text);
    }

    /// A value put in its own place changes nothing; another is found where it was put.
    #[test]
    fn replacing_a_value_leaves_the_rest(text in ron(), new in ron(), pick in any::<prop::sample::Index>()) {
        let tree = Tree::parse(&text).unwrap();
        let mut spans = Vec::new();
        tree.root.walk(&mut |value| spans.push(value.span));
        let span = spans[pick.index(spans.len())];
        let spliced = format!("{}{new}{}", &text[..span.start], &text[span.end..]);
        let again = Tree::parse(&spliced).unwrap();
        let mut found = false;
        again.root.walk(&mut |value| found |= value.span.of(&spliced) == new);
        prop_assert!(found, "{text} -> {spliced}");
        let count = |tree: &Tree| { let mut n = 0; tree.root.walk(&mut |_| n += 1); n };
        let (mut inside, new_tree) = (0, Tree::parse(&new).unwrap());
        tree.root.walk(&mut |value| inside += usize::from(span.start <= value.span.start && value.span.end <= span.end));
        prop_assert_eq!(count(&again), count(&tree) - inside + count(&new_tree));
    }

    #[test]
    fn no_text_panics(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_text(&text);
        check_scenario(&text);
        check_scenario(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_text_of_marks_panics(text in "[()\\[\\]{},:#!=./*'\"\\\\ab0-9r\\n -]{0,80}") {
        check_text(&text);
        check_scenario(&text);
    }

    /// Scenarios with a piece cut out, doubled or replaced.
    #[test]
    fn no_mutation_panics(
        explicit in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 0usize..40,
        new in prop_oneof![
            Just(String::new()), ron(), "[(),:a-z0-9.-]{0,8}",
            Just("99999999999999999999".to_owned()), Just("-1".to_owned()), Just("4294967295".to_owned()),
        ],
    ) {
        let text = if explicit { EXPLICIT } else { UNIFORM };
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let start = from.index(boundaries.len());
        let end = (start + length).min(boundaries.len() - 1);
        let (start, end) = (boundaries[start.min(end)], boundaries[end]);
        let mutated = format!("{}{new}{}", &text[..start], &text[end..]);
        check_text(&mutated);
        check_scenario(&mutated);
    }

    /// Scenarios with one value replaced by another value: still RON, mostly no scenario.
    #[test]
    fn no_other_value_panics(
        explicit in any::<bool>(),
        pick in any::<prop::sample::Index>(),
        new in prop_oneof![ron(), any::<u32>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| format!("{n:?}"))],
    ) {
        let text = if explicit { EXPLICIT } else { UNIFORM };
        let tree = Tree::parse(text).unwrap();
        let mut spans = Vec::new();
        tree.root.walk(&mut |value| spans.push(value.span));
        let span = spans[pick.index(spans.len())];
        check_scenario(&format!("{}{new}{}", &text[..span.start], &text[span.end..]));
    }

    #[test]
    fn no_override_panics(path in "[a-z.\\[\\]0-9]{0,12}", new in any::<String>(), plan in any::<bool>()) {
        let path = if plan { format!("plan.{path}") } else { path };
        for text in [format!("{path}={new}"), new.clone()] {
            if let Err(rejected) = load_text("test.ron", UNIFORM, &[text]) {
                prop_assert!(!rejected.render(false).is_empty());
            }
        }
    }
}

#[test]
fn a_way_is_followed_through_variants_and_options() {
    let text = "(a: Some((b: [1, V(c: 2), W(3)])), r#type: {\"k\": 4})";
    let tree = Tree::parse(text).unwrap();
    let check = |path: Path, expected: &str| {
        let found = tree.find(text, &path);
        assert_eq!((found.steps, found.value.span.of(text)), (path.0.len(), expected), "{path}");
    };
    let b = Path::ROOT.field("a").field("b");
    check(b.index(0), "1");
    check(b.index(1).field("c"), "2");
    check(b.index(2).index(0), "3");
    check(Path::ROOT.field("type").field("k"), "4");
    assert_eq!(tree.find(text, &b.index(9).field("x")).steps, 2);
    assert_eq!(tree.path_at(text, text.find('2').unwrap() + 1), b.index(1).field("c"));
}

/// Other types than scenarios are read the same way.
#[test]
fn any_type_can_be_read() {
    let read = |text: &str| parse::<Vec<(u32, String)>>(&SourceFile::new("x", text));
    assert_eq!(read("[(1, \"a\")]"), Ok(vec![(1, "a".to_owned())]));
    let errors: Diagnostics = read("[(a, \"a\"), (2, 3), (4, \"d\", 5)]").unwrap_err();
    assert!(errors.len() >= 2, "{errors}");
}
