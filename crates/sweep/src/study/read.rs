//! From the text of a study to a [`Study`].

use std::io;
use std::path::Path as FilePath;

use motley_hardware::Catalog;
use motley_scenario::syntax::{Kind, Path, Span, Step, Tree};
use motley_scenario::{Diagnostic, Diagnostics, Place, Rejected, SourceFile, code, nearest, parse};
use motley_workload::Preset;

use super::axis::{Axis, Dimension, Values};
use super::expression::{Expression, Mistake, Type};
use super::raw::{CatalogKind, RawDimension, RawStudy, RawValues};
use super::setting::{Setting, tidy};
use super::{Base, Plans, Study};
use crate::metric::Metric;
use crate::table::Cell;

/// More points than anybody waits for.
const POINTS: u64 = 100_000_000;

/// More values than anybody reads.
const VALUES: u64 = 10_000_000;

/// Reads the text.
pub(super) fn raw(name: &str, text: &str) -> Result<RawStudy, Rejected> {
    let source = SourceFile::new(name, text);
    parse(&source).map_err(|diagnostics| Rejected { diagnostics, source })
}

/// The base scenario cannot be read.
pub(super) fn no_base(name: &str, text: &str, base: &FilePath, error: &io::Error) -> Rejected {
    let mut document = Document::new(name, text);
    let path = Path::ROOT.field("base");
    let message = format!("cannot read the base scenario {}", base.display());
    let diagnostic = Diagnostic::error(code::STUDY, message)
        .label(document.place(&path), error.to_string())
        .help("the path is relative to the folder of the study");
    document.wrong.push(diagnostic);
    document.rejected()
}

/// A study's text with its places, and what is wrong with it.
pub(super) struct Document {
    pub(super) source: SourceFile,
    tree: Option<Tree>,
    pub(super) wrong: Diagnostics,
}

impl Document {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let source = SourceFile::new(name, text);
        let tree = Tree::parse(source.text()).ok();
        Self { source, tree, wrong: Diagnostics::default() }
    }

    /// Where the value at a path stands.
    pub(super) fn place(&self, path: &Path) -> Place {
        let text = self.source.text();
        let span = self.tree.as_ref().map(|tree| tree.find(text, path).head(text));
        self.source.place(span.unwrap_or(Span::new(0, 0)))
    }

    /// Where a part of the text at a path stands; the whole text where it is not written plainly.
    pub(super) fn inside(&self, path: &Path, content: &str, part: Span) -> Place {
        let text = self.source.text();
        let found = self.tree.as_ref().map(|tree| tree.find(text, path).value);
        match found {
            Some(value)
                if value.kind == Kind::Text && value.span.of(text) == format!("\"{content}\"") =>
            {
                let start = value.span.start + 1;
                self.source.place(Span::new(start + part.start, start + part.end))
            }
            _ => self.place(path),
        }
    }

    /// The number of a text that was added before.
    pub(super) fn known(&self, name: &str) -> Option<usize> {
        (1..)
            .map_while(|file| match self.source.original(file).0 {
                "" => None,
                known => Some((file, known == name)),
            })
            .find_map(|(file, found)| found.then_some(file))
    }

    fn say(&mut self, path: &Path, message: impl Into<String>, label: &str) {
        let place = self.place(path);
        self.wrong.push(Diagnostic::error(code::STUDY, message).label(place, label));
    }

    fn mistake(&mut self, path: &Path, content: &str, mistake: Mistake) {
        let place = self.inside(path, content, mistake.span);
        let diagnostic = Diagnostic::error(code::EXPRESSION, mistake.message);
        self.wrong.push(diagnostic.label(place, mistake.label));
    }

    pub(super) fn rejected(self) -> Rejected {
        Rejected { diagnostics: self.wrong, source: self.source }
    }
}

/// One step further.
pub(super) fn then(path: &Path, step: Step) -> Path {
    let mut steps = path.0.clone();
    steps.push(step);
    Path(steps)
}

/// An axis before its settings are read, which need the names of all.
struct Draft {
    name: String,
    values: Values,
    /// Lots of overrides, each with its place.
    lots: Vec<Vec<(String, Path)>>,
    own: bool,
    path: Path,
}

/// Axes and dimensions as they are read.
struct Reader {
    document: Document,
    drafts: Vec<Draft>,
}

