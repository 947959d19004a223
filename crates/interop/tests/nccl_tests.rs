//! Output of nccl-tests, in the forms of its versions, made up here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the value in the message")]

use std::fmt::Write as _;

use motley_interop::{File, MeasuredCollectives, Refused, Told, nccl_tests};
use motley_workload::{ProfiledCollective, ProfiledCollectiveKind, ProfiledNodes};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What a run is made of.
#[derive(Clone, Debug)]
struct Made {
    program: &'static str,
    /// Hosts with the name of their cards and ranks on each.
    hosts: Vec<(&'static str, &'static str, u32)>,
    /// Bytes, and us out of place and in place.
    rows: Vec<(u64, f64, f64)>,
    /// Ranks whose parts make up a size.
    parts: u64,
    per_process: u32,
}

fn made(program: &'static str, parts: u64) -> Made {
    let hosts = vec![("east", "NVIDIA A100-SXM4-80GB", 8), ("west", "NVIDIA A100-SXM4-80GB", 8)];
    let rows = vec![(65536, 61.25, 60.5), (1_048_576, 140.0, 139.75), (16_777_216, 990.5, 985.0)];
    Made { program, hosts, rows, parts, per_process: 1 }
}

/// How it is printed.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "options of a program that go with each other")]
struct Options {
    /// `-I 1`
    iterations: bool,
    /// `-S 1`
    timestamps: bool,
    /// Before 2.13: no root, no operation, errors in place of counts, no group, no name of the program.
    old: bool,
    /// `-c 0`
    unchecked: bool,
}

fn text(run: &Made, options: Options) -> String {
    let mut text = String::new();
    if !options.old {
        text += "# nccl-tests version 2.19.6 nccl-headers=23001 nccl-library=22907\n";
        writeln!(text, "# Collective test starting: {}", run.program).unwrap();
    }
    writeln!(text, "# nThread 1 nGpus {} minBytes 65536 maxBytes 16777216 step: 16(factor) warmup iters: 1 iters: 20 agg iters: 1 validation: 1 graph: 0", run.per_process).unwrap();
    text += "#\n# Using devices\n";
    let mut rank = 0;
    for (host, device, count) in &run.hosts {
        for local in 0..*count {
            let group = if options.old { "" } else { "Group  0 " };
            writeln!(text, "#  Rank {rank:2} {group}Pid {:6} on {host:>10} device {local:2} [0000:{local:02x}:00] {device}", 4000 + rank).unwrap();
            rank += 1;
        }
    }
    text += "east:4000:4000 [0] NCCL INFO Bootstrap: Using eth0\n#\n";
    let wrong = if options.old { "error" } else { "#wrong" };
    let more = if options.iterations { " i_min i_max i_p99 i_cv%" } else { "" };
    let half = format!("time algbw busbw {wrong}{more}");
    let which = if options.old { "" } else { " redop root" };
    let stamp = if options.timestamps { " timestamp" } else { "" };
    writeln!(text, "#       size         count      type{which}  {half} {half}{stamp}").unwrap();
    text += "#        (B)    (elements)  (us) (GB/s) (GB/s)\n";
    for &(size, out, inside) in &run.rows {
        write!(text, "{size:12}  {:12}  {:>8}", size / 4 / run.parts, "float").unwrap();
        text += if options.old { "" } else { "     sum      -1" };
        for time in [out, inside] {
            let checked = match options {
                Options { unchecked: true, .. } => "N/A",
                Options { old: true, .. } => "1e-06",
                _ => "0",
            };
            write!(text, "  {time:7.2}    1.00    1.00  {checked}").unwrap();
            text += if options.iterations { "    1.00   2.00   2.00   3.00" } else { "" };
        }
        text += if options.timestamps { "  2026-07-09 12:34:56\n" } else { "\n" };
    }
    text += "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 1.0\n#\n";
    text + "a line of the shell 1 2 3\n"
}

