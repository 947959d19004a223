//! Other cards, NICs and links.

use std::collections::BTreeMap;

use motley::{Prepared, Scenario};
use motley_hardware::{Catalog, Cited, Device};
use motley_scenario::nearest;
use motley_scenario::raw::{RawGroup, RawPlan};

use super::written_out::without;
use super::{Change, Wishes};
use crate::balance::work_by_type;

/// What a link is said to have that is twice as fast as the catalogue's.
const TWICE: &str = "what if it were twice as fast";

/// What the user wants to know.
pub(super) fn wished(scenario: &Scenario, wishes: &Wishes) -> Result<Vec<Change>, String> {
    let catalog = Catalog::builtin();
    let mut list = Vec::new();
    for (from, to) in &wishes.swaps {
        let present = types(scenario);
        let Some(old) = present.get(from.as_str()) else {
            let known: Vec<&str> = present.keys().copied().collect();
            return Err(format!(
                "--swap: the scenario has no card `{from}`, but {}",
                known.join(", ")
            ));
        };
        let new = catalog
            .device(to)
            .ok_or_else(|| unknown("--swap", "card", to, catalog.devices.keys()))?;
        list.push(swap(scenario, old, new));
    }
    for id in &wishes.nics {
        let nic =
            catalog.nic(id).ok_or_else(|| unknown("--nic", "NIC", id, catalog.nics.keys()))?;
        list.push(Change::raw(scenario, "nic", format!("every NIC a {}", nic.name), |raw| {
            raw.cluster.groups.iter_mut().for_each(|group| group.nic = Some(id.clone()));
            Ok(())
        }));
    }
    Ok(list)
}

fn unknown<'a>(
    option: &str,
    what: &str,
    id: &str,
    known: impl Iterator<Item = &'a String>,
) -> String {
    let hint = nearest(id, known.map(String::as_str))
        .map_or(String::new(), |similar| format!("; did you mean `{similar}`?"));
    format!("{option}: the catalogue has no {what} `{id}`{hint}")
}

/// What suggests itself for these machines.
pub(super) fn suggested(prepared: &Prepared) -> Vec<Change> {
    let scenario = prepared.scenario;
    let types = types(scenario);
    let mut list = Vec::new();
    for old in types.values() {
        for new in types.values().filter(|new| new.id != old.id) {
            list.push(swap(scenario, old, new));
        }
    }
    for device in types.values().filter(|device| device.nvlink.is_some()) {
        let links = device.vendor.card_links();
        let what = format!("{links} of {} twice as fast", device.name);
        list.push(Change::spec(scenario, "card_links", what, |scenario| {
            let groups = scenario.cluster.groups.iter_mut();
            for group in groups.filter(|group| group.device.id == device.id) {
                if let Some(nvlink) = &mut group.device.nvlink {
                    let twice = motley_units::BytesPerSec(2.0 * nvlink.per_link.get().0);
                    nvlink.per_link = Cited::Assumed(twice, TWICE.to_owned());
                }
            }
        }));
    }
    if prepared.cluster.node_count() > 1 {
        list.push(Change::spec(scenario, "nic", "network twice as fast", |scenario| {
            for group in &mut scenario.cluster.groups {
                let twice = motley_units::BytesPerSec(2.0 * group.nic.rate.get().0);
                group.nic.rate = Cited::Assumed(twice, TWICE.to_owned());
            }
            if let Some(port) = &mut scenario.cluster.fabric.port {
                port.0 *= 2.0;
            }
        }));
    }
    if types.len() > 1 {
        list.extend(without_slowest(prepared));
    }
    list
}

/// The types of cards in the cluster.
fn types(scenario: &Scenario) -> BTreeMap<&str, &Device> {
    scenario.cluster.groups.iter().map(|group| (group.device.id.as_str(), &group.device)).collect()
}

/// Nodes with one type of card become nodes with another: such as the cluster has already, else such as
/// the catalogue has with as many cards, else the same nodes with the other card in them.
fn swap(scenario: &Scenario, old: &Device, new: &Device) -> Change {
    let what = format!("{} in place of {}", new.name, old.name);
    Change::raw(scenario, "swap_cards", what, |raw| {
        let groups = &scenario.cluster.groups;
        let same = groups.iter().position(|group| group.device.id == new.id);
        let like = same.map(|index| raw.cluster.groups[index].clone());
        for (group, resolved) in raw.cluster.groups.iter_mut().zip(groups) {
            if resolved.device.id != old.id {
                continue;
            }
            *group = match &like {
                Some(like) => RawGroup { name: None, count: group.count, ..like.clone() },
                None => bought(group, resolved.design.gpus, &resolved.nic.id, new),
            };
        }
        Ok(())
    })
}

/// A node of the catalogue with so many of these cards, on the fabric that there is.
fn bought(group: &RawGroup, gpus: u32, nic: &str, new: &Device) -> RawGroup {
    let catalog = Catalog::builtin();
    let natural = catalog.nodes.values().find(|node| node.device == new.id && node.gpus == gpus);
    RawGroup {
        name: None,
        design: natural.map_or_else(|| group.design.clone(), |node| node.id.clone()),
        count: group.count,
        device: natural.is_none().then(|| new.id.clone()),
        nic: Some(nic.to_owned()),
        scale: None,
    }
}

/// The cluster without the type of card that would take longest for all the work, and without the
/// replicas that it leaves no room for.
fn without_slowest(prepared: &Prepared) -> Option<Change> {
    let scenario = prepared.scenario;
    let works = work_by_type(prepared).ok()?;
    let slowest = works.iter().max_by_key(|row| row.card_seconds)?.id.as_str();
    let device = *types(scenario).get(slowest)?;
    let what = format!("without the slowest type, {}", device.name);
    Some(Change::raw(scenario, "remove_slowest", what, |raw| {
        let cards = |kept: fn(&str, &str) -> bool| -> u32 {
            let groups = scenario.cluster.groups.iter();
            groups
                .filter(|group| kept(&group.device.id, slowest))
                .map(motley_topology::NodeGroup::gpus)
                .sum()
        };
        let (all, left) = (cards(|_, _| true), cards(|id, slowest| id != slowest));
        let RawPlan::Uniform { dp, .. } = &mut raw.plan else {
            // A plan that names its cards leaves them idle.
            raw.plan = RawPlan::written_out(&without(prepared, slowest)?);
            return Ok(());
        };
        let replicas = u64::from(*dp) * u64::from(left);
        if !replicas.is_multiple_of(u64::from(all)) {
            return Err(format!("{left} cards have no room for a whole number of its pipelines"));
        }
        *dp = (replicas / u64::from(all)) as u32;
        let mut kept = scenario.cluster.groups.iter().map(|group| group.device.id != slowest);
        raw.cluster.groups.retain(|_| kept.next().unwrap_or(true));
        Ok(())
    }))
}
