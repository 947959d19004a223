//! One node of a group, its routes computed once.

use motley_units::Seconds;

use crate::plane::{self, Cost, NodeGraph, Path};
use crate::wiring::{Wiring, wire};
use crate::{Component, Link, NodeGroup, NodeId, PathClass, TopologyError, hops};

const NODE: NodeId = NodeId(0);

/// A route inside a node: a range of the template's pool of link indices.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: u32,
    end: u32,
    class: PathClass,
    latency: f64,
}

/// A route inside a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inside<'a> {
    /// Indices of the template's links, in order.
    pub(crate) links: &'a [u32],
    pub(crate) latency: Seconds,
    pub(crate) class: PathClass,
}

/// The graph of one node and all routes in it.
#[derive(Debug)]
pub(crate) struct NodeTemplate {
    /// Links inside the node, written for node 0, in pairs.
    pub(crate) links: Vec<Link>,
    pub(crate) gpus: u32,
    pub(crate) nics: u32,
    /// The NIC that each card uses.
    pub(crate) nic_of: Vec<Option<u32>>,
    pool: Vec<u32>,
    /// From card (row) to card.
    peers: Vec<Stretch>,
    /// From card (row) to NIC.
    out: Vec<Stretch>,
    /// To card (row) from NIC.
    back: Vec<Stretch>,
    /// The same two through the memory of the card's socket.
    staged_out: Vec<Stretch>,
    staged_back: Vec<Stretch>,
    /// From each card to the memory of its socket.
    host: Vec<Stretch>,
    /// For card (row) and NIC: the card next to it by NVLink whose own NIC that is.
    proxies: Vec<Option<u32>>,
}

impl NodeTemplate {
    pub(crate) fn new(group: &NodeGroup) -> Result<Self, TopologyError> {
        let Wiring { links, nics, socket_of_gpu } = wire(group)?;
        let gpus = group.design.gpus;
        let mut builder = Builder {
            graph: NodeGraph::new(&links),
            links: &links,
            gpus: (0..gpus).map(|local| Component::Gpu { node: NODE, local }).collect(),
            nics: (0..nics).map(|index| Component::Nic { node: NODE, index }).collect(),
            sockets: socket_of_gpu
                .iter()
                .map(|&index| Component::Socket { node: NODE, index })
                .collect(),
            pool: Vec::new(),
        };
        let unreachable = |from: Component, to: Component| TopologyError::Design {
            design: group.design.id.clone(),
            fault: format!("there is no way from {from} to {to}"),
        };
        let peers = builder.peers().map_err(|(a, b)| unreachable(a, b))?;
        let (out, back) = builder
            .nic_stretches(*group.nic.gpu_direct.get())
            .map_err(|(a, b)| unreachable(a, b))?;
        let (staged_out, staged_back) =
            builder.nic_stretches(false).map_err(|(a, b)| unreachable(a, b))?;
        let host = builder.host_stretches().map_err(|(a, b)| unreachable(a, b))?;
        let nic_of = builder.nearest_nics();
        let pool = builder.pool;
        let mut template = Self {
            links,
            gpus,
            nics,
            nic_of,
            pool,
            peers,
            out,
            back,
            staged_out,
            staged_back,
            host,
            proxies: Vec::new(),
        };
        let mut users: Vec<Vec<u32>> = vec![Vec::new(); nics as usize];
        for (card, nic) in (0..gpus).zip(&template.nic_of) {
            if let Some(nic) = nic {
                users[*nic as usize].push(card);
            }
        }
        template.proxies = (0..gpus)
            .flat_map(|card| users.iter().map(move |users| (card, users)))
            .map(|(card, users)| template.find_proxy(card, users))
            .collect();
        Ok(template)
    }

