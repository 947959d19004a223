//! `motley catalog`.

use std::fmt::Write as _;

use motley_hardware::{
    Catalog as Hardware, Citation, Device, Fabric, FabricShape, MathPath, Nic, NodeDesign, ScaleUp,
};
use motley_report::{number, table};
use motley_scenario::raw::WrittenFabric;
use motley_workload::Preset;
use serde::Serialize;

use crate::args::{Catalog, CatalogKind, Format};
use crate::exit::{CommandFailure, Exit, print};

pub(crate) fn catalog(arguments: &Catalog) -> Result<Exit, CommandFailure> {
    let hardware = Hardware::builtin();
    let text = match (arguments.kind, &arguments.id) {
        (Some(kind), Some(id)) => entry(hardware, kind, id, arguments.format)?,
        (Some(kind), None) => listing(hardware, kind, arguments.format),
        (None, _) => {
            let mut all = String::new();
            for kind in [
                CatalogKind::Devices,
                CatalogKind::Nodes,
                CatalogKind::Nics,
                CatalogKind::Fabrics,
                CatalogKind::Models,
            ] {
                if arguments.format == Format::Text {
                    all.push_str(title(kind));
                    all.push('\n');
                }
                all.push_str(&listing(hardware, kind, arguments.format));
                if arguments.format == Format::Text {
                    all.push('\n');
                }
            }
            if arguments.format == Format::Text {
                all.push_str(
                    "`motley catalog devices ID` shows an entry with the source of every value.\n",
                );
            }
            all
        }
    };
    print(&text)?;
    Ok(Exit::Ok)
}

fn title(kind: CatalogKind) -> &'static str {
    match kind {
        CatalogKind::Devices => {
            "Cards: memory, its bandwidth, dense 16-bit peak, links in one direction"
        }
        CatalogKind::Nodes => "Node designs: cards, links between them, NICs",
        CatalogKind::Nics => "Network interfaces",
        CatalogKind::Fabrics => {
            "Fabrics of known clusters: shape with nodes of a leaf or pod, oversubscription"
        }
        CatalogKind::Models => "Models: parameters",
        CatalogKind::Sources => "Sources",
    }
}

/// One line of a listing.
struct Line {
    id: String,
    /// For people.
    columns: Vec<String>,
    description: String,
    /// For programs: the whole entry.
    entry: serde_json::Value,
}

/// An entry for programs. Catalogue entries are plain data, which JSON can hold.
fn value(entry: impl Serialize) -> serde_json::Value {
    serde_json::to_value(entry).unwrap_or_default()
}

fn listing(hardware: &Hardware, kind: CatalogKind, format: Format) -> String {
    let lines: Vec<Line> = match kind {
        CatalogKind::Devices => hardware.devices.values().map(device_line).collect(),
        CatalogKind::Nodes => hardware.nodes.values().map(node_line).collect(),
        CatalogKind::Nics => hardware.nics.values().map(nic_line).collect(),
        CatalogKind::Fabrics => hardware.fabrics.values().map(fabric_line).collect(),
        CatalogKind::Models => Preset::all().iter().map(model_line).collect(),
        CatalogKind::Sources => hardware
            .sources
            .iter()
            .map(|(key, source)| Line {
                id: key.clone(),
                columns: vec![],
                description: format!("{} ({})", source.what, source.url),
                entry: value(source),
            })
            .collect(),
    };
    if format == Format::Json {
        return lines_as_json(kind, &lines);
    }
    let rows: Vec<Vec<String>> = lines
        .into_iter()
        .map(|Line { id, columns, description, .. }| {
            [vec![id], columns, vec![description]].concat()
        })
        .collect();
    table(headings(kind), &rows).into_iter().map(|line| line + "\n").collect()
}

