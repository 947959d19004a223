//! One step of Megatron-style training as a job: tensor, pipeline and data parallelism with 1F1B.
//!
//! Operations are as large as those of Llama-3-405B with sequences of 8,192 tokens, tensor-parallel
//! over 8 cards that reach 400 TFLOP/s: a layer's forward pass takes 16.5 ms, its backward pass
//! twice that, an all-reduce of the tensor-parallel group 0.4 ms; a card sends 33.5 MB of activations
//! to the next stage and holds 6.3 GB of gradients. What matters here is the shape: how many
//! operations there are, who waits for whom, and which links their bytes cross.

use std::collections::BTreeMap;

use motley_job::{
    Call, CallSet, CallSetId, CommId, Communicator, Footprint, Job, JobBuilder, Link, LinkId, Op,
    Program, Rank, RankId, Slot, Stream, Tag,
};
use motley_units::Time;

use crate::draw::unit;
use crate::fabric::Fabric;

/// What sends between stages and rings between replicas cross. Tensor-parallel groups always have
/// links of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing: only compute and tensor-parallel collectives remain.
    Absent,
    /// Links of their own, one for each communicator.
    Private,
    /// A fabric.
    Shared,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MegatronStep {
    /// Cards of a tensor-parallel group.
    pub tensor: usize,
    /// Pipeline stages.
    pub stages: usize,
    /// Pipelines.
    pub replicas: usize,
    /// Micro-batches of each pipeline.
    pub micro_batches: usize,
    /// Layers of each stage.
    pub layers: usize,
    /// What traffic crosses.
    pub network: Network,
    /// The sends of a tensor-parallel group are one communicator, not one for each card.
    pub bundled: bool,
    /// Each connection of a communicator moves at a rate of its own.
    pub pairwise: bool,
    /// Cards are slower than nominal by up to this, each by its own.
    pub spread: f64,
}

/// Of NICs and uplinks, and of a card's port into its node, bytes per second.
const NIC: f64 = 50e9;
const PORT: f64 = 450e9;

/// A layer's forward and backward pass, each in two parts with an all-reduce of the
/// tensor-parallel group after each; that all-reduce. Seconds.
const FORWARD: [f64; 2] = [0.35 * 16.5e-3, 0.65 * 16.5e-3];
const BACKWARD: [f64; 2] = [1.3 * 16.5e-3, 0.7 * 16.5e-3];
const ALL_REDUCE: f64 = 0.4e-3;

const ACTIVATION_BYTES: f64 = 33.5e6;
const GRADIENT_BYTES: f64 = 6.3e9;

/// What a communicator is to a rank. A rank's slots are its communicators in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Tensor,
    Gradients,
    ToNext,
    ToPrevious,
    FromPrevious,
    FromNext,
}

impl MegatronStep {
    /// How many cards take part.
    pub fn ranks(&self) -> usize {
        self.tensor * self.stages * self.replicas
    }

    fn rank(&self, replica: usize, stage: usize, tensor_rank: usize) -> usize {
        (replica * self.stages + stage) * self.tensor + tensor_rank
    }

    /// Racks of 16 cards with a NIC each, pods of 192 racks, a spine oversubscribed 1:7.
    fn fabric(&self) -> Fabric {
        Fabric {
            ranks: self.ranks().next_multiple_of(16),
            rack: 16,
            planes: 16,
            pod: 192,
            capacity: NIC,
            oversubscription: 7.0,
        }
    }

    /// The step as a job.
    pub fn job(&self) -> Job {
        let mut building = Building::new(self);
        building.tensor_groups();
        if self.network != Network::Absent {
            building.gradient_rings();
            for stage in 1..self.stages {
                building.sends(stage - 1, stage, Role::ToNext, Role::FromPrevious);
                building.sends(stage, stage - 1, Role::ToPrevious, Role::FromNext);
            }
        }
        building.finish()
    }

    /// The slots of a stage's ranks, in order.
    fn roles(&self, stage: usize) -> Vec<Role> {
        let mut roles = vec![Role::Tensor];
        if self.network != Network::Absent {
            let (first, last) = (stage == 0, stage + 1 == self.stages);
            roles.push(Role::Gradients);
            roles.extend((!last).then_some([Role::ToNext, Role::FromNext]).into_iter().flatten());
            roles.extend(
                (!first).then_some([Role::ToPrevious, Role::FromPrevious]).into_iter().flatten(),
            );
            roles.sort_unstable();
        }
        roles
    }

