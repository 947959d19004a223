//! What the programs write under `-J`.

use serde_json::Value;

use super::run::{Half, RankPlace, Row, Run};
use super::{Found, Place};

/// The run of a document.
pub(super) fn read(text: &str) -> Found<Run> {
    let whole = |message: String| vec![(Place::Whole, message)];
    let document: Value = serde_json::from_str(text).map_err(|error| {
        whole(format!(
            "this is not JSON: {error}; a run that was broken off leaves half a document"
        ))
    })?;
    let Some(results) = document.get("results").and_then(Value::as_array) else {
        let message = "no list `results`: expected the JSON that nccl-tests writes under -J";
        return Err(whole(message.to_owned()));
    };
    let mut wrong = Vec::new();
    let config = document.get("config");
    let of_config = |key: &str| config.and_then(|config| config.get(key));
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let small = |value: Option<&Value>| number(value).and_then(|n| u32::try_from(n).ok());
    let per_process = small(of_config("nthreads"))
        .zip(small(of_config("ngpus")))
        .and_then(|(threads, cards)| threads.checked_mul(cards));
    let program = document.get("args").and_then(|args| args.get(0)).and_then(Value::as_str);
    let devices = of_config("devices").or_else(|| document.get("devices"));
    let devices = devices.and_then(Value::as_array);
    let listed = devices.map_or(&[][..], Vec::as_slice);
    let mut ranks = Vec::new();
    for (index, device) in listed.iter().enumerate() {
        let place = Place::Field(format!("devices[{index}]"));
        let text = |key: &str| device.get(key).and_then(Value::as_str);
        let rank = small(device.get("rank"));
        if let (Some(rank), Some(host), Some(name)) = (rank, text("hostname"), text("device_info"))
        {
            let group = small(device.get("group")).unwrap_or(0);
            let (host, device) = (host.to_owned(), name.trim().to_owned());
            ranks.push(RankPlace { place, rank, group, host, device });
        } else {
            let message = "expected an object with rank, hostname and device_info";
            wrong.push((place, message.to_owned()));
        }
    }
    let mut rows = Vec::new();
    for (index, result) in results.iter().enumerate() {
        rows.extend(row(index, result, &mut wrong));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Run {
        program: program.map(|name| (name.to_owned(), Place::Field("args[0]".to_owned()))),
        version: None,
        nccl: number(document.get("nccl_version")),
        per_process,
        ranks: every_rank(ranks, per_process),
        rows,
        header: Some(Place::Field("results".to_owned())),
    })
}

/// A process lists one rank only, its first: the others are on the same host.
fn every_rank(listed: Vec<RankPlace>, per_process: Option<u32>) -> Vec<RankPlace> {
    let per_process = per_process.unwrap_or(1).clamp(1, 4096);
    let firsts = (0..).step_by(per_process as usize);
    if !listed.iter().map(|of| of.rank).eq(firsts.take(listed.len())) {
        return listed;
    }
    let process = |first: &RankPlace| {
        let first = first.clone();
        (0..per_process).map(move |more| RankPlace { rank: first.rank + more, ..first.clone() })
    };
    listed.iter().flat_map(process).collect()
}

fn row(index: usize, result: &Value, wrong: &mut Vec<(Place, String)>) -> Option<Row> {
    let at = |field: &str| Place::Field(format!("results[{index}]{field}"));
    let mut count = |key: &str| {
        let found = result.get(key).and_then(Value::as_u64);
        if found.is_none() {
            wrong.push((at(&format!(".{key}")), "expected a whole number".to_owned()));
        }
        found
    };
    let (size, count) = (count("size"), count("count"));
    let element = result.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut halves = [None; 2];
    for (slot, name) in halves.iter_mut().zip(["out_of_place", "in_place"]) {
        let Some(half) = result.get(name).filter(|half| !half.is_null()) else { continue };
        let time = ["time", "cpu_time"].into_iter().find_map(|key| Some((key, half.get(key)?)));
        let Some((key, time)) = time.and_then(|(key, time)| Some((key, time.as_f64()?))) else {
            let message = "expected a number of microseconds `time`";
            wrong.push((at(&format!(".{name}")), message.to_owned()));
            continue;
        };
        let checked = half.get("nwrong").and_then(Value::as_f64);
        *slot = Some(Half { time, wrong: checked, host: key == "cpu_time" });
    }
    Some(Row { place: at(""), size: size?, count: count?, element, halves })
}
