//! What cannot be drawn is said, not drawn.

use motley_plot::{
    Axis, Bar, Bars, Chart, Colours, Content, Figure, HeatMap, Invalid, Reference, Scale, Series,
};

fn check(content: impl Into<Content>, message: &str) {
    let error = Figure::new("refused", content).svg().unwrap_err();
    assert_eq!(error.to_string(), message);
}

fn chart(series: Series) -> Chart {
    Chart::new(Axis::log("cards"), Axis::linear("tokens/s")).with(series)
}

fn map(rows: usize, cells: Vec<Vec<Option<f64>>>) -> HeatMap {
    HeatMap {
        x: "x".into(),
        y: "y".into(),
        values: "speed".into(),
        columns: vec!["a".into(), "b".into()],
        rows: vec!["r".into(); rows],
        cells: cells
            .into_iter()
            .map(|row| row.into_iter().map(|cell| cell.map(Into::into)).collect())
            .collect(),
        colours: Colours::Sequential,
        scale: Scale::Linear,
    }
}

#[test]
fn charts() {
    let empty: [(f64, f64); 0] = [];
    check(chart(Series::line("a", empty)), "the chart has nothing to draw");
    check(
        chart(Series::line("a", empty)).with(Reference::vertical(1.0, "r")),
        "the chart has nothing to draw",
    );
    check(chart(Series::line("a", [(1.0, f64::NAN)])), "a holds NaN, which no axis can show");
    check(chart(Series::line("a", [(f64::INFINITY, 1.0)])), "a holds inf, which no axis can show");
    check(chart(Series::line("a", [(1.0, 5e-324)])), "a holds 5e-324, which no axis can show");
    check(
        chart(Series::line("a", [(0.0, 1.0)])),
        "a holds 0, which a logarithmic axis cannot show: use a linear one",
    );
    check(
        chart(Series::line("a", [(1.0, 1.0, (2.0, 3.0))])),
        "a has an interval from 2 to 3 about 1, which lies outside",
    );
    check(
        chart(Series::line("a", [(1.0, 1.0)])).with(Reference::vertical(-1.0, "claim")),
        "claim holds -1, which a logarithmic axis cannot show: use a linear one",
    );
    let mut many = chart(Series::line("a", [(1.0, 1.0)]));
    for _ in 0..40 {
        many = many.with(Series::line("b", [(1.0, 1.0)]));
    }
    check(many, "41 series are more than a readable figure can hold (at most 35)");
}

#[test]
fn bars() {
    let bars = |bars: Vec<Bar>| Bars { axis: Axis::linear("x"), bars, references: vec![] };
    check(bars(vec![]), "the bar chart has nothing to draw");
    check(bars(vec![Bar::new("a", f64::NAN)]), "a holds NaN, which no axis can show");
    check(
        bars(vec![Bar::new("a", 1.0); 101]),
        "101 bars are more than a readable figure can hold (at most 100)",
    );
}

#[test]
fn maps() {
    check(map(0, vec![]), "the heat map has nothing to draw");
    check(map(1, vec![vec![None, None]]), "the heat map has nothing to draw");
    check(map(1, vec![vec![Some(1.0)]]), "row 0 of the heat map has 1 cells for 2 columns");
    check(
        map(1, vec![vec![Some(1.0), None]; 2]),
        "the heat map has 2 rows of cells for 1 names of rows",
    );
    check(map(1, vec![vec![Some(1.0), Some(f64::NAN)]]), "speed holds NaN, which no axis can show");
    let diverging = HeatMap {
        colours: Colours::Diverging { centre: 0.0 },
        scale: Scale::Log,
        ..map(1, vec![vec![Some(1.0), Some(2.0)]])
    };
    check(diverging, "speed holds 0, which a logarithmic axis cannot show: use a linear one");
}

#[test]
fn an_error_is_one_of_its_kind() {
    let figure = Figure::new("", chart(Series::line("a", [(0.0, 1.0)])));
    assert_eq!(figure.svg(), Err(Invalid::NotPositive { what: "a".into(), value: 0.0 }));
}
