//! `motley run --trace`: the file is read back by its format's published description.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use serde_json::Value;

use crate::command::{EXPLICIT, MIXED, answer, changed, folder_with, motley, root};
use crate::perfetto::Trace;

/// A slice: track, begin, end, name.
type Slice = (u64, u64, u64, String);

/// All slices, and the names of their tracks.
fn read(bytes: &[u8]) -> (Vec<Slice>, BTreeMap<u64, String>) {
    let trace = Trace::decode(bytes).unwrap();
    let mut names = BTreeMap::new();
    let mut processes = BTreeSet::new();
    let mut threads = BTreeMap::new();
    let mut open: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut slices = Vec::new();
    let mut arrows: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    for packet in trace.packet {
        if let Some(data) = packet.interned_data {
            names.extend(data.event_names.into_iter().map(|name| (name.iid, name.name.unwrap())));
            assert!(!data.event_categories.is_empty());
        }
        if let Some(track) = packet.track_descriptor {
            if track.process.is_some() {
                assert!(processes.insert(track.uuid.unwrap()));
            } else {
                assert!(processes.contains(&track.parent_uuid.unwrap()));
                let name = track.thread.unwrap().thread_name.unwrap();
                assert!(threads.insert(track.uuid.unwrap(), name).is_none());
            }
        }
        let Some(event) = packet.track_event else { continue };
        let (at, track) = (packet.timestamp.unwrap(), event.track_uuid.unwrap());
        assert!(threads.contains_key(&track), "a slice lies on a track that was announced");
        for flow in event.flow_ids {
            arrows.entry(flow).or_default().0 += 1;
        }
        for flow in event.terminating_flow_ids {
            arrows.entry(flow).or_default().1 += 1;
        }
        if event.kind == Some(1) {
            assert!(last.get(&track).is_none_or(|&end| end <= at), "slices overlap on {track}");
            assert_eq!(event.category_iids.len(), 1);
            let name = names[&event.name_iid].clone();
            assert!(open.insert(track, (at, name)).is_none(), "slices nest on {track}");
        } else {
            assert_eq!(event.kind, Some(2));
            let (begin, name) = open.remove(&track).unwrap();
            assert!(begin <= at);
            last.insert(track, at);
            slices.push((track, begin, at, name));
        }
    }
    assert!(open.is_empty(), "every slice ends");
    assert!(arrows.values().all(|&ends| ends == (1, 1)), "every arrow has two ends");
    (slices, threads)
}

/// The trace of a scenario tells the same iteration as its report.
fn check(scenario: &str, arguments: &[&str], cards: usize) {
    let folder = folder_with("it.ron", scenario);
    let all = [&["run", "it.ron", "--format", "json", "--trace", "it.pftrace"], arguments].concat();
    let traced = answer(folder.path(), &all);
    let untraced = answer(folder.path(), &[&all[..4], arguments].concat());
    assert_eq!(traced, untraced, "watching changes nothing");
    let report: Value = serde_json::from_str(&traced).unwrap();
    let bytes = std::fs::read(folder.path().join("it.pftrace")).unwrap();
    let (slices, threads) = read(&bytes);

    let compute: Vec<u64> = threads
        .iter()
        .filter(|(_, name)| name.contains("compute"))
        .map(|(&track, _)| track)
        .collect();
    assert_eq!(compute.len(), cards);
    if report["iteration_time"]["iteration_count"] == 1 {
        let end = slices.iter().map(|slice| slice.2).max().unwrap();
        let seconds = report["iteration_time"]["mean_s"].as_f64().unwrap();
        assert!((seconds * 1e9 - end as f64).abs() <= 1.0, "{seconds} s, {end} ns");
    }
    // A compute stream computes or stands still, without gaps but for the cut to nanoseconds.
    for &track in &compute {
        let mut at = 0;
        for (_, begin, end, _) in slices.iter().filter(|slice| slice.0 == track) {
            assert_eq!(*begin, at, "a gap on {}", threads[&track]);
            at = *end;
        }
        for name in ["forward", "backward", "optimizer"] {
            assert!(slices.iter().any(|slice| slice.0 == track && slice.3 == name), "{name}");
        }
    }
    let written: Vec<_> = folder.path().read_dir().unwrap().collect();
    assert_eq!(written.len(), 2, "nothing else is left behind");
}

#[test]
fn traces_tell_the_iteration() {
    check(MIXED, &[], 16);
    check(MIXED, &["--iterations", "3"], 16);
    check(EXPLICIT, &[], 4);
    let options = "pp: 2, sequence_parallel: true, recompute: Selective, \
                   schedule: Interleaved(chunks: 3), gradient_sync: Overlapped(bucket: MiB(4)),";
    check(&changed(MIXED, &[("pp: 2,", options)]), &[], 16);
    check(&changed(MIXED, &[("dp: 4, tp: 2, pp: 2", "dp: 16, tp: 1, pp: 1")]), &[], 16);
}

/// An older trace is replaced, and stays if the run fails.
#[test]
fn traces_are_written_whole_or_not_at_all() {
    let folder = folder_with("it.ron", EXPLICIT);
    let path = folder.path().join("it.pftrace");
    std::fs::write(&path, "older").unwrap();
    let ran = motley(folder.path(), &["run", "it.ron", "--trace", "it.pftrace", "--set", "seed=x"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(std::fs::read(&path).unwrap(), b"older");
    answer(folder.path(), &["run", "it.ron", "--trace", "it.pftrace"]);
    read(&std::fs::read(&path).unwrap());
}

/// A trace that would be too large leaves ranks out and says so.
#[test]
fn large_traces_are_cut_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it.pftrace");
    let scenario = "scenarios/measured/korthikanti_2022_530b_full.ron";
    let ran = motley(&root(), &["run", scenario, "--trace", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0));
    let (slices, threads) = read(&std::fs::read(&path).unwrap());
    let shown = threads.values().filter(|name| name.contains("compute")).count();
    assert!(slices.len() <= 500_000);
    if shown < 280 {
        let note = format!("shows {shown} of 280 ranks");
        assert!(ran.stderr.contains(&note), "{}", ran.stderr);
    }
}
