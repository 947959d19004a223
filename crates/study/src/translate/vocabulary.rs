//! Rows of the vocabulary.

use super::assumptions::Assumptions;
use super::plan::Degrees;
use super::{Software, Unsupported};
use crate::runs::{Model, Row};

/// Megatron-LM's default: the 50,257 tokens of GPT-2, padded for eight tensor ranks.
const GPT_2: u32 = 51_200;

/// Rows of the vocabulary, as padded.
pub(super) fn vocabulary(
    row: &Row,
    software: Software,
    degrees: &Degrees,
    tied: bool,
    assumptions: &mut Assumptions,
) -> Result<u32, Unsupported> {
    let stated = row.model.vocab.unwrap_or_else(|| by_size(&row.model, tied, assumptions));
    // Without padding of its own a stack still needs equal parts.
    let each = if software.pads_vocabulary() { 128 } else { 1 };
    let multiple = degrees.tp.saturating_mul(each);
    let padded = stated.checked_next_multiple_of(multiple);
    let padded = padded.ok_or_else(|| Unsupported::not_stated("model.vocab"))?;
    if padded != stated {
        assumptions
            .note(format!("vocabulary of {stated} padded to {padded}, 128 for each tensor rank"));
    }
    Ok(padded)
}

/// What a model's size leaves beside its layers; GPT-2's if that is no vocabulary.
fn by_size(model: &Model, tied: bool, assumptions: &mut Assumptions) -> u32 {
    let rows = beside_layers(model).map(|parameters| {
        let copies = if tied { 1.0 } else { 2.0 };
        parameters / (copies * f64::from(model.hidden.unwrap_or(1)))
    });
    match rows {
        Some(rows) if (4_000.0..=300_000.0).contains(&rows) => {
            let rows = rows.round() as u32;
            assumptions
                .note(format!("vocabulary not stated: {rows}, what the model's size leaves"));
            rows
        }
        _ => {
            assumptions.note(format!("vocabulary not stated: {GPT_2}, GPT-2's as padded"));
            GPT_2
        }
    }
}

/// Parameters that are not of the layers' matrices.
fn beside_layers(model: &Model) -> Option<f64> {
    let (hidden, heads) = (f64::from(model.hidden?), f64::from(model.heads?));
    let kv_heads = model.kv_heads.map_or(heads, f64::from);
    let ffn = model.ffn.map_or(4.0 * hidden, f64::from);
    let matrices = if model.gated_mlp? { 3.0 } else { 2.0 };
    if model.moe.is_some() {
        return None;
    }
    let attention = hidden * hidden * (2.0 + 2.0 * kv_heads / heads);
    let layer = attention + matrices * hidden * ffn;
    Some(model.params_b? * 1e9 - f64::from(model.layers?) * layer)
}