impl Study {
    pub(super) fn of(name: &str, text: &str, raw: RawStudy, base: Base) -> Result<Self, Rejected> {
        let mut reader = Reader { document: Document::new(name, text), drafts: Vec::new() };
        let axes_path = Path::ROOT.field("axes");
        let mut dimensions = Vec::new();
        for (index, dimension) in raw.axes.into_iter().enumerate() {
            dimensions.extend(reader.dimension(dimension, &axes_path.index(index)));
        }
        let Reader { mut document, drafts } = reader;
        names(&mut document, &drafts);

        let kinds: Vec<Axis> = drafts.iter().map(Draft::bare).collect();
        let known: Vec<(&str, Type)> =
            kinds.iter().map(|axis| (axis.name.as_str(), axis.of())).collect();
        let axes = drafts
            .iter()
            .zip(&kinds)
            .map(|(draft, bare)| {
                let settings: Vec<Vec<Setting>> = draft
                    .lots
                    .iter()
                    .map(|lot| settings(&mut document, lot, &known, draft.own))
                    .collect();
                let of_cluster = settings.iter().flatten().any(|setting| {
                    let head = setting.head().trim_start();
                    head.is_empty() || head.starts_with("cluster")
                });
                Axis { settings, of_cluster, texts: draft.lots.clone(), ..bare.clone() }
            })
            .collect();
        if raw.replicas > 1 {
            for (text, path) in drafts.iter().flat_map(|draft| draft.lots.iter().flatten()) {
                if text.trim_start().starts_with("seed") {
                    let label = "leave out one of the two";
                    document.say(path, "replicas set the seed, and so does this axis", label);
                }
            }
        }
        let skip = conditions(&mut document, &raw.skip, &known);
        let metrics = metrics(&mut document, raw.metrics.as_deref(), raw.plans);
        let points = size(&mut document, &dimensions, raw.replicas);
        if let Plans::Best { budget } = raw.plans
            && !(0.1..=1e6).contains(&budget.0)
        {
            let path = Path::ROOT.field("plans");
            let label = "expected S(0.1) or more";
            document.say(&path, "the planner needs a budget of 0.1 s to a million seconds", label);
        }

        let seed = super::check::seed(&base, &raw.set);
        if seed >= (1 << 53) - u64::from(raw.replicas) {
            let path = Path::ROOT.field("base");
            document.say(&path, "the scenario's seed is 2^53 or more", "tables cannot hold that");
        }
        if !document.wrong.is_empty() {
            return Err(document.rejected());
        }
        Ok(Self {
            question: raw.question,
            plans: raw.plans,
            seed,
            replicas: raw.replicas,
            base,
            common: raw.set,
            axes,
            dimensions,
            skip,
            metrics,
            points,
        })
    }
}

impl Draft {
    /// The axis without its settings.
    fn bare(&self) -> Axis {
        Axis {
            name: self.name.clone(),
            values: self.values.clone(),
            settings: Vec::new(),
            texts: Vec::new(),
            path: self.path.clone(),
            of_cluster: false,
        }
    }
}

/// Says which names cannot be, or are there twice.
fn names(document: &mut Document, drafts: &[Draft]) {
    for (at, draft) in drafts.iter().enumerate() {
        let path = draft.path.field("name");
        let mut letters = draft.name.chars();
        let is_name = letters.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
            && letters.all(|c| c == '_' || c.is_ascii_alphanumeric())
            && !["and", "or", "not"].contains(&draft.name.as_str());
        if !is_name {
            let message = format!("\"{}\" cannot be the name of an axis", draft.name);
            document.say(&path, message, "expected letters, digits and `_`");
        }
        if drafts[..at].iter().any(|other| other.name == draft.name) {
            let message = format!("two axes are called \"{}\"", draft.name);
            document.say(&path, message, "again here");
        }
    }
}

fn settings(
    document: &mut Document,
    lot: &[(String, Path)],
    axes: &[(&str, Type)],
    own: bool,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (text, path) in lot {
        match Setting::parse(text, axes, own) {
            Ok(setting) => settings.push(setting),
            Err(mistake) => document.mistake(path, text, mistake),
        }
    }
    settings
}

fn conditions(document: &mut Document, texts: &[String], axes: &[(&str, Type)]) -> Vec<Expression> {
    let mut conditions = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = Path::ROOT.field("skip").index(index);
        match Expression::parse(text, axes) {
            Ok(condition) if condition.of() == Type::Truth => conditions.push(condition),
            Ok(_) => {
                let message = format!("`{text}` is no condition");
                let whole = Span::new(0, text.len());
                let label = "expected a comparison, such as `dp * tp > 64`".to_owned();
                document.mistake(&path, text, Mistake { span: whole, message, label });
            }
            Err(mistake) => document.mistake(&path, text, mistake),
        }
    }
    conditions
}

