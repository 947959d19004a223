//! The cheapest pool that trains a model in time.

use motley::Scenario;
use motley_scenario::raw::RawCluster;
use serde::Serialize;

use crate::clusters::{alone, on};
use crate::curve::{Curve, Reach};
use crate::equivalent::{Side, SideDocument, side};
use crate::search::{Best, Planner, Told, best};
use crate::{EquivalenceError, Nodes};

/// Numbers of nodes that lie closer are not told apart.
const TOLERANCE: f64 = 0.01;

/// Numbers of further nodes that are tried between none and all, by halving.
const HALVINGS: u32 = 8;

/// Kinds of nodes of which a few are tried in place of the last node of the cheapest pool.
const TRIED: usize = 3;

/// Seconds of a day, and of an hour.
const DAY: f64 = 86_400.0;
const HOUR: f64 = 3600.0;

/// Nodes that may be bought.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which.
    pub nodes: Nodes,
    /// Cards that there are; any number if none is given.
    pub stock: Option<u32>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Order {
    /// Samples to train on: tokens over the tokens of a sample.
    pub samples: f64,
    /// Days that there are.
    pub days: f64,
    /// What may be bought.
    pub offers: Vec<Offer>,
    /// Cards of a kind, at most.
    pub most: u32,
    /// Effort of each search, see [`motley_planner::Options`].
    pub budget_s: f64,
}

