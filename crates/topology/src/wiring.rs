//! From a node design, a card and a NIC to the links inside one node.
//!
//! Owns every check of a design and of whether the card fits it. The result is written for node 0
//! and holds each cable as two links, `2k` and `2k + 1`.

use motley_hardware::{PcieLayout, ScaleUp};
use motley_units::{BytesPerSec, Seconds};

use crate::{Component, Link, LinkKind, NodeGroup, NodeId, TopologyError, hops};

const NODE: NodeId = NodeId(0);

/// The inside of one node.
#[derive(Debug)]
pub(crate) struct Wiring {
    /// Links in pairs, one for each direction.
    pub(crate) links: Vec<Link>,
    /// How many NICs the layout has.
    pub(crate) nics: u32,
    /// The socket that each card's PCIe leads to.
    pub(crate) socket_of_gpu: Vec<u32>,
}

/// Wires one node of `group`.
pub(crate) fn wire(group: &NodeGroup) -> Result<Wiring, TopologyError> {
    check_numbers(group)?;
    let layout = group.design.pcie.get();
    let nics = check_layout(group, layout)?;
    let mut cables = Cables::default();
    scale_up(group, &mut cables)?;
    let socket_of_gpu = host_side(group, layout, &mut cables);
    Ok(Wiring { links: cables.links, nics, socket_of_gpu })
}

#[derive(Default)]
struct Cables {
    links: Vec<Link>,
}

impl Cables {
    /// One cable: the same rate in both directions.
    fn add(
        &mut self,
        kind: LinkKind,
        (nominal, capacity): (BytesPerSec, BytesPerSec),
        latency: Seconds,
        (from, to): (Component, Component),
    ) {
        let forth = Link { kind, nominal, capacity, latency, from, to };
        self.links.push(forth);
        self.links.push(Link { from: to, to: from, ..forth });
    }
}

fn check_numbers(group: &NodeGroup) -> Result<(), TopologyError> {
    let rate = |what, owner: &str, value: f64| {
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(TopologyError::Number { what, owner: owner.to_owned(), value, share: false })
        }
    };
    let share = |what, owner: &str, value: f64| {
        if value > 0.0 && value <= 1.0 {
            Ok(())
        } else {
            Err(TopologyError::Number { what, owner: owner.to_owned(), value, share: true })
        }
    };
    rate("the socket link's rate", &group.design.id, group.design.pcie.get().socket_link.0)?;
    rate("the number of PCIe lanes", &group.device.id, f64::from(group.device.pcie.lanes))?;
    rate("the rate", &group.nic.id, group.nic.rate.get().0)?;
    share("the achieved share", &group.nic.id, *group.nic.achieved.get())?;
    if let Some(nvlink) = &group.device.nvlink {
        rate("the rate of one link", &group.device.id, nvlink.per_link.get().0)?;
        share("the achieved share of its links", &group.device.id, *nvlink.achieved.get())?;
    }
    Ok(())
}

/// Every card and NIC hangs in exactly one place and the sockets exist; returns the NIC count.
fn check_layout(group: &NodeGroup, layout: &PcieLayout) -> Result<u32, TopologyError> {
    let design = &group.design;
    let fault = |fault: String| TopologyError::Design { design: design.id.clone(), fault };
    if design.gpus == 0 {
        return Err(fault("it has no cards".to_owned()));
    }
    if layout.sockets == 0 {
        return Err(fault("it has no CPU socket".to_owned()));
    }
    for (s, switch) in layout.switches.iter().enumerate() {
        if switch.socket >= layout.sockets {
            return Err(fault(format!(
                "PCIe switch {s} is on socket {}, but there are only {}",
                switch.socket, layout.sockets
            )));
        }
    }
    let sorted = |mut all: Vec<u32>| {
        all.sort_unstable();
        all
    };
    let gpus = sorted(layout.switches.iter().flat_map(|s| s.gpus.iter().copied()).collect());
    let nics = sorted(layout.switches.iter().flat_map(|s| s.nics.iter().copied()).collect());
    if !gpus.iter().copied().eq(0..design.gpus) {
        return Err(fault(format!(
            "its PCIe switches must hold each card from 0 to {} once, they hold {gpus:?}",
            design.gpus - 1
        )));
    }
    if !nics.iter().copied().eq(0..nics.len() as u32) {
        return Err(fault(format!(
            "its PCIe switches must hold NICs numbered from 0 without a gap, they hold {nics:?}"
        )));
    }
    Ok(nics.len() as u32)
}

