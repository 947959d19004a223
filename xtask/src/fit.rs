//! Constants by a program: measured kernels in, files of the catalogue and how good they are out.
//! `docs/fit.md` has the rules.
//!
//! ```text
//! FILE.jsonl --kernels::read--> [Point] --search--> constants of each subject --notation--> files
//!                                       --evaluate--> quality of each series  --table--> docs/kernels.md
//! ```

mod collectives;
mod evaluate;
mod kernels;
mod lenient;
mod lines;
mod notation;
mod quality;
mod search;
mod source;
mod split;
mod subject;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use motley_hardware::{Architecture, Catalog, Fit, FitQuality, FitSeries};
use rayon::prelude::*;

use collectives::Collective;
use evaluate::{Extra, Series, beside, cost_of_all, extra, isolated, predicted, series};
use kernels::{Kind, Point};
use quality::Quality;
use split::Split;
use subject::{SUBJECTS, Subject};
use table::{CollectiveLine, Pooled};

/// Arguments of `cargo xtask fit`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Measured kernels, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    kernels: PathBuf,
    /// Measured collectives, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    collectives: Option<PathBuf>,
    /// Print how far the committed constants are off, and fit and write nothing
    #[arg(long, conflicts_with = "check")]
    evaluate: bool,
    /// Fit also constants that an earlier search found as well
    #[arg(long)]
    all: bool,
    /// Fit, write nothing, and fail where a committed file differs from what would be written
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut points = kernels::read(&text(&arguments.kernels)?)
        .with_context(|| arguments.kernels.display().to_string())?;
    points.retain(Subject::long_enough);
    let collectives = match &arguments.collectives {
        Some(path) => {
            collectives::read(&text(path)?).with_context(|| path.display().to_string())?
        }
        None => Vec::new(),
    };
    let committed = Catalog::builtin().architectures.values().cloned();
    let architectures: Vec<Architecture> = if arguments.evaluate {
        committed.collect()
    } else {
        let all: Vec<Architecture> = committed.collect();
        all.into_par_iter()
            .map(|architecture| fitted(architecture, &points, arguments.all))
            .collect()
    };
    let (fits, pooled) = evaluated(&architectures, &points);
    let page = table::page(&pooled, &fits, &evaluated_collectives(&collectives)?);
    if arguments.evaluate {
        println(&page);
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("crates/hardware/data");
    let mut files = Vec::new();
    for architecture in &architectures {
        let path = folder.join(format!("architectures/{}.ron", architecture.id));
        let old = text(&path)?;
        files.push((path, notation::architecture(notation::heading(&old), architecture)));
    }
    for fit in &fits {
        files.push((folder.join(format!("fits/{}.ron", fit.id)), notation::fit(fit)));
    }
    files.push((root.join("docs/kernels.md"), page));
    if arguments.check { check(&files) } else { write(&files) }
}

