//! A cluster of two unlike nodes, and jobs on it whose times are known.

use motley_engine::{Engine, Options};
use motley_hardware::{Catalog, FabricShape, FabricTechnology, MathPath, Routing};
use motley_job::{
    Call, CallSet, Communicator, Footprint, Job, JobBuilder, Link, Op, Program, Rank, RankId, Slot,
    Stream, Tag,
};
use motley_report::{Account, Published, Run, Subject};
use motley_scheduler::{
    ActivationSends, CollectiveSources, ContextParallel, ExpertParallel, Fidelity, GradientSync,
    KernelSources, Lowered, MemoryCourse, Moment, Offload, Pipeline, Place, Plan, Schedule, Stage,
    Traffic, Zero,
};
use motley_topology::{Cluster, ClusterSpec, FabricSpec, GpuId, NodeGroup};
use motley_units::{Bytes, Time};
use motley_workload::{
    AttentionKernel, CardPath, Description, ExpertDispatch, ExpertLoad, Fusion, Holds, HostLaunch,
    MasterWeights, MemoryUse, Model, Moments, Optimizer, Precision, Recompute, Training,
};

const FAST: &str = r#"(
    id: "fast-16", name: "Fast F100 16 GB", vendor: Nvidia, architecture: "none",
    compute_capability: (8, 0), sm_count: Assumed(100, "-"), boost_clock: Assumed(GHz(1), "-"),
    memory: Assumed(GiB(16), "-"), memory_bandwidth: Assumed(GBps(1000), "-"),
    l2: Assumed(MiB(40), "-"), tdp: Assumed(W(300), "-"),
    peaks: (fp32: Assumed(TFlops(20), "-"), fp16_tensor: Assumed(TFlops(100), "-")),
    nvlink: None, pcie: (generation: 4, lanes: 16),
    price: (usd_per_hour: Assumed(2, "-")), release: "2020-01",
)"#;

const SLOW: &str = r#"(
    id: "slow-8", name: "Slow S10 8 GB", vendor: Nvidia, architecture: "none",
    compute_capability: (6, 0), sm_count: Assumed(50, "-"), boost_clock: Assumed(GHz(1), "-"),
    memory: Assumed(GiB(8), "-"), memory_bandwidth: Assumed(GBps(500), "-"),
    l2: Assumed(MiB(4), "-"), tdp: Assumed(W(250), "-"),
    peaks: (fp32: Assumed(TFlops(10), "-"), fp16_vector: Assumed(TFlops(20), "-")),
    nvlink: None, pcie: (generation: 3, lanes: 16),
    price: (usd_per_hour: Assumed(0.5, "-")), release: "2016-01",
)"#;

const NODE: &str = r#"(
    id: "duo", name: "2-GPU server", device: "fast-16", gpus: 2,
    scale_up: Assumed(None, "-"),
    pcie: Assumed((
        generation: 4, sockets: 1, socket_link: GBps(10),
        switches: [(socket: 0, gpus: [0, 1], nics: [0])],
    ), "-"),
    nic: "ib", power: None,
)"#;

const NIC: &str = r#"(
    id: "ib", name: "InfiniBand 100 Gb/s", technology: InfiniBand,
    rate: Assumed(Gbps(100), "-"), achieved: Assumed(0.9, "-"),
    latency: Assumed(Us(1), "-"), gpu_direct: Assumed(true, "-"),
)"#;

/// A job with everything that a report wants to know.
pub(crate) struct Fixture {
    pub(crate) cluster: Cluster,
    pub(crate) plan: Plan,
    pub(crate) model: Model,
    pub(crate) training: Training,
    pub(crate) lowered: Lowered,
    pub(crate) title: Option<String>,
    pub(crate) published: Vec<Published>,
}

