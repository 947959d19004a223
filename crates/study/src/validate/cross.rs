//! Sources held against each other.
//!
//! Constants are fitted on kernels, links and collectives, so leaving a source's runs out changes no
//! prediction, and leave-one-out is no more than the errors of each source beside those of all others.
//! But for the few constants that were set on something that a source of runs measured
//! ([`constants`]): errors of these sources are not those of predictions, and what all others come to
//! without them is.

use std::collections::BTreeSet;

use serde::Serialize;

use super::facts::Key;
use super::{Agreement, Status, Validation, Verdict};
use crate::suite::{Constant, MeasuredOn, constants};

/// Errors of each source beside those of all others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrossValidation {
    /// The sources that have rows to compare, in the order of their names.
    pub sources: Vec<SourceAgreement>,
    /// The middle of the sources' median errors: each source counts once, however many rows it has.
    pub median_of_sources_ratio: Option<f64>,
    /// Without the sources on whose whole runs a constant was set.
    pub held_out: HeldOut,
    /// Without any source that gave a constant of time: its layers, kernels or collectives count, too.
    pub strictly_held_out: HeldOut,
    /// The constants that sources with rows here gave.
    pub constants: Vec<&'static Constant>,
}

/// A source against all others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceAgreement {
    /// The first word of its rows' ids.
    pub source: String,
    /// Its own iteration times.
    pub own: Agreement,
    /// Those of all other sources together.
    pub others: Option<Agreement>,
    /// What of it constants were set on.
    pub gave: BTreeSet<MeasuredOn>,
}

/// What is left without some sources.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldOut {
    /// The sources that were left out.
    pub left_out: BTreeSet<&'static str>,
    /// The iteration times of all others.
    pub iteration_time: Option<Agreement>,
}

impl CrossValidation {
    /// Of all rows that were compared.
    pub fn of(validation: &Validation) -> Self {
        let compared: Vec<(&str, f64)> = validation
            .verdicts
            .iter()
            .filter(|verdict| verdict.status == Status::Ok)
            .filter_map(|verdict| Some((source(verdict), verdict.error_ratio()?)))
            .collect();
        let agreement = |takes: &dyn Fn(&str) -> bool| {
            let errors = compared.iter().filter(|(source, _)| takes(source));
            Agreement::of(&errors.map(|(_, error)| *error).collect::<Vec<_>>())
        };
        let names: BTreeSet<&str> = compared.iter().map(|(source, _)| *source).collect();
        let given: Vec<&Constant> = constants()
            .iter()
            .filter(|constant| names.contains(constant.source.as_str()))
            .collect();
        let sources: Vec<SourceAgreement> = names
            .iter()
            .filter_map(|name| {
                let gave = given.iter().filter(|constant| constant.source == *name);
                Some(SourceAgreement {
                    source: (*name).to_owned(),
                    own: agreement(&|source| source == *name)?,
                    others: agreement(&|source| source != *name),
                    gave: gave.map(|constant| constant.from).collect(),
                })
            })
            .collect();
        let without = |takes: fn(MeasuredOn) -> bool| {
            let left_out: BTreeSet<&str> = given
                .iter()
                .filter(|constant| takes(constant.from))
                .map(|constant| constant.source.as_str())
                .collect();
            let iteration_time = agreement(&|source| !left_out.contains(source));
            HeldOut { left_out, iteration_time }
        };
        let medians: Vec<f64> =
            sources.iter().map(|source| source.own.median_abs_error_ratio).collect();
        Self {
            median_of_sources_ratio: Agreement::of(&medians)
                .map(|medians| medians.median_abs_error_ratio),
            held_out: without(|from| from == MeasuredOn::Runs),
            strictly_held_out: without(|from| from != MeasuredOn::Memory),
            sources,
            constants: given,
        }
    }
}

fn source(verdict: &Verdict) -> &str {
    verdict.facts.get(&Key::Source).map_or("", String::as_str)
}
