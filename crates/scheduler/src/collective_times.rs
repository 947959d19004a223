//! Measured times of collectives in place of predicted ones, and which were asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use motley_collectives::{CollectiveKind, Placed};
use motley_job::Call;
use motley_topology::{Cluster, GpuId};
use motley_units::{Bytes, Seconds};
use motley_workload::{
    CollectiveCurve, Profile, ProfiledCollective, ProfiledCollectiveKind, ProfiledNodes, Reach,
};

/// Where the times of collectives came from, when nothing else moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectiveSources {
    /// Whether a profile with collectives was given.
    pub profiled: bool,
    /// Collectives, each kind, communicator and size once, whose time the profile has.
    pub measured: u32,
    /// Of these, those smaller than all that was measured.
    pub below: u32,
    /// Of these, those larger than all that was measured.
    pub beyond: u32,
    /// Collectives whose time is predicted.
    pub predicted: u32,
    /// What these are: `AllGather of 2 x 8 a100-sxm-80`.
    pub predicted_collectives: Vec<String>,
    /// The measured share of the time that all ranks' collectives take when nothing else moves, between
    /// 0 and 1; 0 without a profile.
    pub measured_time_ratio: f64,
    /// Communicators of the profile, each with a kind, whose time nothing asked for.
    pub unused: u32,
}

/// Some alike nodes of a communicator: the group of nodes in the cluster, ranks on each, how many.
type AlikeNodes = (u32, u32, u32);

/// How a communicator lies over the nodes of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spread(Vec<AlikeNodes>);

impl Spread {
    pub(crate) fn of(cluster: &Cluster, cards: &[GpuId]) -> Self {
        let mut nodes: Vec<_> = cards.iter().map(|&card| cluster.node_of(card)).collect();
        nodes.sort_unstable();
        // Most communicators lie on nodes of one kind.
        let mut alike: Vec<AlikeNodes> = Vec::new();
        for node in nodes.chunk_by(|one, other| one == other) {
            let (group, ranks) = (cluster.group_of_node(node[0]) as u32, node.len() as u32);
            match alike.iter_mut().find(|known| (known.0, known.1) == (group, ranks)) {
                Some((_, _, nodes)) => *nodes += 1,
                None => alike.push((group, ranks, 1)),
            }
        }
        alike.sort_unstable();
        Self(alike)
    }

    fn is_alone(&self) -> bool {
        matches!(self.0[..], [] | [(_, 1, 1)])
    }

    /// As a profile says it, each entry with its design.
    fn nodes(&self, cluster: &Cluster) -> Vec<ProfiledNodes> {
        let entry = |&(group, ranks_per_node, nodes): &AlikeNodes| {
            let group = &cluster.spec().groups[group as usize];
            let card = group.device.id.clone();
            ProfiledNodes { card, design: Some(group.design.id.clone()), nodes, ranks_per_node }
        };
        ProfiledNodes::merged(&self.0.iter().map(entry).collect::<Vec<_>>())
    }
}

/// Sizes and times.
type Points = Vec<(Bytes, Seconds)>;

/// The measured times of a kind of collective in one communicator.
#[derive(Debug)]
struct Measured {
    kind: CollectiveKind,
    members: Vec<ProfiledNodes>,
    curve: CollectiveCurve,
}

/// A collective that was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    time: Seconds,
    /// Which of the measured ones has its time, and where its size lies among the measured.
    measured: Option<(usize, Reach)>,
}

/// By communicator, the collectives that were asked for: their kinds and bytes (as bits).
type AllAsked = BTreeMap<Spread, BTreeMap<(CollectiveKind, u64), Asked>>;

/// The collectives of a profile, and which were asked for.
#[derive(Debug, Default)]
pub(crate) struct CollectiveTimes {
    measured: Vec<Measured>,
    asked: RefCell<AllAsked>,
}

/// A call, how long it takes when nothing else moves, and whether that was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimedCall {
    pub(crate) call: Call,
    pub(crate) time: Seconds,
    pub(crate) measured: bool,
}

impl CollectiveTimes {
    pub(crate) fn new(profile: Option<&Profile>) -> Self {
        let points = profile.map_or(&[][..], |profile| &profile.collectives);
        let mut curves: BTreeMap<(CollectiveKind, Vec<ProfiledNodes>), Points> = BTreeMap::new();
        for point in points {
            let key = (kind(point.collective), ProfiledNodes::merged(&point.members));
            curves.entry(key).or_default().push((point.bytes, point.time));
        }
        let curve = |((kind, members), points)| {
            Some(Measured { kind, members, curve: CollectiveCurve::new(points)? })
        };
        let mut measured: Vec<Measured> = curves.into_iter().filter_map(curve).collect();
        // Of several that describe a communicator the one counts that names most designs.
        let named = |of: &Measured| -> u32 {
            let designs = of.members.iter().filter(|entry| entry.design.is_some());
            designs.map(|entry| entry.nodes).sum()
        };
        measured.sort_by_key(|of| std::cmp::Reverse(named(of)));
        Self { measured, asked: RefCell::default() }
    }

    /// Whether there are measured times at all.
    pub(crate) fn is_profiled(&self) -> bool {
        !self.measured.is_empty()
    }

