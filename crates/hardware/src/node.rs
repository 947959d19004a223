//! Node designs: how the cards, switches, sockets and NICs of a server hang together.

use motley_units::{BytesPerSec, Watts};
use serde::{Deserialize, Serialize};

use crate::Cited;

/// A server design. The cards and NICs can be overridden by a scenario where the design allows
/// it (an 8-GPU PCIe server takes other PCIe cards).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeDesign {
    /// The catalogue id, `dgx-a100`.
    pub id: String,
    /// The vendor's name for it.
    pub name: String,
    /// The id of the card that it carries unless a scenario says otherwise.
    pub device: String,
    /// How many cards.
    pub gpus: u32,
    /// The links between the cards beside PCIe.
    pub scale_up: Cited<ScaleUp>,
    /// The host side.
    pub pcie: Cited<PcieLayout>,
    /// The id of its NICs, unless a scenario says otherwise.
    pub nic: String,
    /// Rated power of the whole node.
    pub power: Option<Cited<Watts>>,
    /// What to know about it.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The links between the cards of a node beside PCIe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ScaleUp {
    /// PCIe only.
    None,
    /// Every card has all its links to the NVSwitches, which do not block.
    NvSwitch {
        /// How many switches share the links of a card evenly.
        switches: u32,
        /// Switches that reduce in the network (NVLS), NVSwitch v3 and later.
        in_network_reduction: bool,
    },
    /// Point-to-point links between cards: row `i`, column `j` is the number of links.
    Mesh(Vec<Vec<u32>>),
}

/// The host side of a node: sockets, PCIe switches and what hangs below each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcieLayout {
    /// PCI Express generation of the switches and slots; a card of an older one runs slower.
    pub generation: u8,
    /// CPU sockets.
    pub sockets: u32,
    /// Achieved rate between two sockets in one direction (QPI, UPI, xGMI).
    pub socket_link: BytesPerSec,
    /// What hangs below each switch. A card or NIC that is directly on a root port is a switch of
    /// its own with `direct: true`.
    pub switches: Vec<PcieSwitch>,
}

/// A PCIe switch, its uplink to a socket, and the cards and NICs below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcieSwitch {
    /// The socket that its uplink leads to.
    pub socket: u32,
    /// Cards below it, by their index in the node.
    #[serde(default)]
    pub gpus: Vec<u32>,
    /// NICs below it, by their index in the node.
    #[serde(default)]
    pub nics: Vec<u32>,
    /// No switch chip: everything is on its own root port of the socket.
    #[serde(default)]
    pub direct: bool,
}

impl PcieLayout {
    /// How many NICs the node has.
    pub fn nics(&self) -> u32 {
        self.switches.iter().map(|switch| switch.nics.len() as u32).sum()
    }
}
