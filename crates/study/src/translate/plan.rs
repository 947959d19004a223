//! Degrees, and the plan that they make.

use std::ops::Range;

use motley_scenario::raw::{
    Cards, LayerRanges, RawGradientSync, RawOrder, RawPipeline, RawPlan, RawSchedule, RawSplit,
    RawStage, RawZero,
};
use motley_scheduler::ActivationSends;
use motley_workload::{ContextExchange, Description, Precision, Recompute};

use super::assumptions::Assumptions;
use super::cut::cut;
use super::experts::ExpertParallelism;
use super::machine::{Card, Machine};
use super::schedule::schedule;
use super::{Concern, Software, Unsupported, context, experts, model, recipe, sharding};
use crate::runs::{Row, Stage};

/// More cards, or parts of a model, than any run has had.
pub(super) const CARDS: u32 = 4_000_000;

/// In how many parts things are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Degrees {
    pub(super) dp: u32,
    pub(super) tp: u32,
    pub(super) pp: u32,
    pub(super) cp: u32,
    pub(super) ep: u32,
    /// Model chunks of a stage.
    pub(super) vpp: u32,
    /// Samples of a micro-batch.
    pub(super) mbs: u32,
    /// Samples of an iteration.
    pub(super) gbs: u32,
}

impl Degrees {
    /// What a row states, and what follows from it.
    pub(super) fn of(row: &Row, assumptions: &mut Assumptions) -> Result<Self, Unsupported> {
        let stated = &row.parallel;
        if let Some(unit) = &stated.batch_unit {
            let reason = format!("batches are counted in {unit}, not in samples");
            return Err(Unsupported::new(Concern::Training, reason));
        }
        let positive = |value: Option<u32>| value.filter(|value| *value > 0);
        let (tp, pp) = (positive(stated.tp), positive(stated.pp));
        let (Some(tp), Some(pp)) = (tp, pp) else {
            let field = if tp.is_none() { "parallel.tp" } else { "parallel.pp" };
            return Err(Unsupported::not_stated(field));
        };
        let cp = positive(stated.cp).unwrap_or(1);
        let vpp = positive(stated.vpp).filter(|_| pp > 1).unwrap_or(1);
        let gpus = row.hardware.gpus;
        let product = |degrees: &[u32]| degrees.iter().try_fold(1, |n: u32, d| n.checked_mul(*d));
        let follows = || Some((gpus? / product(&[tp, pp, cp])?).max(1));
        let dp = positive(stated.dp).or_else(follows);
        let dp = dp.ok_or_else(|| Unsupported::not_stated("parallel.dp"))?;
        let cards = product(&[tp, pp, cp, dp]).filter(|cards| *cards <= CARDS);
        let parts = product(&[pp, vpp]).filter(|parts| *parts <= CARDS);
        let (Some(cards), Some(_)) = (cards, parts) else {
            let reason =
                format!("tp {tp}, pp {pp}, vpp {vpp}, cp {cp}, dp {dp}: more than {CARDS} parts");
            return Err(Unsupported::new(Concern::Plan, reason));
        };
        if gpus.is_some_and(|gpus| gpus != cards) {
            let reason = format!(
                "tp {tp}, pp {pp}, cp {cp} and dp {dp} make {cards} cards, not {}",
                gpus.unwrap_or(0)
            );
            return Err(Unsupported::new(Concern::Contradiction, reason));
        }
        let accumulated = positive(stated.grad_accum);
        let (mbs, gbs) = (positive(stated.mbs), positive(stated.gbs));
        let mbs = mbs.or_else(|| Some((gbs? / dp / accumulated?).max(1)));
        let gbs = gbs.or_else(|| mbs?.checked_mul(dp)?.checked_mul(accumulated.unwrap_or(1)));
        let gbs = gbs.ok_or_else(|| Unsupported::not_stated("parallel.gbs"))?;
        let mbs = assumptions.fill(mbs, 1, "micro-batch not stated: one sample");
        let ep = positive(stated.ep).unwrap_or(1);
        if !gbs.is_multiple_of(mbs.saturating_mul(dp)) {
            let reason = format!("{gbs} samples are no micro-batches of {mbs} on {dp} ranks");
            return Err(Unsupported::new(Concern::Contradiction, reason));
        }
        Ok(Self { dp, tp, pp, cp, ep, vpp, mbs, gbs })
    }