/// What the columns of a listing are.
fn headings(kind: CatalogKind) -> &'static [&'static str] {
    match kind {
        CatalogKind::Devices => &["card", "GiB", "GB/s", "TFLOP/s", "GB/s by link", "name"],
        CatalogKind::Nodes => &["node", "cards", "links", "NICs", "name"],
        CatalogKind::Nics => &["NIC", "Gb/s", "achieved", "name"],
        CatalogKind::Fabrics => {
            &["fabric", "technology", "shape", "over", "routing", "NIC", "name"]
        }
        CatalogKind::Models => &["model", "parameters", "active", "name"],
        CatalogKind::Sources => &["source", "what it is"],
    }
}

/// One JSON object a line.
fn lines_as_json(kind: CatalogKind, lines: &[Line]) -> String {
    let kind = match kind {
        CatalogKind::Devices => "device",
        CatalogKind::Nodes => "node",
        CatalogKind::Nics => "nic",
        CatalogKind::Fabrics => "fabric",
        CatalogKind::Models => "model",
        CatalogKind::Sources => "source",
    };
    let mut text = String::new();
    for Line { id, description, entry, .. } in lines {
        let object = serde_json::json!({
            "kind": kind, "id": id, "description": description, "entry": entry,
        });
        let _ = writeln!(text, "{object}");
    }
    text
}

fn parameters(count: f64) -> String {
    if count >= 1e12 {
        format!("{:.2} T", count / 1e12)
    } else if count >= 1e9 {
        format!("{:.1} B", count / 1e9)
    } else {
        format!("{:.0} M", count / 1e6)
    }
}

fn model_line(preset: &Preset) -> Line {
    let model = preset.build();
    let (all, active) = (model.parameters(), model.active_parameters());
    let active = if active < all { parameters(active) } else { String::new() };
    Line {
        id: preset.name().to_owned(),
        columns: vec![parameters(all), active],
        description: preset.description.clone(),
        entry: value(&preset.model),
    }
}

fn device_line(device: &Device) -> Line {
    // The path that 16-bit training takes, or fp32 where the card has nothing better.
    let training = [MathPath::Bf16Tensor, MathPath::Fp16Tensor, MathPath::Fp32]
        .into_iter()
        .find_map(|path| device.peak(path).map(|peak| (path, peak)));
    Line {
        id: device.id.clone(),
        columns: vec![
            number::gib(device.memory.get().0),
            number::four_digits(device.memory_bandwidth.get().0 / 1e9),
            training.map_or_else(String::new, |(path, peak)| {
                let precision = match path {
                    MathPath::Bf16Tensor => "bf16",
                    MathPath::Fp16Tensor => "fp16",
                    _ => "fp32",
                };
                format!("{} {precision}", number::four_digits(peak.0 / 1e12))
            }),
            device.nvlink.as_ref().map_or_else(
                || "PCIe".to_owned(),
                |link| {
                    let rate = f64::from(*link.links.get()) * link.per_link.get().0;
                    format!("{} {}", device.vendor.card_links(), number::four_digits(rate / 1e9))
                },
            ),
        ],
        description: device.name.clone(),
        entry: value(device),
    }
}

fn node_line(node: &NodeDesign) -> Line {
    let links = match node.scale_up.get() {
        ScaleUp::None => "PCIe",
        ScaleUp::NvSwitch { .. } => "NVSwitch",
        ScaleUp::Mesh(_) => "mesh",
    };
    Line {
        id: node.id.clone(),
        columns: vec![
            format!("{} x {}", node.gpus, node.device),
            links.to_owned(),
            format!("{} x {}", node.pcie.get().nics(), node.nic),
        ],
        description: node.name.clone(),
        entry: value(node),
    }
}

fn nic_line(nic: &Nic) -> Line {
    Line {
        id: nic.id.clone(),
        columns: vec![
            format!("{:.0}", nic.rate.get().0 * 8.0 / 1e9),
            format!("{:.0} %", nic.achieved.get() * 100.0),
        ],
        description: format!("{} ({:?})", nic.name, nic.technology),
        entry: value(nic),
    }
}

