//! Measured collectives: from a line of the file to what motley predicts.

use anyhow::{Result, anyhow};
use motley_collectives::{CollectiveKind, Group};
use motley_hardware::{Catalog, FabricShape, Routing};
use motley_topology::{Cluster, ClusterSpec, FabricSpec, GpuId, NodeGroup, NodeId};
use serde::Deserialize;

use super::lines;

/// A line of the file of measured collectives. See `docs/fit.md`.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    id: String,
    op: String,
    #[serde(default)]
    gpu: Option<String>,
    #[serde(default)]
    system: Option<String>,
    #[serde(default)]
    gpus: Option<u32>,
    #[serde(default)]
    nodes: Option<u32>,
    #[serde(default)]
    bytes: Option<f64>,
    #[serde(default)]
    time_us: Option<f64>,
    #[serde(default, rename = "busbw_GBps")]
    busbw: Option<f64>,
    #[serde(default)]
    fitted: bool,
    source: String,
}

/// A measured collective.
#[derive(Clone, Debug)]
pub(crate) struct Collective {
    /// The node design that stands for the machine.
    pub(crate) design: &'static str,
    pub(crate) nodes: u32,
    pub(crate) ranks: u32,
    pub(crate) kind: CollectiveKind,
    pub(crate) name: &'static str,
    pub(crate) bytes: f64,
    pub(crate) seconds: f64,
    pub(crate) source: String,
}

/// Node designs that machines of sources are of: card, what the source says of the machine, design.
const MACHINES: &[(&str, &str, &str)] = &[
    ("V100-SXM2", "DGX-1", "dgx1-v100"),
    ("A100-SXM4-80GB", "p4de", "p4de.24xlarge"),
    ("A100-SXM4", "", "dgx-a100"),
    ("H100-SXM5-80GB", "p5", "p5.48xlarge"),
    ("H100-SXM5-80GB", "", "dgx-h100"),
    ("H200-SXM", "", "dgx-h200"),
    ("B200-SXM", "", "dgx-b200"),
    ("B300-SXM", "", "dgx-b300"),
    ("GB200", "72", "gb200-nvl72"),
    ("GB200", "", "gb200-tray"),
    ("GB300", "", "gb300-tray"),
];

/// The points of a file, one JSON object a line; what no design of the catalogue or no collective of
/// the model stands for is left out, as are parameters that others have fitted.
///
/// # Errors
///
/// A line that is not what it should be, with its number.
pub(crate) fn read(text: &str) -> Result<Vec<Collective>> {
    lines::read(text, |row: &Row| row.id.clone(), collective)
}

fn collective(row: Row) -> Result<Option<Collective>> {
    let (kind, name) = match row.op.as_str() {
        "all_reduce" => (CollectiveKind::AllReduce, "all-reduce"),
        "all_gather" => (CollectiveKind::AllGather, "all-gather"),
        "reduce_scatter" => (CollectiveKind::ReduceScatter, "reduce-scatter"),
        "alltoall" => (CollectiveKind::AllToAll, "all-to-all"),
        _ => return Ok(None),
    };
    let (Some(gpu), Some(ranks), Some(nodes), Some(bytes), false) =
        (&row.gpu, row.gpus, row.nodes, row.bytes, row.fitted)
    else {
        return Ok(None);
    };
    let system = row.system.as_deref().unwrap_or_default();
    let machine =
        MACHINES.iter().find(|(card, says, _)| gpu.starts_with(card) && system.contains(says));
    let Some((_, _, design)) = machine else { return Ok(None) };
    // A rack is one node of the catalogue, whatever its source counts as nodes.
    let nodes = if *design == "gb200-nvl72" { 1 } else { nodes };
    let n = f64::from(ranks);
    let bus = match kind {
        CollectiveKind::AllReduce => 2.0 * (n - 1.0) / n,
        _ => (n - 1.0) / n,
    };
    let seconds = match (row.time_us, row.busbw) {
        (Some(us), _) => us * 1e-6,
        (None, Some(rate)) => bus * bytes / (rate * 1e9),
        _ => return Ok(None),
    };
    if !(seconds > 0.0 && seconds.is_finite() && bytes > 0.0) {
        return Err(anyhow!("`bytes` and the time must be above zero"));
    }
    Ok(Some(Collective { design, nodes, ranks, kind, name, bytes, seconds, source: row.source }))
}

/// So many nodes of a design on one switch that does not block.
///
/// # Errors
///
/// A design that the catalogue does not have, or whose cluster cannot be built.
pub(crate) fn cluster(design: &str, nodes: u32) -> Result<Cluster> {
    let catalog = Catalog::builtin();
    let unknown = || anyhow!("the catalogue has no `{design}`");
    let design = catalog.node(design).ok_or_else(unknown)?.clone();
    let device = catalog.device(&design.device).ok_or_else(unknown)?.clone();
    let nic = catalog.nic(&design.nic).ok_or_else(unknown)?.clone();
    let technology = nic.technology;
    let fabric = FabricSpec {
        shape: FabricShape::SingleSwitch,
        technology,
        port: None,
        oversubscription: 1.0,
        routing: Routing::Ecmp,
    };
    let name = design.id.clone();
    let groups = vec![NodeGroup { name, design, device, nic, count: nodes }];
    Cluster::build(ClusterSpec { groups, fabric }).map_err(|error| anyhow!("{error}"))
}

/// Seconds that a collective should take on its cluster, by the first cards of each node.
///
/// # Errors
///
/// Members that cannot reach each other.
pub(crate) fn predicted(cluster: &Cluster, of: &Collective) -> Result<f64> {
    let per_node = (of.ranks / of.nodes.max(1)) as usize;
    let nodes = (0..cluster.node_count()).map(NodeId);
    let members: Vec<GpuId> =
        nodes.flat_map(|node| cluster.node_gpus(node).take(per_node).map(GpuId)).collect();
    let group =
        Group::of_kinds(cluster, &members, [of.kind]).map_err(|error| anyhow!("{error}"))?;
    Ok(group.uncontended(&group.call(of.kind, of.bytes)).0)
}
