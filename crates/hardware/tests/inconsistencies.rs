//! Each contradiction is found, named and found alone.

use motley_hardware::{
    Catalog, Cited, Device, Fabric, FabricShape, FabricTechnology, NodeDesign, PcieLayout,
    PcieSwitch, Peaks, ScaleUp,
};
use motley_units::{BytesPerSec, FlopsPerSec};

/// The messages that a change of the built-in catalogue adds.
fn check(change: impl FnOnce(&mut Catalog), expected: &[&str]) {
    let mut catalog = Catalog::builtin().clone();
    let before = catalog.inconsistencies();
    change(&mut catalog);
    let mut found: Vec<String> = catalog
        .inconsistencies()
        .iter()
        .filter(|found| !before.contains(found))
        .map(ToString::to_string)
        .collect();
    found.sort();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (message, expected) in found.iter().zip(expected) {
        assert!(message.starts_with(expected), "{message}");
    }
}

fn device<'a>(catalog: &'a mut Catalog, id: &str) -> &'a mut Device {
    catalog.devices.get_mut(id).expect("a built-in card")
}

fn node<'a>(catalog: &'a mut Catalog, id: &str) -> &'a mut NodeDesign {
    catalog.nodes.get_mut(id).expect("a built-in node")
}

fn fabric<'a>(catalog: &'a mut Catalog, id: &str) -> &'a mut Fabric {
    catalog.fabrics.get_mut(id).expect("a built-in fabric")
}

fn scale_up(catalog: &mut Catalog, id: &str, change: impl FnOnce(&mut ScaleUp)) {
    let node = node(catalog, id);
    let mut scale_up = node.scale_up.get().clone();
    change(&mut scale_up);
    node.scale_up = Cited::Assumed(scale_up, "a test".to_owned());
}

fn mesh(catalog: &mut Catalog, id: &str, change: impl FnOnce(&mut Vec<Vec<u32>>)) {
    scale_up(catalog, id, |scale_up| {
        let ScaleUp::Mesh(rows) = scale_up else { panic!("{id} is a mesh") };
        change(rows);
    });
}

fn pcie(catalog: &mut Catalog, id: &str, change: impl FnOnce(&mut PcieLayout)) {
    let node = node(catalog, id);
    let mut layout = node.pcie.get().clone();
    change(&mut layout);
    node.pcie = Cited::Assumed(layout, "a test".to_owned());
}

#[test]
fn references_must_resolve() {
    let key = |catalog: &mut Catalog| {
        device(catalog, "t4").sm_count = Cited::Verified(40, "tpu-t4 nowhere".to_owned());
    };
    check(key, &["device `t4`: `sm_count` cites `nowhere`"]);
    let silent = |catalog: &mut Catalog| {
        device(catalog, "t4").sm_count = Cited::Derived(40, " ".to_owned());
    };
    check(silent, &["device `t4`: `sm_count` gives no source"]);
    let architecture =
        |catalog: &mut Catalog| device(catalog, "t4").architecture = "rubin".to_owned();
    check(architecture, &["device `t4`: there is no architecture `rubin`"]);
    let card = |catalog: &mut Catalog| node(catalog, "g4dn.12xlarge").device = "t5".to_owned();
    check(card, &["node `g4dn.12xlarge`: there is no device `t5`"]);
    let nic = |catalog: &mut Catalog| node(catalog, "dgx2").nic = "edr2".to_owned();
    check(nic, &["node `dgx2`: there is no NIC `edr2`"]);
    let nic = |catalog: &mut Catalog| {
        fabric(catalog, "hpn7").nic = Cited::Verified("roce".to_owned(), "hpn-notes".to_owned());
    };
    check(nic, &["fabric `hpn7`: there is no NIC `roce`"]);
}

#[test]
fn quantities_must_make_sense() {
    let assumed = |value: f64| Cited::Assumed(value, "a test".to_owned());
    let zero = |catalog: &mut Catalog| {
        let nothing = Cited::Assumed(BytesPerSec(0.0), "a test".to_owned());
        device(catalog, "t4").memory_bandwidth = nothing;
    };
    check(zero, &["device `t4`: `memory_bandwidth` must be above zero"]);
    let peak = |catalog: &mut Catalog| {
        let nothing = Cited::Assumed(FlopsPerSec(0.0), "a test".to_owned());
        device(catalog, "t4").peaks.fp32 = Some(nothing);
    };
    check(peak, &["device `t4`: `peaks.fp32` must be above zero"]);
    let none = |catalog: &mut Catalog| device(catalog, "t4").peaks = Peaks::default();
    check(none, &["device `t4`: has no peak rate at all"]);
    let link = |catalog: &mut Catalog| {
        device(catalog, "a100-pcie-40").nvlink.as_mut().unwrap().achieved = assumed(1.5);
    };
    check(link, &["device `a100-pcie-40`: `nvlink.achieved` is a share"]);
    let nic = |catalog: &mut Catalog| {
        catalog.nics.get_mut("edr").unwrap().achieved = assumed(f64::NAN);
    };
    check(nic, &["NIC `edr`: `achieved` is a share"]);
    let socket = |catalog: &mut Catalog| {
        pcie(catalog, "dgx2", |layout| layout.socket_link = BytesPerSec(0.0));
    };
    check(socket, &["node `dgx2`: `pcie.socket_link` must be above zero"]);
}