impl Fixture {
    /// Of a job whose ranks lie in plan order on the stages of `plan`. Memory is 4 GiB a rank.
    pub(crate) fn new(plan: Plan, job: Job, model_flops: Vec<f64>) -> Self {
        let cluster = cluster();
        let places = places(&plan);
        let paths = places.iter().map(|place| path(&cluster, place.gpu)).collect();
        let memory = vec![memory(4.0); places.len()];
        let moments = vec![Moment::OptimizerStep; places.len()];
        let course_of = vec![0; places.len()];
        let courses = vec![MemoryCourse::default()];
        let recomputed_flops = vec![0.0; places.len()];
        // The jobs of these tests are written by hand; what they follow is in their programs.
        let orders = vec![Vec::new()];
        let lowered = Lowered {
            job,
            places,
            model_flops,
            recomputed_flops,
            memory,
            moments,
            course_of,
            courses,
            paths,
            orders,
            kernel_sources: KernelSources::default(),
            collective_sources: CollectiveSources::default(),
            fidelity: Fidelity::Bundled,
        };
        Self {
            cluster,
            plan,
            model: model(),
            training: training(),
            lowered,
            title: None,
            published: Vec::new(),
        }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            title: self.title.as_deref(),
            cluster: &self.cluster,
            plan: &self.plan,
            lowered: &self.lowered,
            model: &self.model,
            training: &self.training,
            global_batch: self.plan.pipelines.iter().map(|p| p.sequences() as u32).sum(),
            published: &self.published,
        }
    }

    pub(crate) fn run(&self) -> Run {
        run(&self.lowered, &Options::default())
    }
}

pub(crate) fn run(lowered: &Lowered, options: &Options) -> Run {
    let engine = Engine::new(&lowered.job).unwrap();
    let mut account = Account::new(&lowered.job);
    let outcome = motley_engine::replay(&engine, options, &mut account).unwrap();
    Run { outcome, account }
}

pub(crate) fn cluster() -> Cluster {
    let files = [
        ("devices/fast-16.ron", FAST),
        ("devices/slow-8.ron", SLOW),
        ("nodes/duo.ron", NODE),
        ("nics/ib.ron", NIC),
    ];
    let catalog = Catalog::parse(files).unwrap();
    let group = |name: &str, device: &str| NodeGroup {
        name: name.to_owned(),
        design: catalog.node("duo").unwrap().clone(),
        device: catalog.device(device).unwrap().clone(),
        nic: catalog.nic("ib").unwrap().clone(),
        count: 1,
    };
    let fabric = FabricSpec {
        shape: FabricShape::SingleSwitch,
        technology: FabricTechnology::InfiniBand,
        port: None,
        oversubscription: 1.0,
        routing: Routing::Ecmp,
    };
    let groups = vec![group("new", "fast-16"), group("old", "slow-8")];
    Cluster::build(ClusterSpec { groups, fabric }).unwrap()
}

fn places(plan: &Plan) -> Vec<Place> {
    let mut places = Vec::new();
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            places.extend(stage.gpus.iter().enumerate().map(|(t, &gpu)| Place {
                gpu,
                pipeline: p as u32,
                stage: s as u32,
                stage_rank: t as u32,
                order: 0,
            }));
        }
    }
    places
}

fn path(cluster: &Cluster, gpu: GpuId) -> CardPath {
    let math = match cluster.device(gpu).id.as_str() {
        "fast-16" => MathPath::Fp16Tensor,
        _ => MathPath::Fp16Vector,
    };
    CardPath {
        precision: Precision::Fp16,
        math,
        quantisation: None,
        attention: AttentionKernel::Unfused,
        flash_version: None,
        communication_multiprocessors: 0,
    }
}

pub(crate) fn memory(gib: f64) -> MemoryUse {
    let part = |share: f64| Bytes(gib * share * 1024.0 * 1024.0 * 1024.0);
    MemoryUse {
        parameters: part(0.125),
        gradients: part(0.125),
        optimizer: part(0.5),
        activations: part(0.125),
        workspace: part(0.0625),
        fragments: part(0.03125),
        cached: part(0.125),
        context: part(0.015_625),
        communication: part(0.015_625),
    }
}