    /// The call of a collective of a communicator that was laid and lies so: as measured, else as
    /// predicted.
    pub(crate) fn call(
        &self,
        cluster: &Cluster,
        (laid, spread): (&Placed, &Spread),
        (kind, bytes): (CollectiveKind, f64),
    ) -> TimedCall {
        let call = laid.call(kind, bytes);
        let predicted = laid.uncontended(&call);
        if spread.is_alone() || bytes <= 0.0 {
            return TimedCall { call, time: predicted, measured: false };
        }
        let key = (kind, bytes.to_bits());
        let known = self.asked.borrow().get(spread).and_then(|asked| asked.get(&key)).copied();
        let asked = known.unwrap_or_else(|| {
            let measured = self.measured(cluster, spread, kind, bytes);
            let time = measured.map_or(predicted, |(_, _, time)| time);
            let measured = measured.map(|(which, reach, _)| (which, reach));
            let asked = Asked { time, measured };
            self.asked.borrow_mut().entry(spread.clone()).or_default().insert(key, asked);
            asked
        });
        if asked.measured.is_none() {
            // Communicators that lie alike need not have equal links.
            return TimedCall { call, time: predicted, measured: false };
        }
        TimedCall { call: laid.lasting(call, asked.time), time: asked.time, measured: true }
    }

    fn measured(
        &self,
        cluster: &Cluster,
        spread: &Spread,
        kind: CollectiveKind,
        bytes: f64,
    ) -> Option<(usize, Reach, Seconds)> {
        if !self.measured.iter().any(|of| of.kind == kind) {
            return None;
        }
        let nodes = spread.nodes(cluster);
        let fits = |of: &Measured| of.kind == kind && ProfiledNodes::describe(&of.members, &nodes);
        let which = self.measured.iter().position(fits)?;
        let curve = &self.measured[which].curve;
        Some((which, curve.reach(bytes), curve.time(bytes)))
    }

    /// Every collective that was asked for and that a profile can have, with its time, in a fixed order.
    pub(crate) fn asked(&self, cluster: &Cluster) -> Vec<ProfiledCollective> {
        let asked = self.asked.borrow();
        let mut entries = Vec::new();
        for (spread, of_spread) in asked.iter() {
            let members = spread.nodes(cluster);
            for (&(kind, bytes), &Asked { time, .. }) in of_spread {
                if let Some(collective) = profiled(kind) {
                    let (members, bytes) = (members.clone(), Bytes(f64::from_bits(bytes)));
                    entries.push(ProfiledCollective { collective, members, bytes, time });
                }
            }
        }
        entries
    }

    /// Where the times came from that were asked for, but for the share of time.
    pub(crate) fn sources(&self, cluster: &Cluster) -> CollectiveSources {
        let asked = self.asked.borrow();
        let all = || {
            asked.iter().flat_map(|(spread, of_spread)| {
                of_spread.iter().map(move |(&(kind, _), asked)| (spread, kind, asked.measured))
            })
        };
        let measured = || all().filter_map(|(_, _, measured)| measured);
        let reaching = |reach: Reach| measured().filter(|&(_, at)| at == reach).count() as u32;
        let predicted = || all().filter(|(_, _, measured)| measured.is_none());
        let named = |(spread, kind, _): (&Spread, CollectiveKind, _)| {
            format!("{} of {}", name(kind), lie(&spread.nodes(cluster)))
        };
        let used: BTreeSet<usize> = measured().map(|(which, _)| which).collect();
        CollectiveSources {
            profiled: self.is_profiled(),
            measured: measured().count() as u32,
            below: reaching(Reach::Below),
            beyond: reaching(Reach::Beyond),
            predicted: predicted().count() as u32,
            predicted_collectives: if self.is_profiled() {
                predicted().map(named).collect::<BTreeSet<_>>().into_iter().collect()
            } else {
                Vec::new()
            },
            measured_time_ratio: 0.0,
            unused: (self.measured.len() - used.len()) as u32,
        }
    }
}

/// How a communicator lies: `2 x 8 a100-sxm-80 + 1 x 4 h100-sxm`.
fn lie(nodes: &[ProfiledNodes]) -> String {
    let part = |of: &ProfiledNodes| format!("{} x {} {}", of.nodes, of.ranks_per_node, of.card);
    nodes.iter().map(part).collect::<Vec<_>>().join(" + ")
}

fn kind(of: ProfiledCollectiveKind) -> CollectiveKind {
    match of {
        ProfiledCollectiveKind::AllReduce => CollectiveKind::AllReduce,
        ProfiledCollectiveKind::AllGather => CollectiveKind::AllGather,
        ProfiledCollectiveKind::ReduceScatter => CollectiveKind::ReduceScatter,
        ProfiledCollectiveKind::Broadcast => CollectiveKind::Broadcast,
        ProfiledCollectiveKind::AllToAll => CollectiveKind::AllToAll,
        ProfiledCollectiveKind::Shift => CollectiveKind::Shift,
    }
}

/// What a profile calls it; dispatch and combine are not NCCL's, and no profile has them.
fn profiled(kind: CollectiveKind) -> Option<ProfiledCollectiveKind> {
    Some(match kind {
        CollectiveKind::AllReduce => ProfiledCollectiveKind::AllReduce,
        CollectiveKind::AllGather => ProfiledCollectiveKind::AllGather,
        CollectiveKind::ReduceScatter => ProfiledCollectiveKind::ReduceScatter,
        CollectiveKind::Broadcast => ProfiledCollectiveKind::Broadcast,
        CollectiveKind::AllToAll => ProfiledCollectiveKind::AllToAll,
        CollectiveKind::Shift => ProfiledCollectiveKind::Shift,
        CollectiveKind::Dispatch(_) | CollectiveKind::Combine(_) => return None,
    })
}

fn name(kind: CollectiveKind) -> String {
    match kind {
        CollectiveKind::Dispatch(_) => "Dispatch".to_owned(),
        CollectiveKind::Combine(_) => "Combine".to_owned(),
        other => format!("{other:?}"),
    }
}