/// The tables are what the command is asked for.
#[expect(clippy::print_stdout, reason = "the answer of the command")]
fn println(page: &str) {
    println!("{page}");
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn write(files: &[(PathBuf, String)]) -> Result<()> {
    for (path, text) in files {
        let folder = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn check(files: &[(PathBuf, String)]) -> Result<()> {
    let differs = |(path, text): &&(PathBuf, String)| {
        fs::read_to_string(path).map_or(true, |committed| committed != *text)
    };
    let different: Vec<String> =
        files.iter().filter(differs).map(|(path, _)| path.display().to_string()).collect();
    if different.is_empty() {
        return Ok(());
    }
    bail!("not as the fit would write them:\n  {}", different.join("\n  "))
}

/// The architecture with its constants fitted that points can tell; those that files keep only if all
/// are asked for.
fn fitted(mut architecture: Architecture, points: &[Point], all: bool) -> Architecture {
    let subjects = SUBJECTS.iter().find(|(id, _)| *id == architecture.id);
    for subject in subjects.map_or(&[][..], |(_, subjects)| subjects) {
        if all || !subject.is_kept(&architecture.id) {
            fit(&mut architecture, *subject, points);
        }
    }
    architecture
}

/// Fits one subject to its points, together with what the sources time beside the kernels.
fn fit(architecture: &mut Architecture, subject: Subject, points: &[Point]) {
    let concerned = |point: &&Point| {
        point.split == Split::Fit
            && subject.concerns(architecture, point)
            && source::source(&point.source).is_some_and(|of| of.fits(point.kind, point.device))
    };
    let (sources, groups): (Vec<&str>, Vec<Vec<&Point>>) = series(points)
        .into_iter()
        .filter(|(of, _)| of.architecture == architecture.id)
        .map(|(of, points)| (of.source, points.into_iter().filter(concerned).collect::<Vec<_>>()))
        .filter(|(_, points)| !points.is_empty())
        .unzip();
    if groups.is_empty() {
        return;
    }
    let besides: Vec<_> = groups.iter().map(|points| beside(points)).collect();
    let own = subject.free(architecture);
    let mut free = own.clone();
    free.extend(besides.iter().flat_map(|beside| Extra::free(*beside)));
    let at_full_clock = isolated(architecture);
    let numbers = search::minimise(&free, |numbers| {
        let (constants, mut extras) = numbers.split_at(own.len());
        let mut tried = at_full_clock.clone();
        subject.apply(&mut tried, constants, "");
        let ratios = groups.iter().zip(&besides).map(|(points, beside)| {
            let (here, rest) = extras.split_at(Extra::free(*beside).len());
            extras = rest;
            let extra = Extra::of(*beside, here);
            points.iter().map(|point| predicted(&tried, point, extra) / point.seconds).collect()
        });
        cost_of_all(ratios.collect::<Vec<Vec<f64>>>())
    });
    let mut names = sources;
    names.sort_unstable();
    names.dedup();
    let says = format!("fitted by `cargo xtask fit` to {}", names.join(" and "));
    let rounded: Vec<f64> =
        numbers[..own.len()].iter().map(|number| three_digits(*number)).collect();
    subject.apply(architecture, &rounded, &says);
}

/// Rounded to three significant digits, as files have it.
fn three_digits(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

/// How far each series is off, and all test points of an architecture together.
fn evaluated(architectures: &[Architecture], points: &[Point]) -> (Vec<Fit>, Vec<Pooled>) {
    let mut fits: BTreeMap<String, Vec<FitSeries>> = BTreeMap::new();
    let mut tested: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (of, points) in series(points) {
        let found = architectures.iter().find(|architecture| architecture.id == of.architecture);
        let Some(architecture) = found.map(isolated) else { continue };
        let extra = extra(&architecture, &points);
        let ratios = |split| {
            let points = points.iter().filter(move |point| point.split == split);
            points.map(|point| predicted(&architecture, point, extra) / point.seconds)
        };
        tested.entry(of.architecture.clone()).or_default().extend(ratios(Split::Test));
        let fitted = points.first().is_some_and(|point| {
            source::source(&point.source).is_some_and(|of| of.fits(point.kind, point.device))
        });
        let series = FitSeries {
            kernel: kernel(&of),
            device: of.device.clone(),
            source: of.source.to_owned(),
            fitted,
            beside: extra.says(),
            fit: rounded(Quality::of(ratios(Split::Fit))),
            test: rounded(Quality::of(ratios(Split::Test))),
        };
        fits.entry(of.architecture).or_default().push(series);
    }
    let fits = fits.into_iter().map(|(id, series)| Fit { id, series }).collect();
    let pooled = tested
        .into_iter()
        .map(|(architecture, ratios)| Pooled { architecture, quality: Quality::of(ratios) })
        .collect();
    (fits, pooled)
}

fn kernel(of: &Series) -> String {
    match (of.kind, of.version) {
        (Kind::Gemm | Kind::GroupedGemm, _) => format!("{}, {:?}", of.kind.name(), of.math),
        (_, Some(version)) => format!("{}, version {version}", of.kind.name()),
        (_, None) => of.kind.name().to_owned(),
    }
}

fn rounded(quality: Quality) -> FitQuality {
    let digits = |share: f64| (share * 1e3).round() / 1e3;
    let Quality { points, median, p90 } = quality;
    FitQuality { points, median: digits(median), p90: digits(p90) }
}

/// From 1 MiB up; shorter ones are latency.
const LEAST_BYTES: f64 = 1_048_576.0;

fn evaluated_collectives(all: &[Collective]) -> Result<Vec<CollectiveLine>> {
    let mut lines: BTreeMap<(&str, u32, &str, &str), Vec<f64>> = BTreeMap::new();
    let mut clusters = BTreeMap::new();
    for of in all.iter().filter(|of| of.bytes >= LEAST_BYTES) {
        let cluster = match clusters.entry((of.design, of.nodes)) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(collectives::cluster(of.design, of.nodes)?)
            }
        };
        let ratio = collectives::predicted(cluster, of)? / of.seconds;
        lines.entry((of.design, of.nodes, of.name, &of.source)).or_default().push(ratio);
    }
    let line = |((design, nodes, name, source), ratios): ((&str, u32, _, &str), Vec<f64>)| {
        let (design, source) = (design.to_owned(), source.to_owned());
        CollectiveLine { design, nodes, name, source, quality: Quality::of(ratios) }
    };
    Ok(lines.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use motley_hardware::Cited;
    use subject::Term;

    use super::*;

    /// Times that the model itself gives are met again, whatever the constants were.
    #[test]
    fn constants_behind_times_are_found() {
        let catalog = Catalog::builtin();
        let mut truth = catalog.architecture("ampere").unwrap().clone();
        let attention = truth.flash_attention.as_mut().unwrap();
        attention.forward_fraction = Cited::Assumed(0.6, String::new());
        attention.half_sequence = Cited::Assumed(300.0, String::new());
        let rows = [64, 128].into_iter().flat_map(|width| {
            [512, 1024, 4096, 16384].into_iter().flat_map(move |sequence| {
                ["fwd", "bwd"].map(|pass| {
                    format!(
                        r#"{{"id": "a", "kind": "attention_{pass}", "gpu": "a100-sxm-80", "dtype": "bf16",
                        "shape": {{"batch": 2, "seq": {sequence}, "heads": 16, "head_dim": {width},
                        "causal": true}}, "ms": 1, "source": "SimuMax"}}"#
                    )
                    .replace('\n', " ")
                })
            })
        });
        let mut points = kernels::read(&rows.collect::<Vec<_>>().join("\n")).unwrap();
        for point in &mut points {
            point.seconds = predicted(&isolated(&truth), point, Extra::NONE);
        }
        let mut found = catalog.architecture("ampere").unwrap().clone();
        let subject = Subject::Attention { version: 2, terms: &[Term::Forward, Term::Sequence] };
        fit(&mut found, subject, &points);
        let found = isolated(&found);
        for point in &points {
            let ratio = predicted(&found, point, Extra::NONE) / point.seconds;
            assert!((ratio - 1.0).abs() < 0.02, "{ratio} {:?}", point.operators[0].work);
        }
        let (fits, pooled) = evaluated(&[truth], &points);
        let kept = points.iter().filter(|point| point.split == Split::Test).count();
        assert_eq!(pooled[0].quality.points as usize, kept);
        assert!(fits[0].series.iter().all(|series| series.test.p90 < 1e-9));
    }

    #[test]
    fn a_file_that_differs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/a.ron");
        let files = [(path.clone(), "text".to_owned())];
        assert!(check(&files).unwrap_err().to_string().contains("a.ron"));
        write(&files).unwrap();
        check(&files).unwrap();
    }
}
