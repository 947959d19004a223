//! The (dp, tp, cp, pp) shorthand and its expansion to a written-out plan.
//!
//! The expansion is the only place that knows the shorthand. Splits may be equal, given, or
//! proportional to the speed of the cards that carry them; what comes out is an ordinary
//! [`Plan`].

use std::ops::Range;

use motley_topology::{Cluster, GpuId};
use motley_units::Seconds;
use motley_workload::{Model, Part, Recompute, Shard};

use crate::error::{PlanError, PlanPath};
use crate::plan::{
    ActivationSends, ContextParallel, Dispatch, ExpertParallel, GradientSync, Offload, Pipeline,
    Plan, Stage,
};
use crate::schedule::{Placement, Position, Schedule};
use crate::split::{cut, deal};
use crate::zero::Zero;

/// Megatron-LM's shorthand: `dp * tp * cp * pp` ranks, laid over the cards in rank order.
#[expect(clippy::struct_excessive_bools, reason = "independent choices of a software stack")]
#[derive(Clone, Debug, PartialEq)]
pub struct UniformPlan {
    /// Data-parallel degree: the number of pipelines.
    pub dp: u32,
    /// Tensor-parallel degree of every stage.
    pub tp: u32,
    /// Pipeline-parallel degree: the number of stages.
    pub pp: u32,
    /// How each sequence is cut over tensor-parallel groups.
    pub context: ContextParallel,
    /// How experts are dealt out.
    pub experts: ExpertParallel,
    /// What replicas share out.
    pub zero: Zero,
    /// Sequences in a micro-batch.
    pub micro_batch_size: u32,
    /// The schedule of every pipeline.
    pub schedule: Schedule,
    /// Model chunks a stage; what the schedule says if that is not free.
    pub chunks: u32,
    /// What is computed again in the backward pass.
    pub recompute: Recompute,
    /// What lies in the memory of hosts.
    pub offload: Offload,
    /// Split norms and residuals along the sequence.
    pub sequence_parallel: bool,
    /// Run the weight-gradient product while the input gradient is all-reduced.
    pub overlap_weight_gradient: bool,
    /// Gather and add up around products piece by piece beside these.
    pub overlap_tensor: bool,
    /// See [`Plan::scatter_gather`].
    pub scatter_gather: bool,
    /// When a stage sends on what a forward pass has computed.
    pub activation_sends: ActivationSends,
    /// When gradients are averaged.
    pub gradient_sync: GradientSync,
    /// How layers are split over stages.
    pub layers: LayerSplit,
    /// How micro-batches are split over pipelines.
    pub micro_batches: MicroBatchSplit,
    /// Which dimension runs fastest over the ranks.
    pub rank_order: RankOrder,
}

/// How layers are split over the stages of each pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerSplit {
    /// The same number everywhere; must divide.
    Equal,
    /// So that the slowest stage is as fast as can be, each card at its own speed.
    Proportional,
    /// Layers of each virtual stage, in the order in which a micro-batch visits them:
    /// `pp * chunks` numbers, or `pp` for a bidirectional schedule, whose two directions are cut
    /// alike.
    Counts(Vec<u32>),
}

/// How the micro-batches of an iteration are split over the pipelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicroBatchSplit {
    /// The same number everywhere; must divide.
    Equal,
    /// So that the slowest pipeline is as fast as can be.
    Proportional,
    /// Micro-batches of each pipeline: `dp` numbers.
    Counts(Vec<u32>),
}

/// Which dimension runs fastest over the ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankOrder {
    /// Tensor, context, then data, then pipeline: Megatron-LM's default. Stages lie on different nodes.
    TpDpPp,
    /// Tensor, context, then pipeline, then data: each pipeline on neighbouring cards.
    TpPpDp,
}

/// How fast cards run the model, as far as an expansion wants to know.
pub trait Speed {
    /// Forward and backward time of a part of the model for one micro-batch on a tensor-parallel
    /// group.
    fn part(&self, gpus: &[GpuId], part: Part) -> Seconds;
}

