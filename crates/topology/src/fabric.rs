//! The switches between nodes: which leaf serves which NIC, the trunks between leaves and spines,
//! and the choice of a spine.

use motley_hardware::{FabricShape, Routing};
use motley_units::{BytesPerSec, Seconds};

use crate::{Component, FabricSpec, Link, LinkId, LinkKind, TopologyError};

/// What a leaf has below it.
#[derive(Clone, Copy, Debug, Default)]
struct Below {
    nominal: f64,
    capacity: f64,
}

/// The fabric of a cluster of several nodes.
#[derive(Debug)]
pub(crate) struct Fabric {
    spec: FabricSpec,
    /// NICs of the node that has most: the leaves of a pod.
    rails: u32,
    /// The number of each place for a leaf; places without a NIC below have none.
    leaf_at: Vec<Option<u32>>,
    leaves: Vec<Below>,
    /// That a message can be told to take.
    spines: u32,
    first_link: u32,
}

/// One port of the fabric, as leaves count it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    pub(crate) node: u32,
    pub(crate) nic: u32,
    pub(crate) nominal: f64,
    pub(crate) capacity: f64,
}

impl Fabric {
    pub(crate) fn check(spec: &FabricSpec) -> Result<(), TopologyError> {
        let fault = |fault: String| Err(TopologyError::Fabric { fault });
        if !(spec.oversubscription.is_finite() && spec.oversubscription >= 1.0) {
            return fault(format!(
                "oversubscription is {}; it is downlink over uplink capacity and at least 1",
                spec.oversubscription
            ));
        }
        if let Some(port) = spec.port
            && !(port.0.is_finite() && port.0 > 0.0)
        {
            return fault(format!("the port rate is {} B/s; it must be above zero", port.0));
        }
        match spec.shape {
            FabricShape::LeafSpine { nodes_per_leaf: 0, .. } => {
                fault("nodes_per_leaf is 0; a leaf serves at least 1 node".to_owned())
            }
            FabricShape::RailOptimized { nodes_per_pod: 0, .. } => {
                fault("nodes_per_pod is 0; a pod holds at least 1 node".to_owned())
            }
            FabricShape::LeafSpine { spines: 0, .. }
            | FabricShape::RailOptimized { spines: 0, .. } => {
                fault("spines is 0; leaves reach each other through at least 1".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Lays the switches out over all ports. `first_link` is the number of the first trunk.
    pub(crate) fn new(
        spec: FabricSpec,
        rails: u32,
        ports: impl Iterator<Item = Port>,
        first_link: u32,
    ) -> Self {
        let mut fabric =
            Self { spec, rails, leaf_at: Vec::new(), leaves: Vec::new(), spines: 0, first_link };
        let mut places: Vec<Below> = Vec::new();
        for port in ports {
            let place = fabric.place(port.node, port.nic);
            if places.len() <= place {
                places.resize(place + 1, Below::default());
            }
            places[place].nominal += port.nominal;
            places[place].capacity += port.capacity;
        }
        for below in places {
            if below.capacity > 0.0 {
                fabric.leaf_at.push(Some(fabric.leaves.len() as u32));
                fabric.leaves.push(below);
            } else {
                fabric.leaf_at.push(None);
            }
        }
        fabric.spines = match fabric.spec.shape {
            FabricShape::LeafSpine { spines, .. } | FabricShape::RailOptimized { spines, .. }
                if fabric.leaves.len() > 1 =>
            {
                match fabric.spec.routing {
                    Routing::Ecmp => spines,
                    // Messages spread evenly: all spines are as one, as wide as all together.
                    Routing::Adaptive => 1,
                }
            }
            _ => 0,
        };
        fabric
    }

    fn place(&self, node: u32, nic: u32) -> usize {
        match self.spec.shape {
            FabricShape::SingleSwitch => 0,
            FabricShape::LeafSpine { nodes_per_leaf, .. } => (node / nodes_per_leaf) as usize,
            FabricShape::RailOptimized { nodes_per_pod, .. } => {
                (node / nodes_per_pod) as usize * self.rails as usize + nic as usize
            }
        }
    }

    /// The leaf that serves a NIC.
    pub(crate) fn leaf(&self, node: u32, nic: u32) -> u32 {
        self.leaf_at.get(self.place(node, nic)).copied().flatten().unwrap_or(0)
    }

    pub(crate) fn is_rail_optimized(&self) -> bool {
        matches!(self.spec.shape, FabricShape::RailOptimized { .. })
    }

    /// How many trunk links there are, both directions counted.
    pub(crate) fn trunk_links(&self) -> u64 {
        2 * self.leaves.len() as u64 * u64::from(self.spines)
    }

    /// What one switch adds to a message.
    pub(crate) fn switch_latency(&self) -> Seconds {
        self.spec.technology.switch_latency()
    }

    /// The trunks from one leaf to another by way of the spine that the flow from NIC `from` to
    /// NIC `to` (numbers in the cluster) hashes to; none on the same leaf.
    pub(crate) fn trunks(&self, from: (u32, u32), to: (u32, u32)) -> Option<[LinkId; 2]> {
        let ((leaf_a, nic_a), (leaf_b, nic_b)) = (from, to);
        if leaf_a == leaf_b {
            return None;
        }
        let spine =
            (mix((u64::from(nic_a) << 32) | u64::from(nic_b)) % u64::from(self.spines)) as u32;
        let up = self.first_link + (leaf_a * self.spines + spine) * 2;
        let down = self.first_link + (leaf_b * self.spines + spine) * 2 + 1;
        Some([LinkId(up), LinkId(down)])
    }

    /// A trunk. All spines of a leaf share its uplink capacity evenly; the achieved share of a
    /// trunk is that of the ports below, so that a fabric of oversubscription 1 never binds before
    /// its ports do where flows spread evenly.
    pub(crate) fn trunk(&self, id: LinkId) -> Link {
        let pair = (id.0 - self.first_link) / 2;
        let (leaf, spine) = (pair / self.spines, pair % self.spines);
        let below = self.leaves[leaf as usize];
        let share = self.spec.oversubscription * f64::from(self.spines);
        let (leaf, spine) = (Component::Leaf { index: leaf }, Component::Spine { index: spine });
        let (from, to) = if id.0.is_multiple_of(2) { (leaf, spine) } else { (spine, leaf) };
        Link {
            kind: LinkKind::Trunk,
            nominal: BytesPerSec(below.nominal / share),
            capacity: BytesPerSec(below.capacity / share),
            latency: self.switch_latency(),
            from,
            to,
        }
    }
}

/// The finaliser of SplitMix64: a flow's spine depends on its two ends and nothing else, as a
/// switch's hash of the packet header does.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
