//! The host that launches kernels: it costs nothing while they are long, and everything while they are
//! short.

use motley::Report;

use crate::setup::{DEEP, Setup, near, seconds};

/// Layers whose kernels take a few microseconds.
const NARROW: &str =
    r#"Shape(name: "narrow", layers: 16, hidden: 512, heads: 8, vocab: 1024, positions: Rotary)"#;

/// Plans in which the host runs ahead from pass to pass, and in which it waits at the end of each.
const PLANS: [&str; 3] = [
    "Uniform(dp: 8, tp: 1, pp: 1, micro_batch_size: 1)",
    "Uniform(dp: 1, tp: 8, pp: 1, micro_batch_size: 1)",
    "Uniform(dp: 1, tp: 1, pp: 8, micro_batch_size: 1)",
];

fn report(model: &str, plan: &str, host_launch: &str) -> Report {
    let training = format!(
        "global_batch: 16, sequence_length: 1024, precision: Bf16, optimizer: Sgd,
        host_launch: {host_launch}"
    );
    Setup { model, training: &training, plan, ..DEEP }.report()
}

fn launched_in(model: &str, plan: &str, micros: f64) -> Report {
    let host = format!("Each(forward: Us({micros}), backward: Us({}))", micros / 2.0);
    report(model, plan, &host)
}

/// Between two points at which host and card wait for each other the longer of both counts: an iteration
/// takes no less than either, and no more than both.
#[test]
fn an_iteration_takes_as_long_as_the_slower_of_host_and_card() {
    for plan in PLANS {
        let card = seconds(&report(NARROW, plan, "Graphs"));
        let time = |micros| seconds(&launched_in(NARROW, plan, micros));
        // So slow that nothing else matters: all is the host's.
        let slope = (time(4000.0) - time(2000.0)) / 2000.0;
        near(time(8000.0) - time(4000.0), 4000.0 * slope, 1e-6, plan);
        let mut last = card;
        for micros in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0] {
            let (found, host) = (time(micros), micros * slope);
            assert!(found >= last && found >= host * 0.999, "{plan}: {micros} us, {found} s");
            assert!(found <= card + host, "{plan}: {micros} us, {found} s");
            last = found;
        }
    }
}

#[test]
fn long_kernels_hide_the_host() {
    for plan in PLANS {
        let wide = DEEP.model;
        let (graphs, fast) = (report(wide, plan, "Graphs"), launched_in(wide, plan, 0.01));
        assert_eq!(graphs.iteration_time, fast.iteration_time, "{plan}");
        assert_eq!(fast.breakdown.host_launch, motley_units::Time::ZERO, "{plan}");
    }
}

/// What the card waits for the host is told apart, and sums to the rest.
#[test]
fn waits_for_the_host_have_their_own_part() {
    for plan in PLANS {
        let (card, slow) = (report(NARROW, plan, "Graphs"), launched_in(NARROW, plan, 1000.0));
        assert_eq!(slow.breakdown.total(), slow.iteration_time.mean, "{plan}");
        let share = slow.breakdown.host_launch.as_secs_f64() / seconds(&slow);
        assert!(share > 0.3, "{plan}: {share}");
        assert_eq!(card.breakdown.host_launch, motley_units::Time::ZERO, "{plan}");
    }
}
