//! Inside a node: routes against searches on the whole graph, classes, rates.

mod common;

use common::{cluster, designs, group, node, place, visits};
use motley_hardware::{Catalog, FabricShape};
use motley_topology::{Cluster, Component, GpuId, LinkKind, PathClass, RouteError, TopologyError};
use petgraph::algo::dijkstra;
use petgraph::visit::{EdgeFiltered, IntoNodeReferences};

/// The least latency, in femtoseconds, from one card to another over links that `allowed` accepts.
fn least(
    cluster: &Cluster,
    from: GpuId,
    to: GpuId,
    allowed: impl Fn(LinkKind) -> bool,
) -> Option<u64> {
    let graph = cluster.graph();
    let vertex = |component: Component| {
        graph.node_references().find(|&(_, c)| *c == component).map(|(index, _)| index)
    };
    let filtered = EdgeFiltered::from_fn(&graph, |edge| allowed(cluster.link(*edge.weight()).kind));
    let to = vertex(place(cluster, to))?;
    let costs = dijkstra(&filtered, vertex(place(cluster, from))?, Some(to), |edge| {
        femtos(cluster.link(*edge.weight()).latency.0)
    });
    costs.get(&to).copied()
}

fn femtos(seconds: f64) -> u64 {
    (seconds * 1e15).round() as u64
}

fn pairs(cluster: &Cluster) -> impl Iterator<Item = (GpuId, GpuId)> + '_ {
    cluster.gpus().flat_map(|a| cluster.gpus().map(move |b| (a, b)))
}

#[test]
fn routes_of_every_design_join_and_are_shortest() {
    for design in designs() {
        let cluster = node(design);
        for (from, to) in pairs(&cluster) {
            let route = cluster.route(from, to).unwrap();
            let visited = visits(&cluster, from, to, &route);
            let links: u64 = route.links.iter().map(|&l| femtos(cluster.link(l).latency.0)).sum();
            let nvlink = |kind| kind == LinkKind::NvLink;
            let expected = match route.class {
                PathClass::Same => Some(0),
                PathClass::Nvl | PathClass::Nvb => least(&cluster, from, to, nvlink),
                _ => least(&cluster, from, to, |kind| !nvlink(kind)),
            };
            assert_eq!(Some(links), expected, "{design} {}-{}", from.0, to.0);
            let cards = visited.iter().filter(|c| matches!(c, Component::Gpu { .. })).count();
            let sockets = visited.iter().filter(|c| matches!(c, Component::Socket { .. })).count();
            let (most_cards, in_sockets) = match route.class {
                PathClass::Same => (1, 0),
                PathClass::Nvb => (3, 0),
                PathClass::Phb => (2, 1),
                PathClass::Sys => (2, 2),
                _ => (2, 0),
            };
            assert_eq!((cards, sockets), (most_cards, in_sockets), "{design} {visited:?}");
        }
    }
}

#[test]
fn the_way_back_is_as_long_and_of_the_same_class() {
    for design in designs() {
        let cluster = node(design);
        for (a, b) in pairs(&cluster) {
            let (there, back) = (cluster.route(a, b).unwrap(), cluster.route(b, a).unwrap());
            assert_eq!(there.class, back.class, "{design} {}-{}", a.0, b.0);
            assert!((there.latency.0 - back.latency.0).abs() < 1e-15);
        }
    }
}

/// Nothing better than what a route takes was left: no NVLink path of at most one card between
/// exists where the route is on PCIe.
#[test]
fn nvlink_is_taken_wherever_a_card_in_between_suffices() {
    for design in designs() {
        let cluster = node(design);
        let linked = |a: GpuId, b: GpuId| cluster.route(a, b).unwrap().class == PathClass::Nvl;
        for (a, b) in pairs(&cluster).filter(|(a, b)| a != b) {
            let class = cluster.route(a, b).unwrap().class;
            let over_one = cluster.gpus().any(|c| c != a && c != b && linked(a, c) && linked(c, b));
            assert_eq!(class <= PathClass::Nvb, linked(a, b) || over_one, "{design}");
        }
    }
}

fn check_class(design: &str, from: u32, to: u32, class: PathClass) {
    let route = node(design).route(GpuId(from), GpuId(to)).expect("a route");
    assert_eq!(route.class, class, "{design} {from}-{to}");
}

#[test]
fn classes_of_known_machines() {
    check_class("dgx1-v100", 0, 3, PathClass::Nvl);
    check_class("dgx1-v100", 0, 5, PathClass::Nvb);
    check_class("dgx1-p100", 0, 4, PathClass::Nvl);
    check_class("dgx1-p100", 0, 7, PathClass::Nvb);
    check_class("dgx-a100", 0, 7, PathClass::Nvl);
    check_class("dgx2", 0, 15, PathClass::Nvl);
    check_class("pcie8-v100", 0, 1, PathClass::Pix);
    check_class("pcie8-v100", 0, 7, PathClass::Sys);
}

fn check_rate(design: &str, from: u32, to: u32, gbps: f64) {
    let cluster = node(design);
    let route = cluster.route(GpuId(from), GpuId(to)).expect("a route");
    let slowest = route.links.iter().map(|&l| cluster.capacity(l).0).fold(f64::INFINITY, f64::min);
    assert!((slowest / 1e9 - gbps).abs() < 1e-6, "{design} {from}-{to}: {slowest}");
}

#[test]
fn rates_of_known_machines() {
    check_rate("dgx1-v100", 0, 1, 22.125);
    check_rate("dgx1-v100", 0, 3, 44.25);
    check_rate("dgx1-p100", 0, 1, 18.0);
    check_rate("dgx-a100", 2, 5, 240.0);
    check_rate("hgx-a800", 2, 5, 160.0);
    check_rate("pcie8-v100", 0, 1, 12.0);
}

