//! The laws that the built-in catalogue keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use motley_hardware::{Catalog, Citation, Device, MathPath, Nic, NodeDesign, ScaleUp, Vendor};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn device(id: &str) -> &'static Device {
    Catalog::builtin().device(id).unwrap_or_else(|| panic!("no device {id}"))
}

#[test]
fn the_catalogue_agrees_with_itself() {
    let found: Vec<String> =
        Catalog::builtin().inconsistencies().iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_source_is_cited_or_named() {
    let catalog = Catalog::builtin();
    let mut words = BTreeSet::new();
    let mut read = |citations: Vec<Citation<'_>>, notes: &[String]| {
        let texts = citations.iter().map(|citation| citation.source);
        for text in texts.chain(notes.iter().map(String::as_str)) {
            let bare = |word: &str| word.trim_matches(['(', ')', ',', ';', '.', ':']).to_owned();
            words.extend(text.split_whitespace().map(bare));
        }
    };
    catalog.devices.values().for_each(|entry| read(entry.citations(), &entry.notes));
    catalog.architectures.values().for_each(|entry| read(entry.citations(), &[]));
    catalog.nodes.values().for_each(|entry| read(entry.citations(), &entry.notes));
    catalog.nics.values().for_each(|entry| read(entry.citations(), &[]));
    catalog.fabrics.values().for_each(|entry| read(entry.citations(), &entry.notes));
    let idle: Vec<_> = catalog.sources.keys().filter(|key| !words.contains(*key)).collect();
    assert_eq!(idle, Vec::<&String>::new(), "sources that nothing uses");
}

/// A citation that `citations` forgets would escape the check of its keys.
#[test]
fn no_citation_is_forgotten() {
    fn check<T: Serialize>(id: &str, entry: &T, citations: &[Citation<'_>]) {
        let text = ron::to_string(entry).unwrap();
        let written: usize = ["Verified(", "Recalled(", "Derived(", "Assumed("]
            .iter()
            .map(|status| text.matches(status).count())
            .sum();
        assert_eq!(citations.len(), written, "{id}");
    }
    let catalog = Catalog::builtin();
    catalog.devices.iter().for_each(|(id, entry)| check(id, entry, &entry.citations()));
    catalog.architectures.iter().for_each(|(id, entry)| check(id, entry, &entry.citations()));
    catalog.nodes.iter().for_each(|(id, entry)| check(id, entry, &entry.citations()));
    catalog.nics.iter().for_each(|(id, entry)| check(id, entry, &entry.citations()));
    catalog.fabrics.iter().for_each(|(id, entry)| check(id, entry, &entry.citations()));
}

#[test]
fn entries_survive_writing_and_reading() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(entries: &BTreeMap<String, T>) {
        for entry in entries.values() {
            let text = ron::to_string(entry).unwrap();
            assert_eq!(&ron::from_str::<T>(&text).unwrap(), entry, "{text}");
        }
    }
    let catalog = Catalog::builtin();
    check(&catalog.devices);
    check(&catalog.architectures);
    check(&catalog.fits);
    check(&catalog.nodes);
    check(&catalog.nics);
    check(&catalog.fabrics);
    check(&catalog.sources);
}

/// A fit is of an architecture and of cards that are there, and its errors are ordered.
#[test]
fn fits_are_of_the_catalogue() {
    let catalog = Catalog::builtin();
    for fit in catalog.fits.values() {
        assert!(catalog.architecture(&fit.id).is_some(), "{}", fit.id);
        assert!(fit.series.iter().any(|series| series.fitted), "{}", fit.id);
        for series in &fit.series {
            assert_eq!(device(&series.device).architecture, fit.id, "{}", series.device);
            for quality in [series.fit, series.test] {
                assert!(0.0 <= quality.median && quality.median <= quality.p90, "{series:?}");
            }
        }
    }
}

