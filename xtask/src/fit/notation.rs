//! How files of the catalogue are written, so that writing one again changes nothing but its values.

use std::fmt::Write as _;

use motley_hardware::{
    Architecture, AttentionEfficiency, Cited, Fit, FitQuality, GemmEfficiency, Tile,
};
use motley_units::Seconds;

/// The comment lines that a file begins with; they are kept.
pub(crate) fn heading(text: &str) -> &str {
    let comments = text.lines().take_while(|line| line.starts_with("//"));
    let length: usize = comments.map(|line| line.len() + 1).sum();
    text.get(..length).unwrap_or(text)
}

/// The file of an architecture.
pub(crate) fn architecture(heading: &str, of: &Architecture) -> String {
    let mut file = File { text: format!("{heading}(\n"), depth: 1 };
    file.line(&format!("id: {:?},", of.id));
    file.cited("sustained", &of.sustained, |value| number(*value));
    file.cited("power", &of.power, |value| number(*value));
    file.open("gemm: {");
    for (math, gemm) in &of.gemm {
        file.open(&format!("{math:?}: ("));
        file.gemm(gemm);
        file.close("),");
    }
    file.close("},");
    file.open("memory: (");
    file.cited("elementwise", &of.memory.elementwise, |value| number(*value));
    file.cited("norm", &of.memory.norm, |value| number(*value));
    file.cited("softmax", &of.memory.softmax, |value| number(*value));
    file.cited("embedding", &of.memory.embedding, |value| number(*value));
    file.cited("optimizer", &of.memory.optimizer, |value| number(*value));
    file.close("),");
    match &of.flash_attention {
        Some(attention) => {
            file.open("flash_attention: (");
            file.attention(attention);
            file.close("),");
        }
        None => file.line("flash_attention: None,"),
    }
    if !of.earlier_flash_attention.is_empty() {
        file.open("earlier_flash_attention: [");
        for attention in &of.earlier_flash_attention {
            file.open("(");
            file.attention(attention);
            file.close("),");
        }
        file.close("],");
    }
    file.cited("kernel_gap", &of.kernel_gap, |value| microseconds(*value));
    file.text + ")\n"
}

/// The file of a fit.
pub(crate) fn fit(of: &Fit) -> String {
    let quality = |quality: FitQuality| {
        let FitQuality { points, median, p90 } = quality;
        format!("(points: {points}, median: {}, p90: {})", number(median), number(p90))
    };
    let mut file = File { text: String::new(), depth: 0 };
    file.line("// Written by `cargo xtask fit`, with the constants.");
    file.open("(");
    file.line(&format!("id: {:?},", of.id));
    file.open("series: [");
    for series in &of.series {
        file.open("(");
        file.line(&format!("kernel: {:?},", series.kernel));
        file.line(&format!("device: {:?},", series.device));
        file.line(&format!("source: {:?},", series.source));
        file.line(&format!("fitted: {},", series.fitted));
        file.line(&format!("beside: {:?},", series.beside));
        file.line(&format!("fit: {},", quality(series.fit)));
        file.line(&format!("test: {},", quality(series.test)));
        file.close("),");
    }
    file.close("],");
    file.close(")");
    file.text
}

struct File {
    text: String,
    depth: usize,
}

impl File {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{:1$}{line}", "", 4 * self.depth);
    }

    fn open(&mut self, line: &str) {
        self.line(line);
        self.depth += 1;
    }

    fn close(&mut self, line: &str) {
        self.depth -= 1;
        self.line(line);
    }

    fn cited<T>(&mut self, name: &str, of: &Cited<T>, written: impl Fn(&T) -> String) {
        let status = match of {
            Cited::Verified(..) => "Verified",
            Cited::Recalled(..) => "Recalled",
            Cited::Derived(..) => "Derived",
            Cited::Assumed(..) => "Assumed",
        };
        let (value, source) = (written(of.get()), of.source());
        self.line(&format!("{name}: {status}({value}, {source:?}),"));
    }

    fn gemm(&mut self, of: &GemmEfficiency) {
        self.cited("peak_fraction", &of.peak_fraction, |value| number(*value));
        self.cited("half_k", &of.half_k, |value| number(*value));
        self.cited("tiles", &of.tiles, |tiles| tiles_of(tiles));
        self.cited("memory_fraction", &of.memory_fraction, |value| number(*value));
        self.cited("launch", &of.launch, |value| microseconds(*value));
    }

    fn attention(&mut self, of: &AttentionEfficiency) {
        self.line(&format!("version: {},", of.version));
        self.cited("forward_fraction", &of.forward_fraction, |value| number(*value));
        self.cited("backward_fraction", &of.backward_fraction, |value| number(*value));
        self.cited("half_sequence", &of.half_sequence, |value| number(*value));
        self.cited("half_head", &of.half_head, |value| number(*value));
        self.cited("half_blocks", &of.half_blocks, |value| number(*value));
    }
}

fn number(value: f64) -> String {
    format!("{value:?}")
}

fn microseconds(value: Seconds) -> String {
    // Without the dust of the conversion.
    format!("Us({:?})", (value.0 * 1e12).round() / 1e6)
}

fn tiles_of(tiles: &[Tile]) -> String {
    let tiles = tiles.iter().map(|Tile { m, n, rate }| format!("(m: {m}, n: {n}, rate: {rate:?})"));
    format!("[{}]", tiles.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use motley_hardware::Catalog;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let catalog = Catalog::builtin();
        let check = |path: String, text: &str| Catalog::parse([(path.as_str(), text)]).unwrap();
        for (id, of) in &catalog.architectures {
            let text = architecture("// A heading.\n", of);
            let read = check(format!("architectures/{id}.ron"), &text);
            assert_eq!(architecture(heading(&text), &read.architectures[id]), text, "{id}");
            let (read, of) = (&read.architectures[id], of);
            let gap = read.kernel_gap.get().0 / of.kernel_gap.get().0;
            assert!((gap - 1.0).abs() < 1e-9, "{id}");
            assert_eq!(read.citations(), of.citations(), "{id}");
        }
        for (id, of) in &catalog.fits {
            let read = check(format!("fits/{id}.ron"), &fit(of));
            assert_eq!(read.fits[id], *of, "{id}");
        }
    }
}
