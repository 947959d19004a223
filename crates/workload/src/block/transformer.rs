//! A transformer layer as blocks.

use super::piece::block;
use super::rows::Rows;
use super::{Block, attention, experts, latent, mlp};
use crate::RecomputeModule;
use crate::model::{FeedForward, Residual, Transformer};

pub(super) fn blocks(rows: &Rows, layer: &Transformer) -> Vec<Block> {
    let norm = (layer.norm, layer.norms);
    let own = &layer.attention;
    let mut pieces = vec![match own.latents(rows.hidden) {
        Some(latents) => latent::piece(rows, own, &latents),
        None => attention::within(rows, own),
    }];
    pieces.extend(layer.cross_attention.as_ref().map(|cross| attention::across(rows, cross)));
    pieces.push(match &layer.feed_forward {
        FeedForward::Dense(dense) => mlp::piece(rows, *dense).checkpointed(RecomputeModule::Mlp),
        FeedForward::Experts(bank) => experts::piece(rows, bank).checkpointed(RecomputeModule::Moe),
    });
    match layer.residual {
        Residual::Sequential => {
            pieces.into_iter().map(|piece| block(rows, norm, 1, vec![piece])).collect()
        }
        Residual::Parallel { shared_norm } => {
            let norms = if shared_norm { 1 } else { pieces.len() };
            vec![block(rows, norm, norms, pieces)]
        }
    }
}
