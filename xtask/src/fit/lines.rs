//! Files of one JSON object a line.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// What `measured` makes of each row of a file, blank lines passed over.
///
/// # Errors
///
/// A line that is not what it should be, with its number and the row's id.
pub(crate) fn read<R: DeserializeOwned, T>(
    text: &str,
    id: impl Fn(&R) -> String,
    measured: impl Fn(R) -> Result<Option<T>>,
) -> Result<Vec<T>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut all = Vec::new();
    for (index, line) in lines {
        let number = index + 1;
        let row: R = serde_json::from_str(line).with_context(|| format!("line {number}"))?;
        let id = id(&row);
        all.extend(measured(row).with_context(|| format!("line {number}, `{id}`"))?);
    }
    Ok(all)
}
