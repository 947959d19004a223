//! The identity of a scenario.

use motley_topology::ClusterSpec;
use motley_workload::Profile;

use crate::raw::{RawFabric, RawModel, RawScenario};

/// A change of the form that is hashed changes this, and with it every hash.
const FORM: &str = "motley scenario 1\n";

/// BLAKE3 of everything that the simulation depends on, in hexadecimal. `cluster` is what `raw`
/// resolves to, `profile` what the file of its profile says.
///
/// Texts that mean the same have the same hash: spaces, comments, the order of fields, the unit
/// that a quantity is written in and whether a default is written out do not matter; nor do
/// question, sources and published figures, which no result depends on.
pub fn scenario_hash(
    raw: &RawScenario,
    profile: Option<&Profile>,
    cluster: &ClusterSpec,
) -> String {
    let mut bare = raw.clone();
    bare.question = None;
    bare.sources.clear();
    bare.published.clear();
    bare.profile = profile.map(Profile::to_ron);
    for (group, resolved) in bare.cluster.groups.iter_mut().zip(&cluster.groups) {
        group.name = Some(resolved.name.clone());
        group.device = Some(resolved.device.id.clone());
        group.nic = Some(resolved.nic.id.clone());
    }
    if let Some(fabric @ RawFabric::Preset(_)) = &mut bare.cluster.fabric {
        *fabric = RawFabric::Written((&cluster.fabric).into());
    }
    if let RawModel::Shape(shape) = &mut bare.model {
        *shape = shape.filled_in();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORM.as_bytes());
    hasher.update(bare.to_ron().as_bytes());
    hasher.finalize().to_hex().to_string()
}
