//! What every job conserves: parameters, floating-point operations, gradients, time.

use std::collections::BTreeSet;
use std::ops::Range;

use motley::{Prepared, Replays, Scenario};
use motley_collectives::{Algorithm, CollectiveCall, CollectiveKind, Group, Protocol};
use motley_job::{Call, CommId, RankId};
use motley_scheduler::schedule::Position;
use motley_scheduler::{Pipeline, Reduction, Stage, Traffic};
use motley_topology::GpuId;
use motley_units::Time;
use motley_workload::{Model, ParameterCount, Part, model_flops};

use crate::setup::{near, played};

/// All laws of this file hold for the scenario.
pub(crate) fn check(scenario: &Scenario) {
    let (prepared, replays) = played(scenario);
    check_parameters(&prepared);
    check_optimizer(&prepared);
    check_flops(&prepared);
    check_gradients(&prepared, &replays);
    check_time(&prepared, &replays);
}

/// What a stage holds, each once: the embedding as 0, layer `l` as `l + 1`, the head as the last.
fn holdings(prepared: &Prepared<'_>, pipeline: &Pipeline, stage: usize) -> BTreeSet<u32> {
    let placement = pipeline.placement(prepared.plan.schedule);
    let mut items = BTreeSet::new();
    for (chunk, layers) in pipeline.stages[stage].chunks.iter().enumerate() {
        let at = Position { stage: stage as u32, chunk: chunk as u32 };
        items.extend(layers.clone().map(|layer| layer + 1));
        items.extend(placement.before(at).is_none().then_some(0));
        items.extend(placement.after(at).is_none().then_some(head(&prepared.scenario.model)));
    }
    items
}

fn head(model: &Model) -> u32 {
    model.layer_count() + 1
}

fn part(model: &Model, item: u32) -> Part {
    match item {
        0 => Part::Embedding,
        item if item == head(model) => Part::Head,
        layer => model.part(layer - 1),
    }
}

/// Whether an item needs the word embedding, as a head that is tied to it, the layer with which a
/// decoder begins and modules for multi-token prediction do.
fn needs_words(model: &Model, item: u32) -> bool {
    if item == head(model) {
        model.tied_head()
    } else {
        item.checked_sub(1).is_some_and(|layer| model.looks_words_up(layer))
    }
}

/// Whether a stage has a copy of the word embedding: it needs it and does not hold the embedding.
fn has_copy(model: &Model, items: &BTreeSet<u32>) -> bool {
    !items.contains(&0) && items.iter().any(|&item| needs_words(model, item))
}

/// What of some parameters lies on one rank of a stage: of what all tensor ranks share, and of experts.
fn per_rank(count: ParameterCount, stage: &Stage) -> [f64; 2] {
    let (dealt, split) = stage.expert_degrees();
    [
        count.dense / f64::from(stage.tensor_parallel()),
        count.experts / f64::from(dealt) / f64::from(split),
    ]
}

/// The ranks of a pipeline hold the model once for each part of the sequence, or once in each
/// direction, each the share of its stage that its degrees give it. Under ZeRO 3 there is more or less
/// of it on a card; see [`check_optimizer`].
fn check_parameters(prepared: &Prepared<'_>) {
    let (model, training) = (&prepared.scenario.model, &prepared.scenario.training);
    let lowered = &prepared.lowered;
    let parameters = |item: u32| model.held_parameters(part(model, item), training);
    let of_stage = |items: &BTreeSet<u32>| {
        let copy = if has_copy(model, items) { model.word_embedding() } else { 0.0 };
        let own: ParameterCount = items.iter().map(|&item| parameters(item)).sum();
        own + ParameterCount::dense(copy)
    };
    let whole = prepared.plan.zero.stage() < 3;
    for (rank, place) in lowered.places.iter().enumerate().filter(|_| whole) {
        let pipeline = &prepared.plan.pipelines[place.pipeline as usize];
        let stage = &pipeline.stages[place.stage as usize];
        if stage.offload.parameters {
            continue;
        }
        let element = f64::from(lowered.paths[rank].precision.element_bytes());
        let own = lowered.memory[rank].parameters.0 / element;
        let items = holdings(prepared, pipeline, place.stage as usize);
        let share: f64 = per_rank(of_stage(&items), stage).iter().sum();
        near(own, share, 1e-9, &format!("parameters of rank {rank}"));
    }
    for pipeline in &prepared.plan.pipelines {
        let directions = pipeline.placement(prepared.plan.schedule).routes().len();
        let stages: Vec<BTreeSet<u32>> =
            (0..pipeline.stages.len()).map(|s| holdings(prepared, pipeline, s)).collect();
        // A stage that meets a layer in both directions holds it once.
        for item in 0..=head(model) {
            let holders = stages.iter().filter(|stage| stage.contains(&item)).count();
            assert!((1..=directions).contains(&holders), "{holders} hold {item}");
        }
    }
}

