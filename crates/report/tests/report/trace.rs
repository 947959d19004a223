//! Traces are read back by a decoder that knows the wire format and the published field numbers
//! and nothing of the writer.

use std::collections::{BTreeMap, BTreeSet};

use motley_engine::{Engine, Options};
use motley_report::{Account, Trace, TraceLimits};
use motley_units::Time;

use crate::fixture::{Fixture, mixed};
use crate::lowered::from_catalogue;

/// A field of a message: its number and its value.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a varint ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a varint of more than ten bytes");
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            1 => {
                let (word, rest) = bytes.split_at(8);
                bytes = rest;
                Value::Number(u64::from_le_bytes(word.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (content, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(content)
            }
            wire => panic!("wire type {wire}"),
        };
        list.push((key >> 3, value));
    }
    list
}

fn numbers(message: &[u8], field: u64) -> Vec<u64> {
    let found = fields(message).into_iter().filter(|&(number, _)| number == field);
    found
        .map(|(_, value)| match value {
            Value::Number(number) => number,
            Value::Bytes(_) => panic!("field {field} is not a number"),
        })
        .collect()
}

fn number(message: &[u8], field: u64) -> u64 {
    let found = numbers(message, field);
    assert_eq!(found.len(), 1, "field {field}");
    found[0]
}

fn messages(message: &[u8], field: u64) -> Vec<&[u8]> {
    let found = fields(message).into_iter().filter(|&(number, _)| number == field);
    found
        .map(|(_, value)| match value {
            Value::Bytes(bytes) => bytes,
            Value::Number(_) => panic!("field {field} is not a message"),
        })
        .collect()
}

fn string(message: &[u8], field: u64) -> String {
    String::from_utf8(messages(message, field)[0].to_vec()).unwrap()
}

fn interned(data: &[u8], field: u64) -> BTreeMap<u64, String> {
    let names = messages(data, field);
    names.into_iter().map(|name| (number(name, 1), string(name, 2))).collect()
}

#[derive(Debug)]
struct Slice {
    name: String,
    category: String,
    start: u64,
    end: u64,
    annotations: BTreeMap<String, u64>,
    flows_from: Vec<u64>,
    flows_to: Vec<u64>,
}

/// Slices by the name of their thread, which is unique.
fn decode(bytes: &[u8]) -> BTreeMap<String, Vec<Slice>> {
    let packets = messages(bytes, 1);
    let first = packets[0];
    assert_eq!(number(first, 13), 1, "the first packet clears the state");
    let data = messages(first, 12)[0];
    let (categories, names, keys) = (interned(data, 1), interned(data, 2), interned(data, 3));
    let mut processes = BTreeMap::new();
    let mut threads: BTreeMap<u64, String> = BTreeMap::new();
    let mut slices: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
    let mut open: BTreeMap<u64, Slice> = BTreeMap::new();
    for packet in &packets[1..] {
        assert_eq!(number(packet, 10), 1);
        if let Some(&descriptor) = messages(packet, 60).first() {
            let uuid = number(descriptor, 1);
            if let Some(process) = messages(descriptor, 3).first() {
                assert!(number(process, 1) > 0);
                processes.insert(uuid, (number(process, 1), string(process, 6)));
            } else {
                let thread = messages(descriptor, 4)[0];
                let (pid, process) = &processes[&number(descriptor, 5)];
                assert_eq!(number(thread, 1), *pid);
                let name = format!("{process}, {}", string(thread, 5));
                assert!(slices.insert(name.clone(), Vec::new()).is_none(), "{name}");
                assert!(threads.insert(uuid, name).is_none());
            }
            continue;
        }
        assert_eq!(number(packet, 13), 2);
        let at = number(packet, 8);
        let event = messages(packet, 11)[0];
        let thread = number(event, 11);
        if number(event, 9) == 2 {
            let mut slice = open.remove(&thread).expect("an end follows a beginning");
            assert!(slice.start <= at);
            slice.end = at;
            slices.get_mut(&threads[&thread]).unwrap().push(slice);
            continue;
        }
        let last = slices[&threads[&thread]].last().map_or(0, |slice| slice.end);
        assert!(last <= at, "slices of a thread follow each other");
        let annotations = messages(event, 4);
        let slice = Slice {
            name: names[&number(event, 10)].clone(),
            category: categories[&number(event, 3)].clone(),
            start: at,
            end: 0,
            annotations: annotations
                .into_iter()
                .map(|annotation| (keys[&number(annotation, 1)].clone(), number(annotation, 3)))
                .collect(),
            flows_from: numbers(event, 47),
            flows_to: numbers(event, 48),
        };
        assert!(open.insert(thread, slice).is_none(), "slices of a thread do not overlap");
    }
    assert!(open.is_empty());
    slices
}

