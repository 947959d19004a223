//! Directed links.

use std::fmt;

use motley_units::{BytesPerSec, Seconds};

use crate::Component;

/// A directed link, counted from zero: the links of node 0, of node 1, ..., then those between
/// fabric switches. Links come in pairs, one for each direction: `2k` and `2k + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

impl LinkId {
    /// The other direction of the same cable.
    #[must_use]
    pub fn reverse(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// What a link is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkKind {
    /// All NVLinks (or the vendor's like) between two cards, or between a card and the switches.
    NvLink,
    /// PCI Express: card, NIC or PCIe switch on one side.
    Pcie,
    /// Between two CPU sockets: QPI, UPI, xGMI.
    Socket,
    /// Between a NIC and its leaf switch.
    Port,
    /// Between a leaf and a spine switch.
    Trunk,
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NvLink => "NVLink",
            Self::Pcie => "PCIe",
            Self::Socket => "socket link",
            Self::Port => "network port",
            Self::Trunk => "trunk",
        })
    }
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// What it is made of.
    pub kind: LinkKind,
    /// The printed rate.
    pub nominal: BytesPerSec,
    /// The rate that large transfers reach.
    pub capacity: BytesPerSec,
    /// From the first byte entering it to the first byte leaving the component at its end.
    pub latency: Seconds,
    /// Where it starts.
    pub from: Component,
    /// Where it ends.
    pub to: Component,
}