/// Whether stages hold the word embedding for one use and others a copy of it for another, so that what
/// one of them averages is not what it holds.
fn words_lie_unlike(prepared: &Prepared<'_>, stages: &[(&Stage, BTreeSet<u32>)]) -> bool {
    let model = &prepared.scenario.model;
    let needing = |items: &BTreeSet<u32>| {
        items.iter().filter(|&&item| needs_words(model, item)).count()
            + usize::from(items.contains(&0))
    };
    stages.iter().any(|(_, items)| needing(items) > 1)
        && stages.iter().any(|(_, items)| has_copy(model, items))
}

/// All stages of the plan with what they hold, in plan order.
fn stages<'a>(prepared: &'a Prepared<'_>) -> Vec<(&'a Stage, BTreeSet<u32>)> {
    let of_pipeline = |pipeline: &'a Pipeline| {
        let with_items = |(s, stage)| (stage, holdings(prepared, pipeline, s));
        pipeline.stages.iter().enumerate().map(with_items)
    };
    prepared.plan.pipelines.iter().flat_map(of_pipeline).collect()
}

/// How many copies of an item the plan has: of what is no expert, and of experts.
fn copies(stages: &[(&Stage, BTreeSet<u32>)], item: u32) -> [usize; 2] {
    let mut copies = [0.0; 2];
    for (stage, _) in stages.iter().filter(|(_, items)| items.contains(&item)) {
        let (dealt, split) = stage.expert_degrees();
        copies[0] += f64::from(stage.context.degree);
        copies[1] += stage.gpus.len() as f64 / f64::from(dealt * split);
    }
    copies.map(|copies| copies.round() as usize)
}

/// Copies among which the states of one are shared out.
fn sharing(prepared: &Prepared<'_>, copies: usize) -> usize {
    let zero = prepared.plan.zero;
    if zero.stage() == 0 {
        return 1;
    }
    zero.group.map_or(copies, |group| copies.min(group as usize))
}

/// Every sharing group holds the optimizer's states once, whatever each of its ranks takes, unless they
/// lie in the memory of hosts.
fn check_optimizer(prepared: &Prepared<'_>) {
    let training = &prepared.scenario.training;
    let stages = stages(prepared);
    let on_hosts = stages.iter().any(|(stage, _)| stage.offload.optimizer);
    if on_hosts || words_lie_unlike(prepared, &stages) {
        return;
    }
    let lowered = &prepared.lowered;
    let stepped = lowered.memory.iter().zip(&lowered.paths).map(|(memory, path)| {
        let master = if path.precision.mixed() { 4.0 } else { 0.0 };
        memory.optimizer.0 / (master + training.optimizer.moment_bytes())
    });
    let items = 0..=head(&prepared.scenario.model);
    let expected = items.map(|item| {
        let trained = averaged_of(prepared, &stages, item);
        let counts = [trained.dense, trained.experts];
        let kept = counts.iter().zip(copies(&stages, item)).map(|(count, copies)| {
            if *count == 0.0 { 0.0 } else { count * (copies / sharing(prepared, copies)) as f64 }
        });
        kept.sum::<f64>()
    });
    near(stepped.sum(), expected.sum(), 1e-9, "parameters that are stepped");
}

