//! Figures such as the studies have, one of each kind.

use motley_plot::{
    Axis, Bar, Bars, Better, Cell, Chart, Colours, Dot, Figure, Front, HeatMap, Note, Reference,
    Scale, Scatter, Series,
};

/// All figures with the names of their golden files.
pub(crate) fn all() -> Vec<(&'static str, Figure)> {
    vec![
        ("lines", lines()),
        ("points", points()),
        ("steps", steps()),
        ("scatter", scatter()),
        ("bars", bars()),
        ("groups", groups()),
        ("ratios", ratios()),
        ("map", map()),
        ("long_names", long_names()),
        ("long_columns", long_columns()),
        ("factors", factors()),
    ]
}

/// Bands, two logarithmic axes, reference lines both ways, a note, ticks at powers of two.
fn lines() -> Figure {
    let cards = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
    let curve = |factor: f64| {
        cards.map(|x: f64| {
            let y = factor * x * (1.0 - 0.03 * x.log2());
            (x, y, (y * 0.85, y * 1.1))
        })
    };
    let chart = Chart::new(Axis::log("cards").ticks(cards), Axis::log("throughput (tokens/s)"))
        .with(Series::line("H100 alone (TP 8, PP 4)", curve(1100.0)))
        .with(Series::line("H100 and A100, balanced by memory & speed", curve(640.0)))
        .with(Series::line("A100 alone", curve(310.0)))
        .with(Reference::horizontal(4e5, "claim: 1000 H100"))
        .with(Reference::vertical(300.0, "what there is"))
        .with(Note { x: 64.0, y: 1e4, text: "as measured by <others>".into() });
    Figure::new("How many cards of another type replace 1000 H100?", chart)
        .describe("Throughput grows a little slower than the number of cards.")
}

/// Error bars, and a series without.
fn points() -> Figure {
    let measured =
        [(1.0, 41.0, (38.0, 45.0)), (2.0, 39.5, (35.0, 41.0)), (4.0, 36.0, (34.0, 36.5))];
    let chart = Chart::new(Axis::linear("pipeline stages"), Axis::linear("MFU (%)").from_zero())
        .with(Series::points("measured", measured))
        .with(Series::line("predicted", [(1.0, 42.0), (2.0, 38.5), (3.0, 37.5), (4.0, 35.0)]));
    Figure::new("Prediction against measurement", chart)
}

fn steps() -> Figure {
    let memory = [(0.0, 12.0), (0.4, 31.0), (0.9, 55.5), (1.3, 79.0), (2.0, 40.0), (2.6, 12.0)];
    let chart = Chart::new(Axis::linear("time (s)"), Axis::linear("memory (GiB)").from_zero())
        .with(Series::step("stage 0", memory))
        .with(Reference::horizontal(80.0, "capacity"));
    Figure::new("Memory over an iteration", chart)
}

fn scatter() -> Figure {
    let plans = [
        (10.0, 5.0, "tp 8"),
        (12.0, 7.5, "tp 4, pp 2"),
        (15.0, 7.4, ""),
        (17.0, 9.0, "mixed"),
        (21.0, 9.1, "mixed, deeper"),
        (20.0, 6.0, ""),
        (11.0, 4.0, ""),
        (25.0, 9.0, "H100 alone"),
    ];
    let dots = plans.map(|(x, y, label): (f64, f64, &str)| Dot { x, y, label: label.into() });
    let chart = Chart::new(Axis::linear("cost ($/h)"), Axis::linear("samples/s")).with(Scatter {
        name: "plans".into(),
        dots: dots.to_vec(),
        front: Some(Front { x: Better::Low, y: Better::High }),
    });
    Figure::new("What each dollar buys", chart)
}

fn bars() -> Figure {
    let bar = |name: &str, value: f64, interval| Bar { interval, ..Bar::new(name, value) };
    Figure::new(
        "Speed-up over the plan that splits evenly",
        Bars {
            axis: Axis::linear("speed-up"),
            bars: vec![
                bar("motley", 1.42, Some((1.35, 1.47))),
                bar("Whale (load balance by memory)", 1.21, Some((1.2, 1.25))),
                bar("HAP", 1.18, None),
                bar("even split", 1.0, None),
            ],
            references: vec![(1.0, "even split".into()), (1.5, "upper bound".into())],
        },
    )
}