impl UniformPlan {
    /// Writes the plan out for a cluster, a model and a global batch of `global_batch` samples.
    /// `speed` is asked only for proportional splits.
    ///
    /// # Errors
    /// All that does not fit together, at once.
    pub fn expand(
        &self,
        cluster: &Cluster,
        model: &Model,
        global_batch: u32,
        speed: &dyn Speed,
    ) -> Result<Plan, Vec<PlanError>> {
        let layers = [model.stacked_layers(), model.layer_count()];
        let errors = self.check(cluster.gpu_count(), layers, global_batch);
        if !errors.is_empty() {
            return Err(errors);
        }
        let placement = self.placement();
        let mut pipelines: Vec<Pipeline> = (0..self.dp)
            .map(|replica| {
                let groups: Vec<Vec<GpuId>> =
                    (0..self.pp).map(|stage| self.stage_gpus(replica, stage)).collect();
                let counts = self.layer_counts(&placement, &groups, model, speed);
                Pipeline {
                    micro_batches: 0,
                    micro_batch_size: self.micro_batch_size,
                    stages: self.stages(&placement, groups, &counts),
                }
            })
            .collect();
        for (pipeline, count) in self
            .micro_batch_counts(&placement, &pipelines, model, global_batch, speed)
            .into_iter()
            .enumerate()
        {
            pipelines[pipeline].micro_batches = count;
        }
        Ok(Plan { pipelines, ..self.settings() })
    }

    /// The plan without its pipelines.
    pub fn settings(&self) -> Plan {
        Plan {
            pipelines: Vec::new(),
            schedule: self.schedule,
            sequence_parallel: self.sequence_parallel,
            overlap_weight_gradient: self.overlap_weight_gradient,
            overlap_tensor: self.overlap_tensor,
            scatter_gather: self.scatter_gather,
            activation_sends: self.activation_sends,
            gradient_sync: self.gradient_sync,
            zero: self.zero,
        }
    }

    /// `stacked` of the `layers` are those of the stack.
    fn check(&self, gpus: u32, [stacked, layers]: [u32; 2], global_batch: u32) -> Vec<PlanError> {
        let mut errors = Vec::new();
        for (field, value) in [
            ("dp", self.dp),
            ("tp", self.tp),
            ("pp", self.pp),
            ("cp", self.context.degree),
            ("ep", self.experts.degree),
            ("etp", self.experts.tensor.unwrap_or(1)),
            ("micro_batch_size", self.micro_batch_size),
        ] {
            if value == 0 {
                errors.push(PlanError::new(
                    PlanPath::Field(field),
                    format!("{field} must be at least 1"),
                ));
            }
        }
        if self.chunks == 0 {
            errors.push(PlanError::new(PlanPath::Field("schedule"), "chunks must be at least 1"));
        }
        if !errors.is_empty() {
            return errors;
        }
        let world = [self.dp, self.tp, self.context.degree, self.pp]
            .into_iter()
            .map(u128::from)
            .product::<u128>();
        if world != u128::from(gpus) {
            let context = match self.context.degree {
                1 => String::new(),
                degree => format!(" x cp {degree}"),
            };
            errors.push(
                PlanError::new(
                    PlanPath::Plan,
                    format!(
                        "dp {} x tp {}{context} x pp {} = {world} ranks, but the cluster has {gpus} cards",
                        self.dp, self.tp, self.pp
                    ),
                )
                .help("change the degrees or the node counts; to leave cards idle, write the plan as Explicit"),
            );
        }
        // Counted, not laid out: degrees that have not been checked may be beyond all memory.
        let virtual_stages = self.schedule.virtual_stages(self.pp, self.chunks);
        let refusal = self.schedule.chunks().filter(|&expected| expected != self.chunks);
        if let Some(expected) = refusal {
            errors.push(PlanError::new(
                PlanPath::Field("schedule"),
                format!(
                    "{} model chunks, but {} takes {expected} a stage",
                    self.chunks,
                    self.schedule.name()
                ),
            ));
        }
        match &self.layers {
            LayerSplit::Equal if !u64::from(stacked).is_multiple_of(virtual_stages) => errors.push(
                PlanError::new(
                    PlanPath::Field("layers"),
                    format!("{stacked} layers do not divide into {virtual_stages} equal virtual stages"),
                )
                .help("give the split, `layers: Counts([..])`, or let the speed of the cards decide, `layers: Proportional`"),
            ),
            LayerSplit::Proportional if u64::from(layers) < virtual_stages => errors.push(PlanError::new(
                PlanPath::Field("layers"),
                format!("{layers} layers are fewer than {virtual_stages} virtual stages"),
            )),
            LayerSplit::Counts(counts) => {
                let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
                if counts.len() as u64 != virtual_stages {
                    let message =
                        format!("{} layer counts for {virtual_stages} virtual stages", counts.len());
                    errors.push(PlanError::new(PlanPath::Field("layers"), message).help(
                        "a count for each chunk of each stage, in the order in which a micro-batch \
                         goes through them",
                    ));
                } else if sum != u64::from(layers) {
                    errors.push(PlanError::new(
                        PlanPath::Field("layers"),
                        format!("the layer counts sum to {sum}, the model has {layers} layers"),
                    ));
                }
            }
            _ => {}
        }
        self.check_batch(global_batch, &mut errors);
        errors
    }

