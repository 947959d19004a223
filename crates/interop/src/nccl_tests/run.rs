//! A run of one of the programs, whichever form it was written in.

use motley_workload::ProfiledCollectiveKind;

use super::{Place, program};

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Run {
    /// The program's name and where it stands.
    pub program: Option<(String, Place)>,
    /// Of nccl-tests, as it is written.
    pub version: Option<String>,
    /// Of NCCL, as it numbers itself.
    pub nccl: Option<u64>,
    /// Ranks of each process: threads times cards of a thread.
    pub per_process: Option<u32>,
    /// Where the ranks are; none if that is not said.
    pub ranks: Vec<RankPlace>,
    pub rows: Vec<Row>,
    /// Where the table begins.
    pub header: Option<Place>,
}

/// Where a rank is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RankPlace {
    pub place: Place,
    pub rank: u32,
    /// Which of the communicators that work at the same time.
    pub group: u32,
    pub host: String,
    /// What CUDA calls its card.
    pub device: String,
}

/// A size that was measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub place: Place,
    pub size: u64,
    pub count: u64,
    /// Of an element, as it is written.
    pub element: String,
    /// Out of place and in place; `None` where it was not measured.
    pub halves: [Option<Half>; 2],
}

/// One way in which it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Half {
    /// Microseconds.
    pub time: f64,
    /// Elements that came out wrong, if that was checked.
    pub wrong: Option<f64>,
    /// Whether it is the time of the host's calls, not that of the collective.
    pub host: bool,
}

impl Run {
    /// What it is, for people: `all_reduce_perf of nccl-tests 2.19.6, NCCL 2.30.1, out of place`.
    pub(super) fn title(&self, kind: ProfiledCollectiveKind, in_place: bool) -> String {
        let program = program::name(kind);
        let version = self.version.as_ref().map(|v| format!(" {v}")).unwrap_or_default();
        let nccl = self.nccl.map(|code| format!(", NCCL {}", nccl_version(code)));
        let half = if in_place { "in place" } else { "out of place" };
        format!("{program}_perf of nccl-tests{version}{}, {half}", nccl.unwrap_or_default())
    }
}

/// Major, minor and patch of a number that has two digits for the last two, before 2.9 one for minor.
fn nccl_version(code: u64) -> String {
    let (major, minor) = match code {
        0..10_000 => (code / 1000, code / 100 % 10),
        _ => (code / 10_000, code / 100 % 100),
    };
    format!("{major}.{minor}.{}", code % 100)
}