    /// Micro-batches of a pipeline.
    fn micro_batches(&self) -> u32 {
        self.gbs / self.mbs.saturating_mul(self.dp)
    }
}

/// What both forms of a plan say.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices of a software stack")]
struct Choices {
    schedule: RawSchedule,
    recompute: Recompute,
    /// What the last stage computes again.
    last_recompute: Recompute,
    sequence_parallel: bool,
    overlap_weight_gradient: bool,
    overlap_tensor: bool,
    scatter_gather: bool,
    activation_sends: ActivationSends,
    gradient_sync: RawGradientSync,
    context_exchange: ContextExchange,
    experts: ExpertParallelism,
    zero: Option<RawZero>,
}

impl Choices {
    /// A stage of a plan that is written out.
    fn stage(
        &self,
        degrees: &Degrees,
        stage: u32,
        gpus: Cards,
        chunks: Vec<Range<u32>>,
    ) -> RawStage {
        let last = stage + 1 == degrees.pp;
        RawStage {
            gpus,
            cp: degrees.cp,
            context_exchange: self.context_exchange,
            ep: self.experts.ep,
            etp: self.experts.etp,
            dispatch: self.experts.dispatch,
            overlap_shared_expert: false,
            layers: LayerRanges(chunks),
            recompute: if last { self.last_recompute } else { self.recompute },
            offload: Vec::new(),
        }
    }
}

pub(super) fn plan(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    machine: &Machine,
    precision: Precision,
    assumptions: &mut Assumptions,
) -> Result<RawPlan, Unsupported> {
    let group = u64::from(degrees.tp) * u64::from(degrees.cp);
    let cards = u64::from(degrees.dp) * group * u64::from(degrees.pp);
    if cards != machine.cards.len() as u64 {
        let reason = format!("the plan has {cards} cards, the machines {}", machine.cards.len());
        return Err(Unsupported::new(Concern::Contradiction, reason));
    }
    let whole_sends = row.parallel.overlap_words().contains("scatter/gather p2p off");
    let gradient_sync = gradient_sync(row, software, degrees, assumptions);
    let overlapped = gradient_sync != RawGradientSync::AtEnd;
    let sequence_parallel = degrees.tp > 1 && row.parallel.sp == Some(true);
    let recompute = recompute(row, software, assumptions)?;
    let schedule = schedule(row, software, degrees, assumptions)?;
    let choices = Choices {
        schedule,
        recompute,
        last_recompute: last_recompute(row, recompute, assumptions),
        sequence_parallel,
        scatter_gather: software.scatters_sends() && !whole_sends,
        overlap_tensor: sequence_parallel && row.parallel.overlap_tp == Some(true),
        activation_sends: if schedule == RawSchedule::OneFOneB {
            software.activation_sends()
        } else {
            ActivationSends::AtOnce
        },
        overlap_weight_gradient: software.overlaps_weight_gradients()
            && row.parallel.overlap_tp != Some(false),
        gradient_sync,
        context_exchange: context::exchange(row, degrees, assumptions),
        experts: experts::experts(row, software, degrees, assumptions),
        zero: sharding::zero(row, software, degrees, precision, overlapped, assumptions)?,
    };
    if degrees.tp > 1 && row.parallel.sp.is_none() {
        assumptions.note("sequence parallelism not stated: none");
    }
    if let Some(stages) = &row.parallel.stages {
        return unlike(row, stages, degrees, machine, choices);
    }
    let layers = layer_count(row)?;
    let mut counts = cut(row, software, degrees, layers, assumptions)?;
    // Modules for multi-token prediction are one more layer, the last.
    let ahead = u32::from(recipe::predicted_ahead(row, software) > 0);
    if let Some(last) = counts.last_mut() {
        *last += ahead;
    }
    if machine.whole && choices.last_recompute == choices.recompute {
        Ok(uniform(degrees, counts, ahead > 0, choices))
    } else {
        Ok(written_out(degrees, &counts, &machine.cards, choices))
    }
}

