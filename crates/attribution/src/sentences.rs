//! The critical path in words.

use std::collections::BTreeMap;

use motley_report::number;

use crate::explanation::Path;
use crate::{PathCard, PathShare, Picos};

/// Smaller shares are not put in words.
const TOLD: f64 = 0.001;

/// What there is to say, one thought each.
pub(crate) fn sentences(
    path: &Path,
    iteration: Picos,
    shares: &[PathShare],
    cards: &[PathCard],
) -> Vec<String> {
    let mut sentences = vec![by_sort(iteration, shares)];
    if let Some(last) = path.pieces.first() {
        let (place, (_, kind)) = (path.place(last.rank), path.kind(last.kind));
        sentences.push(format!(
            "What ends last is {kind} on stage {} of pipeline {} ({}).",
            place.stage,
            place.pipeline,
            path.prepared.cluster.device(place.gpu).name,
        ));
    }
    if cards.len() > 1 {
        sentences.extend(cards.iter().map(by_card));
    }
    let stages = by_stage(shares);
    if stages.len() > 1
        && let Some(&(stage, time)) = stages.first()
    {
        let own = shares.iter().find(|share| share.stage_index == stage);
        let what = own.map_or(String::new(), |share| {
            format!(", {} of it {}", number::percent(share.time.share_of(time)), share.kind)
        });
        sentences.push(format!(
            "Stage {stage} has most of it, {}{what}.",
            number::percent(time.share_of(iteration))
        ));
    }
    sentences
}

/// Compute against transfers, the largest of these by name.
fn by_sort(iteration: Picos, shares: &[PathShare]) -> String {
    let mut transfers: BTreeMap<&str, Picos> = BTreeMap::new();
    for share in shares.iter().filter(|share| share.sort == "transfer") {
        *transfers.entry(&share.kind).or_default() += share.time;
    }
    let of = |sort: &str| -> Picos {
        shares.iter().filter(|share| share.sort == sort).map(|share| share.time).sum()
    };
    let percent = |time: Picos| number::percent(time.share_of(iteration));
    let mut parts = vec![format!("{} is compute", percent(of("compute")))];
    if of("slow-down").share_of(iteration) >= TOLD {
        parts.push(format!("{} its slow-down beside communication", percent(of("slow-down"))));
    }
    let mut transfers: Vec<(&str, Picos)> = transfers.into_iter().collect();
    transfers.sort_by_key(|&(_, time)| std::cmp::Reverse(time));
    transfers.retain(|(_, time)| time.share_of(iteration) >= TOLD);
    parts.extend(transfers.into_iter().map(|(kind, time)| format!("{} {kind}", percent(time))));
    let last = parts.pop().unwrap_or_default();
    let list = if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) };
    format!("Of the critical path {list}.")
}

/// Whether a type has more of the path than of the cards.
fn by_card(card: &PathCard) -> String {
    let (path, own) = (number::percent(card.path_ratio), number::percent(card.card_ratio));
    let verdict = if card.path_ratio > 1.2 * card.card_ratio {
        "; the others wait for it"
    } else if card.path_ratio < 0.8 * card.card_ratio {
        "; it waits for the others"
    } else {
        ""
    };
    format!("{} is {own} of the cards and has {path} of the path{verdict}.", card.name)
}

/// The path's time by stage, the longest first.
fn by_stage(shares: &[PathShare]) -> Vec<(u32, Picos)> {
    let mut stages: BTreeMap<u32, Picos> = BTreeMap::new();
    for share in shares {
        *stages.entry(share.stage_index).or_default() += share.time;
    }
    let mut stages: Vec<(u32, Picos)> = stages.into_iter().collect();
    stages.sort_by_key(|&(_, time)| std::cmp::Reverse(time));
    stages
}