/// A pool that is fast enough.
#[derive(Clone, Debug)]
pub struct Pooled {
    /// Nodes of each kind.
    pub parts: Vec<(Nodes, u32)>,
    /// With its best plan.
    pub side: Side,
    /// Days that the training takes.
    pub days: f64,
    /// Its cost, US dollars, by the catalogue's prices of card-hours; none if a card has none.
    pub cost_usd: Option<f64>,
    /// Hours times cards.
    pub card_hours: f64,
    /// Hours times rated power of nodes, MWh, if the catalogue knows that of all.
    pub rated_energy_mwh: Option<f64>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Design {
    /// Samples a second that are needed.
    pub samples_per_s: f64,
    /// Pools that are fast enough, the cheapest first, those without a price last.
    pub pools: Vec<Pooled>,
    /// Kinds of nodes that are not enough by themselves, and why.
    pub refused: Vec<(String, String)>,
    /// Plans that the engine was asked about.
    pub plans: u64,
    /// A search was ended by its budget.
    pub cut: bool,
}

/// The pools that train a scenario's model, with its batch, on so many samples in so many days: of each kind
/// of nodes the smallest; where stocks are too small, the cheapest kinds together; and the cheapest with a
/// few cheaper nodes in place of its last. The scenario's own cluster does not count.
///
/// # Errors
/// If a scenario on the way cannot be simulated.
pub fn design(scenario: &Scenario, order: &Order, told: Told) -> Result<Design, EquivalenceError> {
    let target = order.samples / (order.days * DAY);
    let mut planner = Planner::new(scenario, order.budget_s, told);
    let mut pools: Vec<Pooled> = Vec::new();
    let mut refused = Vec::new();
    // By kind, the cost of a sample where it is best used.
    let mut ranked: Vec<(f64, &Offer)> = Vec::new();
    for offer in &order.offers {
        let nodes = &offer.nodes;
        let name = nodes.device.name.clone();
        let most = offer.stock.unwrap_or(order.most).min(order.most);
        if most < nodes.gpus() {
            refused.push((name, format!("fewer than the {} cards of a node", nodes.gpus())));
            continue;
        }
        let mut curve = Curve::new(scenario, nodes.clone(), most);
        let reach = match curve.reach(&mut planner, target, TOLERANCE) {
            Ok(reach) => reach,
            Err(EquivalenceError::Simulate(error)) if error.is_input() => {
                refused.push((name, "cannot run the training's precision".to_owned()));
                continue;
            }
            Err(error) => return Err(error),
        };
        let per_node = curve
            .points
            .iter()
            .filter_map(|(&count, best)| Some(best.as_ref()?.samples_per_s / f64::from(count)))
            .fold(0.0, f64::max);
        if let Some(price) = nodes.usd_per_hour().filter(|_| per_node > 0.0) {
            ranked.push((price / per_node, offer));
        }
        match reach {
            Reach::By { nodes: count, .. } => {
                if let Some((count, best)) = curve.best(count) {
                    let best = best.clone();
                    let scenario = curve.at(count)?;
                    pools.push(pooled(&scenario, vec![(nodes.clone(), count)], &best, order)?);
                }
            }
            Reach::Never => {
                let share =
                    curve.best(u32::MAX).map_or(0.0, |(_, best)| best.samples_per_s / target);
                refused
                    .push((name, format!("up to {most} cards reach {:.0} % of it", 100.0 * share)));
            }
        }
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    pools.extend(together(scenario, order, target, &ranked, &mut planner)?);
    pools.sort_by(Pooled::order);
    if let Some(cheapest) = pools.first().cloned() {
        for (_, offer) in ranked.iter().take(TRIED) {
            let found = instead(scenario, order, target, &cheapest, offer, &mut planner)?;
            pools.extend(found);
        }
        pools.sort_by(Pooled::order);
    }
    Ok(Design { samples_per_s: target, pools, refused, plans: planner.plans, cut: planner.cut })
}

/// The cheapest kinds one after the other, all that there is of each, until it is enough; nothing if one
/// kind alone is.
fn together(
    scenario: &Scenario,
    order: &Order,
    target: f64,
    ranked: &[(f64, &Offer)],
    planner: &mut Planner,
) -> Result<Option<Pooled>, EquivalenceError> {
    let mut parts: Vec<(Nodes, u32)> = Vec::new();
    for (_, offer) in ranked {
        let most = offer.stock.unwrap_or(order.most).min(order.most) / offer.nodes.gpus();
        if most == 0 {
            continue;
        }
        let all = with(&parts, &offer.nodes, most)?;
        let reached = planned(scenario, &all, planner)?;
        let enough = |best: &Option<(Scenario, Best)>| {
            best.as_ref().is_some_and(|(_, best)| best.samples_per_s >= target)
        };
        if !enough(&reached) {
            parts = all;
            continue;
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let (mut low, mut high, mut found) = (0, most, reached);
        for _ in 0..HALVINGS {
            if high - low <= 1 {
                break;
            }
            let middle = u32::midpoint(low, high);
            let tried = planned(scenario, &with(&parts, &offer.nodes, middle)?, planner)?;
            if enough(&tried) {
                (high, found) = (middle, tried);
            } else {
                low = middle;
            }
        }
        let Some((scenario, best)) = found else { return Ok(None) };
        return Ok(Some(pooled(&scenario, with(&parts, &offer.nodes, high)?, &best, order)?));
    }
    Ok(None)
}

/// The cheapest pool with its last node left out and as few others as are enough in its place, if that is
/// cheaper.
fn instead(
    scenario: &Scenario,
    order: &Order,
    target: f64,
    cheapest: &Pooled,
    offer: &Offer,
    planner: &mut Planner,
) -> Result<Option<Pooled>, EquivalenceError> {
    let [(nodes, count)] = cheapest.parts.as_slice() else { return Ok(None) };
    if *nodes == offer.nodes || *count < 2 {
        return Ok(None);
    }
    let (Some(own), Some(other)) = (nodes.usd_per_hour(), offer.nodes.usd_per_hour()) else {
        return Ok(None);
    };
    let most = offer.stock.unwrap_or(order.most) / offer.nodes.gpus();
    let affordable = ((own / other).ceil() as u32).saturating_sub(1).min(most);
    for more in 1..=affordable {
        let parts = with(&[(nodes.clone(), count - 1)], &offer.nodes, more)?;
        if let Some((scenario, best)) = planned(scenario, &parts, planner)?
            && best.samples_per_s >= target
        {
            return Ok(Some(pooled(&scenario, parts, &best, order)?));
        }
    }
    Ok(None)
}

/// Parts and further nodes, which get NICs that the fabric of the others speaks.
fn with(
    parts: &[(Nodes, u32)],
    nodes: &Nodes,
    count: u32,
) -> Result<Vec<(Nodes, u32)>, EquivalenceError> {
    let mut nodes = nodes.clone();
    if let Some((first, _)) = parts.first()
        && first.nic.technology != nodes.nic.technology
    {
        nodes.nic = crate::nodes::nic(&first.nic.id)?;
    }
    let mut all = parts.to_vec();
    all.push((nodes, count));
    Ok(all)
}

fn planned(
    scenario: &Scenario,
    parts: &[(Nodes, u32)],
    planner: &mut Planner,
) -> Result<Option<(Scenario, Best)>, EquivalenceError> {
    let Some((first, count)) = parts.first() else { return Ok(None) };
    let groups = parts.iter().map(|(nodes, count)| nodes.group(*count)).collect();
    let cluster = RawCluster { groups, ..alone(scenario, first, *count) };
    let names: Vec<String> = parts
        .iter()
        .map(|(nodes, count)| format!("{} {}", count * nodes.gpus(), nodes.device.name))
        .collect();
    let what = names.join(" + ");
    let pool = on(scenario, cluster, &what)?;
    let found = planner.open(&pool, &what)?;
    Ok(best(&pool, &found).map(|best| (pool, best)))
}

fn pooled(
    scenario: &Scenario,
    parts: Vec<(Nodes, u32)>,
    best: &Best,
    order: &Order,
) -> Result<Pooled, EquivalenceError> {
    let side = side(scenario, &best.plan)?;
    let hours = order.samples / best.samples_per_s / HOUR;
    Ok(Pooled {
        parts,
        days: hours * HOUR / DAY,
        cost_usd: side.usd_per_hour.map(|price| price * hours),
        card_hours: f64::from(side.cards) * hours,
        rated_energy_mwh: side.rated_power_w.map(|power| power * hours / 1e6),
        side,
    })
}

impl Pooled {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |pool: &Self| (pool.cost_usd.is_none(), pool.cost_usd.unwrap_or(pool.card_hours));
        let (own, other) = (key(self), key(other));
        own.0.cmp(&other.0).then(own.1.total_cmp(&other.1))
    }
}

#[derive(Serialize)]
struct PartDocument<'a> {
    card: &'a str,
    node_design: &'a str,
    node_count: u32,
    card_count: u32,
}

#[derive(Serialize)]
struct PoolDocument<'a> {
    parts: Vec<PartDocument<'a>>,
    time_days: f64,
    cost_usd: Option<f64>,
    card_hours: f64,
    rated_energy_mwh: Option<f64>,
    #[serde(flatten)]
    side: SideDocument<'a>,
}