#[test]
fn links_are_pairs_of_equal_rate() {
    for design in designs() {
        let cluster = cluster(vec![group(design, 2)], FabricShape::SingleSwitch);
        assert_eq!(cluster.links().count(), cluster.link_count() as usize);
        for (id, link) in (0..).map(motley_topology::LinkId).zip(cluster.links()) {
            let back = cluster.link(id.reverse());
            assert_eq!((link.from, link.to), (back.to, back.from));
            assert_eq!(
                (link.kind, link.nominal, link.capacity),
                (back.kind, back.nominal, back.capacity)
            );
            assert!(link.capacity.0 > 0.0 && link.capacity <= link.nominal, "{link:?}");
        }
    }
}

#[test]
fn cards_spread_over_their_nics() {
    let used = |design: &str| -> Vec<Option<u32>> {
        let cluster = node(design);
        cluster.gpus().map(|gpu| cluster.nic_of(gpu)).collect()
    };
    let on = |nics: &[u32]| nics.iter().copied().map(Some).collect::<Vec<_>>();
    assert_eq!(used("dgx-a100"), on(&[0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(used("dgx-h100"), on(&[0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(used("dgx1-v100"), on(&[0, 0, 1, 1, 2, 2, 3, 3]));
}

/// No design brings every other: the figures of a card that is slower than its slot bind.
#[test]
fn an_old_card_in_a_new_slot_keeps_its_own_pcie() {
    let mut mixed = group("a100-pcie8", 1);
    mixed.device = Catalog::builtin().device("v100-pcie-16").unwrap().clone();
    let cluster = cluster(vec![mixed], FabricShape::SingleSwitch);
    let rates: Vec<f64> = cluster
        .links()
        .filter(|link| matches!(link.from, Component::Gpu { .. }))
        .map(|link| link.capacity.0)
        .collect();
    assert_eq!(rates, vec![12e9; 8]);
}

fn check_refused(spoil: impl FnOnce(&mut motley_topology::NodeGroup), expected: &str) {
    let mut spoilt = group("dgx1-v100", 1);
    spoil(&mut spoilt);
    let error: TopologyError =
        common::try_cluster(vec![spoilt], FabricShape::SingleSwitch).expect_err("a flaw");
    let message = error.to_string();
    assert!(message.contains(expected), "{message}");
}

fn replace<T>(cited: &mut motley_hardware::Cited<T>, value: T) {
    *cited = motley_hardware::Cited::Assumed(value, "a test".to_owned());
}

#[test]
fn designs_and_cards_that_do_not_fit_are_refused() {
    let device = |id: &str| Catalog::builtin().device(id).unwrap().clone();
    check_refused(|g| g.device = device("p100-sxm2"), "uses 6 links of card 0, the card has 4");
    check_refused(|g| g.device = device("v100-pcie-16"), "the card has none");
    check_refused(|g| g.count = 0, "no nodes");
    check_refused(|g| g.design.gpus = 9, "each card from 0 to 8 once");
    let edit_layout = |edit: fn(&mut motley_hardware::PcieLayout)| {
        move |g: &mut motley_topology::NodeGroup| {
            let mut layout = g.design.pcie.get().clone();
            edit(&mut layout);
            replace(&mut g.design.pcie, layout);
        }
    };
    check_refused(edit_layout(|l| l.switches[1].gpus = vec![0]), "each card from 0 to 7 once");
    check_refused(edit_layout(|l| l.switches[1].nics = vec![7]), "without a gap");
    check_refused(edit_layout(|l| l.switches[1].socket = 2), "on socket 2");
    check_refused(edit_layout(|l| l.sockets = 0), "no CPU socket");
    check_refused(edit_layout(|l| l.socket_link.0 = 0.0), "above zero");
    check_refused(|g| replace(&mut g.nic.achieved, 1.5), "at most 1");
    check_refused(
        |g| {
            let motley_hardware::ScaleUp::Mesh(mut mesh) = g.design.scale_up.get().clone() else {
                return;
            };
            mesh[0][1] = 0;
            replace(&mut g.design.scale_up, motley_hardware::ScaleUp::Mesh(mesh));
        },
        "a mesh is symmetric",
    );
}

#[test]
fn a_card_that_does_not_exist_has_no_route() {
    let cluster = node("dgx-a100");
    assert_eq!(cluster.route(GpuId(0), GpuId(8)), Err(RouteError::UnknownGpu { gpu: 8, count: 8 }));
}

/// The way to host memory is the shortest over PCIe, ends at a socket of the node, and is the same in
/// every node of a group, moved.
#[test]
fn every_card_reaches_the_memory_of_its_socket() {
    for design in designs() {
        let cluster = cluster(vec![group(design, 2)], FabricShape::SingleSwitch);
        for gpu in cluster.gpus() {
            let route = cluster.host_route(gpu).expect("a card");
            let mut at = place(&cluster, gpu);
            for &id in &route.links {
                let link = cluster.link(id);
                assert_eq!((link.kind, link.from), (LinkKind::Pcie, at), "{design}");
                at = link.to;
            }
            assert!(matches!(at, Component::Socket { .. }), "{design}: ends at {at}");
            assert_eq!(at.node(), Some(cluster.node_of(gpu)));
            assert!(route.links.len() <= 2, "{design}");
        }
        let count = cluster.gpu_count();
        let unknown = RouteError::UnknownGpu { gpu: count, count };
        assert_eq!(cluster.host_route(GpuId(count)), Err(unknown));
    }
}
