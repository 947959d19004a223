//! Which figures of an entry are cited, and how: what `motley catalog` prints and what the
//! sources are checked by.

use crate::{Architecture, Cited, Device, Fabric, Nic, NodeDesign};

/// How one figure of an entry is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation<'a> {
    /// Where in the entry, `peaks.fp32`.
    pub field: String,
    /// See [`Cited::status`].
    pub status: &'static str,
    /// See [`Cited::source`].
    pub source: &'a str,
}

impl<'a> Citation<'a> {
    fn new<T>(field: impl Into<String>, cited: &'a Cited<T>) -> Self {
        Self { field: field.into(), status: cited.status(), source: cited.source() }
    }

    /// The keys of `sources.ron` that it names; none where the source is a sentence.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let keyed = matches!(self.status, "verified" | "recalled");
        self.source.split_whitespace().filter(move |_| keyed)
    }
}

impl Device {
    /// Every figure with how it is known, in the order of the fields.
    pub fn citations(&self) -> Vec<Citation<'_>> {
        let mut all = vec![
            Citation::new("sm_count", &self.sm_count),
            Citation::new("boost_clock", &self.boost_clock),
            Citation::new("memory", &self.memory),
            Citation::new("memory_bandwidth", &self.memory_bandwidth),
            Citation::new("l2", &self.l2),
            Citation::new("tdp", &self.tdp),
        ];
        all.extend(self.peaks.given().map(|(field, _, peak)| Citation::new(field, peak)));
        if let Some(nvlink) = &self.nvlink {
            all.push(Citation::new("nvlink.links", &nvlink.links));
            all.push(Citation::new("nvlink.per_link", &nvlink.per_link));
            all.push(Citation::new("nvlink.achieved", &nvlink.achieved));
        }
        if let Some(price) = &self.price {
            all.push(Citation::new("price.usd_per_hour", &price.usd_per_hour));
        }
        all
    }
}

impl NodeDesign {
    /// Every figure with how it is known, in the order of the fields.
    pub fn citations(&self) -> Vec<Citation<'_>> {
        let mut all =
            vec![Citation::new("scale_up", &self.scale_up), Citation::new("pcie", &self.pcie)];
        all.extend(self.power.iter().map(|power| Citation::new("power", power)));
        all
    }
}

impl Nic {
    /// Every figure with how it is known, in the order of the fields.
    pub fn citations(&self) -> Vec<Citation<'_>> {
        vec![
            Citation::new("rate", &self.rate),
            Citation::new("achieved", &self.achieved),
            Citation::new("latency", &self.latency),
            Citation::new("gpu_direct", &self.gpu_direct),
        ]
    }
}

impl Fabric {
    /// Every value with how it is known, in the order of the fields.
    pub fn citations(&self) -> Vec<Citation<'_>> {
        vec![
            Citation::new("technology", &self.technology),
            Citation::new("shape", &self.shape),
            Citation::new("oversubscription", &self.oversubscription),
            Citation::new("routing", &self.routing),
            Citation::new("nic", &self.nic),
        ]
    }
}

impl Architecture {
    /// Every constant with how it is known, in the order of the fields.
    pub fn citations(&self) -> Vec<Citation<'_>> {
        let mut all =
            vec![Citation::new("sustained", &self.sustained), Citation::new("power", &self.power)];
        for (path, gemm) in &self.gemm {
            let field = |name: &str| format!("gemm.{path:?}.{name}");
            all.push(Citation::new(field("peak_fraction"), &gemm.peak_fraction));
            all.push(Citation::new(field("half_k"), &gemm.half_k));
            all.push(Citation::new(field("tiles"), &gemm.tiles));
            all.push(Citation::new(field("memory_fraction"), &gemm.memory_fraction));
            all.push(Citation::new(field("launch"), &gemm.launch));
        }
        all.push(Citation::new("memory.elementwise", &self.memory.elementwise));
        all.push(Citation::new("memory.norm", &self.memory.norm));
        all.push(Citation::new("memory.softmax", &self.memory.softmax));
        all.push(Citation::new("memory.embedding", &self.memory.embedding));
        all.push(Citation::new("memory.optimizer", &self.memory.optimizer));
        for attention in self.flash_attention.iter().chain(&self.earlier_flash_attention) {
            let version = attention.version;
            let newest = self.flash_attention.as_ref().is_some_and(|own| own.version == version);
            let field = |name: &str| {
                let of = if newest { String::new() } else { format!("{version}.") };
                format!("flash_attention.{of}{name}")
            };
            all.push(Citation::new(field("forward_fraction"), &attention.forward_fraction));
            all.push(Citation::new(field("backward_fraction"), &attention.backward_fraction));
            all.push(Citation::new(field("half_sequence"), &attention.half_sequence));
            all.push(Citation::new(field("half_head"), &attention.half_head));
            all.push(Citation::new(field("half_blocks"), &attention.half_blocks));
        }
        all.push(Citation::new("kernel_gap", &self.kernel_gap));
        all
    }
}