/// All ranks together do the model's work on every sample once.
fn check_flops(prepared: &Prepared<'_>) {
    let scenario = prepared.scenario;
    let sample = model_flops(&scenario.model, &scenario.training).0;
    let done: f64 = prepared.lowered.model_flops.iter().sum();
    near(done, sample * f64::from(scenario.global_batch), 1e-9, "floating-point operations");
}

/// Bytes of each call of a communicator, as nccl-tests counts them, from what it puts on a connection:
/// a connection carries a fixed share of the message under each algorithm.
fn bytes_of_calls(prepared: &Prepared<'_>, comm: CommId, kind: CollectiveKind) -> Vec<f64> {
    let job = &prepared.lowered.job;
    let communicator = &job.communicators[comm.0 as usize];
    let gpus: Vec<GpuId> =
        communicator.members.iter().map(|&rank| prepared.lowered.place(rank).gpu).collect();
    let group = Group::of_kinds(&prepared.cluster, &gpus, [kind]).unwrap();
    let mut shares = Vec::new();
    for algorithm in Algorithm::ALL {
        for protocol in Protocol::ALL {
            let call = group.call_with(kind, 1e9, algorithm, protocol);
            shares.extend(call.map(|CollectiveCall { call, .. }| {
                (&group.footprints()[usize::from(call.footprint)], call.bytes / 1e9)
            }));
        }
    }
    // Algorithms are told apart by the links that they cross.
    let share = |call: &Call| {
        let crossed = communicator.footprints[usize::from(call.footprint)];
        let crossed = &job.footprints[crossed.0 as usize];
        shares.iter().find(|(footprint, _)| *footprint == crossed).unwrap().1
    };
    let calls = &job.call_sets[communicator.calls.0 as usize].calls;
    calls.iter().map(|call| call.bytes / share(call)).collect()
}

/// What stages that deal out experts together have in common: layers, and ranks among which experts are
/// dealt out and by which they are split.
type Alike = (Vec<Range<u32>>, (u32, u32));

/// By rank, the part of each matrix that it holds, and of experts also the run of them: beginning and
/// end of both.
fn slices(prepared: &Prepared<'_>) -> Vec<[[f64; 4]; 2]> {
    // By layers and degrees, the ranks so far.
    let mut before: Vec<(Alike, u32)> = Vec::new();
    let mut slices = Vec::new();
    let part = |index: u32, of: u32| {
        [f64::from(index) / f64::from(of), f64::from(index + 1) / f64::from(of)]
    };
    for stage in prepared.plan.pipelines.iter().flat_map(|pipeline| &pipeline.stages) {
        let (dealt, split) = stage.expert_degrees();
        let alike = (stage.chunks.clone(), (dealt, split));
        if !before.iter().any(|(known, _)| *known == alike) {
            before.push((alike.clone(), 0));
        }
        let (_, offset) = before.iter_mut().find(|(known, _)| *known == alike).unwrap();
        let tensor = stage.tensor_parallel();
        for rank in 0..stage.gpus.len() as u32 {
            let position = (*offset + rank) % (dealt * split);
            let [start, end] = part(rank % tensor, tensor);
            let ([first, last], [low, high]) =
                (part(position / split, dealt), part(position % split, split));
            slices.push([[0.0, 1.0, start, end], [first, last, low, high]]);
        }
        *offset += stage.gpus.len() as u32;
    }
    slices
}

/// Those who average gradients have a part of the model in common.
fn check_slices(slices: &[[[f64; 4]; 2]], members: &[RankId]) {
    let in_common = |kind: usize| {
        let mut common = [0.0_f64, 1.0_f64, 0.0_f64, 1.0_f64];
        for &rank in members {
            let own = slices[rank.0 as usize][kind];
            common = [
                common[0].max(own[0]),
                common[1].min(own[1]),
                common[2].max(own[2]),
                common[3].min(own[3]),
            ];
        }
        common[1] - common[0] > 1e-9 && common[3] - common[2] > 1e-9
    };
    assert!(in_common(0) || in_common(1), "{members:?} have no parameters in common");
}

