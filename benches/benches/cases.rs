//! Times every case with criterion.

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use motley_benches::CASES;

fn main() {
    // Enough for medians on a noisy machine, and all cases in a few minutes.
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    for (name, case) in CASES {
        let (group, function) = name.split_once('/').expect("names have a group");
        let mut group = criterion.benchmark_group(group);
        group.sampling_mode(SamplingMode::Flat);
        let measured = case.run(&mut |once| {
            group.throughput(Throughput::Elements(once()?.elements(case)));
            group.bench_function(function, |bencher| bencher.iter(&mut *once));
            Ok(())
        });
        measured.unwrap_or_else(|error| panic!("{name}: {error}"));
        group.finish();
    }
    criterion.final_summary();
}
