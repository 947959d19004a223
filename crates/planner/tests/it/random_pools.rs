//! Fifty pools of one to four types: the planner is never worse than anybody, and the same whatever the
//! number of threads.

use motley::Scenario;
use motley_planner::{Found, Options, Origin, search};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom as _;

use crate::pools::open;

const POOLS: u64 = 50;

/// Node designs on InfiniBand, and the cards in them if not their own.
const NODES: [(&str, &str); 8] = [
    ("hgx-a100-40", ""),
    ("dgx-a100", ""),
    ("dgx-h100", ""),
    ("hgx-h20", ""),
    ("dgx1-v100", ""),
    ("dgx1-p100", ""),
    ("pcie8-v100", ""),
    ("pcie8-dual-root", "rtx3090"),
];

const MODELS: [(&str, &str); 5] = [
    ("gpt2-medium", "sequence_length: 1024"),
    ("bert-large", "sequence_length: 512"),
    ("gpt3-1.3b", "sequence_length: 2048"),
    ("llama-2-7b", "sequence_length: 2048"),
    ("llama-2-13b", "sequence_length: 2048"),
];

/// One of the pools, always the same by its number.
pub(crate) fn pool(number: u64) -> Scenario {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let types = 1 + (number % 4) as usize;
    let groups: Vec<String> = NODES
        .sample(&mut random, types)
        .map(|(design, device)| {
            let device =
                if device.is_empty() { String::new() } else { format!(", device: \"{device}\"") };
            (design, device)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(design, device)| {
            let count = [1, 1, 2, 4].choose(&mut random).copied().unwrap_or(1);
            format!("(design: \"{design}\", count: {count}{device})")
        })
        .collect();
    let (model, sequence) = MODELS.choose(&mut random).copied().unwrap_or(MODELS[0]);
    let batch = [128, 256, 384, 512].choose(&mut random).copied().unwrap_or(128);
    open(
        &groups.join(", "),
        &format!("Preset(\"{model}\")"),
        &format!("global_batch: {batch}, {sequence}, precision: Fp16"),
    )
}

fn planned(scenario: &Scenario) -> Found {
    search(scenario, &Options { budget_s: 0.5, ..Options::default() }, &|_| {}).unwrap()
}

/// Those of one and two types. On equal cards a uniform plan is often the best, so that gains are not asked
/// for here.
#[test]
fn nobody_is_better_on_small_pools() {
    check((0..POOLS / 2).filter(|number| number % 4 < 2));
}

/// Minutes even when optimised: `cargo test --release -p motley-planner -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn nobody_is_better_on_fifty_pools() {
    let mut gains = check(0..POOLS);
    gains.sort_by(f64::total_cmp);
    let median = gains[gains.len() / 2];
    // Of uniform plans the best of eight; where none fits, the planner's gain has no number.
    assert!(median >= 0.10, "at the median {median:.3} of {}", gains.len());
}

/// How much longer uniform plans take, by pools in which one fits.
fn check(numbers: impl Iterator<Item = u64>) -> Vec<f64> {
    let mut gains = Vec::new();
    for number in numbers {
        let scenario = pool(number);
        let found = planned(&scenario);
        let best = found.ranked.first().filter(|best| best.fits()).and_then(|best| best.time);
        for (origin, chosen) in &found.rivals {
            let Some(time) = chosen.as_ref().and_then(|chosen| chosen.time) else {
                continue;
            };
            let best = best.unwrap();
            assert!(best <= time, "pool {number}: {} plans {time}, motley {best}", origin.name());
            if *origin == Origin::Uniform {
                gains.push(time.as_secs_f64() / best.as_secs_f64() - 1.0);
            }
        }
        if let Some(best) = best {
            assert!(found.lower_bound_s <= best.as_secs_f64(), "pool {number}");
        }
    }
    gains
}

#[test]
fn threads_change_nothing() {
    let scenario = pool(7);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| planned(&scenario));
        let ranked: Vec<_> = found.ranked.iter().map(|each| (each.time, each.origin)).collect();
        (found.ranked[0].plan.clone(), ranked, found.plans, found.operations)
    };
    let one = with(1);
    assert!(one == with(2) && one == with(5));
}
