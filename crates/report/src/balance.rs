//! The what-if of perfectly balanced compute.

use motley_job::Op;
use motley_scheduler::Lowered;
use motley_units::Time;

/// The slowness of each rank with which every rank computes equally long, and all together as long
/// as if the model's work were spread freely over the cards, each at its own speed.
///
/// Rank r does work F_r ([`Lowered::model_flops`]) in the compute time t_r that its program takes
/// on its card without jitter, so it works at the rate F_r / t_r, on the shapes and in the
/// precision that it really runs. Spread in proportion to these rates, the work takes every rank
/// `sum F / sum (F / t)`. The slowness is that time over the rank's nominal compute time, so the
/// replay wants no other slowness and no jitter. A rank without work of its own (a stage of an
/// embedding alone) keeps its time, and one that computes nothing keeps slowness 1.
pub fn balanced_slowness(lowered: &Lowered) -> Vec<f64> {
    let nominal_of_program = lowered.job.program_sums(|op| match *op {
        Op::Compute { duration, .. } => duration,
        _ => Time::ZERO,
    });
    let alone: Vec<f64> = lowered
        .job
        .ranks
        .iter()
        .map(|rank| nominal_of_program[rank.program.0 as usize].as_secs_f64() * rank.slowness)
        .collect();
    let (mut work, mut rate) = (0.0, 0.0);
    for (&flops, &time) in lowered.model_flops.iter().zip(&alone) {
        if flops > 0.0 && time > 0.0 {
            work += flops;
            rate += flops / time;
        }
    }
    let balanced = if rate > 0.0 { work / rate } else { 0.0 };
    lowered
        .job
        .ranks
        .iter()
        .zip(&lowered.model_flops)
        .zip(&alone)
        .map(|((rank, &flops), &time)| {
            let nominal = nominal_of_program[rank.program.0 as usize].as_secs_f64();
            let wanted = if flops > 0.0 && time > 0.0 { balanced } else { time };
            if nominal > 0.0 && wanted > 0.0 { wanted / nominal } else { 1.0 }
        })
        .collect()
}
