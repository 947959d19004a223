//! The (dp, tp, pp) shorthand and its expansion to a written-out plan.
//!
//! The expansion is the only place that knows the shorthand. Splits may be equal, given, or
//! proportional to the speed of the cards that carry them; what comes out is an ordinary
//! [`Plan`].

use std::ops::Range;

use motley_topology::{Cluster, GpuId};
use motley_units::Seconds;
use motley_workload::{Model, Part, Recompute};

use crate::error::{PlanError, PlanPath};
use crate::plan::{GradientSync, Pipeline, Plan, Schedule, Stage};
use crate::split::{cut, deal};

/// Megatron-LM's shorthand: `dp * tp * pp` ranks, laid over the cards in rank order.
#[derive(Clone, Debug, PartialEq)]
pub struct UniformPlan {
    /// Data-parallel degree: the number of pipelines.
    pub dp: u32,
    /// Tensor-parallel degree of every stage.
    pub tp: u32,
    /// Pipeline-parallel degree: the number of stages.
    pub pp: u32,
    /// Sequences in a micro-batch.
    pub micro_batch_size: u32,
    /// The schedule of every pipeline.
    pub schedule: Schedule,
    /// Model chunks a stage; 1 unless interleaved.
    pub chunks: u32,
    /// What is computed again in the backward pass.
    pub recompute: Recompute,
    /// Split norms and residuals along the sequence.
    pub sequence_parallel: bool,
    /// Run the weight-gradient product while the input gradient is all-reduced.
    pub overlap_weight_gradient: bool,
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
    /// `pp * chunks` numbers.
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
    /// Tensor, then data, then pipeline: Megatron-LM's default. Stages lie on different nodes.
    TpDpPp,
    /// Tensor, then pipeline, then data: each pipeline on neighbouring cards.
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
        let errors = self.check(cluster.gpu_count(), model.layer_count(), global_batch);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut pipelines: Vec<Pipeline> = (0..self.dp)
            .map(|replica| {
                let groups: Vec<Vec<GpuId>> =
                    (0..self.pp).map(|stage| self.stage_gpus(replica, stage)).collect();
                let counts = self.layer_counts(&groups, model, speed);
                Pipeline {
                    micro_batches: 0,
                    micro_batch_size: self.micro_batch_size,
                    stages: self.stages(groups, &counts),
                }
            })
            .collect();
        for (pipeline, count) in
            self.micro_batch_counts(&pipelines, model, global_batch, speed).into_iter().enumerate()
        {
            pipelines[pipeline].micro_batches = count;
        }
        Ok(Plan {
            pipelines,
            schedule: self.schedule,
            sequence_parallel: self.sequence_parallel,
            overlap_weight_gradient: self.overlap_weight_gradient,
            gradient_sync: self.gradient_sync,
        })
    }

    fn check(&self, gpus: u32, layers: u32, global_batch: u32) -> Vec<PlanError> {
        let mut errors = Vec::new();
        for (field, value) in [
            ("dp", self.dp),
            ("tp", self.tp),
            ("pp", self.pp),
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
        let world = u128::from(self.dp) * u128::from(self.tp) * u128::from(self.pp);
        if world != u128::from(gpus) {
            errors.push(
                PlanError::new(
                    PlanPath::Plan,
                    format!(
                        "dp {} x tp {} x pp {} = {world} ranks, but the cluster has {gpus} cards",
                        self.dp, self.tp, self.pp
                    ),
                )
                .help("change the degrees or the node counts; to leave cards idle, write the plan as Explicit"),
            );
        }
        let virtual_stages = u64::from(self.pp) * u64::from(self.chunks);
        match &self.layers {
            LayerSplit::Equal if !u64::from(layers).is_multiple_of(virtual_stages) => errors.push(
                PlanError::new(
                    PlanPath::Field("layers"),
                    format!("{layers} layers do not divide into {virtual_stages} equal virtual stages"),
                )
                .help("give the split, `layers: Counts([..])`, or let the speed of the cards decide, `layers: Proportional`"),
            ),
            LayerSplit::Proportional if self.chunks > 1 => errors.push(PlanError::new(
                PlanPath::Field("layers"),
                "a proportional split over several model chunks is not defined; use one chunk or Counts",
            )),
            LayerSplit::Proportional if u64::from(layers) < virtual_stages => errors.push(PlanError::new(
                PlanPath::Field("layers"),
                format!("{layers} layers are fewer than {virtual_stages} stages"),
            )),
            LayerSplit::Counts(counts) => {
                let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
                if counts.len() as u64 != virtual_stages {
                    errors.push(PlanError::new(
                        PlanPath::Field("layers"),
                        format!("{} layer counts for {virtual_stages} virtual stages", counts.len()),
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

    fn stage_gpus(&self, replica: u32, stage: u32) -> Vec<GpuId> {
        let first = match self.rank_order {
            RankOrder::TpDpPp => (stage * self.dp + replica) * self.tp,
            RankOrder::TpPpDp => (replica * self.pp + stage) * self.tp,
        };
        (first..first + self.tp).map(GpuId).collect()
    }

    /// Layers of each virtual stage.
    fn layer_counts(&self, groups: &[Vec<GpuId>], model: &Model, speed: &dyn Speed) -> Vec<u32> {
        let virtual_stages = self.pp * self.chunks;
        let layers = model.layer_count();
        match &self.layers {
            LayerSplit::Equal => vec![layers / virtual_stages; virtual_stages as usize],
            LayerSplit::Counts(counts) => counts.clone(),
            LayerSplit::Proportional if model.kinds().len() == 1 => {
                deal(layers, groups.len(), |stage, count| {
                    let gpus = &groups[stage];
                    let layer = speed.part(gpus, model.part(0)).0;
                    ends(stage, groups.len(), layer * f64::from(count), gpus, speed)
                })
            }
            LayerSplit::Proportional => {
                let row = |(stage, gpus): (usize, &Vec<GpuId>)| {
                    let mut sum = ends(stage, groups.len(), 0.0, gpus, speed);
                    let sums = (0..layers).map(|layer| {
                        sum += speed.part(gpus, model.part(layer)).0;
                        sum
                    });
                    std::iter::once(ends(stage, groups.len(), 0.0, gpus, speed))
                        .chain(sums)
                        .collect()
                };
                let before: Vec<Vec<f64>> = groups.iter().enumerate().map(row).collect();
                cut(&before)
            }
        }
    }

    fn stages(&self, groups: Vec<Vec<GpuId>>, counts: &[u32]) -> Vec<Stage> {
        let mut ranges = Vec::with_capacity(counts.len());
        let mut next = 0;
        for &count in counts {
            ranges.push(next..next + count);
            next += count;
        }
        let stages = groups.len();
        groups
            .into_iter()
            .enumerate()
            .map(|(stage, gpus)| Stage {
                gpus,
                chunks: ranges
                    .iter()
                    .skip(stage)
                    .step_by(stages)
                    .cloned()
                    .collect::<Vec<Range<u32>>>(),
                recompute: self.recompute,
            })
            .collect()
    }

    fn micro_batch_counts(
        &self,
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
                let bottleneck: Vec<f64> = pipelines
                    .iter()
                    .map(|pipeline| {
                        let stages = pipeline.stages.len();
                        let stage_time = |(s, stage): (usize, &Stage)| {
                            let layers = stage_layers(stage, model, speed);
                            ends(s, stages, layers, &stage.gpus, speed)
                        };
                        pipeline.stages.iter().enumerate().map(stage_time).fold(0.0, f64::max)
                    })
                    .collect();
                deal(total, pipelines.len(), |p, count| {
                    bottleneck[p] * f64::from(count + pipelines[p].stages.len() as u32 - 1)
                })
            }
        }
    }
}

/// The time of a stage whose layers take `layers`, with the embedding in front of the first and the
/// head behind the last.
fn ends(stage: usize, stages: usize, layers: f64, gpus: &[GpuId], speed: &dyn Speed) -> f64 {
    let mut time = layers;
    if stage == 0 {
        time += speed.part(gpus, Part::Embedding).0;
    }
    if stage + 1 == stages {
        time += speed.part(gpus, Part::Head).0;
    }
    time
}

/// The time of all layers of a stage.
fn stage_layers(stage: &Stage, model: &Model, speed: &dyn Speed) -> f64 {
    let parts = stage.layer_parts(model);
    parts.iter().map(|&(part, count)| speed.part(&stage.gpus, part).0 * f64::from(count)).sum()
}
