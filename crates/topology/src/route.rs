//! Routes and their classes.

use std::fmt;

use motley_units::Seconds;

use crate::LinkId;

/// The way from one card to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// In the order in which they are crossed; empty from a card to itself.
    pub links: Vec<LinkId>,
    /// Of all hops together, with the stops in host memory that the way implies. Without the
    /// software above.
    pub latency: Seconds,
    /// The worst stretch of it.
    pub class: PathClass,
}

/// NCCL's classes of paths, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathClass {
    /// A card and itself.
    Same,
    /// NVLink, direct or through NVSwitches.
    Nvl,
    /// NVLink through one other card.
    Nvb,
    /// One PCIe switch.
    Pix,
    /// Several PCIe switches without a socket between them.
    Pxb,
    /// Through the socket that both sides are on, by way of host memory.
    Phb,
    /// Through the link between two sockets, by way of host memory.
    Sys,
    /// Through NICs and the fabric.
    Net,
}

impl fmt::Display for PathClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Same => "SAME",
            Self::Nvl => "NVL",
            Self::Nvb => "NVB",
            Self::Pix => "PIX",
            Self::Pxb => "PXB",
            Self::Phb => "PHB",
            Self::Sys => "SYS",
            Self::Net => "NET",
        })
    }
}
