//! Traffic by link.

use std::collections::BTreeMap;

use motley_job::CommId;
use motley_scheduler::{Lowered, Traffic};
use motley_topology::{Cluster, Component, LinkId, LinkKind};
use motley_units::Time;
use serde::Serialize;

use crate::{Account, Subject};

/// Bytes that crossed each link.
#[derive(Clone, Debug)]
pub struct LinkTraffic {
    /// By link and class.
    bytes: Vec<[f64; Traffic::ALL.len()]>,
}

impl LinkTraffic {
    /// Of one replay: an instance of a call puts the call's bytes, times the multiplicity in its
    /// footprint, on each link.
    pub fn new(lowered: &Lowered, account: &Account) -> Self {
        let job = &lowered.job;
        let mut bytes = vec![[0.0; Traffic::ALL.len()]; job.links.len()];
        for (c, communicator) in job.communicators.iter().enumerate() {
            let comm = CommId(c as u32);
            let class = lowered.traffic(comm) as usize;
            for (k, call) in job.call_sets[communicator.calls.0 as usize].calls.iter().enumerate() {
                let moved = account.calls(comm, k as u16) as f64 * call.bytes;
                if moved == 0.0 {
                    continue;
                }
                let footprint = communicator.footprints[usize::from(call.footprint)];
                for &(link, multiplicity) in &job.footprints[footprint.0 as usize].links {
                    bytes[link.0 as usize][class] += multiplicity * moved;
                }
            }
        }
        Self { bytes }
    }

    /// Bytes of one class on a link.
    pub fn bytes_of(&self, link: LinkId, class: Traffic) -> f64 {
        self.bytes[link.0 as usize][class as usize]
    }

    /// All bytes on a link.
    pub fn bytes(&self, link: LinkId) -> f64 {
        self.bytes[link.0 as usize].iter().sum()
    }
}

/// The busiest of the links of one sort: same kind, same node group, same direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkLoad {
    /// The link's name.
    pub link: String,
    /// What it is made of.
    pub kind: String,
    /// What most of its bytes are.
    pub traffic: &'static str,
    /// Bytes of an iteration.
    pub moved_bytes: f64,
    /// What it carries at most.
    pub capacity_bytes_per_s: f64,
    /// Bytes over capacity and iteration time.
    pub utilisation_ratio: f64,
    /// The mean of the sort.
    pub mean_utilisation_ratio: f64,
    /// Links of the sort.
    pub link_count: u32,
}

/// How many sorts are listed.
const LISTED: usize = 5;

/// What tells sorts of links apart.
type Sort = (LinkKind, Option<usize>, Direction);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    /// Between two cards or two sockets.
    Peer,
    /// Away from cards, towards the fabric.
    Up,
    /// Towards cards.
    Down,
}

impl Direction {
    fn of(from: Component, to: Component) -> Self {
        // In the order of components a card comes first, a spine last.
        if std::mem::discriminant(&from) == std::mem::discriminant(&to) {
            Self::Peer
        } else if from < to {
            Self::Up
        } else {
            Self::Down
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    busiest: LinkId,
    utilisation: f64,
    total: f64,
    links: u32,
}

impl LinkLoad {
    /// The busiest sorts, busiest first; sorts without traffic are left out.
    pub(crate) fn list(subject: &Subject, account: &Account, iteration: Time) -> Vec<Self> {
        let cluster = subject.cluster;
        let traffic = LinkTraffic::new(subject.lowered, account);
        let seconds = iteration.as_secs_f64();
        let mut sums: BTreeMap<Sort, Sum> = BTreeMap::new();
        for id in (0..cluster.link_count()).map(LinkId) {
            let link = cluster.link(id);
            let node = link.from.node().or(link.to.node());
            let direction = Direction::of(link.from, link.to);
            let sort = (link.kind, node.map(|node| cluster.group_of_node(node)), direction);
            let carried = link.capacity.0 * seconds;
            let utilisation = if carried > 0.0 { traffic.bytes(id) / carried } else { 0.0 };
            let sum =
                sums.entry(sort).or_insert(Sum { busiest: id, utilisation, total: 0.0, links: 0 });
            sum.total += utilisation;
            sum.links += 1;
            if utilisation > sum.utilisation {
                sum.busiest = id;
                sum.utilisation = utilisation;
            }
        }
        let mut list: Vec<(Sort, Sum)> =
            sums.into_iter().filter(|(_, sum)| sum.utilisation > 0.0).collect();
        // Links in a row are equally busy if they are equally fast; the network's is named first.
        list.sort_by(|(a_sort, a), (b_sort, b)| {
            b.utilisation.total_cmp(&a.utilisation).then(b_sort.0.cmp(&a_sort.0))
        });
        list.truncate(LISTED);
        list.into_iter().map(|(sort, sum)| load(cluster, &traffic, sort.0, sum)).collect()
    }
}

fn load(cluster: &Cluster, traffic: &LinkTraffic, kind: LinkKind, sum: Sum) -> LinkLoad {
    let most = Traffic::ALL
        .into_iter()
        .max_by(|&a, &b| {
            traffic.bytes_of(sum.busiest, a).total_cmp(&traffic.bytes_of(sum.busiest, b))
        })
        .unwrap_or(Traffic::TensorParallel);
    LinkLoad {
        link: cluster.link_name(sum.busiest),
        kind: kind.to_string(),
        traffic: most.name(),
        moved_bytes: traffic.bytes(sum.busiest),
        capacity_bytes_per_s: cluster.capacity(sum.busiest).0,
        utilisation_ratio: sum.utilisation,
        mean_utilisation_ratio: sum.total / f64::from(sum.links),
        link_count: sum.links,
    }
}
