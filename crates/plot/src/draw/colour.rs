//! Colours that can be told apart with all common kinds of colour blindness.

use plotters::style::RGBColor;

use crate::Colours;

/// Text and axes.
pub(crate) const INK: RGBColor = RGBColor(0x1a, 0x1a, 0x1a);
/// The grid.
pub(crate) const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);
/// Reference lines, and cells without a value.
pub(crate) const GREY: RGBColor = RGBColor(0x6e, 0x6e, 0x6e);
/// Cells without a value.
pub(crate) const VOID: RGBColor = RGBColor(0xf2, 0xf2, 0xf2);
/// Behind text.
pub(crate) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Okabe and Ito (2008), without yellow, which is lost on white, in an order in which neighbours differ in
/// brightness, too.
const SERIES: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];

/// The colour of a series.
pub(crate) fn series(number: usize) -> RGBColor {
    SERIES[number % SERIES.len()]
}

/// How many series have colours of their own.
pub(crate) const DISTINCT: usize = SERIES.len();

/// viridis of matplotlib (Smith and van der Walt 2015, CC0) at ninths of its length.
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3e, 0x49, 0x89],
    [0x31, 0x68, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x1f, 0x9e, 0x89],
    [0x35, 0xb7, 0x79],
    [0x6d, 0xcd, 0x59],
    [0xb4, 0xde, 0x2c],
    [0xfd, 0xe7, 0x25],
];

/// The blue and the vermilion of Okabe and Ito with white between them, by way of lighter ones.
const DIVERGING: [[u8; 3]; 5] = [
    [0x00, 0x72, 0xb2],
    [0x7f, 0xb8, 0xd8],
    [0xf7, 0xf7, 0xf7],
    [0xf0, 0xae, 0x80],
    [0xd5, 0x5e, 0x00],
];

impl Colours {
    /// The colour at a share of the whole range.
    pub(crate) fn at(self, share: f64) -> RGBColor {
        match self {
            Self::Sequential => between(&VIRIDIS, share),
            Self::Diverging { .. } => between(&DIVERGING, share),
        }
    }
}

fn between(stops: &[[u8; 3]], share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let below = (place as usize).min(stops.len() - 2);
    let part = place - below as f64;
    let mix = |channel: usize| {
        let [low, high] = [stops[below], stops[below + 1]].map(|stop| f64::from(stop[channel]));
        (low + (high - low) * part).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// Black or white, whichever is easier to read on a colour (WCAG 2.2, relative luminance).
pub(crate) fn ink_on(RGBColor(red, green, blue): RGBColor) -> RGBColor {
    let linear = |channel: u8| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { libm::pow((share + 0.055) / 1.055, 2.4) }
    };
    let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
    if on_white > on_black { PAPER } else { RGBColor(0, 0, 0) }
}
