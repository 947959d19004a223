//! Racks, pods and a spine.
//!
//! Each rank has a NIC of its own. A rack's switch has one uplink for each plane of the fabric; the
//! planes of a pod meet in the spine. A route stays in the plane that a hash of its ends picks, as
//! with equal-cost multipath.

use motley_job::{Link, LinkId};

use crate::draw::hash;

/// A fabric of racks; in one pod, it is a leaf-spine fabric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fabric {
    /// How many ranks there are, a multiple of `rack`.
    pub ranks: usize,
    /// Ranks in a rack.
    pub rack: usize,
    /// Uplinks of a rack, each in a plane of its own.
    pub planes: usize,
    /// Racks in a pod; the last pod may have fewer.
    pub pod: usize,
    /// Of NICs and uplinks, each direction, bytes per second.
    pub capacity: f64,
    /// By how much a pod's uplinks into the spine are narrower than those of its racks together.
    pub oversubscription: f64,
}

impl Fabric {
    fn racks(&self) -> usize {
        self.ranks / self.rack
    }

    fn pods(&self) -> usize {
        self.racks().div_ceil(self.pod)
    }

    /// Both directions of all links: NICs, uplinks of racks, uplinks of pods.
    pub fn links(&self) -> Vec<Link> {
        let rack = 2 * (self.ranks + self.racks() * self.planes);
        let pod = 2 * self.pods() * self.planes;
        let capacity = self.capacity * self.pod as f64 / self.oversubscription;
        let mut links = vec![Link { capacity: self.capacity }; rack];
        links.extend(vec![Link { capacity }; pod]);
        links
    }

    /// The links from one rank to another, in the order in which bytes cross them.
    pub fn route(&self, from: usize, to: usize) -> Vec<LinkId> {
        let (racks, pods) = (self.racks(), self.pods());
        let nic_down = self.ranks;
        let rack_up = nic_down + self.ranks;
        let rack_down = rack_up + racks * self.planes;
        let pod_up = rack_down + racks * self.planes;
        let pod_down = pod_up + pods * self.planes;

        let (rack_from, rack_to) = (from / self.rack, to / self.rack);
        let (pod_from, pod_to) = (rack_from / self.pod, rack_to / self.pod);
        let plane = (hash([from as u64, to as u64]) % self.planes as u64) as usize;
        let in_plane = |first: usize, place: usize| first + place * self.planes + plane;

        let mut route = vec![from];
        if rack_from != rack_to {
            route.push(in_plane(rack_up, rack_from));
            if pod_from != pod_to {
                route.extend([in_plane(pod_up, pod_from), in_plane(pod_down, pod_to)]);
            }
            route.push(in_plane(rack_down, rack_to));
        }
        route.push(nic_down + to);
        route.into_iter().map(|link| LinkId(link as u32)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every link is crossed by some route, no route crosses one twice, and a route climbs exactly
    /// as high as its ends are apart.
    #[test]
    fn routes_cover_the_links() {
        let fabric =
            Fabric { ranks: 48, rack: 4, planes: 3, pod: 5, capacity: 50e9, oversubscription: 7.0 };
        let links = fabric.links();
        let mut crossed = BTreeSet::new();
        for from in 0..fabric.ranks {
            for to in (0..fabric.ranks).filter(|&to| to != from) {
                let route = fabric.route(from, to);
                let expected = match (from / 4 == to / 4, from / 20 == to / 20) {
                    (true, _) => 2,
                    (false, true) => 4,
                    (false, false) => 6,
                };
                assert_eq!(route.len(), expected, "{from} to {to}");
                assert_eq!(route.iter().collect::<BTreeSet<_>>().len(), expected);
                crossed.extend(route);
            }
        }
        assert_eq!(crossed.len(), links.len());
        assert_eq!(crossed.last(), Some(&LinkId(links.len() as u32 - 1)));
    }
}