fn metrics(document: &mut Document, names: Option<&[String]>, plans: Plans) -> Vec<Metric> {
    let searched = plans != Plans::Own;
    let Some(names) = names else { return Metric::usual(searched) };
    let mut metrics: Vec<Metric> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let path = Path::ROOT.field("metrics").index(index);
        match Metric::named(name, searched) {
            Some(metric) if metrics.contains(&metric) => {
                document.say(&path, format!("metric \"{name}\" is asked for twice"), "again here");
            }
            Some(metric) => metrics.push(metric),
            None => {
                let label = match nearest(name, Metric::names(searched)) {
                    Some(similar) => format!("did you mean \"{similar}\"?"),
                    None => "no such metric".to_owned(),
                };
                document.say(&path, format!("unknown metric \"{name}\""), &label);
            }
        }
    }
    if names.is_empty() {
        let path = Path::ROOT.field("metrics");
        document.say(&path, "a study needs a metric", "leave the field out for the usual ones");
    }
    metrics
}

/// How many points there are.
fn size(document: &mut Document, dimensions: &[Dimension], replicas: u32) -> u64 {
    if replicas == 0 {
        let path = Path::ROOT.field("replicas");
        document.say(&path, "each point is simulated once or more often", "zero");
        return 0;
    }
    let sizes = dimensions.iter().map(|dimension| dimension.size);
    let points = sizes.chain([u64::from(replicas)]).try_fold(1, u64::checked_mul);
    points.filter(|&points| points <= POINTS).unwrap_or_else(|| {
        document.say(
            &Path::ROOT.field("axes"),
            "the axes make more than 100 million points",
            "each value of an axis goes with each of the others; `Sample` takes fewer",
        );
        0
    })
}

impl Reader {
    /// What varies by itself against all else.
    fn dimension(&mut self, raw: RawDimension, path: &Path) -> Option<Dimension> {
        match raw {
            RawDimension::Sample { count, method, seed, axes } => {
                if count == 0 {
                    self.document.say(&path.field("count"), "a sample has points", "zero");
                }
                if axes.is_empty() {
                    self.document.say(&path.field("axes"), "a sample needs axes", "none");
                }
                let mut parts = Vec::new();
                for (index, axis) in axes.into_iter().enumerate() {
                    parts.extend(self.part(axis, &path.field("axes").index(index), true));
                }
                let sampling = Some((method, seed));
                Some(Dimension { size: count.max(1).into(), sampling, parts })
            }
            other => {
                let part = self.part(other, path, false)?;
                let size = part.first().map_or(1, |&axis| self.drafts[axis].bare().count());
                Some(Dimension { size: size.max(1), sampling: None, parts: vec![part] })
            }
        }
    }

    /// Axes that move side by side, by their numbers.
    fn part(&mut self, raw: RawDimension, path: &Path, sampled: bool) -> Option<Vec<usize>> {
        match raw {
            RawDimension::Axis { name, set, values } => {
                let values_path = path.field("values");
                let values = self.values(values, &values_path, sampled);
                if set.is_empty() {
                    self.document.say(path, format!("axis \"{name}\" changes nothing"), "no `set`");
                }
                let lots = vec![placed(set, &path.field("set"))];
                self.drafts.push(Draft { name, values, lots, own: true, path: path.clone() });
                Some(vec![self.drafts.len() - 1])
            }
            RawDimension::Cases { name, cases } => {
                let cases_path = path.field("cases");
                if cases.is_empty() {
                    self.document.say(&cases_path, format!("axis \"{name}\" has no cases"), "none");
                }
                let mut items: Vec<(String, Cell)> = Vec::new();
                let mut lots = Vec::new();
                for (index, case) in cases.into_iter().enumerate() {
                    let here = cases_path.index(index);
                    let (written, cell) = listed(case.label.get_ron());
                    let no_label = cell.text().is_some_and(str::is_empty);
                    if no_label || items.iter().any(|(_, other)| *other == cell) {
                        let message = format!("{written} cannot name a case, or names another");
                        let label = "another name is needed";
                        self.document.say(&here.field("label"), message, label);
                    }
                    items.push((written, cell));
                    lots.push(placed(case.set, &here.field("set")));
                }
                let values = Values::Items(alike(items));
                self.drafts.push(Draft { name, values, lots, own: false, path: path.clone() });
                Some(vec![self.drafts.len() - 1])
            }
            RawDimension::Zip(axes) => {
                let inside = then(path, Step::Variant("Zip".to_owned()));
                let mut part = Vec::new();
                for (index, axis) in axes.into_iter().enumerate() {
                    part.extend(self.part(axis, &inside.index(index), sampled)?);
                }
                if part.is_empty() {
                    self.document.say(path, "a zip needs axes", "none");
                    return None;
                }
                let counts: Vec<u64> =
                    part.iter().map(|&axis| self.drafts[axis].bare().count()).collect();
                if !sampled && counts.iter().any(|&count| count != counts[0]) {
                    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
                    let message = format!(
                        "axes of a zip have as many values each, found {}",
                        counts.join(", ")
                    );
                    self.document.say(path, message, "not equally many");
                }
                Some(part)
            }
            RawDimension::Sample { .. } => {
                let label = "put its axes beside the others";
                self.document.say(path, "a sample cannot be inside of a zip or a sample", label);
                None
            }
        }
    }