fn record(
    fixture: &Fixture,
    limits: TraceLimits,
) -> (BTreeMap<String, Vec<Slice>>, Option<String>) {
    let engine = Engine::new(&fixture.lowered.job).unwrap();
    let trace = Trace::new(&fixture.cluster, &fixture.lowered, limits);
    let mut observer = (trace, Account::new(&fixture.lowered.job));
    motley_engine::replay(&engine, &Options::default(), &mut observer).unwrap();
    let mut bytes = Vec::new();
    observer.0.write(&mut bytes).unwrap();
    (decode(&bytes), observer.0.note())
}

#[test]
fn a_trace_tells_what_the_account_tells() {
    for fixture in [mixed(), from_catalogue(2)] {
        let (slices, note) = record(&fixture, TraceLimits::default());
        assert_eq!(note, None);
        let account = fixture.run().account;
        let ranks = fixture.lowered.places.len() as u32;
        for rank in (0..ranks).map(motley_job::RankId) {
            let marker = format!("rank {}, ", rank.0);
            let (_, compute) =
                slices.iter().find(|(name, _)| name.contains(&marker)).expect("a compute thread");
            let sum = |category: &str| -> u64 {
                let list = compute.iter().filter(|slice| slice.category == category);
                list.map(|slice| slice.end - slice.start).sum()
            };
            let waits: Time = motley_scheduler::Traffic::ALL
                .into_iter()
                .map(|class| account.exposed(rank, class) + account.waiting(rank, class))
                .sum();
            // Both ends of each slice are cut to nanoseconds.
            let close = |found: u64, expected: Time| {
                found.abs_diff(expected.as_picos() / 1000) <= compute.len() as u64
            };
            assert!(close(sum("compute"), account.computing(rank)));
            assert!(close(sum("wait") + sum("transfer"), waits));
            assert!(compute.iter().all(|slice| slice.annotations["rank"] == u64::from(rank.0)));
        }
    }
}

#[test]
fn slices_are_named_and_sends_lead_to_kernels() {
    let (slices, _) = record(&mixed(), TraceLimits::default());
    let names: BTreeSet<&str> =
        slices.values().flatten().map(|slice| slice.name.as_str()).collect();
    for name in ["forward", "backward", "receive", "wait: receive", "send", "gradient all-reduce"] {
        assert!(names.contains(name), "{names:?} lack {name}");
    }
    let all = || slices.values().flatten();
    let mut arrows = 0;
    for send in all().filter(|slice| !slice.flows_from.is_empty()) {
        assert_eq!((send.name.as_str(), send.category.as_str()), ("send", "transfer"));
        for flow in &send.flows_from {
            let ends: Vec<&Slice> = all().filter(|slice| slice.flows_to.contains(flow)).collect();
            let [kernel] = ends.as_slice() else { panic!("{flow} ends at {ends:?}") };
            assert_eq!(kernel.category, "compute");
            assert!(kernel.start >= send.end);
            assert_eq!(kernel.annotations["micro_batch"], send.annotations["micro_batch"]);
            assert_ne!(kernel.annotations["stage"], send.annotations["stage"]);
            arrows += 1;
        }
    }
    // Forward and backward of 6 + 2 micro-batches.
    assert_eq!(arrows, 16);
}

#[test]
fn ranks_are_left_out_whole_and_not_silently() {
    let fixture = from_catalogue(2);
    let all = record(&fixture, TraceLimits::default()).0;
    let total: usize = all.values().map(Vec::len).sum();
    let compute_threads = |slices: &BTreeMap<String, Vec<Slice>>| -> Vec<String> {
        slices.keys().filter(|name| name.contains("compute")).cloned().collect()
    };
    assert_eq!(compute_threads(&all).len(), 8);
    for limits in [
        TraceLimits { ranks: Some(4), ..TraceLimits::default() },
        TraceLimits { ranks: None, slices: total as u64 / 2 },
        TraceLimits { ranks: Some(0), slices: 0 },
    ] {
        let (some, note) = record(&fixture, limits);
        assert!(note.unwrap().contains("of 8 ranks"));
        let kept: usize = some.values().map(Vec::len).sum();
        assert!(kept as u64 <= limits.slices);
        for (thread, slices) in &some {
            assert_eq!(slices.len(), all[thread].len(), "{thread}");
        }
        if limits.ranks == Some(4) {
            // The first tensor rank of each stage.
            assert_eq!(compute_threads(&some).len(), 4);
            for pipeline in 0..2 {
                for stage in 0..2 {
                    let seen = format!("pipeline {pipeline}, stage {stage}");
                    assert!(some.keys().any(|name| name.ends_with(&seen)));
                }
            }
        }
    }
}