/// Peaks are multiprocessors times operations per clock times the clock, so a slip in one of the
/// three shows. fp32 is printed at boost; tensor peaks at boost or, from Hopper on, below it.
#[test]
fn peaks_follow_from_clock_and_multiprocessors() {
    fn per_clock(architecture: &str, path: MathPath) -> f64 {
        let (fp32, tensor16) = match architecture {
            "kepler" => (384.0, 0.0),
            "pascal" => (128.0, 0.0),
            "volta" | "turing" => (128.0, 1024.0),
            "ampere" => (128.0, 2048.0),
            "ada" | "cdna2" => (256.0, 1024.0),
            "cdna3" => (256.0, 2048.0),
            "davinci" => (0.0, 8192.0),
            "hopper" => (256.0, 4096.0),
            "blackwell" => (256.0, 8192.0),
            other => panic!("give the rates of {other}"),
        };
        match path {
            MathPath::Fp32 | MathPath::Fp16Vector => fp32,
            MathPath::Tf32 => tensor16 / 2.0,
            MathPath::Fp16Tensor | MathPath::Bf16Tensor => tensor16,
            MathPath::Fp8Tensor | MathPath::Fp8BlockTensor | MathPath::Mxfp8Tensor => {
                tensor16 * 2.0
            }
            MathPath::Fp4Tensor => tensor16 * 4.0,
        }
    }
    for device in Catalog::builtin().devices.values() {
        // Of these neither units nor clock are known.
        if matches!(device.architecture.as_str(), "mlu" | "xpu" | "dcu" | "musa") {
            continue;
        }
        let clocks = f64::from(*device.sm_count.get()) * device.boost_clock.get().0;
        for (field, path, peak) in device.peaks.given() {
            let share = peak.get().0 / (clocks * per_clock(&device.architecture, path));
            let below_boost = matches!(device.architecture.as_str(), "hopper" | "blackwell");
            let allowed = match (device.id.as_str(), path) {
                // Cards for games and graphics: twice the fp32 lanes, half or a quarter of the tensor rate.
                ("a10" | "rtx3090", MathPath::Fp32) => 1.97..=2.01,
                ("a10", _) => 0.49..=0.51,
                ("rtx3090", _) => 0.245..=0.255,
                ("rtx2080" | "rtx2080ti" | "rtx4090", path) if path != MathPath::Fp32 => {
                    0.49..=0.51
                }
                // A multiprocessor of twice the lanes of the P100's.
                ("p40", MathPath::Fp32) => 1.99..=2.01,
                // Cut for export.
                ("h20-96", MathPath::Fp32) => 1.1..=1.12,
                ("h20-96", _) => 0.23..=0.24,
                ("l20", path) if path != MathPath::Fp32 => 0.5..=0.51,
                // Blackwell Ultra has half as many fp4 units more.
                ("b300" | "gb300", MathPath::Fp4Tensor) => 1.3..=1.51,
                // Clocks held down by a lower power limit.
                ("h100-sxm-96" | "h100-nvl" | "h200-nvl", path) if path != MathPath::Fp32 => {
                    0.85..=0.9
                }
                (_, path) if below_boost && path != MathPath::Fp32 => 0.9..=1.01,
                _ => 0.985..=1.01,
            };
            assert!(allowed.contains(&share), "{} {field}: {share}", device.id);
        }
    }
}

#[test]
fn cards_have_the_paths_of_their_architecture() {
    use MathPath::{
        Bf16Tensor, Fp4Tensor, Fp8Tensor, Fp16Tensor, Fp16Vector, Fp32, Mxfp8Tensor, Tf32,
    };
    for device in Catalog::builtin().devices.values() {
        let expected: &[MathPath] = match device.sm_version() {
            0 => {
                // What other vendors' cards have, their architectures have constants for.
                let architecture = Catalog::builtin().architecture(&device.architecture).unwrap();
                assert_ne!(device.vendor, Vendor::Nvidia, "{}", device.id);
                for (_, path, _) in device.peaks.given() {
                    assert!(architecture.gemm.contains_key(&path), "{} {path:?}", device.id);
                }
                continue;
            }
            37 | 61 => &[Fp32],
            60 => &[Fp32, Fp16Vector],
            70 | 75 => &[Fp32, Fp16Tensor],
            80 | 86 => &[Fp32, Tf32, Fp16Tensor, Bf16Tensor],
            89 | 90 => &[Fp32, Tf32, Fp16Tensor, Bf16Tensor, Fp8Tensor],
            100 | 103 => &[Fp32, Tf32, Fp16Tensor, Bf16Tensor, Fp8Tensor, Mxfp8Tensor, Fp4Tensor],
            other => panic!("give the paths of compute capability {other}"),
        };
        let found: Vec<MathPath> = device.peaks.given().map(|(_, path, _)| path).collect();
        assert_eq!(found, expected, "{}", device.id);
    }
}

/// NCCL's ring bandwidth of a whole node, which is known from outside of the catalogue.
#[test]
fn links_give_the_known_ring_bandwidth() {
    let check = |id: &str, expected: f64| {
        let nvlink = device(id).nvlink.as_ref().unwrap();
        let ring = f64::from(*nvlink.links.get()) * nvlink.per_link.get().0 * nvlink.achieved.get();
        assert!((ring / 1e9 - expected).abs() < 1.0, "{id}: {ring}");
    };
    check("p100-sxm2", 72.0);
    check("v100-sxm2-32", 132.75); // NCCL counts on 120; vTrain measured 134
    check("a100-sxm-80", 240.0);
    check("a800-sxm-80", 160.0);
    check("h100-sxm", 371.0);
    check("h800-sxm", 160.0);
    check("h200-sxm", 371.0);
    check("b200", 722.0);
    check("gb300", 722.0);
    check("mi300x", 336.0); // RCCL counts 7 links of 48
    check("ascend-910b2", 129.4); // HCCL measures 126 to 130
}