    fn values(&mut self, raw: RawValues, path: &Path, sampled: bool) -> Values {
        match raw {
            RawValues::List(items) => {
                if items.is_empty() {
                    self.document.say(path, "an axis needs values", "none");
                }
                Values::Items(alike(items.iter().map(|item| listed(item.get_ron())).collect()))
            }
            RawValues::Linear { from, to, count, step, whole } => {
                let count = match (count, step) {
                    (Some(_), Some(_)) => {
                        self.document.say(path, "`count` and `step` say the same", "leave one out");
                        1
                    }
                    (Some(count), None) => u64::from(count),
                    (None, Some(step)) => self.steps(path, from, to, step),
                    (None, None) if sampled => 1,
                    (None, None) => self.countless(path, "give `count` or `step`"),
                };
                // With a step the last value is the last that a whole number of steps reaches.
                let to = match step {
                    Some(step) if count > 1 => {
                        from + step.abs().copysign(to - from) * (count - 1) as f64
                    }
                    _ => to,
                };
                self.range(path, [from, to], count, sampled);
                Values::Range { from, to, logarithmic: false, whole, count }
            }
            RawValues::Log { from, to, count, whole } => {
                let count = match count {
                    Some(count) => u64::from(count),
                    None if sampled => 1,
                    None => self.countless(path, "give `count`"),
                };
                if from <= 0.0 || to <= 0.0 {
                    let message = "logarithmic values are above 0";
                    self.document.say(path, message, "from or to is not");
                }
                self.range(path, [from, to], count, sampled);
                Values::Range { from, to, logarithmic: true, whole, count }
            }
            RawValues::Catalog { of, having } => {
                let names = catalogue(of);
                let names: Vec<String> =
                    names.into_iter().filter(|name| name.contains(&having)).collect();
                if names.is_empty() {
                    let message = format!("the catalogue has no such name with \"{having}\"");
                    self.document.say(path, message, "nothing found");
                }
                let items = names.into_iter();
                Values::Items(items.map(|name| (format!("{name:?}"), Cell::Text(name))).collect())
            }
        }
    }

    fn countless(&mut self, path: &Path, label: &str) -> u64 {
        self.document.say(path, "how many values are there?", label);
        1
    }

    fn steps(&mut self, path: &Path, from: f64, to: f64, step: f64) -> u64 {
        let steps = ((to - from) / step).abs();
        if !steps.is_finite() || steps >= VALUES as f64 {
            self.document.say(path, "the step is too small", "more than 10 million values");
            return 1;
        }
        // What rounding takes away from a whole number of steps is given back.
        tidy(steps).floor() as u64 + 1
    }

    fn range(&mut self, path: &Path, ends: [f64; 2], count: u64, sampled: bool) {
        if ends.iter().any(|end| !end.is_finite()) {
            self.document.say(path, "a range has finite ends", "not a number");
        }
        if count == 0 && !sampled {
            self.document.say(path, "an axis needs values", "none");
        }
        if count > VALUES {
            self.document.say(path, "more than 10 million values", "too many");
        }
    }
}

/// Overrides with their places.
fn placed(set: Vec<String>, path: &Path) -> Vec<(String, Path)> {
    set.into_iter().enumerate().map(|(index, text)| (text, path.index(index))).collect()
}

/// Values that are not all numbers are texts in the table, numbers among them, too.
fn alike(mut items: Vec<(String, Cell)>) -> Vec<(String, Cell)> {
    if !items.iter().all(|(_, cell)| cell.number().is_some()) {
        for (written, cell) in &mut items {
            if cell.text().is_none() {
                *cell = Cell::Text(written.clone());
            }
        }
    }
    items
}

/// A value of a list: as overrides have it, and as the table has it.
fn listed(written: &str) -> (String, Cell) {
    let written = written.trim();
    let cell = if let Ok(number) = ron::from_str::<f64>(written) {
        Cell::from(number)
    } else if let Ok(text) = ron::from_str::<String>(written) {
        Cell::Text(text)
    } else {
        Cell::Text(written.to_owned())
    };
    (written.to_owned(), cell)
}

fn catalogue(of: CatalogKind) -> Vec<String> {
    let catalog = Catalog::builtin();
    match of {
        CatalogKind::Devices => catalog.devices.keys().cloned().collect(),
        CatalogKind::Nodes => catalog.nodes.keys().cloned().collect(),
        CatalogKind::Nics => catalog.nics.keys().cloned().collect(),
        CatalogKind::Fabrics => catalog.fabrics.keys().cloned().collect(),
        CatalogKind::Models => {
            Preset::all().iter().map(|preset| preset.name().to_owned()).collect()
        }
    }
}