#[derive(Serialize)]
struct Refused<'a> {
    card: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Document<'a> {
    needed_samples_per_s: f64,
    pools: Vec<PoolDocument<'a>>,
    refused: Vec<Refused<'a>>,
    evaluated_plan_count: u64,
    budget_cut: bool,
}

impl Design {
    /// What [`motley::json`] makes a document of, every number with its unit.
    pub fn document(&self) -> impl Serialize + '_ {
        let part = |(nodes, count): &'_ (Nodes, u32)| PartDocument {
            card: &nodes.device.id,
            node_design: &nodes.design.id,
            node_count: *count,
            card_count: count * nodes.gpus(),
        };
        let pools = self.pools.iter().map(|pool| PoolDocument {
            parts: pool.parts.iter().map(part).collect(),
            time_days: pool.days,
            cost_usd: pool.cost_usd,
            card_hours: pool.card_hours,
            rated_energy_mwh: pool.rated_energy_mwh,
            side: SideDocument::of(&pool.side),
        });
        let refused = self.refused.iter().map(|(card, reason)| Refused { card, reason });
        Document {
            needed_samples_per_s: self.samples_per_s,
            pools: pools.collect(),
            refused: refused.collect(),
            evaluated_plan_count: self.plans,
            budget_cut: self.cut,
        }
    }
}