/// The links between the cards beside PCIe.
fn scale_up(group: &NodeGroup, cables: &mut Cables) -> Result<(), TopologyError> {
    let misfit = |fault: String| TopologyError::Misfit {
        group: group.name.clone(),
        device: group.device.id.clone(),
        design: group.design.id.clone(),
        fault,
    };
    let gpus = group.design.gpus;
    let need_links = || {
        group.device.nvlink.as_ref().ok_or_else(|| {
            misfit(
                "the design joins its cards by NVLink and the card has none; choose a PCIe design"
                    .to_owned(),
            )
        })
    };
    let rates = |links: f64, per_link: f64, achieved: f64| {
        (BytesPerSec(links * per_link), BytesPerSec(links * per_link * achieved))
    };
    match group.design.scale_up.get() {
        ScaleUp::None => {}
        ScaleUp::NvSwitch { .. } => {
            let nvlink = need_links()?;
            let links = *nvlink.links.get();
            if links == 0 {
                return Err(misfit("the card has no links to the NVSwitches".to_owned()));
            }
            let rates = rates(f64::from(links), nvlink.per_link.get().0, *nvlink.achieved.get());
            let switch = Component::NvSwitch { node: NODE, index: 0 };
            for local in 0..gpus {
                let card = Component::Gpu { node: NODE, local };
                cables.add(LinkKind::NvLink, rates, hops::NVSWITCH_LINK, (card, switch));
            }
        }
        ScaleUp::Mesh(matrix) => {
            let nvlink = need_links()?;
            check_mesh(group, matrix)?;
            for (i, row) in (0u32..).zip(matrix) {
                let used: u32 = row.iter().sum();
                if used > *nvlink.links.get() {
                    return Err(misfit(format!(
                        "the design uses {used} links of card {i}, the card has {}",
                        nvlink.links.get()
                    )));
                }
                for (j, &links) in (0u32..).zip(row) {
                    if i < j && links > 0 {
                        let rates = rates(
                            f64::from(links),
                            nvlink.per_link.get().0,
                            *nvlink.achieved.get(),
                        );
                        let from = Component::Gpu { node: NODE, local: i };
                        let to = Component::Gpu { node: NODE, local: j };
                        cables.add(LinkKind::NvLink, rates, hops::NVLINK, (from, to));
                    }
                }
            }
        }
    }
    Ok(())
}

fn check_mesh(group: &NodeGroup, matrix: &[Vec<u32>]) -> Result<(), TopologyError> {
    let size = group.design.gpus as usize;
    let fault = |fault: String| TopologyError::Design { design: group.design.id.clone(), fault };
    if matrix.len() != size || matrix.iter().any(|row| row.len() != size) {
        return Err(fault(format!("its mesh must have {size} rows of {size} link counts")));
    }
    for (i, row) in matrix.iter().enumerate() {
        for (j, &links) in row.iter().enumerate() {
            let back = matrix[j][i];
            if links != back || (i == j && links != 0) {
                return Err(fault(format!(
                    "its mesh has {links} links from card {i} to {j} and {back} back; a mesh is symmetric and no card is linked to itself"
                )));
            }
        }
    }
    Ok(())
}

/// PCIe and the sockets; returns the socket of each card.
fn host_side(group: &NodeGroup, layout: &PcieLayout, cables: &mut Cables) -> Vec<u32> {
    let mut socket_of_gpu = vec![0; group.design.gpus as usize];
    let slot = hops::pcie_rate(layout.generation, 16);
    let card_rate = hops::pcie_rate(
        layout.generation.min(group.device.pcie.generation),
        group.device.pcie.lanes,
    );
    for (index, switch) in (0u32..).zip(&layout.switches) {
        let socket = Component::Socket { node: NODE, index: switch.socket };
        let above = if switch.direct {
            socket
        } else {
            let chip = Component::PcieSwitch { node: NODE, index };
            cables.add(LinkKind::Pcie, slot, hops::PCIE, (chip, socket));
            chip
        };
        for &local in &switch.gpus {
            socket_of_gpu[local as usize] = switch.socket;
            let card = Component::Gpu { node: NODE, local };
            cables.add(LinkKind::Pcie, card_rate, hops::PCIE, (card, above));
        }
        for &index in &switch.nics {
            let nic = Component::Nic { node: NODE, index };
            cables.add(LinkKind::Pcie, slot, hops::PCIE, (nic, above));
        }
    }
    // Every pair of sockets has its own link, as two- and four-socket boards have.
    let rate = (layout.socket_link, layout.socket_link);
    for a in 0..layout.sockets {
        for b in a + 1..layout.sockets {
            let ends = (
                Component::Socket { node: NODE, index: a },
                Component::Socket { node: NODE, index: b },
            );
            cables.add(LinkKind::Socket, rate, hops::SOCKET, ends);
        }
    }
    socket_of_gpu
}
