//! What further nodes add to a cluster.

use motley::Scenario;
use motley_planner::{Found, Judged};
use serde::Serialize;

use crate::clusters::{joined, on};
use crate::equivalent::{Side, SideDocument, side};
use crate::search::{Planner, Told, as_best, best};
use crate::{EquivalenceError, Nodes};

/// Nodes that may be added.
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    /// How many.
    pub count: u32,
    /// Of which kind.
    pub nodes: Nodes,
}

impl Addition {
    /// `8 x dgx1-v100`, `8 x v100 nodes` or `dgx1-v100`: a number of nodes, 1 if none is given, of a design,
    /// or of a card in the nodes that are built for it.
    ///
    /// # Errors
    /// If it is none of these, or the catalogue lacks it.
    pub fn read(text: &str, nic: Option<&str>) -> Result<Self, EquivalenceError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (count, rest) = match words.as_slice() {
            [count, "x" | "*", rest @ ..] => (Some(*count), rest),
            [count, rest @ ..] if count.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Some(*count), rest)
            }
            rest => (None, rest),
        };
        let (word, asked) = match rest {
            [word] => (*word, "x"),
            [word, plural @ ("node" | "nodes")] => (*word, *plural),
            _ => ("", ""),
        };
        let count = count
            .map_or(Ok(1), str::parse::<u32>)
            .ok()
            .filter(|count| (1..=200_000).contains(count));
        match count {
            Some(count) if !asked.is_empty() => Ok(Self { count, nodes: Nodes::meant(word, nic)? }),
            _ => Err(EquivalenceError::Asked(format!(
                "`{text}` is not a number of nodes; write for example \"8 x dgx1-v100\""
            ))),
        }
    }
}

/// What some of the nodes add.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Nodes added.
    pub node_count: u32,
    /// Cards added.
    pub card_count: u32,
    /// Samples per second with them, some or all of which the best plan may leave idle.
    pub samples_per_s: f64,
    /// Gain over the cluster without them, as a share of that; never below zero.
    pub gain_ratio: f64,
    /// Cards among the added that the best plan uses.
    pub used_card_count: u32,
    /// Gain if all of the added cards must be used, by the best plan that was found to do so; below zero where
    /// they hold the others up. None if no such plan fits.
    pub gain_if_all_used_ratio: Option<f64>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Value {
    /// The nodes.
    pub nodes: Nodes,
    /// The NIC is not the design's own: the fabric is of another technology.
    pub nic_replaced: bool,
    /// The cluster as it is, with its best plan.
    pub before: Side,
    /// With all of the nodes.
    pub after: Side,
    /// What so many of them alone would reach of the cluster's throughput, as a share; 0 if the model does not
    /// fit into them.
    pub alone_ratio: f64,
    /// By number of nodes, rising.
    pub steps: Vec<Step>,
    /// Plans that the engine was asked about.
    pub plans: u64,
    /// A search was ended by its budget.
    pub cut: bool,
}

