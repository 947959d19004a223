//! What units take and hold: the prices of stages that lowering itself would give them.
//!
//! A unit is priced in a pipeline of its own, with embedding, each kind of layer and head on stages
//! by themselves ([`motley_scheduler::price`]): kernel times, collectives over the unit's own links,
//! memory. What a stage of some layers takes and holds is then a sum.

use std::ops::Range;

use motley_collectives::{CollectiveKind, Fidelity, Layouts};
use motley_scenario::Scenario;
use motley_scheduler::{
    ExpertParallel, KernelTimes, Offload, Pipeline, Plan, Stage, StagePrice, Zero, price,
};
use motley_topology::{Cluster, GpuId, RouteError};

use crate::pool::Pool;
use crate::settings::{CONTEXT, Settings};
use crate::sketch::{Unit, dealt_out};

/// A share of the memory that is left free: what a plan's communicators take is known only with it.
const MARGIN: f64 = 0.01;

/// What a part of the model takes and holds on a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PartCost {
    /// Forward and backward pass of a micro-batch, seconds.
    pub time: f64,
    /// Bytes whatever is shared out.
    pub fixed: f64,
    /// Bytes of optimizer states, before these are shared out.
    pub optimizer: f64,
    /// Bytes that a micro-batch in flight keeps.
    pub kept: f64,
    /// Bytes that a pass needs beside.
    pub passing: f64,
}

/// What a unit takes and holds for one size of micro-batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnitCosts {
    /// Bytes of a card with nothing of the model.
    base: f64,
    /// Bytes of the card.
    capacity: f64,
    embedding: PartCost,
    head: PartCost,
    /// The whole model in one stage.
    whole: PartCost,
    /// Sums over the first layers, by their number from 0.
    sums: Vec<PartCost>,
    /// The most that a pass of a layer needs beside.
    passing: f64,
    /// What activations take to the next unit of the same type, seconds.
    pub hop: f64,
}

impl UnitCosts {
    /// Seconds of a stage for one micro-batch.
    pub(crate) fn time(&self, layers: &Range<u32>, first: bool, last: bool) -> f64 {
        if first && last {
            return self.whole.time;
        }
        let inside = self.sums[layers.end as usize].time - self.sums[layers.start as usize].time;
        inside
            + if first { self.embedding.time } else { 0.0 }
            + if last { self.head.time } else { 0.0 }
    }

    /// Bytes of a stage's fullest card with so many micro-batches in flight, optimizer states shared
    /// out over so many replicas.
    pub(crate) fn need(
        &self,
        layers: &Range<u32>,
        ends: [bool; 2],
        in_flight: u32,
        shared: u32,
    ) -> f64 {
        let part = self.part(layers, ends);
        self.base
            + part.fixed
            + part.optimizer / f64::from(shared.max(1))
            + f64::from(in_flight) * part.kept
            + part.passing
    }

    /// Whether that fits.
    pub(crate) fn fits(
        &self,
        layers: &Range<u32>,
        ends: [bool; 2],
        in_flight: u32,
        shared: u32,
    ) -> bool {
        self.need(layers, ends, in_flight, shared) <= self.capacity * (1.0 - MARGIN)
    }

    /// Bytes of gradients and parameters of a stage on a card: what replicas exchange is a share of
    /// these.
    pub(crate) fn fixed(&self, layers: &Range<u32>, ends: [bool; 2]) -> f64 {
        self.part(layers, ends).fixed
    }

    /// Memory of a card, bytes.
    pub(crate) fn capacity(&self) -> f64 {
        self.capacity
    }

    fn part(&self, layers: &Range<u32>, [first, last]: [bool; 2]) -> PartCost {
        if first && last {
            return self.whole;
        }
        let (from, to) = (&self.sums[layers.start as usize], &self.sums[layers.end as usize]);
        let mut part = PartCost {
            time: to.time - from.time,
            fixed: to.fixed - from.fixed,
            optimizer: to.optimizer - from.optimizer,
            kept: to.kept - from.kept,
            passing: if layers.is_empty() { 0.0 } else { self.passing },
        };
        for (there, end) in [(first, &self.embedding), (last, &self.head)] {
            if there {
                part.fixed += end.fixed;
                part.optimizer += end.optimizer;
                part.kept += end.kept;
                part.passing = part.passing.max(end.passing);
            }
        }
        part
    }
}