/// Layers that stages are cut from.
fn layer_count(row: &Row) -> Result<u32, Unsupported> {
    if model::reads_images(row) {
        // A pipeline of one stage holds them all, however many the preset has.
        let name = model::images(row)?;
        let built = Description::build(&name);
        return built.map(|model| model.layer_count()).map_err(|errors| {
            let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Unsupported::new(Concern::Model, reasons.join("; "))
        });
    }
    row.model.layers.ok_or_else(|| Unsupported::not_stated("model.layers"))
}

fn recompute(
    row: &Row,
    software: Software,
    assumptions: &mut Assumptions,
) -> Result<Recompute, Unsupported> {
    match row.parallel.recompute.as_deref() {
        Some("none") => Ok(Recompute::None),
        Some("selective") => Ok(Recompute::Selective),
        Some("full") => Ok(Recompute::Full),
        Some(other) => {
            let reason = format!("recomputation `{other}` is not known");
            Err(Unsupported::new(Concern::Training, reason))
        }
        None => Ok(recipe::recompute(row, software, assumptions).unwrap_or_else(|| {
            assumptions.note("recomputation not stated: none");
            Recompute::None
        })),
    }
}

/// vTrain's pipelines compute nothing again on their last stage, where the backward pass of a
/// micro-batch follows its forward pass at once: github.com/VIA-Research/vTrain (`src/predictor.py`),
/// the model that reproduces these runs. Of no other stack is this known.
fn last_recompute(row: &Row, recompute: Recompute, assumptions: &mut Assumptions) -> Recompute {
    if recompute == Recompute::None || !row.source.name.starts_with("vTrain") {
        return recompute;
    }
    assumptions.note("vTrain's last stages compute nothing again");
    Recompute::None
}

fn gradient_sync(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    assumptions: &mut Assumptions,
) -> RawGradientSync {
    if degrees.dp == 1 {
        return RawGradientSync::AtEnd;
    }
    let rule = software.overlaps_gradients();
    let when = if rule { "over the backward pass" } else { "at the end" };
    let note = format!("averaging of gradients not stated: {when}, as {} has it", software.name());
    if assumptions.fill(row.parallel.overlap_dp, rule, note) {
        software.buckets()
    } else {
        RawGradientSync::AtEnd
    }
}

/// The shorthand, over all cards.
fn uniform(degrees: &Degrees, counts: Vec<u32>, ahead: bool, choices: Choices) -> RawPlan {
    let equal = !ahead && counts.windows(2).all(|pair| pair[0] == pair[1]);
    RawPlan::Uniform {
        dp: degrees.dp,
        tp: degrees.tp,
        pp: degrees.pp,
        cp: degrees.cp,
        context_exchange: choices.context_exchange,
        ep: choices.experts.ep,
        etp: choices.experts.etp,
        dispatch: choices.experts.dispatch,
        overlap_shared_expert: false,
        zero: choices.zero,
        micro_batch_size: degrees.mbs,
        schedule: choices.schedule,
        recompute: choices.recompute,
        offload: Vec::new(),
        sequence_parallel: choices.sequence_parallel,
        overlap_weight_gradient: choices.overlap_weight_gradient,
        overlap_tensor: choices.overlap_tensor,
        scatter_gather: choices.scatter_gather,
        activation_sends: choices.activation_sends,
        gradient_sync: choices.gradient_sync,
        layers: if equal { RawSplit::Equal } else { RawSplit::Counts(counts) },
        micro_batches: RawSplit::Equal,
        order: RawOrder::TpDpPp,
    }
}

