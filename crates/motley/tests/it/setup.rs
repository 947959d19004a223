//! Scenarios, and what is measured of them.

use motley::{Prepared, Replays, Report, Scenario, load_text, prepare};
use motley_engine::Silent;
use motley_job::RankId;
use motley_report::LinkTraffic;
use motley_scheduler::Traffic;
use motley_topology::LinkId;

/// A scenario in parts; a test changes the part that it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) groups: &'a str,
    pub(crate) shape: &'a str,
    pub(crate) model: &'a str,
    pub(crate) training: &'a str,
    pub(crate) plan: &'a str,
}

/// A transformer without learned positions whose embedding and head are negligible.
pub(crate) const HEADLESS: &str = r#"Shape(name: "headless", layers: 16, hidden: 4096, heads: 32, vocab: 128, positions: Rotary)"#;

/// BERT-large, data-parallel over two DGX-1.
pub(crate) const BERT: Setup = Setup {
    groups: r#"(design: "dgx1-v100", count: 2)"#,
    shape: "SingleSwitch",
    model: r#"Preset("bert-large")"#,
    training: "global_batch: 128, sequence_length: 512, precision: Fp16, attention: Unfused, host_launch: Graphs",
    plan: "Uniform(dp: 16, tp: 1, pp: 1, micro_batch_size: 4)",
};

/// A GPT of 16 wide layers on one DGX H100.
pub(crate) const DEEP: Setup = Setup {
    groups: r#"(design: "dgx-h100", count: 1)"#,
    shape: "SingleSwitch",
    model: HEADLESS,
    training: "global_batch: 16, sequence_length: 8192, precision: Bf16, optimizer: Sgd",
    plan: "Uniform(dp: 1, tp: 1, pp: 8, micro_batch_size: 1)",
};

impl Setup<'_> {
    pub(crate) fn text(&self) -> String {
        let Self { groups, shape, model, training, plan } = self;
        format!(
            "Scenario(
                cluster: (groups: [{groups}], fabric: (technology: InfiniBand, shape: {shape})),
                model: {model},
                training: ({training}),
                plan: {plan},
            )"
        )
    }

    pub(crate) fn scenario(&self) -> Scenario {
        scenario(&self.text())
    }

    pub(crate) fn report(&self) -> Report {
        report(&self.scenario())
    }

    pub(crate) fn seconds(&self) -> f64 {
        seconds(&self.report())
    }
}

pub(crate) fn scenario(text: &str) -> Scenario {
    load_text("test.ron", text, &[]).unwrap_or_else(|rejected| panic!("{text}\n{rejected}"))
}

pub(crate) fn report(scenario: &Scenario) -> Report {
    motley::simulate(scenario).unwrap()
}

/// A scenario with what came of it.
pub(crate) fn played(scenario: &Scenario) -> (Prepared<'_>, Replays) {
    let prepared = prepare(scenario).unwrap();
    let replays = prepared.replay(&mut Silent, &|| {}).unwrap();
    (prepared, replays)
}

/// The iteration time.
pub(crate) fn seconds(report: &Report) -> f64 {
    report.iteration_time.mean.as_secs_f64()
}

/// The fingerprint of the first iteration.
pub(crate) fn digest(scenario: &Scenario) -> u64 {
    played(scenario).1.runs[0].outcome.digest
}

/// Bytes of one class over all links in an iteration; what crosses several links counts on each.
pub(crate) fn moved(scenario: &Scenario, class: Traffic) -> f64 {
    let (prepared, replays) = played(scenario);
    let traffic = LinkTraffic::new(&prepared.lowered, &replays.runs[0].account);
    let links = (0..prepared.cluster.link_count()).map(LinkId);
    links.map(|link| traffic.bytes_of(link, class)).sum()
}

/// Time in which the first rank stands still for one class.
pub(crate) fn exposed(scenario: &Scenario, class: Traffic) -> f64 {
    let (_, replays) = played(scenario);
    let account = &replays.runs[0].account;
    (account.exposed(RankId(0), class) + account.waiting(RankId(0), class)).as_secs_f64()
}

/// `found` is within `tolerance` of `expected`, relative to it.
#[track_caller]
pub(crate) fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= tolerance * expected.abs(), "{what}: found {found}, expected {expected}");
}