    fn inside(&self, stretch: Stretch) -> Inside<'_> {
        Inside {
            links: &self.pool[stretch.start as usize..stretch.end as usize],
            latency: Seconds(stretch.latency),
            class: stretch.class,
        }
    }

    /// From one card to another.
    pub(crate) fn peer(&self, from: u32, to: u32) -> Inside<'_> {
        self.inside(self.peers[(from * self.gpus + to) as usize])
    }

    /// From a card to a NIC, `staged` through the memory of the card's socket.
    pub(crate) fn to_nic(&self, card: u32, nic: u32, staged: bool) -> Inside<'_> {
        let out = if staged { &self.staged_out } else { &self.out };
        self.inside(out[(card * self.nics + nic) as usize])
    }

    /// From a NIC to a card, `staged` through the memory of the card's socket.
    pub(crate) fn nic_to(&self, nic: u32, card: u32, staged: bool) -> Inside<'_> {
        let back = if staged { &self.staged_back } else { &self.back };
        self.inside(back[(card * self.nics + nic) as usize])
    }

    /// From a card to the memory of its socket.
    pub(crate) fn to_host(&self, card: u32) -> Inside<'_> {
        self.inside(self.host[card as usize])
    }

    /// The card, other than `card` itself, through which NVLink traffic of `card` reaches `nic`.
    pub(crate) fn proxy(&self, card: u32, nic: u32) -> Option<u32> {
        self.proxies[(card * self.nics + nic) as usize]
    }

    /// The nearest of a NIC's `users`.
    fn find_proxy(&self, card: u32, users: &[u32]) -> Option<u32> {
        let others = users.iter().copied().filter(|&other| other != card);
        others.filter(|&other| self.peer(card, other).class <= PathClass::Nvb).min_by(|&a, &b| {
            let key = |other| {
                let way = self.peer(card, other);
                (way.class, way.latency.0)
            };
            key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal)
        })
    }
}

type Missing = (Component, Component);

struct Builder<'a> {
    graph: NodeGraph<'a>,
    links: &'a [Link],
    gpus: Vec<Component>,
    nics: Vec<Component>,
    /// Of each card.
    sockets: Vec<Component>,
    pool: Vec<u32>,
}