fn model() -> Model {
    let text = r#"Shape(
        name: "gpt-small", layers: 12, hidden: 768, heads: 12, vocab: 50304,
        positions: Learned(max: 1024),
    )"#;
    Description::from_ron(text).unwrap().build().unwrap()
}

fn training() -> Training {
    Training {
        sequence_length: Some(1024),
        target_length: None,
        precision: Precision::Fp16,
        fallback: None,
        attention: AttentionKernel::Unfused,
        attention_fallback: false,
        optimizer: Optimizer::Adam { fused: true, moments: Moments::Fp32 },
        gradient_bytes: 2,
        reduce_bytes: None,
        master_weights: MasterWeights::Fp32,
        fused_gradient_accumulation: true,
        fusion: Fusion::default(),
        host_launch: HostLaunch::default(),
        flash_version: None,
        expert_load: ExpertLoad::default(),
        expert_dispatch: ExpertDispatch::Stored,
        communication_multiprocessors: 0,
        holds: Holds::default(),
        adapters: None,
    }
}

/// Cards and layers by stage.
pub(crate) type Stages<'a> = &'a [(&'a [u32], u32)];

/// A plan of pipelines, each with its micro-batches and, by stage, its cards and layers.
pub(crate) fn plan(pipelines: &[(u32, Stages)]) -> Plan {
    let pipelines = pipelines.iter().map(|&(micro_batches, stages)| {
        let mut next = 0;
        let stages = stages.iter().map(|&(gpus, layers)| {
            next += layers;
            Stage {
                gpus: gpus.iter().map(|&gpu| GpuId(gpu)).collect(),
                context: ContextParallel::NONE,
                experts: ExpertParallel::NONE,
                chunks: std::iter::once(next - layers..next).collect(),
                recompute: Recompute::None,
                offload: Offload::default(),
            }
        });
        Pipeline { micro_batches, micro_batch_size: 1, stages: stages.collect() }
    });
    Plan {
        pipelines: pipelines.collect(),
        schedule: Schedule::OneFOneB,
        sequence_parallel: false,
        overlap_weight_gradient: false,
        overlap_tensor: false,
        scatter_gather: true,
        activation_sends: ActivationSends::AtOnce,
        gradient_sync: GradientSync::AtEnd,
        zero: Zero::NONE,
    }
}

/// A job written by hand.
pub(crate) struct Hand {
    builder: JobBuilder,
    comms: u32,
}

pub(crate) const DATA: Stream = Stream(3);

impl Hand {
    pub(crate) fn new() -> Self {
        let cluster = cluster();
        let links = cluster.links().map(|link| Link { capacity: link.capacity.0 }).collect();
        Self { builder: JobBuilder::new(links, 4), comms: 0 }
    }

    /// A communicator of one call that takes `micros` microseconds, and whose bytes take no time.
    pub(crate) fn communicator(&mut self, class: Traffic, members: &[u32], micros: u64) -> u32 {
        self.loaded(class, members, micros, 0.0, Footprint::default())
    }

    /// The same with bytes on links.
    pub(crate) fn loaded(
        &mut self,
        class: Traffic,
        members: &[u32],
        micros: u64,
        bytes: f64,
        footprint: Footprint,
    ) -> u32 {
        let footprint = self.builder.footprint(footprint);
        let latency = Time::from_picos(micros * 1_000_000);
        let call = Call { bytes, latency, rate_cap: f64::INFINITY, footprint: 0, processors: 0.0 };
        let calls = self.builder.call_set(CallSet { calls: vec![call] });
        self.builder.communicator(Communicator {
            members: members.iter().map(|&rank| RankId(rank)).collect(),
            calls,
            footprints: vec![footprint],
            class: class.class(),
        });
        self.comms += 1;
        self.comms - 1
    }

    /// A rank with its own program; slot numbers are communicator numbers.
    pub(crate) fn rank(&mut self, ops: Vec<Op>) {
        let program = self.builder.program(&Program { ops });
        let slots = (0..self.comms).map(motley_job::CommId).collect();
        self.builder.rank(Rank { program, slowness: 1.0, processors: f64::INFINITY, slots });
    }

    pub(crate) fn compute(&mut self, name: &str, index: u16, micros: u64) -> Op {
        let duration = Time::from_picos(micros * 1_000_000);
        Op::Compute { tag: self.tag(name, index), kernels: 1, duration }
    }

    pub(crate) fn collective(&mut self, name: &str, comm: u32) -> Op {
        Op::Collective { tag: self.tag(name, Tag::NO_INDEX), slot: Slot(comm as u16), call: 0 }
    }

    pub(crate) fn issue(&mut self, name: &str, index: u16, comm: u32, stream: Stream) -> Op {
        Op::Issue { tag: self.tag(name, index), slot: Slot(comm as u16), call: 0, stream }
    }

    pub(crate) fn wait(&mut self, name: &str, index: u16, comm: u32, sequence: u32) -> Op {
        Op::Await { tag: self.tag(name, index), slot: Slot(comm as u16), sequence }
    }

    pub(crate) fn finish(self) -> Job {
        self.builder.finish()
    }

    fn tag(&mut self, name: &str, index: u16) -> Tag {
        Tag { name: self.builder.name(name), index }
    }
}

/// Two pipelines of two stages, one on fast cards and one on slow ones, with gradients averaged
/// between them: a training step as the scheduler would write it.
pub(crate) fn mixed() -> Fixture {
    let stages: [Stages; 2] = [&[(&[0], 6), (&[1], 6)], &[(&[2], 6), (&[3], 6)]];
    let plan = plan(&[(6, stages[0]), (2, stages[1])]);
    let mut hand = Hand::new();
    let link = motley_job::LinkId;
    // Ports of the two nodes: away from node 0, into node 1, and back.
    let ports = port_links();
    let ring = || Footprint::from_crossings(ports.iter().map(|&id| (link(id), 1.0)));
    let gradients =
        [[0, 2], [1, 3]].map(|pair| hand.loaded(Traffic::DataParallel, &pair, 100, 40e6, ring()));
    let mut programs = Vec::new();
    for (p, (micro_batches, forward, backward)) in
        [(6u16, 2000, 4000), (2, 7000, 14_000)].into_iter().enumerate()
    {
        let first = 2 * p as u32;
        let ahead = hand.communicator(Traffic::PipelineParallel, &[first], 150);
        let back = hand.communicator(Traffic::PipelineParallel, &[first + 1], 150);
        let norm = hand.communicator(Traffic::GradientNorm, &[first, first + 1], 30);
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        for i in 0..micro_batches {
            head.push(hand.compute("forward", i, forward));
            head.push(hand.issue("send", i, ahead, Stream(1)));
            tail.push(hand.wait("receive", i, ahead, i.into()));
            tail.push(hand.compute("forward", i, forward));
            tail.push(hand.compute("backward", i, backward));
            tail.push(hand.issue("send", i, back, Stream(2)));
        }
        for i in 0..micro_batches {
            head.push(hand.wait("receive", i, back, i.into()));
            head.push(hand.compute("backward", i, backward));
        }
        for (ops, comm) in [(&mut head, gradients[0]), (&mut tail, gradients[1])] {
            ops.push(hand.issue("gradient all-reduce", Tag::NO_INDEX, comm, DATA));
            ops.push(hand.wait("gradient all-reduce", Tag::NO_INDEX, comm, 0));
            ops.push(hand.collective("gradient norm", norm));
            ops.push(hand.compute("optimizer", Tag::NO_INDEX, 1500));
        }
        programs.extend([head, tail]);
    }
    for ops in programs {
        hand.rank(ops);
    }
    Fixture::new(plan, hand.finish(), vec![1.2e12, 1.2e12, 4e11, 4e11])
}

/// The links between NICs and the switch, all directions.
pub(crate) fn port_links() -> Vec<u32> {
    let cluster = cluster();
    (0..cluster.link_count())
        .filter(|&id| {
            cluster.link(motley_topology::LinkId(id)).kind == motley_topology::LinkKind::Port
        })
        .collect()
}
