//! Fields that the schema does not have.
//!
//! One that is like a field of the schema is a slip, and the file is refused: what was meant would
//! be lost silently. One that is like none is something that the schema cannot say; the row is kept
//! and not predicted, because nobody knows what the field changes. Words of the source (`*_text`,
//! remarks) and further figures (`measured`) change nothing and are let through.

use motley_scenario::nearest;
use serde_json::{Map, Value};

use super::row::{
    Experts, Fabric, Hardware, Machines, Model, Parallel, Replica, ReplicaCards, Row, Source, Stage,
};

/// A field that the schema does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Where: `parallel.foo`.
    pub(super) path: String,
    /// A field that was probably meant.
    pub(super) meant: Option<&'static str>,
}

/// All such fields of a row.
pub(super) fn unknown_fields(row: &Map<String, Value>) -> Vec<Unknown> {
    let mut found = Vec::new();
    look(row, "", Row::FIELDS, Row::REMARKS, &mut found);
    within(row, "", "source", Source::FIELDS, Source::REMARKS, &mut found);
    if let Some(model) = within(row, "", "model", Model::FIELDS, Model::REMARKS, &mut found) {
        within(model, "model.", "moe", Experts::FIELDS, Experts::REMARKS, &mut found);
    }
    let hardware = within(row, "", "hardware", Hardware::FIELDS, Hardware::REMARKS, &mut found);
    if let Some(hardware) = hardware {
        within(hardware, "hardware.", "fabric", Fabric::FIELDS, Fabric::REMARKS, &mut found);
        each(hardware, "hardware.", "groups", Machines::FIELDS, Machines::REMARKS, &mut found);
    }
    let parallel = within(row, "", "parallel", Parallel::FIELDS, Parallel::REMARKS, &mut found);
    if let Some(parallel) = parallel {
        for (path, stage) in
            each(parallel, "parallel.", "stages", Stage::FIELDS, Stage::REMARKS, &mut found)
        {
            for (path, replica) in
                each(stage, &path, "replicas", Replica::FIELDS, Replica::REMARKS, &mut found)
            {
                each(
                    replica,
                    &path,
                    "devices",
                    ReplicaCards::FIELDS,
                    ReplicaCards::REMARKS,
                    &mut found,
                );
            }
        }
    }
    found
}

fn look(
    object: &Map<String, Value>,
    prefix: &str,
    fields: &'static [&'static str],
    remarks: &[&str],
    found: &mut Vec<Unknown>,
) {
    for name in object.keys() {
        let known = fields.contains(&name.as_str()) || remarks.contains(&name.as_str());
        if !known && !name.ends_with("_text") {
            let meant = nearest(name, fields.iter().copied());
            found.push(Unknown { path: format!("{prefix}{name}"), meant });
        }
    }
}

/// Looks into the object in a field, if there is one.
fn within<'v>(
    object: &'v Map<String, Value>,
    prefix: &str,
    name: &str,
    fields: &'static [&'static str],
    remarks: &[&str],
    found: &mut Vec<Unknown>,
) -> Option<&'v Map<String, Value>> {
    let inner = object.get(name)?.as_object()?;
    look(inner, &format!("{prefix}{name}."), fields, remarks, found);
    Some(inner)
}

/// Looks into each object of a list, and gives them with their prefixes.
fn each<'v>(
    object: &'v Map<String, Value>,
    prefix: &str,
    name: &str,
    fields: &'static [&'static str],
    remarks: &[&str],
    found: &mut Vec<Unknown>,
) -> Vec<(String, &'v Map<String, Value>)> {
    let items = object.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
    let mut objects = Vec::new();
    for (index, item) in items {
        if let Some(inner) = item.as_object() {
            let prefix = format!("{prefix}{name}[{index}].");
            look(inner, &prefix, fields, remarks, found);
            objects.push((prefix, inner));
        }
    }
    objects
}