/// The export cards are the same silicon with fewer links.
#[test]
fn export_cards_differ_in_links_alone() {
    let check = |cut: &str, full: &str| {
        let (cut, full) = (device(cut), device(full));
        let facts = |device: &Device| {
            (
                device.architecture.clone(),
                device.compute_capability,
                *device.sm_count.get(),
                *device.boost_clock.get(),
                *device.memory.get(),
                *device.memory_bandwidth.get(),
                *device.l2.get(),
                *device.tdp.get(),
                device.peaks.given().map(|(_, path, peak)| (path, *peak.get())).collect::<Vec<_>>(),
                device.pcie.clone(),
            )
        };
        assert_eq!(facts(cut), facts(full));
        let (cut, full) = (cut.nvlink.as_ref().unwrap(), full.nvlink.as_ref().unwrap());
        assert_eq!(cut.generation, full.generation);
        assert_eq!(cut.per_link.get(), full.per_link.get());
        assert_eq!(*cut.links.get(), 8);
        assert!(full.links.get() > cut.links.get());
    };
    check("a800-sxm-80", "a100-sxm-80");
    check("a800-pcie-80", "a100-pcie-80");
    check("h800-sxm", "h100-sxm");
}

/// A mesh uses every link of its cards, but for the half of a board that a p3.8xlarge is.
#[test]
fn meshes_use_every_link() {
    for node in Catalog::builtin().nodes.values() {
        let ScaleUp::Mesh(rows) = node.scale_up.get() else { continue };
        let links = *device(&node.device).nvlink.as_ref().unwrap().links.get();
        for row in rows {
            let used: u32 = row.iter().sum();
            if node.id == "p3.8xlarge" {
                assert!((4..=5).contains(&used), "{}", node.id);
            } else {
                assert_eq!(used, links, "{}", node.id);
            }
        }
    }
}

/// In a hybrid cube mesh two cards without a link have a common neighbour, which is what lets
/// traffic pass in two hops.
#[test]
fn meshes_of_eight_have_diameter_two() {
    for id in ["dgx1-p100", "dgx1-v100", "p3.16xlarge"] {
        let node = Catalog::builtin().node(id).unwrap();
        let ScaleUp::Mesh(rows) = node.scale_up.get() else { panic!("{id} is a mesh") };
        for a in 0..rows.len() {
            for b in (0..rows.len()).filter(|b| *b != a) {
                let near = rows[a][b] > 0;
                let via = (0..rows.len()).any(|c| rows[a][c] > 0 && rows[c][b] > 0);
                assert!(near || via, "{id}: {a} to {b}");
            }
        }
    }
}

/// Nominal fabric bandwidth of whole nodes, in Gb/s.
#[test]
fn nodes_have_the_known_fabric_bandwidth() {
    let catalog = Catalog::builtin();
    let check = |id: &str, expected: f64| {
        let node: &NodeDesign = catalog.node(id).unwrap();
        let nic: &Nic = catalog.nic(&node.nic).unwrap();
        let gbps = f64::from(node.pcie.get().nics()) * nic.rate.get().0 * 8.0 / 1e9;
        assert!((gbps - expected).abs() < 1e-6, "{id}: {gbps}");
    };
    check("dgx1-p100", 400.0);
    check("dgx1-v100", 400.0);
    check("dgx2", 800.0);
    check("dgx-a100", 1600.0);
    check("hgx-a800", 1600.0);
    check("dgx-h100", 3200.0);
    check("hgx-h800", 3200.0);
    check("p3.8xlarge", 10.0);
    check("p3.16xlarge", 25.0);
    check("g4dn.12xlarge", 50.0);
    check("p4d.24xlarge", 400.0);
    check("p4de.24xlarge", 400.0);
    check("p5.48xlarge", 3200.0);
    check("dgx-h200", 3200.0);
    check("dgx-b200", 3200.0);
    check("dgx-b300", 6400.0);
    check("gb200-tray", 1600.0);
    check("gb200-nvl8", 3200.0);
    check("gb200-nvl64", 25_600.0);
    check("gb200-nvl72", 28_800.0);
    check("gb300-nvl72", 57_600.0);
    check("gh200-quad", 800.0);
    check("mi300x-8", 3200.0);
    check("atlas-800t-a2", 1600.0);
    check("hgx-h20", 3200.0);
}

/// Cards next to each other in a node's numbering share their neighbourhood evenly: what a ring
/// in index order relies on.
#[test]
fn sockets_hold_equal_shares_in_index_order() {
    for node in Catalog::builtin().nodes.values() {
        let layout = node.pcie.get();
        let order: Vec<u32> = layout
            .switches
            .iter()
            .flat_map(|below| below.gpus.iter().map(|_| below.socket))
            .collect();
        assert!(order.is_sorted(), "{}", node.id);
        for socket in 0..layout.sockets {
            let here = order.iter().filter(|s| **s == socket).count() as u32;
            assert_eq!(here * layout.sockets, node.gpus, "{}", node.id);
        }
    }
}

#[test]
fn releases_are_months() {
    for device in Catalog::builtin().devices.values() {
        let (year, month) = device.release.split_once('-').unwrap();
        assert!((2014..=2030).contains(&year.parse().unwrap()), "{}", device.id);
        assert!(month.len() == 2 && (1..=12).contains(&month.parse().unwrap()), "{}", device.id);
    }
}
