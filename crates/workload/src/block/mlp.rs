//! The MLP.

use super::inputs::Inputs;
use super::linear::{Linear, Names};
use super::piece::Piece;
use super::rows::Rows;
use super::unfused;
use crate::activation::Kept;
use crate::model::Mlp;

const GATE: Names = Names {
    forward: "mlp gate",
    input: "mlp gate input gradient",
    weight: "mlp gate weight gradient",
};
const UP: Names =
    Names { forward: "mlp up", input: "mlp up input gradient", weight: "mlp up weight gradient" };
const DOWN: Names = Names {
    forward: "mlp down",
    input: "mlp down input gradient",
    weight: "mlp down weight gradient",
};

pub(super) fn piece(rows: &Rows, mlp: Mlp) -> Piece {
    let weights = mlp.up(rows.hidden);
    let up = if mlp.gated && !rows.training.fusion.gate {
        Inputs::apart(rows, [GATE, UP], &weights)
    } else {
        Inputs::merged(rows, UP, &weights)
    };
    let down = Linear::new(rows, DOWN, &[mlp.down(rows.hidden)]);
    let tokens = rows.tokens as f64;
    let mut piece = Piece {
        keeps_input: up.keeps_input(),
        quantised_input: up.quantised_input(),
        gathered: rows.whole_stream(),
        reduced: rows.whole_stream(),
        ..Piece::default()
    };

    piece.forward.extend(up.forward());
    let inner = tokens * down.inputs as f64;
    if rows.training.fusion.activation {
        piece.forward.push(rows.activation(tokens, up.outputs() as f64, down.inputs as f64));
    } else if mlp.gated {
        piece.forward.extend(unfused::gated_activation(rows, inner));
    } else {
        piece.forward.extend(unfused::activation(rows, mlp.bias, inner));
    }
    piece.forward.extend(down.forward());

    piece.backward.extend(down.backward());
    if mlp.gated && !rows.training.fusion.activation {
        piece.backward.extend(unfused::gated_activation_gradient(rows, inner));
    } else {
        let (inputs, outputs) = (up.outputs() as f64, down.inputs as f64);
        piece.backward.push(rows.activation_gradient(tokens, inputs, outputs));
    }
    up.backward_into(&mut piece);

    let widest = tokens * up.outputs() as f64;
    // Kernel by kernel, the activated gate is kept for the product's gradient, too.
    let gate = if mlp.gated && !rows.training.fusion.activation { inner } else { 0.0 };
    piece.kept = Kept {
        split: rows.activation_input().0 * widest
            + rows.element * gate
            + down.kept()
            + up.kept_inside(),
        widest,
        waiting: up.kept_inside() + up.waiting_gradient() + down.waiting(),
        ..Kept::default()
    };
    piece
}