/// What the communicators of a rank move in one round: bytes, and bytes over members.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    bytes: f64,
    per_member: f64,
}

impl Moved {
    fn add(&mut self, bytes: f64, members: usize) {
        self.bytes += bytes;
        self.per_member += bytes / members as f64;
    }

    fn near(self, expected: Self, what: &str) {
        near(self.bytes, expected.bytes, 1e-9, what);
        near(self.per_member, expected.per_member, 1e-9, &format!("{what}, by members"));
    }
}

/// What a communicator between replicas does: the names of its calls tell.
fn names_of_communicators<'a>(prepared: &'a Prepared<'_>) -> Vec<Option<&'a str>> {
    let job = &prepared.lowered.job;
    let mut names = vec![None; job.communicators.len()];
    for rank in &job.ranks {
        for op in job.expanded(rank.program) {
            if let (Some((slot, _)), Some(tag)) = (op.call(), op.tag()) {
                names[rank.slots[usize::from(slot.0)].0 as usize] = Some(job.name(tag.name));
            }
        }
    }
    names
}

/// Every rank averages each of its gradients exactly once with every other copy, whatever cuts and
/// degrees they have: once in an iteration, or once for each micro-batch under ZeRO 2 and 3. Under ZeRO
/// each shares what it holds with exactly as many as the plan says.
fn check_gradients(prepared: &Prepared<'_>, replays: &Replays) {
    let (plan, lowered) = (&prepared.plan, &prepared.lowered);
    let training = &prepared.scenario.training;
    let zero = plan.zero;
    let slices = slices(prepared);
    let names = names_of_communicators(prepared);
    // Gradients, those between holders of the same share, parameters.
    let mut moved = vec![[Moved::default(); 3]; lowered.places.len()];
    for (c, communicator) in lowered.job.communicators.iter().enumerate() {
        let comm = CommId(c as u32);
        // Those that share get all sums, and so do those between them: the same calls.
        let shares = usize::from(zero.stage() > 0 && zero.reduction == Reduction::Scattered);
        let (kind, which) = match (lowered.traffic(comm), names[c]) {
            (Traffic::DataParallel, Some("gradient reduce-scatter")) => {
                (CollectiveKind::ReduceScatter, 0)
            }
            (Traffic::DataParallel, Some("gradient all-reduce")) => {
                (CollectiveKind::AllReduce, shares)
            }
            (Traffic::Parameters, Some("parameter all-gather")) => (CollectiveKind::AllGather, 2),
            (Traffic::DataParallel | Traffic::Parameters, name) => {
                panic!("communicator {c} is never called: {name:?}")
            }
            _ => continue,
        };
        let members = &communicator.members;
        assert!(members.len() > 1, "communicator {c} of {members:?}");
        check_slices(&slices, members);
        let calls = bytes_of_calls(prepared, comm, kind);
        let element = members.iter().map(|&rank| lowered.paths[rank.0 as usize]);
        let element = element.map(|path| path.precision.element_bytes()).max().unwrap();
        let reduced = training.reduce_bytes.unwrap_or(training.gradient_bytes);
        let unit = if which == 2 { element } else { reduced };
        for &rank in members {
            let sum = calls.iter().sum::<f64>() / f64::from(unit);
            moved[rank.0 as usize][which].add(sum, members.len());
        }
        let pipeline = lowered.place(members[0]).pipeline as usize;
        let micro_batches = u64::from(plan.pipelines[pipeline].micro_batches);
        for (call, bytes) in (0..).zip(&calls) {
            for run in &replays.runs {
                let made = run.account.calls(comm, call);
                let expected = match (which, zero.stage()) {
                    _ if *bytes == 0.0 => 0..=0,
                    // Twice for each micro-batch, but what is needed twice in a row once.
                    (2, 3) => 1..=2 * micro_batches,
                    (0 | 1, 2 | 3) => micro_batches..=micro_batches,
                    _ => 1..=1,
                };
                assert!(expected.contains(&made), "communicator {c}, call {call}: {made} times");
            }
        }
    }
    let all = stages(prepared);
    for (rank, place) in lowered.places.iter().enumerate() {
        let pipeline = &plan.pipelines[place.pipeline as usize];
        let stage = &pipeline.stages[place.stage as usize];
        let mut expected = [Moved::default(); 3];
        for item in holdings(prepared, pipeline, place.stage as usize) {
            let trained = per_rank(averaged_of(prepared, &all, item), stage);
            let held = per_rank(held_of(prepared, &all, item), stage);
            for (kind, copies) in copies(&all, item).into_iter().enumerate() {
                let sharing = sharing(prepared, copies);
                if copies < 2 {
                    continue;
                }
                let trained = trained[kind];
                if sharing == 1 {
                    expected[0].add(trained, copies);
                    continue;
                }
                expected[0].add(trained, sharing);
                expected[2].add(if zero.stage() == 3 { held[kind] } else { trained }, sharing);
                if sharing < copies {
                    match zero.reduction {
                        Reduction::Scattered => {
                            expected[1].add(trained / sharing as f64, copies / sharing);
                        }
                        Reduction::Whole => expected[0].add(trained, copies / sharing),
                    }
                }
            }
        }
        for (which, what) in ["gradients", "gradients of a share", "parameters"].iter().enumerate()
        {
            moved[rank][which].near(expected[which], &format!("{what} of rank {rank}"));
        }
    }
}