    /// What the ranks of a stage do: 1F1B, then the gradients.
    fn program(&self, stage: usize, tag: Tag) -> Program {
        let roles = self.roles(stage);
        let slot = |role| roles.binary_search(&role).ok().map(|at| Slot(at as u16));
        let mut ops = Vec::new();
        let collective = |slot| Op::Collective { tag, slot, call: 0 };
        let mut pass = |halves: [f64; 2], from: Role, to: Role, micro_batch: usize| {
            let sequence = micro_batch as u32;
            ops.extend(slot(from).map(|slot| Op::Await { tag, slot, sequence }));
            for _ in 0..self.layers {
                for seconds in halves {
                    let duration = Time::from_secs_f64(seconds);
                    ops.push(Op::Compute { tag, kernels: 10, duration });
                    ops.extend(slot(Role::Tensor).map(collective));
                }
            }
            let stream = Stream(u8::from(to == Role::ToPrevious));
            ops.extend(slot(to).map(|slot| Op::Issue { tag, slot, call: 0, stream }));
        };

        let ahead = (self.stages - stage - 1).min(self.micro_batches);
        for step in 0..self.micro_batches + ahead {
            if step < self.micro_batches {
                pass(FORWARD, Role::FromPrevious, Role::ToNext, step);
            }
            if step >= ahead {
                pass(BACKWARD, Role::FromNext, Role::ToPrevious, step - ahead);
            }
        }
        ops.extend(slot(Role::Gradients).map(collective));
        Program { ops }
    }
}

/// A job in the making.
struct Building<'a> {
    step: &'a MegatronStep,
    fabric: Fabric,
    links: Vec<Link>,
    builder: JobBuilder,
    /// By rank.
    slots: Vec<BTreeMap<Role, CommId>>,
}

impl<'a> Building<'a> {
    fn new(step: &'a MegatronStep) -> Self {
        let fabric = step.fabric();
        Self {
            step,
            fabric,
            links: if step.network == Network::Shared { fabric.links() } else { vec![] },
            builder: JobBuilder::new(Vec::new(), 2),
            slots: vec![BTreeMap::new(); step.ranks()],
        }
    }

    fn own_link(&mut self, capacity: f64) -> LinkId {
        self.links.push(Link { capacity });
        LinkId(self.links.len() as u32 - 1)
    }

    fn one_call(&mut self, bytes: f64) -> CallSetId {
        let call = Call {
            bytes,
            latency: Time::ZERO,
            rate_cap: f64::INFINITY,
            footprint: 0,
            processors: 0.0,
        };
        self.builder.call_set(CallSet { calls: vec![call] })
    }

    fn communicator(
        &mut self,
        members: Vec<usize>,
        calls: CallSetId,
        connections: &[Vec<LinkId>],
    ) -> CommId {
        let crossed =
            |links: &[LinkId]| Footprint::from_crossings(links.iter().map(|&link| (link, 1.0)));
        let all = crossed(&connections.concat());
        let footprint = if self.step.pairwise {
            let each = connections.iter().map(|links| crossed(links)).collect();
            self.builder.expanded_footprint(all, each)
        } else {
            self.builder.footprint(all)
        };
        let footprints = vec![footprint];
        let members = members.into_iter().map(|rank| RankId(rank as u32)).collect();
        self.builder.communicator(Communicator { members, calls, footprints, class: 0 })
    }

    /// The links of the fabric between each pair of ranks, or one link for all of them.
    fn connections(&mut self, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<LinkId>> {
        if self.step.network == Network::Shared {
            pairs.map(|(from, to)| self.fabric.route(from, to)).collect()
        } else {
            vec![vec![self.own_link(NIC)]]
        }
    }

    fn tensor_groups(&mut self) {
        let calls = self.one_call(ALL_REDUCE * PORT);
        for group in 0..self.step.ranks() / self.step.tensor {
            let first = group * self.step.tensor;
            let members: Vec<usize> = (first..first + self.step.tensor).collect();
            let ports: Vec<_> = members.iter().map(|_| vec![self.own_link(PORT)]).collect();
            let comm = self.communicator(members.clone(), calls, &ports);
            for rank in members {
                self.slots[rank].insert(Role::Tensor, comm);
            }
        }
    }

    fn gradient_rings(&mut self) {
        let step = self.step;
        let replicas = step.replicas as f64;
        let calls = self.one_call(GRADIENT_BYTES * 2.0 * (replicas - 1.0) / replicas);
        for stage in 0..step.stages {
            for tensor_rank in 0..step.tensor {
                let member = |replica| step.rank(replica % step.replicas, stage, tensor_rank);
                let ring = (0..step.replicas).map(|at| (member(at), member(at + 1)));
                let crossed = self.connections(ring);
                let members: Vec<usize> = (0..step.replicas).map(member).collect();
                let comm = self.communicator(members.clone(), calls, &crossed);
                for rank in members {
                    self.slots[rank].insert(Role::Gradients, comm);
                }
            }
        }
    }

    fn sends(&mut self, from: usize, to: usize, outgoing: Role, incoming: Role) {
        let step = self.step;
        let calls = self.one_call(ACTIVATION_BYTES);
        let size = if step.bundled { step.tensor } else { 1 };
        for replica in 0..step.replicas {
            for first in (0..step.tensor).step_by(size) {
                let sender = |at| step.rank(replica, from, at);
                let receiver = |at| step.rank(replica, to, at);
                let together = first..first + size;
                let pairs = together.clone().map(|at| (sender(at), receiver(at)));
                let crossed = self.connections(pairs);
                let senders = together.clone().map(sender).collect();
                let comm = self.communicator(senders, calls, &crossed);
                for at in together {
                    self.slots[sender(at)].insert(outgoing, comm);
                    self.slots[receiver(at)].insert(incoming, comm);
                }
            }
        }
    }

    fn finish(mut self) -> Job {
        let tag = Tag { name: self.builder.name("layer"), index: Tag::NO_INDEX };
        let programs: Vec<_> = (0..self.step.stages)
            .map(|stage| self.builder.program(&self.step.program(stage, tag)))
            .collect();
        for (rank, slots) in self.slots.iter().enumerate() {
            self.builder.rank(Rank {
                program: programs[rank / self.step.tensor % self.step.stages],
                slowness: 1.0 + self.step.spread * unit([rank as u64, 0]),
                processors: f64::INFINITY,
                slots: slots.values().copied().collect(),
            });
        }
        let mut job = self.builder.finish();
        job.links = self.links;
        job
    }
}

#[cfg(test)]
mod tests {
    use motley_engine::{Engine, Options, Outcome, Silent, replay};