#[cfg(test)]
impl UnitCosts {
    /// Layers of these seconds and bytes, ends of these seconds, on a card so slow and so small.
    pub(crate) fn made_up(
        layers: &[(f64, f64)],
        (embedding, head): (f64, f64),
        slowness: f64,
        capacity: f64,
    ) -> Self {
        let end = |time: f64| PartCost { time: time * slowness, ..PartCost::default() };
        let mut sums = vec![PartCost::default()];
        for &(time, bytes) in layers {
            let last = sums[sums.len() - 1];
            sums.push(PartCost {
                time: last.time + time * slowness,
                fixed: last.fixed + bytes,
                optimizer: last.optimizer + bytes,
                kept: last.kept + bytes / 4.0,
                ..PartCost::default()
            });
        }
        let all = sums[layers.len()];
        let whole = PartCost { time: all.time + (embedding + head) * slowness, ..all };
        Self {
            base: 0.5,
            capacity,
            embedding: end(embedding),
            head: end(head),
            whole,
            sums,
            passing: 0.0,
            hop: 0.0,
        }
    }
}

/// Prices of units on one cluster.
pub(crate) struct Pricing<'a> {
    pub scenario: &'a Scenario,
    pub cluster: &'a Cluster,
    pub times: KernelTimes<'a>,
    pub pool: &'a Pool,
    pub settings: Settings,
    pub experts: bool,
    pub layouts: Layouts,
}

