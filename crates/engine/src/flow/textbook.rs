//! The max-min fair allocation as textbooks have it, to check against. Slow and plain.

use super::fabric::Hop;

/// A flow: its cap and its hops.
pub(super) type Flow = (f64, Vec<Hop>);

/// Raises all rates together; whenever a link is full or a cap reached, those flows stop.
pub(super) fn textbook(capacities: &[f64], flows: &[Flow]) -> Vec<f64> {
    let mut rates = vec![0.0; flows.len()];
    let mut rising = vec![true; flows.len()];
    while rising.contains(&true) {
        // How much further all can rise.
        let mut rise = f64::INFINITY;
        let room = |link: usize, rates: &[f64], rising: &[bool]| {
            let (mut used, mut weight) = (0.0, 0.0);
            for (f, (_, hops)) in flows.iter().enumerate() {
                for hop in hops.iter().filter(|hop| hop.link as usize == link) {
                    used += hop.multiplicity * rates[f];
                    weight += if rising[f] { hop.multiplicity } else { 0.0 };
                }
            }
            if weight > 0.0 { (capacities[link] - used).max(0.0) / weight } else { f64::INFINITY }
        };
        for link in 0..capacities.len() {
            rise = rise.min(room(link, &rates, &rising));
        }
        for (f, (cap, _)) in flows.iter().enumerate() {
            if rising[f] {
                rise = rise.min(cap - rates[f]);
            }
        }
        for f in 0..flows.len() {
            if rising[f] {
                rates[f] += rise;
            }
        }
        let before = rising.clone();
        let full: Vec<bool> = (0..capacities.len())
            .map(|link| room(link, &rates, &before) <= 1e-12 * capacities[link])
            .collect();
        for (f, (cap, hops)) in flows.iter().enumerate() {
            let stops =
                rates[f] >= cap * (1.0 - 1e-12) || hops.iter().any(|hop| full[hop.link as usize]);
            rising[f] &= !stops;
        }
    }
    rates
}

/// The first reason why `rates` are not the max-min fair allocation, to within `tolerance`.
pub(super) fn violation(
    capacities: &[f64],
    flows: &[Flow],
    rates: &[f64],
    tolerance: f64,
) -> Option<String> {
    let mut load = vec![0.0; capacities.len()];
    let mut largest = vec![0.0f64; capacities.len()];
    for ((_, hops), &rate) in flows.iter().zip(rates) {
        for hop in hops {
            load[hop.link as usize] += hop.multiplicity * rate;
            largest[hop.link as usize] = largest[hop.link as usize].max(rate);
        }
    }
    for (link, (&load, &capacity)) in load.iter().zip(capacities).enumerate() {
        if load > capacity * (1.0 + tolerance) {
            return Some(format!("link {link} carries {load} of {capacity}"));
        }
    }
    for (f, ((cap, hops), &rate)) in flows.iter().zip(rates).enumerate() {
        let at_cap = rate >= cap * (1.0 - tolerance);
        let held = hops.iter().map(|hop| hop.link as usize).any(|link| {
            load[link] >= capacities[link] * (1.0 - tolerance)
                && rate >= largest[link] * (1.0 - tolerance)
        });
        if rate > cap * (1.0 + tolerance) || !(at_cap || held) {
            return Some(format!("flow {f} at {rate} of {cap} is held by nothing"));
        }
    }
    None
}