    use super::*;

    const SMALL: MegatronStep = MegatronStep {
        tensor: 2,
        stages: 4,
        replicas: 4,
        micro_batches: 6,
        layers: 3,
        network: Network::Absent,
        bundled: true,
        pairwise: false,
        spread: 0.0,
    };

    fn run(step: &MegatronStep) -> Outcome {
        let job = step.job();
        let engine = Engine::new(&job).unwrap();
        replay(&engine, &Options::default(), &mut Silent).unwrap()
    }

    /// Forward and backward pass of a stage.
    fn passes(step: &MegatronStep) -> f64 {
        let compute: f64 = FORWARD.iter().chain(&BACKWARD).sum();
        step.layers as f64 * (compute + 4.0 * ALL_REDUCE)
    }

    #[test]
    fn without_a_network_every_stage_just_computes() {
        let expected = SMALL.micro_batches as f64 * passes(&SMALL);
        let end = run(&SMALL).end.as_secs_f64();
        assert!((end - expected).abs() < 1e-9, "{end} against {expected}");
    }

    /// The closed form of 1F1B (Narayanan et al. 2021, section 2.2): the bubble is stages - 1
    /// forward and backward passes, each with a send in between.
    #[test]
    fn equal_cards_on_private_links_take_the_closed_form() {
        let step = MegatronStep { network: Network::Private, ..SMALL };
        let ring = GRADIENT_BYTES * 1.5 / NIC;
        let (bubble, send) = (step.stages as f64 - 1.0, ACTIVATION_BYTES / NIC);
        let least = (step.micro_batches as f64 + bubble) * passes(&step) + ring;
        let end = run(&step).end.as_secs_f64();
        // A send delays the critical path at most twice for each micro-batch and for each stage.
        let most = least + 2.0 * (bubble + step.micro_batches as f64) * send;
        assert!((least..most).contains(&end), "{least} <= {end} <= {most}");
    }

    /// Operations are those of the programs; sharing and slowness only ever add time; sends of a
    /// group are as many as its cards, or one.
    #[test]
    fn variants_differ_as_they_should() {
        let sends = 2 * (SMALL.stages - 1) * SMALL.replicas * SMALL.micro_batches;
        let others = SMALL.replicas * SMALL.stages * SMALL.micro_batches * SMALL.layers * 4
            + SMALL.stages * SMALL.tensor;
        for (bundled, per_group) in [(false, SMALL.tensor), (true, 1)] {
            let shared = MegatronStep { network: Network::Shared, bundled, ..SMALL };
            let private = run(&MegatronStep { network: Network::Private, ..shared });
            let equal = run(&shared);
            assert_eq!(equal.operations, private.operations);
            assert_eq!(equal.instances, (sends * per_group + others) as u64);
            assert_eq!(private.instances, equal.instances);
            assert!(equal.end >= private.end);
            assert!(run(&MegatronStep { spread: 0.03, ..shared }).end > equal.end);
            let apart = run(&MegatronStep { pairwise: true, ..shared });
            assert_eq!(apart.instances, equal.instances);
            assert!(apart.flows > equal.flows);
        }
    }
}