    fn check_batch(&self, global_batch: u32, errors: &mut Vec<PlanError>) {
        if !global_batch.is_multiple_of(self.micro_batch_size) {
            errors.push(PlanError::new(
                PlanPath::Field("micro_batch_size"),
                format!(
                    "a global batch of {global_batch} sequences does not divide into micro-batches of {}",
                    self.micro_batch_size
                ),
            ));
            return;
        }
        let total = global_batch / self.micro_batch_size;
        match &self.micro_batches {
            MicroBatchSplit::Equal if !total.is_multiple_of(self.dp) => errors.push(
                PlanError::new(
                    PlanPath::Field("dp"),
                    format!(
                        "{total} micro-batches (global batch {global_batch} / micro-batch size {}) do not divide over dp {}",
                        self.micro_batch_size, self.dp
                    ),
                )
                .help("change global_batch, or let replicas differ: `micro_batches: Proportional`"),
            ),
            MicroBatchSplit::Proportional if total < self.dp => errors.push(PlanError::new(
                PlanPath::Field("dp"),
                format!("{total} micro-batches are fewer than {} pipelines", self.dp),
            )),
            MicroBatchSplit::Counts(counts) => {
                let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
                if counts.len() != self.dp as usize {
                    errors.push(PlanError::new(
                        PlanPath::Field("micro_batches"),
                        format!("{} micro-batch counts for dp {}", counts.len(), self.dp),
                    ));
                } else if sum != u64::from(total) {
                    errors.push(PlanError::new(
                        PlanPath::Field("micro_batches"),
                        format!("the micro-batch counts sum to {sum}, the global batch has {total}"),
                    ));
                }
            }
            _ => {}
        }
    }

    /// What one card of any stage works on.
    pub fn shard(&self) -> Shard {
        Shard {
            context_parallel: self.context.degree,
            context_exchange: self.context.exchange,
            expert_parallel: self.experts.degree,
            expert_tensor_parallel: self.experts.tensor.unwrap_or(self.tp),
            overlap_shared_expert: self.experts.overlap_shared,
            forwards_tokens: self.experts.dispatch == Dispatch::Forwarded,
            ..Shard::new(self.tp, self.sequence_parallel, self.micro_batch_size)
        }
    }

    fn stage_gpus(&self, replica: u32, stage: u32) -> Vec<GpuId> {
        let ranks = self.tp * self.context.degree;
        let first = match self.rank_order {
            RankOrder::TpDpPp => (stage * self.dp + replica) * ranks,
            RankOrder::TpPpDp => (replica * self.pp + stage) * ranks,
        };
        (first..first + ranks).map(GpuId).collect()
    }

    /// Where the virtual stages of every pipeline lie.
    fn placement(&self) -> Placement {
        self.schedule.placement(self.pp, self.chunks)
    }

