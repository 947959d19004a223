//! The cases: what is measured, by name.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result};
use motley_engine::{Engine, Options, Silent, replay};
use motley_sweep::Study;
use motley_units::Time;

use crate::closed_loop::{ClosedLoop, Pattern};
use crate::megatron::{MegatronStep, Network};
use crate::question::Question;

/// One piece of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Case {
    /// Replaying a training step.
    Replay(MegatronStep),
    /// Replaying a closed loop of flows.
    Solver(ClosedLoop),
    /// Making a training step ready for replays.
    Prepare(MegatronStep),
    /// From a scenario to a job: cluster, routes, plan, kernel times, communicators, programs.
    Lower(Question),
    /// From replays to the report, as text and as JSON.
    Report(Question),
    /// From text to report.
    Scenario(Question),
    /// The same for plans that take turns, on what one evaluation leaves to the next.
    Evaluate(Question),
    /// The points of a study of `scenarios/studies`, one after the other.
    Sweep(&'static str),
    /// Searching a plan, as far as two cores get in five seconds.
    Plan(Question),
}

/// How much was done by running a case once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Ranks of the job; plans that a search evaluates; points of a study.
    pub ranks: u64,
    /// Operations replayed.
    pub operations: u64,
    /// Flows that shared links and went through the solver.
    pub flows: u64,
    /// Instants at which rates were solved.
    pub solves: u64,
    /// The simulated time at which the replay ended.
    pub end: Time,
}

/// What measures: it is handed the prepared work and runs it as often as it likes.
pub type Measure<'m> = dyn FnMut(&mut dyn FnMut() -> Result<Work>) -> Result<()> + 'm;

/// All cases by name. A name's first part says which step is measured.
pub const CASES: &[(&str, Case)] = &[
    ("replay/uncontended_1k", Case::Replay(UNCONTENDED_1K)),
    ("replay/16k_private", Case::Replay(STEP_16K_PRIVATE)),
    ("replay/16k_private_unbundled", Case::Replay(STEP_16K_PRIVATE_UNBUNDLED)),
    ("replay/16k_equal", Case::Replay(STEP_16K_EQUAL)),
    ("replay/16k_bundled", Case::Replay(STEP_16K)),
    ("replay/16k_unbundled", Case::Replay(STEP_16K_UNBUNDLED)),
    ("replay/16k_pairwise", Case::Replay(STEP_16K_PAIRWISE)),
    ("solver/group/1k", Case::Solver(loop_1k(Pattern::Group))),
    ("solver/group/10k", Case::Solver(loop_10k(Pattern::Group))),
    ("solver/spread/1k", Case::Solver(loop_1k(Pattern::Spread))),
    ("solver/spread/10k", Case::Solver(loop_10k(Pattern::Spread))),
    ("solver/lockstep/10k", Case::Solver(loop_10k(Pattern::Lockstep))),
    ("prepare/16k", Case::Prepare(STEP_16K)),
    ("lower/bert_v100_p100", Case::Lower(Question::BERT_V100_P100)),
    ("lower/korthikanti_1t_selective", Case::Lower(Question::KORTHIKANTI_1T_SELECTIVE)),
    ("lower/gpt3_1024", Case::Lower(Question::GPT3_1024)),
    ("report/gpt3_1024", Case::Report(Question::GPT3_1024)),
    ("scenario/bert_v100_p100", Case::Scenario(Question::BERT_V100_P100)),
    ("scenario/korthikanti_1t_selective", Case::Scenario(Question::KORTHIKANTI_1T_SELECTIVE)),
    ("scenario/gpt3_1024", Case::Scenario(Question::GPT3_1024)),
    ("evaluate/gpt3_1024", Case::Evaluate(Question::GPT3_1024)),
    ("evaluate/gpt3_1024_h100", Case::Evaluate(Question::GPT3_1024_H100)),
    ("sweep/speed_and_link", Case::Sweep("speed_and_link.ron")),
    ("plan/pool_64", Case::Plan(Question::POOL_64)),
    ("plan/pool_256", Case::Plan(Question::POOL_256)),
];

/// 16,384 cards, each of its own speed, on a shared fabric.
const STEP_16K: MegatronStep = MegatronStep {
    tensor: 8,
    stages: 16,
    replicas: 128,
    micro_batches: 16,
    layers: 8,
    network: Network::Shared,
    bundled: true,
    pairwise: false,
    spread: 0.03,
};
const STEP_16K_UNBUNDLED: MegatronStep = MegatronStep { bundled: false, ..STEP_16K };
const STEP_16K_PAIRWISE: MegatronStep = MegatronStep { pairwise: true, ..STEP_16K };
const STEP_16K_EQUAL: MegatronStep = MegatronStep { spread: 0.0, ..STEP_16K };
const STEP_16K_PRIVATE: MegatronStep = MegatronStep { network: Network::Private, ..STEP_16K };
const STEP_16K_PRIVATE_UNBUNDLED: MegatronStep =
    MegatronStep { bundled: false, ..STEP_16K_PRIVATE };
const UNCONTENDED_1K: MegatronStep =
    MegatronStep { replicas: 8, network: Network::Absent, ..STEP_16K };

/// 1,024 flows at once over 1,024 links.
const fn loop_1k(pattern: Pattern) -> ClosedLoop {
    ClosedLoop { pattern, hosts: 256, rack: 16, sends: 8 }
}

