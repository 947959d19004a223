//! "Did you mean": the known name that is nearest to one that is not known.

/// The name most like `found`, if one is like it at all: one begins with the other, or at most a
/// third of the letters differ.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    let wanted = plain(found);
    let wanted_length = wanted.chars().count();
    known
        .into_iter()
        .filter_map(|name| {
            let candidate = plain(name);
            let distance = strsim::damerau_levenshtein(&wanted, &candidate);
            let length = wanted_length.max(candidate.chars().count());
            let prefix = wanted_length >= 3
                && candidate.len() >= 3
                && (candidate.starts_with(&wanted) || wanted.starts_with(&candidate));
            // Between `GBps` and `Gbps` for `gbps` the case decides.
            let exact = strsim::damerau_levenshtein(found, name);
            (distance * 3 <= length || prefix).then_some(((!prefix, distance, exact), name))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, name)| name)
}

/// What to say below a name that the catalogue does not have.
pub(crate) fn like_in_catalogue<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(found, known) {
        Some(similar) => format!("did you mean \"{similar}\"?"),
        None => "not in the catalogue".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn like_names_are_found_and_others_are_not() {
        let check = |found: &str, known: &[&'static str], expected: Option<&str>| {
            assert_eq!(nearest(found, known.iter().copied()), expected, "{found}");
        };
        check("cuont", &["count", "design"], Some("count"));
        check("Fp61", &["Fp16", "Bf16"], Some("Fp16"));
        check("fp16", &["Fp32", "Fp16"], Some("Fp16"));
        check("micro-batch-size", &["micro_batch_size"], Some("micro_batch_size"));
        check("a100-sxm", &["h100-sxm", "a100-sxm-80"], Some("a100-sxm-80"));
        check("gbps", &["GBps", "Gbps"], Some("Gbps"));
        check("GBPS", &["Gbps", "GBps"], Some("GBps"));
        check("tp", &["dp", "pp"], None);
        check("nonsense", &["count", "design"], None);
        check("x", &[], None);
    }
}