fn fabric_line(fabric: &Fabric) -> Line {
    let shape = match *fabric.shape.get() {
        FabricShape::SingleSwitch => "one switch".to_owned(),
        FabricShape::LeafSpine { nodes_per_leaf, .. } => {
            format!("leaves of {nodes_per_leaf}")
        }
        FabricShape::RailOptimized { nodes_per_pod, .. } => {
            format!("rails of {nodes_per_pod}")
        }
    };
    Line {
        id: fabric.id.clone(),
        columns: vec![
            format!("{:?}", fabric.technology.get()),
            shape,
            format!("{}:1", fabric.oversubscription.get()),
            format!("{:?}", fabric.routing.get()),
            fabric.nic.get().clone(),
        ],
        description: fabric.name.clone(),
        entry: value(fabric),
    }
}

/// One entry, whole: the RON of the catalogue, in which every value stands with its source.
fn entry(
    hardware: &Hardware,
    kind: CatalogKind,
    id: &str,
    format: Format,
) -> Result<String, CommandFailure> {
    match kind {
        CatalogKind::Devices => {
            whole(hardware.device(id), "card", id, hardware.devices.keys(), format)
        }
        CatalogKind::Nodes => {
            whole(hardware.node(id), "node design", id, hardware.nodes.keys(), format)
        }
        CatalogKind::Nics => whole(hardware.nic(id), "NIC", id, hardware.nics.keys(), format),
        CatalogKind::Fabrics => match hardware.fabric(id) {
            Some(fabric) if format == Format::Text => Ok(fabric_text(fabric, hardware)),
            found => whole(found, "fabric", id, hardware.fabrics.keys(), format),
        },
        CatalogKind::Sources => {
            whole(hardware.source(id), "source", id, hardware.sources.keys(), format)
        }
        CatalogKind::Models => {
            let known = || Preset::all().iter().map(Preset::name);
            let found = Preset::find(id);
            // As a scenario writes it.
            match found {
                Some(preset) if format == Format::Text => Ok(model_text(preset)),
                _ => whole(found.map(|preset| &preset.model), "model", id, known(), format),
            }
        }
    }
}

/// A fabric with its sources, as a scenario writes it.
fn fabric_text(fabric: &Fabric, hardware: &Hardware) -> String {
    let mut text = format!("// {}\n// NIC {}\n", fabric.name, fabric.nic.get());
    for Citation { field, status, source } in fabric.citations() {
        let _ = writeln!(text, "// {field} {status}: {source}");
    }
    for note in &fabric.notes {
        let _ = writeln!(text, "// {note}");
    }
    text.push_str(&WrittenFabric::of(fabric, hardware).to_ron());
    text.push('\n');
    text
}

/// A model with its sources, as a scenario writes it.
fn model_text(preset: &Preset) -> String {
    let Preset { model, description, source, published } = preset;
    let count = published.parameters;
    let mut text =
        format!("// {description}\n// {source}\n// published with {count:.0} parameters\n");
    if let Some(active) = published.active {
        let _ = writeln!(text, "// of which {:.0} are active", active.parameters);
    }
    if let Some(remark) = &published.remark {
        let _ = writeln!(text, "// {remark}");
    }
    text.push_str(&model.to_ron());
    text.push('\n');
    text
}

fn whole<'a, T: Serialize>(
    found: Option<&T>,
    kind: &str,
    id: &str,
    known: impl Iterator<Item = impl AsRef<str> + 'a>,
    format: Format,
) -> Result<String, CommandFailure> {
    let Some(found) = found else {
        let known: Vec<String> = known.map(|id| id.as_ref().to_owned()).collect();
        return Err(CommandFailure::input(format!(
            "unknown {kind} \"{id}\"; known are {}",
            known.join(", ")
        )));
    };
    let mut text = match format {
        Format::Text => ron::ser::to_string_pretty(found, ron::ser::PrettyConfig::new())
            .map_err(anyhow::Error::from)?,
        Format::Json => serde_json::to_string_pretty(found).map_err(anyhow::Error::from)?,
    };
    text.push('\n');
    Ok(text)
}
