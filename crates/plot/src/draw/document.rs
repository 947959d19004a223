//! The SVG document around what is drawn.

use super::canvas::{Canvas, PIXEL, Place};
use super::text::clean;
use crate::{Figure, Invalid};

/// A document of a size in tenths of a pixel, with what `paint` paints. `facts` follow the figure's own
/// description.
pub(crate) fn document(
    figure: &Figure,
    facts: &str,
    size: Place,
    paint: impl FnOnce(&Canvas<'_>) -> Result<(), Invalid>,
) -> Result<String, Invalid> {
    let mut drawn = String::new();
    let canvas = Canvas::new(&mut drawn, size)?;
    paint(&canvas)?;
    canvas.finish()?;
    // The first line is plotters' opening tag, which has neither title nor role.
    let shapes = drawn.split_once('\n').map_or("", |(_, shapes)| shapes);
    let (width, height) = size;
    let description = [figure.description.as_str(), facts]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif">
<title>{}</title>
<desc>{}</desc>
{shapes}"#,
        width / PIXEL,
        height / PIXEL,
        escaped(&figure.title),
        escaped(&description),
    ))
}

/// Text as XML may hold it.
fn escaped(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