/// The same on some of the cards: tensor ranks run fastest, then data-parallel ranks.
fn written_out(degrees: &Degrees, counts: &[u32], cards: &[Card], choices: Choices) -> RawPlan {
    let ranges = ranges(counts);
    let stages = |replica: u32| {
        (0..degrees.pp)
            .map(|stage| {
                let width = degrees.tp * degrees.cp;
                let first = (stage * degrees.dp + replica) * width;
                let group = &cards[first as usize..(first + width) as usize];
                let chunks = (0..degrees.vpp)
                    .map(|chunk| ranges[(chunk * degrees.pp + stage) as usize].clone());
                choices.stage(degrees, stage, numbers(group.iter()), chunks.collect())
            })
            .collect()
    };
    let pipelines = (0..degrees.dp)
        .map(|replica| RawPipeline {
            micro_batches: degrees.micro_batches(),
            micro_batch_size: degrees.mbs,
            repeat: None,
            stages: stages(replica),
        })
        .collect();
    explicit(choices, pipelines)
}

fn explicit(choices: Choices, pipelines: Vec<RawPipeline>) -> RawPlan {
    RawPlan::Explicit {
        schedule: choices.schedule,
        sequence_parallel: choices.sequence_parallel,
        overlap_weight_gradient: choices.overlap_weight_gradient,
        overlap_tensor: choices.overlap_tensor,
        scatter_gather: choices.scatter_gather,
        activation_sends: choices.activation_sends,
        gradient_sync: choices.gradient_sync,
        zero: choices.zero,
        pipelines,
    }
}

/// Stages whose copies lie on cards that the row names: each takes the next free ones of its kind.
fn unlike(
    row: &Row,
    stages: &[Stage],
    degrees: &Degrees,
    machine: &Machine,
    choices: Choices,
) -> Result<RawPlan, Unsupported> {
    let refused = |reason: String| Unsupported::new(Concern::Plan, reason);
    if stages.len() != degrees.pp as usize
        || stages.iter().any(|stage| stage.replicas.len() != degrees.dp as usize)
    {
        let reason = "stages whose data-parallel degrees differ are not a plan".to_owned();
        return Err(refused(reason));
    }
    let counts: Option<Vec<u32>> = stages.iter().map(|stage| stage.layers).collect();
    let counts = counts.ok_or_else(|| Unsupported::not_stated("parallel.stages.layers"))?;
    // The plan's layers may count embedding and head; its cut says which.
    let partition = Row {
        parallel: crate::runs::Parallel {
            pipeline_partition: Some(counts),
            ..row.parallel.clone()
        },
        ..row.clone()
    };
    let layers = layer_count(row)?;
    let counts = cut(&partition, Software::Other, degrees, layers, &mut Assumptions::default())?;
    let ranges = ranges(&counts);
    let mut free: Vec<&Card> = machine.cards.iter().collect();
    let mut pipelines: Vec<RawPipeline> = (0..degrees.dp)
        .map(|_| RawPipeline {
            micro_batches: degrees.micro_batches(),
            micro_batch_size: degrees.mbs,
            repeat: None,
            stages: Vec::new(),
        })
        .collect();
    for (number, (stage, range)) in (0..).zip(stages.iter().zip(ranges)) {
        for (replica, pipeline) in stage.replicas.iter().zip(&mut pipelines) {
            let mut group = Vec::new();
            for cards in &replica.devices {
                for _ in 0..cards.gpus.unwrap_or(0) {
                    let found = free.iter().position(|card| card.device == cards.device);
                    let found = found.ok_or_else(|| {
                        refused(format!(
                            "the stages name more cards `{}` than there are",
                            cards.device
                        ))
                    })?;
                    group.push(free.remove(found));
                }
            }
            let gpus = numbers(group.into_iter());
            pipeline.stages.push(choices.stage(degrees, number, gpus, vec![range.clone()]));
        }
    }
    Ok(explicit(choices, pipelines))
}

/// The layers that each virtual stage holds.
fn ranges(counts: &[u32]) -> Vec<Range<u32>> {
    let mut first = 0;
    counts
        .iter()
        .map(|count| {
            let range = first..first + count;
            first = range.end;
            range
        })
        .collect()
}

/// Cards, runs of neighbours as ranges.
fn numbers<'c>(cards: impl Iterator<Item = &'c Card>) -> Cards {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for card in cards {
        match ranges.last_mut() {
            Some(last) if last.end == card.gpu => last.end += 1,
            _ => ranges.push(card.gpu..card.gpu + 1),
        }
    }
    Cards(ranges)
}
