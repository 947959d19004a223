//! Data that axes are not made for.

use motley_plot::{
    Axis, Bar, Bars, Chart, Colours, Figure, HeatMap, Note, Reference, Scale, Series,
};

use crate::laws::check;

/// Rows of numbers, some of which only linear axes can show.
const DATA: &[&[f64]] = &[
    &[1.0],
    &[0.0],
    &[0.0, 0.0],
    &[-3.0],
    &[5.0, 5.0, 5.0],
    &[-2.0, -1.0, -7.0],
    &[-1.0, 0.0, 1.0],
    &[1e90, -1e90],
    &[1e90, 1.0, 1e-90],
    &[1e-90, 2e-90],
    &[1e-90],
    &[1.0, 1.0 + f64::EPSILON],
    &[1e15, 1e15 + 1.0],
    &[99.0, 101.0, 100.0],
    &[999_999.0, 1e6, 1_000_001.0],
    &[0.001, 1000.0],
    &[1e-90, 1e90],
];

fn positive(row: &[f64]) -> bool {
    row.iter().all(|&value| value > 0.0)
}

#[test]
fn charts_of_anything() {
    for x in DATA {
        for y in DATA {
            let axes = |log: bool| if log { Axis::log("a") } else { Axis::linear("a") };
            for (x_log, y_log) in [(false, false), (true, false), (false, true), (true, true)] {
                if (x_log && !positive(x)) || (y_log && !positive(y)) {
                    continue;
                }
                let points: Vec<(f64, f64)> =
                    x.iter().cycle().zip(*y).map(|(&x, &y)| (x, y)).collect();
                let series = [
                    Series::line("line", points.clone()),
                    Series::step("step", points.clone()),
                    Series::points("", points.iter().map(|&(x, y)| (x, y, (y, y)))),
                ];
                let mut chart = Chart::new(axes(x_log), axes(y_log).from_zero())
                    .with(Reference::horizontal(y[0], "here"))
                    .with(Reference::vertical(x[0], "there"))
                    .with(Note { x: x[0], y: y[0], text: "this".into() });
                for one in series {
                    chart = chart.with(one);
                }
                check(&Figure::new("", chart).svg().unwrap(), "");
            }
        }
    }
}

#[test]
fn bars_and_maps_of_anything() {
    for row in DATA {
        for scale in [Scale::Linear, Scale::Log] {
            if scale == Scale::Log && !positive(row) {
                continue;
            }
            let axis = Axis { scale, ..Axis::linear("a") };
            let bars = row.iter().map(|&value| Bar::new("bar", value)).collect();
            let references = vec![(row[0], "here".to_owned())];
            let bars = Figure::new("bars", Bars { axis, bars, references });
            check(&bars.svg().unwrap(), "bars");
            for colours in [Colours::Sequential, Colours::Diverging { centre: 1.0 }] {
                let map = HeatMap {
                    x: "x".into(),
                    y: "y".into(),
                    values: "value".into(),
                    columns: row.iter().map(f64::to_string).collect(),
                    rows: vec!["row".into()],
                    cells: vec![row.iter().map(|&value| Some(value.into())).collect()],
                    colours,
                    scale,
                };
                check(&Figure::new("map", map).svg().unwrap(), "map");
            }
        }
    }
}

#[test]
fn text_that_xml_cannot_hold() {
    let hostile = "a\u{0}b\u{1b}[31m<script>&amp;\u{ffff}\"']]>\n--\u{202e}";
    let chart = Chart::new(Axis::linear(hostile), Axis::linear(hostile))
        .with(Series::line(hostile, [(0.0, 1.0)]))
        .with(Note { x: 0.0, y: 1.0, text: hostile.into() });
    let svg = Figure::new(hostile, chart).describe(hostile).svg().unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    assert!(!document.descendants().any(|node| node.has_tag_name("script")));
    assert!(!svg.contains("<script"));
}