/// What further nodes, joined to a scenario's fabric, add to its throughput with the same batch, each number
/// of them with its best plan: 1, 2, 4 and so on up to all.
///
/// # Errors
/// If the scenario cannot be simulated, or no plan of it fits.
pub fn value(
    scenario: &Scenario,
    addition: &Addition,
    budget_s: f64,
    told: Told,
) -> Result<Value, EquivalenceError> {
    let mut planner = Planner::new(scenario, budget_s, told);
    let found = planner.own(scenario, "the cluster as it is")?;
    let before = best(scenario, &found).ok_or_else(|| {
        EquivalenceError::Asked("no plan of the scenario fits into its cards".to_owned())
    })?;
    let technology = scenario.cluster.fabric.technology;
    let mut nodes = addition.nodes.clone();
    let nic_replaced = nodes.nic.technology != technology;
    if nic_replaced {
        let first = scenario.cluster.groups.first().map_or("", |group| group.nic.id.as_str());
        nodes = Nodes { nic: crate::nodes::nic(first)?, ..nodes };
    }
    let mut counts: Vec<u32> = std::iter::successors(Some(1_u32), |count| count.checked_mul(2))
        .take_while(|count| *count < addition.count)
        .collect();
    counts.push(addition.count);
    // What was there keeps its numbers: added cards come behind.
    let old = scenario.cluster.gpus();
    let mut steps: Vec<Step> = Vec::new();
    let mut after = before.clone();
    for count in counts {
        let what = format!("{} {} beside", count * nodes.gpus(), nodes.device.name);
        let larger = on(scenario, joined(scenario, nodes.group(count)), &what)?;
        let found = planner.open(&larger, &what)?;
        let added = |judged: &Judged| judged.plan.gpus().filter(|gpu| gpu.0 >= old).count() as u32;
        let reached = best(&larger, &found);
        if let Some(better) = reached.filter(|best| best.samples_per_s > after.samples_per_s) {
            after = better;
        }
        let used = after.plan.gpus().filter(|gpu| gpu.0 >= old).count() as u32;
        let samples_per_s = after.samples_per_s;
        let all = with_all(&larger, &found, |judged| added(judged) == count * nodes.gpus());
        steps.push(Step {
            node_count: count,
            card_count: count * nodes.gpus(),
            samples_per_s,
            gain_ratio: samples_per_s / before.samples_per_s - 1.0,
            used_card_count: used,
            gain_if_all_used_ratio: all.map(|all| all / before.samples_per_s - 1.0),
        });
    }
    let all = on(scenario, joined(scenario, nodes.group(addition.count)), "the larger cluster")?;
    let alone =
        on(scenario, crate::clusters::alone(scenario, &nodes, addition.count), "the nodes alone")?;
    // Cards that cannot run the training by themselves reach nothing.
    let alone_ratio = match planner.open(&alone, "the nodes alone") {
        Ok(found) => {
            best(&alone, &found).map_or(0.0, |best| best.samples_per_s / before.samples_per_s)
        }
        Err(EquivalenceError::Simulate(error)) if error.is_input() => 0.0,
        Err(error) => return Err(error),
    };
    Ok(Value {
        nodes,
        nic_replaced,
        before: side(scenario, &before.plan)?,
        after: side(&all, &after.plan)?,
        alone_ratio,
        steps,
        plans: planner.plans,
        cut: planner.cut,
    })
}

/// Samples per second of the best plan that does as asked.
fn with_all(scenario: &Scenario, found: &Found, asked: impl Fn(&Judged) -> bool) -> Option<f64> {
    let mut fitting = found.ranked.iter().filter(|judged| judged.fits());
    let judged = fitting.find(|judged| asked(judged))?;
    Some(as_best(scenario, judged)?.samples_per_s)
}

#[derive(Serialize)]
struct Document<'a> {
    card: &'a str,
    node_design: &'a str,
    nic: &'a str,
    gain_ratio: f64,
    gain_samples_per_s: f64,
    alone_ratio: f64,
    mixing_efficiency_ratio: f64,
    steps: &'a [Step],
    before: SideDocument<'a>,
    after: SideDocument<'a>,
    evaluated_plan_count: u64,
    budget_cut: bool,
}

impl Value {
    /// Gain of all of the nodes, as a share of the throughput without them.
    pub fn gain_ratio(&self) -> f64 {
        self.steps.last().map_or(0.0, |step| step.gain_ratio)
    }

    /// Throughput with the nodes over the sum of both parts alone, each with its best plan.
    pub fn mixing_efficiency(&self) -> f64 {
        (1.0 + self.gain_ratio()) / (1.0 + self.alone_ratio)
    }

    /// What [`motley::json`] makes a document of, every number with its unit.
    pub fn document(&self) -> impl Serialize + '_ {
        let before = self.before.report.efficiency.samples_per_s;
        Document {
            card: &self.nodes.device.id,
            node_design: &self.nodes.design.id,
            nic: &self.nodes.nic.id,
            gain_ratio: self.gain_ratio(),
            gain_samples_per_s: self.gain_ratio() * before,
            alone_ratio: self.alone_ratio,
            mixing_efficiency_ratio: self.mixing_efficiency(),
            steps: &self.steps,
            before: SideDocument::of(&self.before),
            after: SideDocument::of(&self.after),
            evaluated_plan_count: self.plans,
            budget_cut: self.cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_are_read() {
        let check = |text: &str, count: u32, design: &str| match Addition::read(text, None) {
            Ok(read) => {
                assert_eq!((read.count, read.nodes.design.id.as_str()), (count, design), "{text}");
            }
            Err(error) => panic!("{text}: {error}"),
        };
        check("8 x dgx1-v100", 8, "dgx1-v100");
        check("8 h800-sxm nodes", 8, "hgx-h800");
        check("dgx-h100", 1, "dgx-h100");
        check("2 * p100-sxm2 nodes", 2, "dgx1-p100");
        let refused = |text: &str, part: &str| {
            let error = Addition::read(text, None).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        refused("", "not a number of nodes");
        refused("x dgx1-v100 y z", "not a number of nodes");
        refused("0 x dgx1-v100", "not a number of nodes");
        refused("8 x dgx1-v10", "did you mean");
    }
}
