//! From a run to the points of a profile.

use std::collections::BTreeMap;

use motley_units::{Bytes, Seconds};
use motley_workload::{ProfiledCollective, ProfiledCollectiveKind, ProfiledNodes};

use super::run::{Half, RankPlace, Row, Run};
use super::{Found, Place, Told, devices, program};

/// The points of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OfRun {
    pub kind: ProfiledCollectiveKind,
    pub points: Vec<Point>,
    /// Rows that move nothing: too little to give every rank a part.
    pub empty: usize,
}

/// A point and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub place: Place,
    pub collective: ProfiledCollective,
}

pub(super) fn points(run: &Run, told: &Told) -> Found<OfRun> {
    let mut wrong = Vec::new();
    let kind = kind(run, told).map_err(|found| wrong.push(found)).ok();
    let members = members(run, told).map_err(|found| wrong.push(found)).ok();
    if let (Some(kind), Some(members)) = (kind, &members) {
        let ranks: u64 =
            members.iter().map(|of| u64::from(of.nodes) * u64::from(of.ranks_per_node)).sum();
        let odd = run
            .rows
            .iter()
            .filter_map(|row| Some((row.place.clone(), odd_size(row, kind, ranks)?)));
        wrong.extend(odd);
    }
    let mut times = Vec::new();
    for row in run.rows.iter().filter(|row| row.size > 0) {
        match time(row, told.in_place) {
            Ok(time) => times.push((row, time)),
            Err(message) => wrong.push((row.place.clone(), message)),
        }
    }
    if times.is_empty() && wrong.is_empty() {
        let place = run.header.clone().unwrap_or(Place::Whole);
        wrong.push((place, "a table without rows that move anything".to_owned()));
    }
    let (Some(kind), Some(members), true) = (kind, members, wrong.is_empty()) else {
        return Err(wrong);
    };
    let point = |(row, time): (&Row, f64)| Point {
        place: row.place.clone(),
        collective: ProfiledCollective {
            collective: kind,
            members: members.clone(),
            bytes: Bytes(row.size as f64),
            time: Seconds(time / 1e6),
        },
    };
    let empty = run.rows.iter().filter(|row| row.size == 0).count();
    Ok(OfRun { kind, points: times.into_iter().map(point).collect(), empty })
}

fn kind(run: &Run, told: &Told) -> Result<ProfiledCollectiveKind, (Place, String)> {
    let said = match &told.collective {
        Some(name) => {
            let kind = program::collective(name);
            Some(kind.map_err(|message| (Place::Whole, format!("--collective: {message}")))?)
        }
        None => None,
    };
    let Some((name, place)) = &run.program else {
        let message = "the file does not say which collective it measured: give --collective, for \
                       example --collective all_reduce";
        return said.ok_or_else(|| (Place::Whole, message.to_owned()));
    };
    let found = program::collective(name).map_err(|message| (place.clone(), message));
    match (said, found) {
        // The name of a program that was renamed says nothing.
        (Some(said), Err(_)) => Ok(said),
        (Some(said), Ok(found)) if said != found => {
            let message =
                format!("{name} does not measure what --collective says: leave the option out");
            Err((place.clone(), message))
        }
        (_, found) => found,
    }
}

/// Where the ranks are, as the file says or as was told.
fn members(run: &Run, told: &Told) -> Result<Vec<ProfiledNodes>, (Place, String)> {
    let Some(first) = run.ranks.first() else {
        return told_members(told).map_err(|message| (Place::Whole, message));
    };
    if let Some(other) = run.ranks.iter().find(|of| of.group != first.group) {
        let message = "several groups of ranks were measured at the same time, so no time is that of an \
                       idle network: measure without NCCL_TESTS_SPLIT";
        return Err((other.place.clone(), message.to_owned()));
    }
    all_listed(run, first)?;
    let mut hosts: BTreeMap<&str, (&RankPlace, u32)> = BTreeMap::new();
    for rank in &run.ranks {
        let (one, count) = hosts.entry(&rank.host).or_insert((rank, 0));
        *count += 1;
        if one.device != rank.device {
            let message = format!(
                "host {} has cards of two types, {} and {}; a node of a scenario has one",
                rank.host, one.device, rank.device
            );
            return Err((rank.place.clone(), message));
        }
    }
    let mut members = Vec::with_capacity(hosts.len());
    for (one, ranks_per_node) in hosts.values() {
        let card = told.card.as_deref().or_else(|| devices::card(&one.device)).ok_or_else(|| {
            let device = &one.device;
            let message = format!(
                "no card of the catalogue is known to be called \"{device}\": give --card with its id; \
                 `motley catalog devices` lists all"
            );
            (one.place.clone(), message)
        })?;
        let (card, design) = (card.to_owned(), told.design.clone());
        members.push(ProfiledNodes { card, design, nodes: 1, ranks_per_node: *ranks_per_node });
    }
    let members = ProfiledNodes::merged(&members);
    agrees(told, &members, hosts.len()).map_err(|message| (first.place.clone(), message))?;
    Ok(members)
}

