//! The coarsest equitable partition, by colour refinement.
//!
//! Everything starts with the colour of what it is by itself. In each round communicators take in
//! the colours of their ranks and links, ranks those of their communicators, links those of whoever
//! crosses them, until no class splits any more. Colours are hashes: sums over what has no order,
//! chains over what has.

use motley_job::{CommId, Footprint, Job, LinkId};

use crate::grouped::Grouped;

/// A partition of ranks, communicators and links.
#[derive(Debug)]
pub(super) struct Classes {
    pub(super) rank: Partition,
    pub(super) communicator: Partition,
    pub(super) link: Partition,
}

/// Classes of one kind of thing, numbered in the order of their first members.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// By thing, its class.
    pub(super) of: Vec<u32>,
    /// By class, its first thing.
    pub(super) first: Vec<u32>,
}

/// The coarsest equitable partition; `None` if ranks do not fold, or too few of them to be worth it.
pub(super) fn classes(job: &Job) -> Option<Classes> {
    let mut colours = Colours::new(job);
    let mut before = None;
    loop {
        // What a card is by itself often settles it.
        let ranks = distinct(&colours.ranks);
        if !worth(ranks, job.ranks.len()) {
            return None;
        }
        let count = ranks + distinct(&colours.communicators);
        if before == Some(count) {
            break;
        }
        before = Some(count);
        colours.refine(job);
    }
    let classes = Classes {
        rank: Partition::new(&colours.ranks),
        communicator: Partition::new(&colours.communicators),
        link: Partition::new(&colours.links),
    };
    classes.is_equitable(job).then_some(classes)
}

/// A fold by less than this is not worth its work.
fn worth(classes: usize, ranks: usize) -> bool {
    2 * classes <= ranks
}

struct Colours {
    ranks: Vec<u64>,
    communicators: Vec<u64>,
    links: Vec<u64>,
    /// What communicators are by themselves.
    kinds: Vec<u64>,
}

impl Colours {
    fn new(job: &Job) -> Self {
        let ranks = job
            .ranks
            .iter()
            .map(|rank| {
                let card = chain(rank.slowness.to_bits(), rank.processors.to_bits());
                chain(u64::from(rank.program.0), card)
            })
            .collect();
        let kinds: Vec<u64> = job
            .communicators
            .iter()
            .map(|comm| {
                let label = chain(u64::from(comm.calls.0), u64::from(comm.class));
                chain(label, comm.members.len() as u64)
            })
            .collect();
        let mut colours =
            Self { ranks, communicators: Vec::new(), links: vec![0; job.links.len()], kinds };
        // Who meets in a communicator tells most of what there is to tell of it.
        let met = colours.met(job);
        colours.communicators =
            colours.kinds.iter().zip(met).map(|(&kind, met)| chain(kind, met)).collect();
        colours
    }

    /// By communicator, the colours of whoever has it in a slot.
    fn met(&self, job: &Job) -> Vec<u64> {
        let mut met = vec![0u64; job.communicators.len()];
        for (rank, &colour) in job.ranks.iter().zip(&self.ranks) {
            for (slot, comm) in rank.slots.iter().enumerate() {
                let met = &mut met[comm.0 as usize];
                *met = met.wrapping_add(chain(colour, slot as u64));
            }
        }
        met
    }

    /// One round.
    fn refine(&mut self, job: &Job) {
        let mut crossed = vec![0u64; job.links.len()];
        for (c, links) in crossings(job) {
            for (k, footprint) in links.enumerate() {
                let user = chain(self.communicators[c], k as u64);
                for &(link, multiplicity) in &footprint.links {
                    let crossed = &mut crossed[link.0 as usize];
                    *crossed = crossed.wrapping_add(chain(user, multiplicity.to_bits()));
                }
            }
        }
        // Links anew from their capacities: their past adds nothing that their users do not tell.
        for ((colour, link), crossed) in self.links.iter_mut().zip(&job.links).zip(crossed) {
            *colour = chain(link.capacity.to_bits(), crossed);
        }

        let met = self.met(job);
        for (c, links) in crossings(job) {
            let mut colour = chain(self.kinds[c], met[c]);
            for footprint in links {
                let mut sum = 0u64;
                for &(link, multiplicity) in &footprint.links {
                    let link = self.links[link.0 as usize];
                    sum = sum.wrapping_add(chain(link, multiplicity.to_bits()));
                }
                colour = chain(colour, sum);
            }
            self.communicators[c] = colour;
        }

        for (rank, colour) in job.ranks.iter().zip(&mut self.ranks) {
            for comm in &rank.slots {
                *colour = chain(*colour, self.communicators[comm.0 as usize]);
            }
        }
    }
}