impl Pricing<'_> {
    /// The costs of a unit; none if its cards cannot reach each other.
    pub(crate) fn unit(&mut self, unit: Unit, micro_batch_size: u32) -> Option<UnitCosts> {
        let cards = self.pool.types[unit.kind].units(unit.cards()).into_iter().next()?;
        let model = &self.scenario.model;
        let layers = model.layer_count();
        // One layer of each kind, and two neighbours, which tell what a card holds without any.
        let mut parts: Vec<(motley_workload::Part, PartCost)> = Vec::new();
        let mut base = 0.0;
        let mut embedding = PartCost::default();
        let mut head = PartCost::default();
        for layer in 0..layers {
            let part = model.part(layer);
            if parts.iter().any(|(known, _)| *known == part) {
                continue;
            }
            let cuts = [0..0, 0..layer, layer..layer + 1, layer + 1..layers, layers..layers];
            let prices = self.prices(&cards, unit, micro_batch_size, &cuts).ok()?;
            let [begin, own, end] = [0, 2, 4].map(|stage| part_cost(&prices[stage]));
            if parts.is_empty() {
                let none = self.prices(&cards, unit, micro_batch_size, &[0..0, 0..0, 0..layers]);
                base = none.ok()?[1].memory.idle.total().0;
                embedding = begin.without(base);
                head = end.without(base);
            }
            parts.push((part, own.without(base)));
        }
        let whole =
            self.prices(&cards, unit, micro_batch_size, &[Range { start: 0, end: layers }]).ok()?;
        let capacity = whole[0].capacity.0;
        let whole = part_cost(&whole[0]).without(base);
        let passing = parts.iter().map(|(_, cost)| cost.passing).fold(0.0, f64::max);
        let mut sums = vec![PartCost::default()];
        for layer in 0..layers {
            let kind = model.part(layer);
            let cost = parts.iter().find(|(known, _)| *known == kind)?.1;
            let last = *sums.last()?;
            sums.push(PartCost {
                time: last.time + cost.time,
                fixed: last.fixed + cost.fixed,
                optimizer: last.optimizer + cost.optimizer,
                kept: last.kept + cost.kept,
                passing: 0.0,
            });
        }
        let hop = self.hop(unit, unit, micro_batch_size).unwrap_or(0.0);
        Some(UnitCosts { base, capacity, embedding, head, whole, sums, passing, hop })
    }

    /// What activations take from one unit to another, seconds; none if they have no route, or there
    /// are not two such units.
    pub(crate) fn hop(&mut self, from: Unit, to: Unit, micro_batch_size: u32) -> Option<f64> {
        let mut units = self.pool.types[from.kind].units(from.cards()).into_iter();
        let first = units.next()?;
        let second = if from.kind == to.kind {
            units.next()?
        } else {
            self.pool.types[to.kind].units(to.cards()).into_iter().next()?
        };
        let layers = self.scenario.model.layer_count();
        let middle = layers / 2;
        let mut plan = self.settings.plan(Zero::NONE);
        let stages = vec![
            self.stage(&first[..from.tp as usize], from, 0..middle),
            self.stage(&second[..to.tp as usize], to, middle..layers),
        ];
        plan.pipelines = vec![Pipeline { micro_batches: 1, micro_batch_size, stages }];
        let prices = price(&plan, self.cluster, &self.times, &mut self.layouts).ok()?;
        Some(prices.first()?.first()?.hop.as_secs_f64())
    }

    /// Seconds for which replicas that lie on all nodes of these types are busy with so many bytes of
    /// gradients a card, all cards of a node behind its NICs.
    pub(crate) fn sync(&mut self, kinds: &[usize], bytes: f64) -> f64 {
        let nodes = kinds.iter().flat_map(|&kind| self.pool.types[kind].nodes.iter());
        let mut members: Vec<GpuId> =
            nodes.clone().filter_map(|node| node.first().copied()).collect();
        members.truncate(64);
        let mut sharing =
            kinds.iter().map(|&kind| self.pool.types[kind].cards_per_nic).fold(1.0, f64::max);
        if members.len() < 2 {
            members = nodes.flatten().copied().collect();
            sharing = 1.0;
        }
        if members.len() < 2 {
            return 0.0;
        }
        let kind = CollectiveKind::AllReduce;
        let laid = self.layouts.group(self.cluster, &members, [kind], Fidelity::Bundled);
        laid.map_or(0.0, |laid| laid.uncontended(&laid.call(kind, bytes * sharing)).0)
    }

    fn prices(
        &mut self,
        cards: &[GpuId],
        unit: Unit,
        micro_batch_size: u32,
        cuts: &[Range<u32>],
    ) -> Result<Vec<StagePrice>, RouteError> {
        let lane = |lane: usize| Pipeline {
            micro_batches: 1,
            micro_batch_size,
            stages: cuts
                .iter()
                .map(|layers| {
                    let tp = unit.tp as usize;
                    self.stage(&cards[lane * tp..(lane + 1) * tp], unit, layers.clone())
                })
                .collect(),
        };
        let mut plan: Plan = self.settings.plan(Zero::NONE);
        plan.pipelines = (0..unit.wide as usize).map(lane).collect();
        let prices = price(&plan, self.cluster, &self.times, &mut self.layouts)?;
        Ok(prices.into_iter().next().unwrap_or_default())
    }

    fn stage(&self, cards: &[GpuId], unit: Unit, layers: Range<u32>) -> Stage {
        Stage {
            gpus: cards.to_vec(),
            context: CONTEXT,
            experts: if self.experts { dealt_out(unit) } else { ExpertParallel::NONE },
            chunks: vec![layers],
            recompute: unit.recompute,
            offload: Offload::default(),
        }
    }
}

impl PartCost {
    fn without(self, base: f64) -> Self {
        Self { fixed: (self.fixed - base).max(0.0), ..self }
    }
}

fn part_cost(price: &StagePrice) -> PartCost {
    let idle = price.memory.idle;
    let all = |activations: f64| idle.with(activations, 0.0, 0.0).total().0 - idle.total().0;
    let chunk = price.memory.chunks.first().copied().unwrap_or_default();
    let passing =
        chunk.fullest.iter().map(|moment| moment.gradients + moment.passing).fold(0.0, f64::max);
    PartCost {
        time: (price.forward + price.backward).as_secs_f64(),
        fixed: idle.total().0 - idle.optimizer.0,
        optimizer: idle.optimizer.0,
        kept: all(chunk.kept),
        passing: all(passing),
    }
}
