//! Communicators and sends of one cluster, each laid over the links once.
//!
//! Nodes of one group are copies of each other. A communicator inside one node is therefore laid
//! once for all nodes of the group and moved to the node that it is wanted in. What spans nodes is
//! remembered by its members, if asked to: whoever evaluates many plans on one cluster meets the
//! same process groups again.

use std::collections::HashMap;
use std::rc::Rc;

use motley_job::{Call, Footprint, LinkId};
use motley_topology::{Cluster, GpuId, NodeId, RouteError};
use motley_units::{Seconds, Time};

use crate::connections::Connections;
use crate::group::Scope;
use crate::{CollectiveKind, Fidelity, Group, HostCopy, Transfer, host_copies, transfer};

/// What is known of one cluster.
#[derive(Debug, Default)]
pub struct Layouts {
    remember: bool,
    inside: HashMap<Inside, (NodeId, Rc<Group>)>,
    across: HashMap<(Vec<GpuId>, Wanted), Rc<Group>>,
    barriers: HashMap<Vec<GpuId>, Time>,
    sends: HashMap<Fidelity, Sends>,
}

/// Sends by their slices.
type Sends = HashMap<Vec<(GpuId, GpuId)>, Rc<Transfer>>;

/// What is wanted of a communicator.
type Wanted = (Scope, Fidelity);

/// What communicators inside one node, laid in some node, are known by: the group of nodes, the
/// indices of the members in the node, and what was wanted of it.
type Inside = (usize, Vec<u32>, Wanted);

/// A communicator as [`Layouts`] has it: laid out, and where.
#[derive(Clone, Debug)]
pub struct Placed {
    group: Rc<Group>,
    /// How much higher its links' numbers are than those that the group was laid over.
    moved: i64,
}

impl Layouts {
    /// Nothing known yet. With `remember`, what spans nodes is kept; without, only what is inside
    /// nodes, which there is little of.
    pub fn new(remember: bool) -> Self {
        Self { remember, ..Self::default() }
    }

    /// The communicator of `members`, in rank order, for collectives of these kinds, with its
    /// connections if they are to move apart.
    ///
    /// # Errors
    /// As [`Group::new`].
    pub fn group(
        &mut self,
        cluster: &Cluster,
        members: &[GpuId],
        kinds: impl IntoIterator<Item = CollectiveKind>,
        fidelity: Fidelity,
    ) -> Result<Placed, RouteError> {
        let wanted = (Scope::of(kinds), fidelity);
        let known = members.iter().all(|member| member.0 < cluster.gpu_count());
        let mut nodes = members.iter().filter(|_| known).map(|&member| cluster.node_of(member));
        let Some(node) = nodes.next().filter(|first| nodes.all(|node| node == *first)) else {
            return self.across(cluster, members, wanted);
        };
        let local = members.iter().map(|&member| cluster.local_index(member)).collect();
        let key = (cluster.group_of_node(node), local, wanted);
        let (laid_in, group) = if let Some(known) = self.inside.get(&key) {
            known.clone()
        } else {
            let group = lay(cluster, members, &key.2)?;
            self.inside.insert(key, (node, Rc::clone(&group)));
            (node, group)
        };
        let first_link = |node| i64::from(cluster.node_links(node).start);
        Ok(Placed { group, moved: first_link(node) - first_link(laid_in) })
    }

    fn across(
        &mut self,
        cluster: &Cluster,
        members: &[GpuId],
        wanted: Wanted,
    ) -> Result<Placed, RouteError> {
        let key = (members.to_vec(), wanted);
        if let Some(group) = self.across.get(&key) {
            return Ok(Placed { group: Rc::clone(group), moved: 0 });
        }
        let group = lay(cluster, members, &key.1)?;
        if self.remember {
            self.across.insert(key, Rc::clone(&group));
        }
        Ok(Placed { group, moved: 0 })
    }

    /// How long `members` take to agree on a few bytes, by one channel of an all-reduce.
    ///
    /// # Errors
    /// As [`Group::new`].
    pub fn agreement(
        &mut self,
        cluster: &Cluster,
        members: &[GpuId],
        bytes: f64,
    ) -> Result<Time, RouteError> {
        if let Some(&known) = self.barriers.get(members) {
            return Ok(known);
        }
        let group = Group::lay(cluster, members, &Scope::agreement())?;
        let call = group.call(CollectiveKind::AllReduce, bytes);
        let time = Time::from(group.uncontended(&call));
        if self.remember {
            self.barriers.insert(members.to_vec(), time);
        }
        Ok(time)
    }

    /// Parallel sends; see [`transfer`]. With their connections if they are to move apart. Of known
    /// ones only the bytes are exchanged.
    ///
    /// # Errors
    /// As [`transfer`].
    pub fn send(
        &mut self,
        cluster: &Cluster,
        slices: &[(GpuId, GpuId)],
        bytes_each: f64,
        fidelity: Fidelity,
    ) -> Result<Transfer, RouteError> {
        let sends = self.sends.entry(fidelity).or_default();
        if let Some(known) = sends.get(slices) {
            return Ok(Transfer::clone(known).carrying(bytes_each));
        }
        let mut laid = transfer(cluster, slices, bytes_each)?;
        if fidelity == Fidelity::Bundled {
            laid.connections = Connections::default();
        }
        if self.remember {
            sends.insert(slices.to_vec(), Rc::new(laid.clone()));
        }
        Ok(laid)
    }

    /// Copies between cards and hosts; see [`host_copies`]. With their connections if they are to move
    /// apart.
    ///
    /// # Errors
    /// As [`host_copies`].
    pub fn host(
        &mut self,
        cluster: &Cluster,
        cards: &[GpuId],
        direction: HostCopy,
        bytes_each: f64,
        fidelity: Fidelity,
    ) -> Result<Transfer, RouteError> {
        let mut laid = host_copies(cluster, cards, direction, bytes_each)?;
        if fidelity == Fidelity::Bundled {
            laid.connections = Connections::default();
        }
        Ok(laid)
    }
}

fn lay(
    cluster: &Cluster,
    members: &[GpuId],
    (scope, fidelity): &Wanted,
) -> Result<Rc<Group>, RouteError> {
    let mut group = Group::lay(cluster, members, scope)?;
    if *fidelity == Fidelity::Bundled {
        group.forget_connections();
    }
    Ok(Rc::new(group))
}

impl Placed {
    /// As [`Group::call`].
    pub fn call(&self, kind: CollectiveKind, bytes: f64) -> Call {
        self.group.call(kind, bytes).call
    }

    /// How long a call takes when nothing else moves.
    pub fn uncontended(&self, call: &Call) -> Seconds {
        self.group.idle_time(call)
    }

    /// As [`Group::lasting`].
    pub fn lasting(&self, call: Call, time: Seconds) -> Call {
        self.group.lasting(call, time)
    }

    /// The links that a call crosses, by its number of a footprint.
    pub fn footprint(&self, number: u8) -> Footprint {
        self.here(&self.group.footprints()[usize::from(number)])
    }

    /// The connections that make up a footprint, as [`Group::connections`]; none if they are to move
    /// as one.
    pub fn connections(&self, number: u8) -> Vec<Footprint> {
        self.group.connections(number).iter().map(|laid| self.here(laid)).collect()
    }

    /// Links where they were laid, moved to where they are wanted.
    fn here(&self, laid: &Footprint) -> Footprint {
        let moved = |&(link, multiplicity): &(LinkId, f64)| {
            (LinkId((i64::from(link.0) + self.moved) as u32), multiplicity)
        };
        Footprint { links: laid.links.iter().map(moved).collect() }
    }
}