#[test]
fn fabrics_must_be_possible() {
    let other = |catalog: &mut Catalog| {
        let technology = FabricTechnology::InfiniBand;
        fabric(catalog, "hpn7").technology = Cited::Assumed(technology, "a test".to_owned());
    };
    check(other, &["fabric `hpn7`: speaks InfiniBand, its NIC `roce-400` RoCE"]);
    let up = |catalog: &mut Catalog| {
        fabric(catalog, "alps").oversubscription = Cited::Assumed(0.5, "a test".to_owned());
    };
    check(up, &["fabric `alps`: `oversubscription` is downward over upward capacity"]);
    let empty = |shape: FabricShape| {
        move |catalog: &mut Catalog| {
            fabric(catalog, "alps").shape = Cited::Assumed(shape, "a test".to_owned());
        }
    };
    check(
        empty(FabricShape::LeafSpine { nodes_per_leaf: 0, spines: 0 }),
        &[
            "fabric `alps`: `nodes_per_leaf` must be above zero",
            "fabric `alps`: `spines` must be above zero",
        ],
    );
    check(
        empty(FabricShape::RailOptimized { nodes_per_pod: 0, spines: 1 }),
        &["fabric `alps`: `nodes_per_pod` must be above zero"],
    );
}

#[test]
fn links_must_fit_the_cards() {
    let square = |catalog: &mut Catalog| mesh(catalog, "p3.8xlarge", |rows| rows[2].truncate(3));
    check(square, &["node `p3.8xlarge`: the link matrix must have 4 rows"]);
    let symmetric = |catalog: &mut Catalog| mesh(catalog, "p3.8xlarge", |rows| rows[0][1] = 0);
    check(symmetric, &["node `p3.8xlarge`: the link matrix gives 1 links for (1, 0)"]);
    let itself = |catalog: &mut Catalog| mesh(catalog, "p3.8xlarge", |rows| rows[3][3] = 1);
    check(itself, &["node `p3.8xlarge`: the link matrix links card 3 to itself"]);
    let many = |catalog: &mut Catalog| {
        mesh(catalog, "dgx1-v100", |rows| {
            rows[0][7] = 1;
            rows[7][0] = 1;
        });
    };
    let full = [
        "node `dgx1-v100`: card 0 uses 7 links, but device `v100-sxm2-32` has 6",
        "node `dgx1-v100`: card 7 uses 7 links",
    ];
    check(many, &full);
    let switches = |catalog: &mut Catalog| {
        scale_up(catalog, "dgx2", |scale_up| {
            *scale_up = ScaleUp::NvSwitch { switches: 7, in_network_reduction: false };
        });
    };
    check(switches, &["node `dgx2`: NVSwitch needs between 1 and 6 switches, found 7"]);
    let unlinked = |catalog: &mut Catalog| node(catalog, "dgx2").device = "t4".to_owned();
    check(unlinked, &["node `dgx2`: links its cards beside PCIe, but device `t4`"]);
}

#[test]
fn everything_hangs_below_one_switch() {
    let twice = |catalog: &mut Catalog| {
        pcie(catalog, "dgx1-v100", |layout| layout.switches[0].gpus = vec![0, 7]);
    };
    let wrong =
        ["node `dgx1-v100`: card 1 of 8 is 0 times", "node `dgx1-v100`: card 7 of 8 is 2 times"];
    check(twice, &wrong);
    let outside = |catalog: &mut Catalog| {
        pcie(catalog, "dgx1-v100", |layout| layout.switches[3].gpus.push(8));
    };
    check(outside, &["node `dgx1-v100`: card 8 of 8 is 1 times"]);
    let nic = |catalog: &mut Catalog| {
        pcie(catalog, "dgx1-v100", |layout| layout.switches[3].nics = vec![2]);
    };
    let wrong = ["node `dgx1-v100`: NIC 2 is 2 times", "node `dgx1-v100`: NIC 3 is 0 times"];
    check(nic, &wrong);
    let far = |catalog: &mut Catalog| {
        let switch = PcieSwitch { socket: 2, gpus: vec![], nics: vec![], direct: true };
        pcie(catalog, "dgx1-v100", |layout| layout.switches.push(switch));
    };
    check(far, &["node `dgx1-v100`: PCIe switch 4 is below socket 2 of 2"]);
    let absurd = |catalog: &mut Catalog| {
        node(catalog, "pcie8-v100").gpus = u32::MAX;
    };
    check(absurd, &["node `pcie8-v100`: card 8 of 4294967295 is 0 times"]);
}
