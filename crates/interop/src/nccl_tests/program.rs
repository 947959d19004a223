//! The programs by name.

use motley_workload::ProfiledCollectiveKind;

/// Those whose collectives plans use.
const KNOWN: [(&str, ProfiledCollectiveKind); 6] = [
    ("all_reduce", ProfiledCollectiveKind::AllReduce),
    ("all_gather", ProfiledCollectiveKind::AllGather),
    ("reduce_scatter", ProfiledCollectiveKind::ReduceScatter),
    ("broadcast", ProfiledCollectiveKind::Broadcast),
    ("alltoall", ProfiledCollectiveKind::AllToAll),
    ("sendrecv", ProfiledCollectiveKind::Shift),
];

/// Those that measure what no plan uses.
const UNUSED: [&str; 5] = ["reduce", "gather", "scatter", "hypercube", "alltoallv"];

/// The collective of a program, which may stand in a path and have an end of its own, such as `_perf_mpi`.
pub(super) fn collective(program: &str) -> Result<ProfiledCollectiveKind, String> {
    let file = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let name = file.split("_perf").next().unwrap_or(file).to_ascii_lowercase();
    if let Some(&(_, kind)) = KNOWN.iter().find(|(known, _)| *known == name) {
        return Ok(kind);
    }
    let known = KNOWN.map(|(known, _)| known).join(", ");
    if UNUSED.contains(&name.as_str()) {
        return Err(format!(
            "no plan uses {name}, whose times would change nothing; read are {known}"
        ));
    }
    let near = KNOWN.iter().find(|(known, _)| strsim::damerau_levenshtein(&name, known) <= 2);
    let near = near.map_or_else(String::new, |(near, _)| format!("; did you mean {near}?"));
    Err(format!("\"{program}\" is no collective of nccl-tests{near}; read are {known}"))
}

/// What the program of a collective is called.
pub(super) fn name(kind: ProfiledCollectiveKind) -> &'static str {
    KNOWN.iter().find(|(_, of)| *of == kind).map_or("", |(name, _)| name)
}