impl Builder<'_> {
    fn store(&mut self, path: &[u32], class: PathClass, extra: Seconds) -> Stretch {
        let start = self.pool.len() as u32;
        self.pool.extend_from_slice(path);
        let hops: f64 = path.iter().map(|&l| self.links[l as usize].latency.0).sum();
        Stretch { start, end: self.pool.len() as u32, class, latency: hops + extra.0 }
    }

    /// Sockets crossed on a path of the host plane decide its class.
    fn host_class(&self, path: &[u32]) -> PathClass {
        let ends = path.iter().map(|&l| self.links[l as usize].to);
        let mut sockets = 0;
        let mut switches = 0;
        for end in ends {
            match end {
                Component::Socket { .. } => sockets += 1,
                Component::PcieSwitch { .. } => switches += 1,
                _ => {}
            }
        }
        match (sockets, switches) {
            (0, 0 | 1) => PathClass::Pix,
            (0, _) => PathClass::Pxb,
            (1, _) => PathClass::Phb,
            _ => PathClass::Sys,
        }
    }

    /// Cards on the way, the two ends aside.
    fn cards_between(&self, path: &[u32]) -> usize {
        let ends = path.iter().map(|&l| self.links[l as usize].to);
        ends.filter(|end| matches!(end, Component::Gpu { .. })).count().saturating_sub(1)
    }

    fn peers(&mut self) -> Result<Vec<Stretch>, Missing> {
        let gpus = self.gpus.clone();
        let mut table = Vec::with_capacity(gpus.len() * gpus.len());
        for &from in &gpus {
            let by_nvlink = self.graph.paths(from, &gpus, plane::nvlink);
            let by_host = self.graph.paths(from, &gpus, plane::host);
            for ((&to, nvlink), host) in gpus.iter().zip(by_nvlink).zip(by_host) {
                if from == to {
                    let stretch = self.store(&[], PathClass::Same, Seconds(0.0));
                    table.push(stretch);
                    continue;
                }
                // NCCL forwards through at most one card.
                let nvlink = nvlink.filter(|(path, _)| self.cards_between(path) <= 1);
                let stretch = if let Some((path, _)) = nvlink {
                    let direct = self.cards_between(&path) == 0;
                    let class = if direct { PathClass::Nvl } else { PathClass::Nvb };
                    self.store(&path, class, Seconds(0.0))
                } else {
                    let (path, _) = host.ok_or((from, to))?;
                    let class = self.host_class(&path);
                    let bounce =
                        if class > PathClass::Pxb { hops::HOST_BOUNCE } else { Seconds(0.0) };
                    self.store(&path, class, bounce)
                };
                table.push(stretch);
            }
        }
        Ok(table)
    }

    /// From each card to each NIC, and back. Straight where the NIC reads the card's memory; else
    /// through the memory of the card's socket, even if both are below one switch.
    fn nic_stretches(&mut self, gpu_direct: bool) -> Result<(Vec<Stretch>, Vec<Stretch>), Missing> {
        let (gpus, nics) = (self.gpus.clone(), self.nics.clone());
        let (mut out, mut back) = (Vec::new(), Vec::new());
        for (&card, socket) in gpus.iter().zip(self.sockets.clone()) {
            let path = |(found, to): (Option<Path>, Component)| match found {
                Some((path, _)) => Ok(path),
                None => Err((card, to)),
            };
            let to_socket = self.graph.paths(card, &[socket], plane::host);
            let to_socket = path((to_socket.into_iter().flatten().next(), socket))?;
            let straight = self.graph.paths(card, &nics, plane::host);
            let onwards = self.graph.paths(socket, &nics, plane::host);
            for ((&nic, straight), onwards) in nics.iter().zip(straight).zip(onwards) {
                let straight = path((straight, nic))?;
                let class = self.host_class(&straight);
                let (there, class) = if gpu_direct || class > PathClass::Pxb {
                    (straight, class)
                } else {
                    ([to_socket.clone(), path((onwards, nic))?].concat(), PathClass::Phb)
                };
                // Cables are pairs of links, so the way back is the way there, reversed.
                let reverse: Vec<u32> = there.iter().rev().map(|&link| link ^ 1).collect();
                let extra = if class > PathClass::Pxb { hops::NIC_STAGING } else { Seconds(0.0) };
                out.push(self.store(&there, class, extra));
                back.push(self.store(&reverse, class, extra));
            }
        }
        Ok((out, back))
    }

    /// From each card to its socket.
    fn host_stretches(&mut self) -> Result<Vec<Stretch>, Missing> {
        let (gpus, sockets) = (self.gpus.clone(), self.sockets.clone());
        let stretch = |(card, socket): (Component, Component)| {
            let found = self.graph.paths(card, &[socket], plane::host).into_iter().flatten().next();
            let (path, _) = found.ok_or((card, socket))?;
            Ok(self.store(&path, PathClass::Phb, Seconds(0.0)))
        };
        gpus.into_iter().zip(sockets).map(stretch).collect()
    }

    /// The NIC of each card: the nearest by PCIe; cards that have the same nearest NICs take turns.
    fn nearest_nics(&self) -> Vec<Option<u32>> {
        let mut turns: Vec<(Vec<u32>, usize)> = Vec::new();
        let mut chosen = Vec::with_capacity(self.gpus.len());
        for &card in &self.gpus {
            let costs: Vec<Option<Cost>> = self
                .graph
                .paths(card, &self.nics, plane::host)
                .into_iter()
                .map(|path| path.map(|(_, cost)| cost))
                .collect();
            let Some(best) = costs.iter().flatten().min().copied() else {
                chosen.push(None);
                continue;
            };
            let nearest: Vec<u32> =
                (0..).zip(&costs).filter(|(_, c)| **c == Some(best)).map(|(n, _)| n).collect();
            let at = turns.iter().position(|(set, _)| *set == nearest).unwrap_or_else(|| {
                turns.push((nearest, 0));
                turns.len() - 1
            });
            let (set, turn) = &mut turns[at];
            chosen.push(Some(set[*turn % set.len()]));
            *turn += 1;
        }
        chosen
    }
}
