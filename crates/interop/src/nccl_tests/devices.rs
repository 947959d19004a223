//! What CUDA calls the cards of the catalogue.

/// Names of `cudaGetDeviceProperties`, without `NVIDIA` or `Tesla` before them, and catalogue ids. A name
/// that stands for several cards is not among them.
const NAMES: [(&str, &str); 25] = [
    ("A10", "a10"),
    ("A100-PCIE-40GB", "a100-pcie-40"),
    ("A100 80GB PCIe", "a100-pcie-80"),
    ("A100-SXM4-40GB", "a100-sxm-40"),
    ("A100-SXM4-80GB", "a100-sxm-80"),
    ("A30", "a30"),
    ("A800 80GB PCIe", "a800-pcie-80"),
    ("A800-SXM4-80GB", "a800-sxm-80"),
    ("B200", "b200"),
    ("GB200", "gb200"),
    ("GB300", "gb300"),
    ("GeForce RTX 2080 Ti", "rtx2080ti"),
    ("GeForce RTX 3090", "rtx3090"),
    ("GeForce RTX 4090", "rtx4090"),
    ("H100 80GB HBM3", "h100-sxm"),
    ("H100 PCIe", "h100-pcie"),
    ("H200", "h200-sxm"),
    ("H800", "h800-sxm"),
    ("L40S", "l40s"),
    ("P100-PCIE-16GB", "p100-pcie-16"),
    ("P100-SXM2-16GB", "p100-sxm2"),
    ("T4", "t4"),
    ("V100-PCIE-16GB", "v100-pcie-16"),
    ("V100-SXM2-16GB", "v100-sxm2-16"),
    ("V100-SXM2-32GB", "v100-sxm2-32"),
];

/// The catalogue id of a card.
pub(super) fn card(name: &str) -> Option<&'static str> {
    let name = name.trim();
    let name = name.strip_prefix("NVIDIA ").unwrap_or(name);
    let name = name.strip_prefix("Tesla ").unwrap_or(name);
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_in_the_catalogue() {
        let catalog = motley_hardware::Catalog::builtin();
        for (name, id) in NAMES {
            assert!(catalog.device(id).is_some(), "{name}: {id}");
        }
    }

    #[test]
    fn makers_before_the_name_do_not_matter() {
        for name in ["NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB", " nvidia a100-sxm4-80gb "] {
            let expected = (name != " nvidia a100-sxm4-80gb ").then_some("a100-sxm-80");
            assert_eq!(card(name), expected, "{name}");
        }
        assert_eq!(card("Tesla V100-SXM2-32GB"), Some("v100-sxm2-32"));
        assert_eq!(card("NVIDIA A100"), None);
    }
}
