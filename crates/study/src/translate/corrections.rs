//! What sources say of their runs that their own code or figures contradict.

use std::borrow::Cow;

use super::assumptions::Assumptions;
use crate::runs::Row;

/// The row, as the source's code and figures have it.
pub(super) fn corrected<'r>(row: &'r Row, assumptions: &mut Assumptions) -> Cow<'r, Row> {
    if !row.source.name.to_lowercase().contains("sailor") {
        return Cow::Borrowed(row);
    }
    let mut own = row.clone();
    // A stage of its runs on "RTX-2080" holds 9.4 GB and multiplies at 0.94 of a Titan RTX's rate: the
    // card that is called so has 8 GB and 0.62 of the lanes.
    let mut renamed = false;
    for device in devices(&mut own).filter(|device| *device == "rtx2080") {
        "rtx2080ti".clone_into(device);
        renamed = true;
    }
    if renamed {
        assumptions.note("RTX 2080 taken as RTX 2080 Ti: its stages hold more than 8 GB");
    }
    // `OPTModelPipe` and its like are built with a head of their own (`OPTLMHeadPipe`, no tied layer), and
    // the artifact's table of parameters counts both.
    if own.model.tied_embeddings == Some(true) {
        own.model.tied_embeddings = Some(false);
        assumptions.note("embedding and head untied, as the artifact's code has them");
    }
    Cow::Owned(own)
}

/// Every card that the row names.
fn devices(row: &mut Row) -> impl Iterator<Item = &mut String> {
    let groups = row.hardware.groups.iter_mut().flatten().filter_map(|group| group.device.as_mut());
    let stages = row.parallel.stages.iter_mut().flatten();
    let placed = stages
        .flat_map(|stage| &mut stage.replicas)
        .flat_map(|replica| &mut replica.devices)
        .map(|device| &mut device.device);
    row.hardware.device.iter_mut().chain(groups).chain(placed)
}