/// Each communicator with its footprints.
fn crossings(job: &Job) -> impl Iterator<Item = (usize, impl Iterator<Item = &Footprint>)> {
    job.communicators.iter().enumerate().map(|(c, comm)| {
        (c, comm.footprints.iter().map(|footprint| &job.footprints[footprint.0 as usize]))
    })
}

/// Each communicator's crossings: by which of its footprints, of which link, with which
/// multiplicity.
fn every_crossing(job: &Job) -> impl Iterator<Item = (usize, u32, LinkId, f64)> {
    crossings(job).flat_map(|(c, footprints)| {
        (0u32..).zip(footprints).flat_map(move |(k, footprint)| {
            footprint.links.iter().map(move |&(link, multiplicity)| (c, k, link, multiplicity))
        })
    })
}

/// A hash of an ordered pair: two rounds of multiplying by odd constants and folding, those of the
/// finaliser of SplitMix64.
#[inline]
fn chain(first: u64, second: u64) -> u64 {
    let mut x = first.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ second;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn distinct(colours: &[u64]) -> usize {
    let mut sorted = colours.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len()
}

impl Partition {
    fn new(colours: &[u64]) -> Self {
        let mut order: Vec<(u64, u32)> = colours.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut first: Vec<u32> =
            order.chunk_by(|a, b| a.0 == b.0).map(|class| class[0].1).collect();
        first.sort_unstable();
        let mut of = vec![0; colours.len()];
        for class in order.chunk_by(|a, b| a.0 == b.0) {
            let number = first.partition_point(|&thing| thing < class[0].1) as u32;
            for &(_, thing) in class {
                of[thing as usize] = number;
            }
        }
        Self { of, first }
    }

    /// Whether each thing is as the first of its class.
    fn is_uniform(&self, alike: impl Fn(usize, usize) -> bool) -> bool {
        let first = |class: &u32| self.first[*class as usize] as usize;
        self.of
            .iter()
            .enumerate()
            .all(|(thing, class)| first(class) == thing || alike(thing, first(class)))
    }
}

impl Classes {
    /// Whether this is an equitable partition, and no rank has communicators of one class at two
    /// slots: in the folded job it would call one communicator through both.
    fn is_equitable(&self, job: &Job) -> bool {
        self.ranks_agree(job) && self.communicators_agree(job) && self.links_agree(job)
    }

    fn ranks_agree(&self, job: &Job) -> bool {
        let class = |comm: &CommId| self.communicator.of[comm.0 as usize];
        self.rank.is_uniform(|one, other| {
            let (one, other) = (&job.ranks[one], &job.ranks[other]);
            one.program == other.program
                && one.slowness.to_bits() == other.slowness.to_bits()
                && one.processors.to_bits() == other.processors.to_bits()
                && one.slots.iter().map(class).eq(other.slots.iter().map(class))
        }) && self.rank.first.iter().all(|&first| {
            let slots = &job.ranks[first as usize].slots;
            let mut used: Vec<(u32, u32)> = slots.iter().map(|c| (class(c), c.0)).collect();
            used.sort_unstable();
            used.dedup();
            used.windows(2).all(|pair| pair[0].0 != pair[1].0)
        })
    }

    fn communicators_agree(&self, job: &Job) -> bool {
        let users = Grouped::new(job.communicators.len(), || {
            job.ranks.iter().zip(&self.rank.of).flat_map(|(rank, &class)| {
                let slots = (0u32..).zip(&rank.slots);
                slots.map(move |(slot, comm)| (comm.0, (class, slot, 0)))
            })
        });
        let crossed = Grouped::new(job.communicators.len(), || {
            every_crossing(job).map(|(c, k, link, multiplicity)| {
                (c as u32, (self.link.of[link.0 as usize], k, multiplicity.to_bits()))
            })
        });
        self.communicator.is_uniform(|one, other| {
            let (a, b) = (&job.communicators[one], &job.communicators[other]);
            a.calls == b.calls
                && a.class == b.class
                && a.members.len() == b.members.len()
                && a.footprints.len() == b.footprints.len()
                && alike(&users[one], &users[other])
                && alike(&crossed[one], &crossed[other])
        })
    }

    fn links_agree(&self, job: &Job) -> bool {
        let users = Grouped::new(job.links.len(), || {
            every_crossing(job).map(|(c, k, link, multiplicity)| {
                (link.0, (self.communicator.of[c], k, multiplicity.to_bits()))
            })
        });
        self.link.is_uniform(|one, other| {
            job.links[one].capacity.to_bits() == job.links[other].capacity.to_bits()
                && alike(&users[one], &users[other])
        })
    }
}

/// A class, a place and a weight.
type User = (u32, u32, u64);

/// Whether two lists hold the same, in whatever order. Mostly it is the same order.
fn alike(one: &[User], other: &[User]) -> bool {
    let sorted = |list: &[User]| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list
    };
    one == other || (one.len() == other.len() && sorted(one) == sorted(other))
}