/// Negative values and groups.
fn groups() -> Figure {
    let bar = |name: &str, group: &str, value: f64| Bar {
        group: group.into(),
        label: Some(format!("{value:+.1} %")),
        ..Bar::new(name, value)
    };
    Figure::new(
        "Predicted minus measured",
        Bars {
            axis: Axis::linear("error (%)"),
            bars: vec![
                bar("Korthikanti 22B", "A100", 2.1),
                bar("Korthikanti 175B", "A100", -4.3),
                bar("Llama 3 405B", "H100", 0.4),
                bar("H2 Nemotron", "H100", -1.1),
            ],
            references: vec![],
        },
    )
}

/// A diverging map of factors, with a cell that has no value.
fn ratios() -> Figure {
    let cell = |value: f64| Some(Cell { value, label: Some(format!("{value:.2}x")) });
    Figure::new(
        "Mixed cluster against the better half alone",
        HeatMap {
            x: "share of A100".into(),
            y: "bandwidth between the halves".into(),
            values: "throughput ratio".into(),
            columns: ["10 %", "30 %", "50 %", "70 %", "90 %"].map(Into::into).to_vec(),
            rows: ["400 Gb/s", "100 Gb/s", "25 Gb/s", "10 Gb/s"].map(Into::into).to_vec(),
            cells: vec![
                vec![cell(1.05), cell(1.2), cell(1.45), cell(1.8), cell(2.0)],
                vec![cell(1.02), cell(1.1), cell(1.2), cell(1.3), cell(1.35)],
                vec![cell(0.95), cell(0.9), cell(0.97), cell(1.0), cell(1.01)],
                vec![cell(0.7), cell(0.6), cell(0.5), None, cell(0.55)],
            ],
            colours: Colours::Diverging { centre: 1.0 },
            scale: Scale::Log,
        },
    )
}

fn map() -> Figure {
    let cells = (0..6)
        .map(|row| (0..8).map(|column| Some(f64::from(row * column * 125).into())).collect())
        .collect();
    Figure::new(
        "Tokens per second by tensor and pipeline parallelism",
        HeatMap {
            x: "pipeline stages".into(),
            y: "tensor parallelism".into(),
            values: "tokens/s".into(),
            columns: (0..8).map(|at| (1 << at).to_string()).collect(),
            rows: (0..6).map(|at| (1 << at).to_string()).collect(),
            cells,
            colours: Colours::Sequential,
            scale: Scale::Linear,
        },
    )
}

/// Names that fit nowhere as they are.
fn long_names() -> Figure {
    let name = |what: &str| {
        format!(
            "{what} of a cluster whose description somebody wrote without any thought of figures and their width"
        )
    };
    let series = |number: i32| {
        let points = (0..5).map(|x| (f64::from(x), f64::from(x * number)));
        Series::line(format!("{} {number}", name("series")), points)
    };
    let mut chart =
        Chart::new(Axis::linear(name("horizontal axis")), Axis::linear(name("vertical axis")))
            .with(Reference::horizontal(30.0, name("reference line")))
            .with(Reference::vertical(2.0, name("another line")));
    for number in 1..=8 {
        chart = chart.with(series(number));
    }
    Figure::new(name("title"), chart)
}

/// A row of columns whose names must stand upright, of one value.
fn long_columns() -> Figure {
    let names = ["balanced by memory", "balanced by speed", "even", "what the paper says of it"];
    Figure::new(
        "One row",
        HeatMap {
            x: "plan".into(),
            y: "cluster".into(),
            values: "MFU (%)".into(),
            columns: names.iter().cycle().take(12).map(|name| (*name).to_owned()).collect(),
            rows: vec!["128 H100-SXM-80 + 256 A100-SXM-40 in three buildings".into()],
            cells: vec![vec![Some(41.5.into()); 12]],
            colours: Colours::Sequential,
            scale: Scale::Linear,
        },
    )
}

/// Bars over decades.
fn factors() -> Figure {
    Figure::new(
        "Time of a prediction",
        Bars {
            axis: Axis::log("seconds"),
            bars: vec![
                Bar::new("1,024 cards", 0.007),
                Bar::new("16,384 cards", 0.5),
                Bar::new("1,048,576 cards", 55.0),
            ],
            references: vec![(3600.0, "an hour, as measured on a cluster".into())],
        },
    )
}