/// What is written under `-J`: of each process the first rank only.
fn json(run: &Made) -> String {
    let mut devices = Vec::new();
    let mut rank = 0;
    for (host, device, count) in &run.hosts {
        for local in (0..*count).step_by(run.per_process as usize) {
            devices.push(format!(
                r#"{{"rank":{rank},"group":0,"pid":7,"hostname":"{host}","device":{local},"device_hex":"0000:0{local}:00","device_info":"{device}"}}"#
            ));
            rank += run.per_process;
        }
    }
    let half =
        |time: f64| format!(r#"{{"time":{time:.6},"alg_bw":1.0,"bus_bw":1.0,"nwrong":0.0}}"#);
    let rows: Vec<String> = run
        .rows
        .iter()
        .map(|&(size, out, inside)| {
            format!(
                r#"{{"size":{size},"count":{},"type":"float","redop":"sum","root":"    -1","out_of_place":{},"in_place":{},"actual_iterations":20,"experiment_name":""}}"#,
                size / 4 / run.parts,
                half(out),
                half(inside)
            )
        })
        .collect();
    format!(
        r#"{{"version":3,"args":["/opt/{}","-J"],"env":["A=\/b"],"nccl_version":22907,"config":{{"nthreads":1,"ngpus":{},"devices":[{}]}},"results":[{}],"average_bus_bandwidth":{{"bandwidth":1.0,"okay":"unchecked"}}}}"#,
        run.program,
        run.per_process,
        devices.join(","),
        rows.join(",")
    )
}

fn import(text: &str, told: &Told) -> Result<MeasuredCollectives, Refused> {
    nccl_tests(&[File { name: "run.txt", text }], told)
}

fn points(text: &str, told: &Told) -> Vec<ProfiledCollective> {
    import(text, told).unwrap_or_else(|refused| panic!("{refused}\n{text}")).profile.collectives
}

fn nodes(card: &str, nodes: u32, ranks_per_node: u32) -> ProfiledNodes {
    ProfiledNodes { card: card.to_owned(), design: None, nodes, ranks_per_node }
}

#[test]
fn every_form_of_a_run_gives_the_same_points() {
    for (program, parts, kind) in [
        ("all_reduce_perf", 1, ProfiledCollectiveKind::AllReduce),
        ("all_gather_perf", 16, ProfiledCollectiveKind::AllGather),
        ("reduce_scatter_perf_mpi", 16, ProfiledCollectiveKind::ReduceScatter),
        ("broadcast_perf", 1, ProfiledCollectiveKind::Broadcast),
        ("alltoall_perf", 16, ProfiledCollectiveKind::AllToAll),
        ("sendrecv_perf", 1, ProfiledCollectiveKind::Shift),
    ] {
        for per_process in [1, 8] {
            let run = Made { per_process, ..made(program, parts) };
            let expected = points(&json(&run), &Told::default());
            let found: Vec<_> =
                expected.iter().map(|of| (of.bytes.0 as u64, of.time.0 * 1e6)).collect();
            for ((bytes, time), &(size, out, _)) in found.iter().zip(&run.rows) {
                assert!(*bytes == size && (time - out).abs() < 1e-9, "{found:?}");
            }
            assert_eq!(found.len(), run.rows.len());
            assert!(
                expected
                    .iter()
                    .all(|of| of.collective == kind && of.members == [nodes("a100-sxm-80", 2, 8)])
            );
            for options in [
                Options::default(),
                Options { iterations: true, ..Options::default() },
                Options { timestamps: true, unchecked: true, ..Options::default() },
                Options { iterations: true, timestamps: true, ..Options::default() },
            ] {
                let text = text(&run, options);
                assert_eq!(points(&text, &Told::default()), expected, "{options:?}\n{text}");
            }
            let named = Told { collective: Some(program.to_owned()), ..Told::default() };
            let old = text(&run, Options { old: true, ..Options::default() });
            assert_eq!(points(&old, &named), expected, "{old}");
            let in_place = Told { in_place: true, ..Told::default() };
            let inside = points(&json(&run), &in_place);
            assert_eq!(points(&text(&run, Options::default()), &in_place), inside);
            assert_ne!(inside, expected);
        }
    }
}

#[test]
fn unlike_nodes_and_several_runs() {
    let hosts = vec![("east", "NVIDIA A100-SXM4-80GB", 8), ("west", "NVIDIA H100 80GB HBM3", 4)];
    let mixed = Made { hosts, ..made("all_reduce_perf", 1) };
    let members = vec![nodes("a100-sxm-80", 1, 8), nodes("h100-sxm", 1, 4)];
    let found = points(&text(&mixed, Options::default()), &Told::default());
    assert!(found.iter().all(|of| of.members == members));

    // One file after the other, or both in one: the same points, each under its own ranks.
    let gather = made("all_gather_perf", 16);
    let texts = [&mixed, &gather].map(|run| text(run, Options::default()));
    let [one, other] = &texts;
    let files = [File { name: "a.txt", text: one }, File { name: "b.txt", text: other }];
    let apart = nccl_tests(&files, &Told::default()).unwrap();
    let together = points(&texts.concat(), &Told::default());
    assert_eq!(apart.profile.collectives, together);
    assert_eq!(together.len(), mixed.rows.len() + gather.rows.len());
    assert_eq!(
        apart.profile.source.unwrap(),
        "all_reduce_perf of nccl-tests 2.19.6, NCCL 2.29.7, out of place (a.txt); \
         all_gather_perf of nccl-tests 2.19.6, NCCL 2.29.7, out of place (b.txt)"
    );
}

#[test]
fn what_a_file_does_not_say_is_told() {
    let run = made("all_reduce_perf", 1);
    let whole = text(&run, Options::default());
    let bare: String = whole
        .lines()
        .filter(|line| !line.contains("Rank") && !line.contains("starting"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let told = Told {
        collective: Some("all_reduce".to_owned()),
        card: Some("a100-sxm-80".to_owned()),
        nodes: Some(2),
        ranks_per_node: Some(8),
        ..Told::default()
    };
    assert_eq!(points(&bare, &told), points(&whole, &Told::default()));
    refused(
        &bare,
        &Told::default(),
        &["run.txt: ", "--collective", "--card, --nodes, --ranks-per-node"],
    );
    refused(&bare, &Told { nodes: None, ..told.clone() }, &["give --nodes"]);
    refused(&bare, &Told { nodes: Some(0), ..told.clone() }, &["two ranks or more"]);
    let design = Told { design: Some("dgx-a100".to_owned()), ..Told::default() };
    assert!(points(&whole, &design).iter().all(|of| of.members[0].design.is_some()));
    // What is told and what is said disagree.
    refused(&whole, &Told { nodes: Some(4), ..Told::default() }, &["on 2 hosts, not on 4"]);
    refused(&whole, &Told { ranks_per_node: Some(4), ..told.clone() }, &["8 ranks, not 4"]);
    let gather = Told { collective: Some("all_gather".to_owned()), ..told };
    refused(&whole, &gather, &["run.txt:2: ", "leave the option out"]);
}

/// The import is refused, and says all of this.
fn refused(text: &str, told: &Told, parts: &[&str]) {
    let refused = match import(text, told) {
        Err(refused) => refused.to_string(),
        Ok(imported) => panic!("{:?} of\n{text}", imported.profile),
    };
    for part in parts {
        assert!(refused.contains(part), "{part} is not in {refused}");
    }
}

#[test]
fn refusals_say_where_and_what_helps() {
    let run = made("all_reduce_perf", 1);
    let plain = text(&run, Options::default());
    let row = plain.lines().position(|line| line.trim_start().starts_with("1048576")).unwrap() + 1;
    let here = format!("run.txt:{row}: ");
    let line = plain.lines().nth(row - 1).unwrap();
    let check = |from: &str, to: &str, parts: &[&str]| {
        assert!(plain.contains(from), "{from}");
        refused(&plain.replace(from, to), &Told::default(), parts);
    };
    check("140.00", "0.00", &[&here, "longer than no time"]);
    check("140.00", "nan", &[&here, "longer than no time"]);
    check("140.00", "fast", &[&here, "time is \"fast\""]);
    check("  140.00", "", &[&here, "12 columns where the header line has 13"]);
    check("1048576", "1048577", &[&here, "size 1048577"]);
    check("1048576 ", "-1048576", &[&here, "size is \"-1048576\""]);
    check(line, &format!("{line}\n{line}"), &["a second time of 1048576 bytes", &here, "(-d)"]);
    check(line, &line.replacen("  0  ", "  3  ", 1), &[&here, "3 elements came out wrong"]);
    check(line, "Segmentation fault", &[&here, "2 columns"]);
    let header = plain.lines().find(|line| line.starts_with("#       size")).unwrap();
    check(header, "#", &["before the header line"]);
    check(header, "# size count kind time", &["without the columns"]);
    check("  time algbw busbw", "  cputime algbw busbw", &["without -C 1"]);
    check("Rank  3 ", "Rank 33 ", &["a rank is missing"]);
    check("Rank  3 ", "Rank  2 ", &["listed twice"]);
    check("Rank  3 Group  0", "Rank  3 Group  1", &["NCCL_TESTS_SPLIT"]);
    check("Pid   4003 on", "Pid   4003 at", &["expected `Rank N"]);
    check("nGpus 1", "nGpus 5", &["cut off"]);
    check("NVIDIA A100-SXM4-80GB", "Quadro", &["\"Quadro\"", "--card"]);
    check("device  3 [0000:03:00] NVIDIA A100-SXM4-80GB", "device  3 [0] T4", &["two types"]);
    check("all_reduce_perf", "all_reduse_perf", &["run.txt:2", "did you mean all_reduce?"]);
    check("all_reduce_perf", "reduce_perf", &["no plan uses reduce"]);
    refused("", &Told::default(), &["no table"]);
    let empty = Made { rows: Vec::new(), ..run.clone() };
    refused(&text(&empty, Options::default()), &Told::default(), &["without rows"]);
    let gather = text(&made("all_gather_perf", 8), Options::default());
    refused(&gather, &Told::default(), &["for each of 16 ranks"]);
    let alone = Made { hosts: vec![("east", "T4", 1)], ..run.clone() };
    refused(&text(&alone, Options::default()), &Told::default(), &["nobody to talk to"]);

    let document = json(&run);
    let check = |from: &str, to: &str, parts: &[&str]| {
        assert!(document.contains(from), "{from}");
        refused(&document.replacen(from, to, 1), &Told::default(), parts);
    };
    check("\"time\":61.25", "\"time\":0.0", &["`results[0]`", "longer than no time"]);
    check("\"time\":61.25", "\"cpu_time\":61.25", &["`results[0]`", "-C 1"]);
    check("\"time\":61.250000", "\"time\":\"nan\"", &["`results[0].out_of_place`"]);
    check("\"size\":65536", "\"size\":1.5", &["`results[0].size`", "whole number"]);
    check("\"results\"", "\"outcome\"", &["no list `results`"]);
    check("\"hostname\":\"east\"", "\"host\":\"east\"", &["`devices[0]`"]);
    check("\"rank\":3,", "\"rank\":4,", &["`devices[3]`", "missing"]);
    check("},\"results\"", "}", &["not JSON", "broken off"]);
}

/// Too little for every rank is printed as 0 bytes, however often.
#[test]
fn rows_of_nothing_are_left_out() {
    let mut run = made("all_gather_perf", 16);
    let rows = run.rows.clone();
    run.rows.splice(0..0, [(0, 5.0, 5.0), (0, 6.0, 6.0)]);
    let imported = import(&text(&run, Options::default()), &Told::default()).unwrap();
    assert_eq!(imported.profile.collectives.len(), rows.len());
    assert_eq!(imported.remarks, ["run.txt: 2 rows of 0 bytes left out"]);
}

proptest! {
    /// Whatever is in a file, it is read or refused.
    #[test]
    fn no_file_makes_it_panic(
        of_json in any::<bool>(),
        at in any::<Index>(),
        length in 0_usize..40,
        put in select(vec!["", "0", "-1", "99999999999999999999", "\n", "# Rank", "nan", "é", "#", "}", "null", "\u{feff}", "4294967295"]),
    ) {
        let run = made("all_reduce_perf", 1);
        let text = if of_json { json(&run) } else { text(&run, Options::default()) };
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        let broken = format!("{}{put}{}", &text[..start], &text[end..]);
        for told in [Told::default(), Told { in_place: true, nodes: Some(u32::MAX), ranks_per_node: Some(u32::MAX), ..Told::default() }] {
            if let Err(refused) = import(&broken, &told) {
                prop_assert!(!refused.mistakes.is_empty());
                prop_assert!(refused.mistakes.iter().all(|mistake| mistake.message.len() < 400));
            }
        }
    }
}