/// 10,240 flows at once over 10,240 links.
const fn loop_10k(pattern: Pattern) -> ClosedLoop {
    ClosedLoop { pattern, hosts: 2560, rack: 32, sends: 2 }
}

impl Case {
    /// The case of this name.
    ///
    /// # Errors
    /// If there is none; lists those that there are.
    pub fn named(name: &str) -> Result<Self> {
        let found = CASES.iter().find(|(each, _)| *each == name).map(|&(_, case)| case);
        found.with_context(|| {
            let names: Vec<&str> = CASES.iter().map(|&(name, _)| name).collect();
            format!("no case is called {name}; there are {}", names.join(", "))
        })
    }

    /// Prepares the work, hands it to `measure` and cleans up.
    ///
    /// # Errors
    /// If the work cannot be done, or `measure` says so.
    pub fn run(&self, measure: &mut Measure<'_>) -> Result<()> {
        match self {
            Self::Replay(step) => {
                let job = step.job();
                let engine = Engine::new(&job)?;
                measure(&mut || replay_once(&engine))
            }
            Self::Solver(closed_loop) => {
                let job = closed_loop.job();
                let engine = Engine::new(&job)?;
                measure(&mut || replay_once(&engine))
            }
            Self::Prepare(step) => {
                let job = step.job();
                let ranks = job.ranks.len() as u64;
                measure(&mut || {
                    black_box(Engine::new(&job)?);
                    Ok(Work { ranks, ..Work::default() })
                })
            }
            Self::Lower(question) => {
                let scenario = question.load()?;
                measure(&mut || {
                    let prepared = black_box(motley::prepare(&scenario)?);
                    let ranks = prepared.lowered.job.ranks.len() as u64;
                    Ok(Work { ranks, ..Work::default() })
                })
            }
            Self::Report(question) => {
                let scenario = question.load()?;
                let prepared = motley::prepare(&scenario)?;
                let replays = prepared.replay(&mut Silent, &|| {})?;
                let ranks = prepared.lowered.job.ranks.len() as u64;
                let provenance = motley::Provenance {
                    tool_version: "",
                    scenario_hash: &scenario.hash,
                    seed: scenario.seed,
                };
                measure(&mut || {
                    let report = prepared.report(&replays)?;
                    black_box(motley::text(&report));
                    black_box(motley::json(&report, &provenance)?);
                    Ok(Work { ranks, ..Work::default() })
                })
            }
            Self::Evaluate(question) => {
                let mut evaluator = motley::Evaluator::new();
                let mut turns = TURNS.iter().cycle();
                measure(&mut || {
                    let turn = turns.next().copied().unwrap_or_default();
                    let scenario = question.load_with(turn)?;
                    let report = evaluator.simulate(&scenario)?;
                    black_box(report.iteration_time.mean);
                    Ok(Work {
                        ranks: u64::from(report.plan.used_card_count),
                        operations: report.simulated.operation_count,
                        ..Work::default()
                    })
                })
            }
            Self::Sweep(file) => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/studies");
                let (study, _) = Study::read(&folder.join(file))?;
                measure(&mut || {
                    let mut evaluator = study.evaluator();
                    for point in (0..study.size()).filter_map(|index| study.point(index)) {
                        black_box(study.evaluate(&mut evaluator, &point));
                    }
                    Ok(Work { ranks: study.size(), ..Work::default() })
                })
            }
            Self::Plan(question) => {
                let scenario = question.load()?;
                let options =
                    motley_planner::Options { budget_s: 5.0, ..motley_planner::Options::default() };
                measure(&mut || {
                    let found = black_box(motley_planner::search(&scenario, &options, &|_| {})?);
                    let best = found.ranked.first().and_then(|best| best.time);
                    Ok(Work {
                        ranks: found.plans,
                        operations: found.operations,
                        end: best.unwrap_or(Time::MAX),
                        ..Work::default()
                    })
                })
            }
            Self::Scenario(question) => measure(&mut || {
                let scenario = question.load()?;
                let report = motley::simulate(&scenario)?;
                black_box(motley::text(&report));
                Ok(Work {
                    ranks: u64::from(report.plan.used_card_count),
                    operations: report.simulated.operation_count,
                    ..Work::default()
                })
            }),
        }
    }
}

/// What takes turns in [`Case::Evaluate`]: fields of the plan alone.
const TURNS: [&[&str]; 4] = [
    &["plan.micro_batch_size=1"],
    &["plan.micro_batch_size=2"],
    &["plan.schedule=GPipe", "plan.micro_batch_size=1"],
    &["plan.overlap_weight_gradient=true", "plan.micro_batch_size=1"],
];

fn replay_once(engine: &Engine<'_>) -> Result<Work> {
    let outcome = replay(engine, &Options::default(), &mut Silent)?;
    Ok(Work {
        ranks: outcome.finish.len() as u64,
        operations: outcome.operations,
        flows: outcome.flows,
        solves: outcome.solves,
        end: outcome.end,
    })
}

impl Work {
    /// What a case's throughput is counted in: flows where there is nothing but flows, else
    /// operations, or ranks where nothing is replayed.
    pub fn elements(&self, case: &Case) -> u64 {
        match case {
            Case::Solver(_) => self.flows,
            Case::Replay(_) | Case::Scenario(_) => self.operations,
            Case::Evaluate(_) => 1,
            Case::Prepare(_)
            | Case::Lower(_)
            | Case::Report(_)
            | Case::Plan(_)
            | Case::Sweep(_) => self.ranks,
        }
    }
}