/// Whether every rank is listed once.
fn all_listed(run: &Run, first: &RankPlace) -> Result<(), (Place, String)> {
    let mut listed: Vec<(u32, &Place)> = run.ranks.iter().map(|of| (of.rank, &of.place)).collect();
    listed.sort_by_key(|&(rank, _)| rank);
    for ((rank, place), expected) in listed.iter().zip(0..) {
        if *rank != expected {
            let what =
                if *rank < expected { "is listed twice" } else { "comes where a rank is missing" };
            let message = format!(
                "rank {rank} {what}: expected ranks 0 to {} once each, of one run",
                listed.len() - 1
            );
            return Err(((*place).clone(), message));
        }
    }
    let per_process = run.per_process.unwrap_or(1).max(1) as usize;
    if !listed.len().is_multiple_of(per_process) {
        let message = format!(
            "{} ranks are listed where each process has {per_process}: the list was cut off",
            listed.len()
        );
        return Err((first.place.clone(), message));
    }
    Ok(())
}

fn told_members(told: &Told) -> Result<Vec<ProfiledNodes>, String> {
    let missing: Vec<&str> = [
        ("--card", told.card.is_none()),
        ("--nodes", told.nodes.is_none()),
        ("--ranks-per-node", told.ranks_per_node.is_none()),
    ]
    .into_iter()
    .filter_map(|(option, missing)| missing.then_some(option))
    .collect();
    if let (Some(card), Some(nodes), Some(ranks_per_node)) =
        (&told.card, told.nodes, told.ranks_per_node)
    {
        let (card, design) = (card.clone(), told.design.clone());
        if u64::from(nodes) * u64::from(ranks_per_node) < 2 {
            return Err(
                "--nodes and --ranks-per-node: a collective is of two ranks or more".to_owned()
            );
        }
        return Ok(vec![ProfiledNodes { card, design, nodes, ranks_per_node }]);
    }
    Err(format!(
        "the file does not say where its ranks were (lines # Rank N ... on HOST): give {}",
        missing.join(", ")
    ))
}

/// Whether what was told is what the file says.
fn agrees(told: &Told, members: &[ProfiledNodes], nodes: usize) -> Result<(), String> {
    if let Some(said) = told.nodes
        && said as usize != nodes
    {
        return Err(format!("the ranks are on {nodes} hosts, not on {said} as --nodes says"));
    }
    if let Some(said) = told.ranks_per_node
        && let Some(other) = members.iter().find(|of| of.ranks_per_node != said)
    {
        let found = other.ranks_per_node;
        return Err(format!("a host has {found} ranks, not {said} as --ranks-per-node says"));
    }
    let ranks: u64 =
        members.iter().map(|of| u64::from(of.nodes) * u64::from(of.ranks_per_node)).sum();
    if ranks < 2 {
        return Err("one rank alone has nobody to talk to: measure two or more".to_owned());
    }
    Ok(())
}

/// Bytes of an element, of the types that are known.
fn element_bytes(element: &str) -> Option<u64> {
    Some(match element {
        "int8" | "uint8" | "char" | "f8e4m3" | "f8e5m2" | "fp8_e4m3" | "fp8_e5m2" => 1,
        "half" | "bfloat16" => 2,
        "int32" | "uint32" | "float" | "int" => 4,
        "int64" | "uint64" | "double" => 8,
        _ => return None,
    })
}

/// What is wrong if a row's size does not follow from its count of elements: of one rank's part, where
/// each has a part, else of the whole. A table of other ranks than the list above it is found by this.
fn odd_size(row: &Row, kind: ProfiledCollectiveKind, ranks: u64) -> Option<String> {
    let element = element_bytes(&row.element)?;
    let parts = match kind {
        ProfiledCollectiveKind::AllGather
        | ProfiledCollectiveKind::ReduceScatter
        | ProfiledCollectiveKind::AllToAll => ranks,
        _ => 1,
    };
    let expected = u128::from(row.count) * u128::from(element) * u128::from(parts);
    (u128::from(row.size) != expected).then(|| {
        let parts = if parts == 1 { String::new() } else { format!(" for each of {parts} ranks") };
        format!(
            "size {} is not that of {} elements of {element} bytes{parts} ({expected}): the row is of \
             another collective or number of ranks",
            row.size, row.count
        )
    })
}

/// The time of a row, us.
fn time(row: &Row, in_place: bool) -> Result<f64, String> {
    let [out_of_place, in_it] = row.halves;
    let (half, name, other) = if in_place {
        (in_it, "in place", "leave --in-place out")
    } else {
        (out_of_place, "out of place", "give --in-place")
    };
    let Some(Half { time, wrong, host }) = half else {
        return Err(format!("no time {name}: {other}"));
    };
    if host {
        let message = "a time of the host's calls, not of the collective: measure without -C 1";
        return Err(message.to_owned());
    }
    if !(time.is_finite() && time > 0.0) {
        return Err(format!("a time of {time} us: a collective takes longer than no time"));
    }
    if let Some(wrong) = wrong.filter(|&wrong| wrong != 0.0) {
        return Err(format!(
            "{wrong} elements came out wrong: what was measured is not the collective"
        ));
    }
    Ok(time)
}
