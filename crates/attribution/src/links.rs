//! What each kind of link costs.

use std::collections::BTreeMap;

use motley::{Prepared, SimulateError};
use motley_engine::{Fold, Silent};
use motley_job::{Call, CallSet, CallSetId, Communicator, Job, LinkId};
use motley_topology::LinkKind;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use crate::Picos;
use crate::counterfactual::even;

/// What an iteration would gain if links carried any number of bytes at once: all of one kind, or all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkGain {
    /// The kind; `all links` for all.
    pub kind: String,
    /// How much shorter the iteration would be.
    #[serde(rename = "gain_s")]
    pub gain: Picos,
    /// As a share of the iteration time.
    pub gain_ratio: f64,
    /// What it is held against.
    pub baseline: &'static str,
}

const BASELINE: &str =
    "the iteration without jitter and spread; latencies, and what other links allow, stay";

/// A capacity that never binds.
const FREE: f64 = 1e6;

impl LinkGain {
    /// Of the kinds of links that the job crosses; `even` is its time without deviations, of which
    /// gains are shares.
    pub(crate) fn list(prepared: &Prepared, even: Picos) -> Result<Vec<Self>, SimulateError> {
        let job = &prepared.lowered.job;
        let kinds: Vec<LinkKind> = (0..prepared.cluster.link_count())
            .map(|link| prepared.cluster.link(motley_topology::LinkId(link)).kind)
            .collect();
        let mut crossed: Vec<LinkKind> = job
            .footprints
            .iter()
            .flat_map(|footprint| &footprint.links)
            .map(|&(link, _)| kinds[link.0 as usize])
            .collect();
        crossed.sort_unstable();
        crossed.dedup();
        let mut freed_kinds: Vec<Option<LinkKind>> = crossed.into_iter().map(Some).collect();
        freed_kinds.push(None);
        let gain = |freed_kind: Option<LinkKind>| -> Result<Self, SimulateError> {
            let free =
                freed(job, |link| freed_kind.is_none_or(|kind| kinds[link.0 as usize] == kind));
            let folded = Fold::of(&free).map_or(free, Fold::into_job);
            let time = prepared.replay_altered(&folded, None, &mut Silent)?.iteration.into();
            let kind = freed_kind.map_or("all links".to_owned(), |kind| kind.to_string());
            let gain = even - time;
            let gain_ratio = gain.share_of(even);
            Ok(Self { kind, gain, gain_ratio, baseline: BASELINE })
        };
        let mut list =
            freed_kinds.into_par_iter().map(gain).collect::<Result<Vec<Self>, SimulateError>>()?;
        list.sort_by_key(|row| std::cmp::Reverse(row.gain));
        Ok(list)
    }
}

/// The job with every card as fast as its type and these links free.
fn freed(job: &Job, is_free: impl Fn(LinkId) -> bool) -> Job {
    let mut job = even(job);
    // What a library reaches on a connection is a share of what its links would carry idle: by
    // footprint, how much more that is without the free ones.
    let more: Vec<f64> = job
        .footprints
        .iter()
        .map(|footprint| {
            let rate = |free: bool| {
                let counted = footprint.links.iter().filter(|(link, _)| free || !is_free(*link));
                counted
                    .map(|&(link, times)| job.links[link.0 as usize].capacity / times)
                    .fold(f64::INFINITY, f64::min)
            };
            // Without links nothing limits it, nor did before.
            if footprint.links.is_empty() { 1.0 } else { rate(false) / rate(true) }
        })
        .collect();
    let mut known: BTreeMap<(CallSetId, Vec<u64>), CallSetId> = BTreeMap::new();
    let (sets, communicators) = (&mut job.call_sets, &mut job.communicators);
    for Communicator { calls, footprints, .. } in communicators {
        let more: Vec<f64> = footprints.iter().map(|id| more[id.0 as usize]).collect();
        if more.iter().all(|&more| more <= 1.0) {
            continue;
        }
        let key = (*calls, more.iter().map(|more| more.to_bits()).collect());
        *calls = *known.entry(key).or_insert_with(|| {
            let set = &sets[calls.0 as usize].calls;
            let free = |call: &Call| {
                let more = more[usize::from(call.footprint)];
                let bytes = if more.is_finite() { call.bytes } else { 0.0 };
                Call { rate_cap: call.rate_cap * more, bytes, ..*call }
            };
            let set = CallSet { calls: set.iter().map(free).collect() };
            sets.push(set);
            CallSetId(sets.len() as u32 - 1)
        });
    }
    for (link, id) in job.links.iter_mut().zip(0..) {
        if is_free(LinkId(id)) {
            link.capacity *= FREE;
        }
    }
    job
}
