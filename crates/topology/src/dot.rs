//! The cluster as GraphViz text.

use std::fmt::Write as _;

use crate::{Cluster, Component, Link, LinkId, NodeId};

/// What to draw.
#[derive(Clone, Copy, Debug, Default)]
pub struct DotOptions {
    /// Draw only so many nodes of each group and a note for the rest; `None` draws all.
    pub nodes_per_group: Option<u32>,
}

/// The cluster as an undirected GraphViz graph; each cable is one edge, labelled with the rate that
/// one direction reaches.
pub fn dot(cluster: &Cluster, options: DotOptions) -> String {
    let mut text = String::from("graph cluster {\n  rankdir=BT;\n  node [shape=box];\n");
    let limit = options.nodes_per_group.unwrap_or(u32::MAX);
    let mut first = 0;
    let mut shown = Vec::new();
    for (g, group) in cluster.spec().groups.iter().enumerate() {
        let drawn = group.count.min(limit);
        for node in (first..first + drawn).map(NodeId) {
            shown.push(node);
            draw_node(cluster, node, &group.name, &mut text);
        }
        if drawn < group.count {
            let rest = group.count - drawn;
            line(
                &mut text,
                format_args!(
                    "  \"group {g} rest\" [shape=note, label=\"{}: … {rest} more\"];",
                    escaped(&group.name)
                ),
            );
        }
        first += group.count;
    }
    let mut cables = (0..cluster.link_count()).step_by(2).map(|id| cluster.link(LinkId(id)));
    let visible = |component: Component| {
        component.node().is_none_or(|node| shown.binary_search(&node).is_ok())
    };
    let between = |link: &Link| link.from.node().is_none() || link.to.node().is_none();
    for link in cables.by_ref().filter(between) {
        if visible(link.from) && visible(link.to) {
            draw_edge("  ", &link, &mut text);
        }
    }
    text.push_str("}\n");
    text
}

fn draw_node(cluster: &Cluster, node: NodeId, group: &str, text: &mut String) {
    line(text, format_args!("  subgraph \"cluster node {}\" {{", node.0));
    let design = &cluster.design(node).id;
    let group = if group == design { String::new() } else { format!("{} ", escaped(group)) };
    line(text, format_args!("    label=\"node {}: {group}{}\";", node.0, escaped(design)));
    let device = cluster.node_gpus(node).start;
    let device = escaped(&cluster.device(crate::GpuId(device)).id);
    for local in 0..cluster.node_gpus(node).len() {
        line(
            text,
            format_args!(
                "    \"{}\" [label=\"GPU {local}\\n{device}\", style=filled];",
                key(Component::Gpu { node, local: local as u32 })
            ),
        );
    }
    for id in cluster.node_links(node).step_by(2) {
        let link = cluster.link(LinkId(id));
        if link.to.node().is_some() && link.from.node().is_some() {
            draw_edge("    ", &link, text);
        }
    }
    text.push_str("  }\n");
}

fn draw_edge(indent: &str, link: &Link, text: &mut String) {
    // Cards are peers: links between them must not put one above the other.
    let peers = matches!((link.from, link.to), (Component::Gpu { .. }, Component::Gpu { .. }));
    line(
        text,
        format_args!(
            "{indent}\"{}\" -- \"{}\" [label=\"{}\"{}];",
            key(link.from),
            key(link.to),
            link.capacity,
            if peers { ", constraint=false" } else { "" }
        ),
    );
}

/// Writing to a string cannot fail.
fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{content}");
}

fn key(component: Component) -> String {
    component.node().map_or_else(|| component.to_string(), |node| format!("{} {component}", node.0))
}

fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}