    /// Layers of each virtual stage, in the order of visits.
    fn layer_counts(
        &self,
        placement: &Placement,
        groups: &[Vec<GpuId>],
        model: &Model,
        speed: &dyn Speed,
    ) -> Vec<u32> {
        let virtual_stages = placement.routes()[0].len();
        let layers = model.layer_count();
        match &self.layers {
            // Modules for multi-token prediction come on top, as Megatron-LM places them.
            LayerSplit::Equal => {
                let stacked = model.stacked_layers();
                let mut counts = vec![stacked / virtual_stages as u32; virtual_stages];
                counts[virtual_stages - 1] += layers - stacked;
                counts
            }
            LayerSplit::Counts(counts) => counts.clone(),
            LayerSplit::Proportional => {
                let hands = Hand::of(placement);
                let one_place = hands.iter().all(|hand| hand.places.len() == 1);
                if model.kinds().len() > 1 && one_place {
                    let row = |hand: &Hand| hand.loads(groups, virtual_stages, model, speed);
                    let mut rows = vec![Vec::new(); virtual_stages];
                    for hand in &hands {
                        rows[hand.places[0]] = row(hand);
                    }
                    return cut(&rows);
                }
                // Where a hand takes layers in several places, unlike ones count as their mean.
                let mean: Vec<f64> =
                    groups.iter().map(|gpus| mean_layer(gpus, model, speed)).collect();
                let load = |hand: usize, count: u32| {
                    let of_stage = |&stage: &usize| {
                        hands[hand].with_ends(
                            mean[stage] * f64::from(count),
                            &groups[stage],
                            virtual_stages,
                            speed,
                        )
                    };
                    hands[hand].stages.iter().map(of_stage).fold(0.0, f64::max)
                };
                let least: Vec<u32> = hands.iter().map(|hand| hand.places.len() as u32).collect();
                let dealt = deal(layers, &least, load);
                let mut counts = vec![0; virtual_stages];
                for (hand, &count) in hands.iter().zip(&dealt) {
                    let places = hand.places.len() as u32;
                    for (k, &place) in (0..).zip(&hand.places) {
                        // As even as can be, the first places one more.
                        counts[place] = (count + places - 1 - k) / places;
                    }
                }
                counts
            }
        }
    }

    fn stages(&self, placement: &Placement, groups: Vec<Vec<GpuId>>, counts: &[u32]) -> Vec<Stage> {
        let mut ranges: Vec<Range<u32>> = Vec::with_capacity(counts.len());
        let mut next = 0;
        for &count in counts {
            ranges.push(next..next + count);
            next += count;
        }
        let stage = |(stage, gpus): (usize, Vec<GpuId>)| {
            // All routes are cut alike.
            let chunk = |chunk: u32| {
                let (_, place) = placement.place(Position { stage: stage as u32, chunk });
                ranges[place].clone()
            };
            let chunks = (0..self.chunks).map(chunk).collect();
            Stage {
                gpus,
                context: self.context,
                experts: self.experts,
                chunks,
                recompute: self.recompute,
                offload: self.offload,
            }
        };
        groups.into_iter().enumerate().map(stage).collect()
    }

    fn micro_batch_counts(
        &self,
        placement: &Placement,
        pipelines: &[Pipeline],
        model: &Model,
        global_batch: u32,
        speed: &dyn Speed,
    ) -> Vec<u32> {
        let total = global_batch / self.micro_batch_size;
        match &self.micro_batches {
            MicroBatchSplit::Equal => vec![total / self.dp; self.dp as usize],
            MicroBatchSplit::Counts(counts) => counts.clone(),
            MicroBatchSplit::Proportional => {
                // A pipeline takes its bottleneck stage once for each micro-batch, and once more
                // for each further stage to fill and drain.
                let stage_time = |(s, stage): (usize, &Stage)| {
                    let positions =
                        (0..self.chunks).map(|chunk| Position { stage: s as u32, chunk });
                    let starts = positions.clone().filter(|&at| placement.before(at).is_none());
                    let ends = positions.filter(|&at| placement.after(at).is_none());
                    let part = |part| speed.part(&stage.gpus, part).0;
                    let layers = stage.layer_parts(model);
                    let layers = layers.iter().map(|&(kind, count)| part(kind) * f64::from(count));
                    let time = layers.sum::<f64>()
                        + part(Part::Embedding) * starts.count() as f64
                        + part(Part::Head) * ends.count() as f64;
                    // Every route carries its share of the micro-batches.
                    time / placement.routes().len() as f64
                };
                let bottleneck: Vec<f64> = pipelines
                    .iter()
                    .map(|pipeline| {
                        pipeline.stages.iter().enumerate().map(stage_time).fold(0.0, f64::max)
                    })
                    .collect();
                // In steps that the schedule can run, if the batch has enough of them.
                let steps = self.schedule.micro_batches(self.pp, self.chunks);
                let enough = |&(least, step): &(u32, u32)| {
                    total.is_multiple_of(step) && total / self.dp >= least.max(step)
                };
                let (least, step) = Some(steps).filter(enough).unwrap_or((1, 1));
                let least = vec![least.div_ceil(step); pipelines.len()];
                let dealt = deal(total / step, &least, |p, count| {
                    bottleneck[p] * f64::from(count * step + pipelines[p].stages.len() as u32 - 1)
                });
                dealt.into_iter().map(|count| count * step).collect()
            }
        }
    }
}