/// Trained parameters of an item as its holders average them: with the word embedding if one of them
/// has a copy of it for the item's sake.
fn averaged_of(
    prepared: &Prepared<'_>,
    stages: &[(&Stage, BTreeSet<u32>)],
    item: u32,
) -> ParameterCount {
    let (model, training) = (&prepared.scenario.model, &prepared.scenario.training);
    let copy = if training.adapters.is_none() { copied_words(model, stages, item) } else { 0.0 };
    model.trained_parameters(part(model, item), training) + ParameterCount::dense(copy)
}

/// All parameters of an item, likewise.
fn held_of(
    prepared: &Prepared<'_>,
    stages: &[(&Stage, BTreeSet<u32>)],
    item: u32,
) -> ParameterCount {
    let (model, training) = (&prepared.scenario.model, &prepared.scenario.training);
    let copy = copied_words(model, stages, item);
    model.held_parameters(part(model, item), training) + ParameterCount::dense(copy)
}

fn copied_words(model: &Model, stages: &[(&Stage, BTreeSet<u32>)], item: u32) -> f64 {
    let mut holders = stages.iter().filter(|(_, items)| items.contains(&item));
    let copied = needs_words(model, item) && holders.any(|(_, items)| !items.contains(&0));
    if copied { model.word_embedding() } else { 0.0 }
}

/// Each rank's compute, transfers, waits and idle rest make up the iteration, and the report's parts
/// its iteration time.
fn check_time(prepared: &Prepared<'_>, replays: &Replays) {
    for run in &replays.runs {
        let last = run.outcome.finish.iter().max().unwrap();
        assert_eq!(*last, run.outcome.end, "the iteration ends with its last rank");
        for rank in (0..prepared.lowered.places.len()).map(|rank| RankId(rank as u32)) {
            let account = &run.account;
            let mut sum = account.computing(rank);
            for class in Traffic::ALL {
                sum += account.exposed(rank, class) + account.waiting(rank, class);
            }
            assert_eq!(sum, account.finish_of(rank), "rank {rank:?}");
            assert_eq!(account.finish_of(rank), run.outcome.finish[rank.0 as usize]);
        }
    }
    let report = prepared.report(replays).unwrap();
    assert!(report.iteration_time.mean > Time::ZERO);
    assert_eq!(report.breakdown.total(), report.iteration_time.mean);
}
