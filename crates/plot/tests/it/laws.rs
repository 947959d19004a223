//! What holds for every picture.

use roxmltree::{Document, Node};

use crate::figures;

/// The number in an attribute.
fn attribute(node: Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).and_then(|text| text.parse().ok()).unwrap()
}

/// Everything that holds for a picture with that title.
pub(crate) fn check(svg: &str, title: &str) {
    let document = Document::parse(svg).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "svg");
    assert_eq!(root.attribute("role"), Some("img"));
    assert_eq!(root.attribute("font-family"), Some("sans-serif"));
    let part = |name: &str| {
        let node =
            root.children().find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name)));
        node.and_then(|node| node.text()).unwrap_or("").to_owned()
    };
    assert_eq!(part("title"), title);
    assert!(!part("desc").is_empty());

    let size: Vec<f64> =
        root.attribute("viewBox").unwrap().split(' ').map(|part| part.parse().unwrap()).collect();
    let [_, _, width, height] = size[..] else { panic!("viewBox {size:?}") };
    assert!(width >= 4000.0 && height >= 1000.0, "{width} x {height}");
    let inside = |x: f64, y: f64, what: &str| {
        let close = 1.0;
        assert!(
            (-close..=width + close).contains(&x) && (-close..=height + close).contains(&y),
            "{what} at {x}, {y} lies outside of {width} x {height}"
        );
    };
    for node in root.descendants().filter(Node::is_element) {
        assert!(!node.attributes().any(|a| a.value().contains("NaN") || a.value().contains("inf")));
        // Nothing comes from outside.
        assert!(!node.attributes().any(|a| a.name() == "href" || a.value().contains("url(")));
        match node.tag_name().name() {
            "line" => {
                inside(attribute(node, "x1"), attribute(node, "y1"), "line");
                inside(attribute(node, "x2"), attribute(node, "y2"), "line");
            }
            "rect" if node.attribute("width") != Some("100%") => {
                let (x, y) = (attribute(node, "x"), attribute(node, "y"));
                let (wide, high) = (attribute(node, "width"), attribute(node, "height"));
                assert!(wide >= 0.0 && high >= 0.0, "a box of {wide} x {high}");
                inside(x, y, "box");
                inside(x + wide, y + high, "box");
            }
            "circle" => inside(attribute(node, "cx"), attribute(node, "cy"), "circle"),
            "polyline" | "polygon" => {
                for place in node.attribute("points").unwrap().split_whitespace() {
                    let (x, y) = place.split_once(',').unwrap();
                    inside(x.parse().unwrap(), y.parse().unwrap(), "path");
                }
            }
            "text" => text_inside(node, width, height),
            _ => {}
        }
    }
}

/// That a text lies in the picture, if letters are 0.55 of their height wide.
fn text_inside(node: Node<'_, '_>, width: f64, height: f64) {
    let text: String = node.text().unwrap_or("").trim().chars().collect();
    let size = attribute(node, "font-size");
    let length = text.chars().count() as f64 * size * 0.55;
    let (x, y) = (attribute(node, "x"), attribute(node, "y"));
    let (before, after) = match node.attribute("text-anchor") {
        Some("start") => (0.0, length),
        Some("end") => (length, 0.0),
        _ => (length / 2.0, length / 2.0),
    };
    let upwards = node.attribute("transform").is_some_and(|turn| turn.contains("270"));
    let (low, high, most) =
        if upwards { (y - after, y + before, height) } else { (x - before, x + after, width) };
    assert!(low >= -1.0 && high <= most + 1.0, "`{text}` from {low} to {high} of {most}");
}

#[test]
fn pictures_are_whole_and_accessible() {
    for (_, figure) in figures::all() {
        check(&figure.svg().unwrap(), &figure.title);
    }
}

#[test]
fn the_same_figure_gives_the_same_bytes() {
    for ((_, one), (_, other)) in figures::all().into_iter().zip(figures::all()) {
        assert_eq!(one.svg(), other.svg());
    }
}