/// Stages that take layers together, and where on a route these lie: one stage with all its chunks,
/// or, where micro-batches go both ways, two stages that hold each other's layers.
struct Hand {
    stages: Vec<usize>,
    places: Vec<usize>,
}

impl Hand {
    fn of(placement: &Placement) -> Vec<Self> {
        let mut hands: Vec<Self> = Vec::new();
        for stage in 0..placement.stages() {
            let positions = (0..placement.chunks()).map(|chunk| Position { stage, chunk });
            let mut places: Vec<usize> =
                positions.map(|position| placement.place(position).1).collect();
            places.sort_unstable();
            places.dedup();
            match hands.iter_mut().find(|hand| hand.places == places) {
                Some(hand) => hand.stages.push(stage as usize),
                None => hands.push(Self { stages: vec![stage as usize], places }),
            }
        }
        hands
    }

    /// The time of a group of the hand whose layers take `layers`, with the embedding in front of
    /// the first place and the head behind the last.
    fn with_ends(
        &self,
        layers: f64,
        gpus: &[GpuId],
        virtual_stages: usize,
        speed: &dyn Speed,
    ) -> f64 {
        let mut time = layers;
        if self.places.contains(&0) {
            time += speed.part(gpus, Part::Embedding).0;
        }
        if self.places.contains(&(virtual_stages - 1)) {
            time += speed.part(gpus, Part::Head).0;
        }
        time
    }

    /// What the first layers of the model would take the hand, by their number from 0: the slowest
    /// of its stages.
    fn loads(
        &self,
        groups: &[Vec<GpuId>],
        virtual_stages: usize,
        model: &Model,
        speed: &dyn Speed,
    ) -> Vec<f64> {
        let gpus = self.stages.iter().map(|&stage| &groups[stage]);
        let of = |part| gpus.clone().map(|gpus| speed.part(gpus, part).0).fold(0.0, f64::max);
        let ends = gpus
            .clone()
            .map(|gpus| self.with_ends(0.0, gpus, virtual_stages, speed))
            .fold(0.0, f64::max);
        let mut sum = ends;
        let sums = (0..model.layer_count()).map(|layer| {
            sum += of(model.part(layer));
            sum
        });
        std::iter::once(ends).chain(sums).collect()
    }
}

/// The mean time of a layer on a group.
fn mean_layer(gpus: &[GpuId], model: &Model, speed: &dyn Speed) -> f64 {
    let time = |layer| speed.part(gpus, model.part(layer)).0;
    match model.kinds().len() {
        1 => time(0),
        _ => (0..model.layer_count()).map(time).sum::<f64>() / f64::from(model.layer_count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_beyond_all_memory_are_refused() {
        let plan = UniformPlan {
            dp: 1,
            tp: 1,
            pp: u32::MAX,
            context: ContextParallel::NONE,
            experts: ExpertParallel::NONE,
            zero: Zero::NONE,
            micro_batch_size: 1,
            schedule: Schedule::Interleaved,
            chunks: u32::MAX,
            recompute: Recompute::None,
            offload: Offload::default(),
            sequence_parallel: false,
            overlap_weight_gradient: false,
            overlap_tensor: false,
            scatter_gather: true,
            activation_sends: ActivationSends::AtOnce,
            gradient_sync: GradientSync::AtEnd,
            layers: LayerSplit::Proportional,
            micro_batches: MicroBatchSplit::Equal,
            rank_order: RankOrder::TpDpPp,
        };
        let errors = plan.check(8, [32, 32], 64);
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].message.contains("the cluster has 8 cards"));
        assert!(errors[1].message.contains("32 layers are fewer than"));
    }
}
