//! A drawing as a picture in SVG.

use std::fmt::Write as _;

use super::{Block, Drawing, Kind, Lane};

/// Height of a row, and of the gap below it.
const ROW: f64 = 24.0;
const GAP: f64 = 4.0;

/// Left of the rows, for their names; right of them; above them, for title and legend.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 76.0;

/// Widest picture of the rows; a unit of time is at most so wide.
const WIDTH: f64 = 2400.0;
const UNIT: f64 = 26.0;

/// Font sizes: of names in blocks and ticks, of names of rows and the legend, of the title.
const SMALL: f64 = 11.0;
const NORMAL: f64 = 13.0;
const LARGE: f64 = 15.0;

/// Width of a letter, as a share of the font's size.
const LETTER: f64 = 0.6;

const INK: &str = "#1a1a1a";
const IDLE: &str = "#f2f2f2";

impl Kind {
    /// Colours of Okabe and Ito (2008), which can be told apart with all common kinds of colour
    /// blindness; all of them carry dark letters.
    fn colour(self) -> [u8; 3] {
        match self {
            Self::Forward => [0x56, 0xB4, 0xE9],
            Self::Backward | Self::InputGradient => [0xE6, 0x9F, 0x00],
            Self::WeightGradient => [0x00, 0x9E, 0x73],
            Self::Other => [0xBB, 0xBB, 0xBB],
        }
    }
}

impl Drawing {
    /// The whole picture, with a legend, an axis of time and the share of the bubble.
    pub fn svg(&self) -> String {
        let unit = (WIDTH / self.end.max(1.0)).clamp(0.5, UNIT);
        let rows_width = self.end * unit;
        let title = format!("{}: {}", self.title, self.summary());
        let (legend, legend_width) = self.drawn_legend();
        let title_width = text_width(&title, LARGE);
        let width = LEFT + rows_width.max(title_width).max(legend_width) + RIGHT;
        let bottom = TOP + self.rows.len() as f64 * (ROW + GAP);
        let height = bottom + 48.0;
        let mut svg = String::new();
        let _ = writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="sans-serif" fill="{INK}">"#
        );
        let _ = writeln!(svg, r#"<rect width="100%" height="100%" fill="white"/>"#);
        let _ = writeln!(
            svg,
            r#"<text x="{LEFT}" y="24" font-size="{LARGE}" font-weight="bold">{}</text>"#,
            escaped(&title)
        );
        svg.push_str(&legend);
        for (stage, row) in self.rows.iter().enumerate() {
            let top = TOP + stage as f64 * (ROW + GAP);
            let _ = writeln!(
                svg,
                r#"<text x="{:.1}" y="{:.1}" font-size="{NORMAL}" text-anchor="end">stage {stage}</text>"#,
                LEFT - 8.0,
                top + ROW / 2.0 + NORMAL * 0.35
            );
            let _ = writeln!(
                svg,
                r#"<rect x="{LEFT}" y="{top:.1}" width="{rows_width:.2}" height="{ROW}" fill="{IDLE}"/>"#
            );
            for block in row {
                self.block(&mut svg, block, top, unit);
            }
        }
        self.axis(&mut svg, bottom, unit);
        svg.push_str("</svg>\n");
        svg
    }

    /// The legend, and how wide it is.
    fn drawn_legend(&self) -> (String, f64) {
        let mut entries: Vec<(String, String)> =
            self.legend().into_iter().map(|(kind, text)| (hex(kind.colour()), text)).collect();
        if self.chunks > 1 {
            let last = self.chunks - 1;
            let text = match last {
                1 => "lighter: second chunk of a stage".to_owned(),
                _ => format!("lighter: chunks 1 to {last} of a stage"),
            };
            entries.push((hex(self.tint(Kind::Forward, last)), text));
        }
        entries.push((IDLE.to_owned(), "idle".to_owned()));
        let mut legend = String::new();
        let mut x = LEFT;
        for (fill, text) in entries {
            let _ = writeln!(
                legend,
                r#"<rect x="{x:.1}" y="42" width="16" height="16" fill="{fill}" stroke="{INK}" stroke-width="0.5"/>"#
            );
            let _ = writeln!(
                legend,
                r#"<text x="{:.1}" y="55" font-size="{NORMAL}">{}</text>"#,
                x + 21.0,
                escaped(&text)
            );
            x += 21.0 + text_width(&text, NORMAL) + 18.0;
        }
        (legend, x - LEFT)
    }

    /// The colour of a kind in a chunk: later chunks are lighter.
    fn tint(&self, kind: Kind, chunk: u32) -> [u8; 3] {
        let light = 0.6 * f64::from(chunk) / f64::from(self.chunks.max(2) - 1);
        let mix = |part: u8| (f64::from(part) + (255.0 - f64::from(part)) * light).round() as u8;
        kind.colour().map(mix)
    }

    fn block(&self, svg: &mut String, block: &Block, top: f64, unit: f64) {
        let x = LEFT + block.start * unit;
        let width = (block.end - block.start) * unit;
        let (top, height) = match block.lane {
            Lane::Whole => (top, ROW),
            Lane::Upper => (top, ROW / 2.0),
            Lane::Lower => (top + ROW / 2.0, ROW / 2.0),
        };
        let stroke = if width > 3.0 { "0.5" } else { "0" };
        let _ = writeln!(
            svg,
            r#"<rect x="{x:.2}" y="{top:.1}" width="{width:.2}" height="{height}" fill="{}" stroke="{INK}" stroke-width="{stroke}"/>"#,
            hex(self.tint(block.kind, block.chunk))
        );
        let Some(micro_batch) = block.micro_batch else { return };
        let number = micro_batch.to_string();
        let size = if block.lane == Lane::Whole { SMALL } else { SMALL - 1.0 };
        if text_width(&number, size) + 2.0 <= width {
            let _ = writeln!(
                svg,
                r#"<text x="{:.2}" y="{:.1}" font-size="{size}" text-anchor="middle">{number}</text>"#,
                x + width / 2.0,
                top + height / 2.0 + size * 0.35
            );
        }
    }

    /// Ticks at round times below the rows.
    fn axis(&self, svg: &mut String, bottom: f64, unit: f64) {
        let (scale, what) = match self.unit_seconds {
            None => (1.0, "units of time"),
            Some(seconds) => {
                let (factor, what) = [(1.0, "seconds"), (1e3, "milliseconds")]
                    .into_iter()
                    .find(|&(factor, _)| self.end * seconds * factor >= 2.0)
                    .unwrap_or((1e6, "microseconds"));
                (seconds * factor, what)
            }
        };
        let step = round_step(90.0 / unit * scale);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let last = (self.end * scale / step).floor() as u64;
        for tick in 0..=last {
            let time = tick as f64 * step;
            let x = LEFT + time / scale * unit;
            let _ = writeln!(
                svg,
                r#"<line x1="{x:.1}" y1="{bottom:.1}" x2="{x:.1}" y2="{:.1}" stroke="{INK}"/>"#,
                bottom + 5.0
            );
            let _ = writeln!(
                svg,
                r#"<text x="{x:.1}" y="{:.1}" font-size="{SMALL}" text-anchor="middle">{time:.decimals$}</text>"#,
                bottom + 18.0
            );
        }
        let _ = writeln!(
            svg,
            r#"<text x="{LEFT}" y="{:.1}" font-size="{SMALL}">{what}</text>"#,
            bottom + 36.0
        );
    }
}

/// The next of 1, 2, 5, 10, ... times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|&s| s >= least * 0.999)
        .unwrap_or(10.0 * power)
}

fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text as XML may hold it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
