//! Operations on feature maps, and the classifier behind them.
//!
//! Kernels are those of a framework that fuses nothing: convolution, batch norm, activation function
//! in place. Nothing of a model that reads images is split over tensor ranks.

use super::linear::{Linear, Names, weight_gradient};
use super::rows::{Rows, elementwise};
use super::{Block, Exchange};
use crate::activation::Kept;
use crate::model::{
    Branches, Classifier, Convolution, Extent, FullyConnected, Images, Join, Operation,
};
use crate::{ConvolutionPass, ConvolutionWork, Operator, Work};

const FULLY_CONNECTED: Names = Names {
    forward: "fully connected",
    input: "fully connected input gradient",
    weight: "fully connected weight gradient",
};

/// A block under construction: the backward pass is found from its end.
#[derive(Default)]
struct Row {
    forward: Vec<Operator>,
    /// In reverse order: the kernels of each operation, last one first.
    backward: Vec<Vec<Operator>>,
    kept: Kept,
}

impl Row {
    fn finish(self) -> Block {
        Block {
            forward: self.forward,
            backward: self.backward.into_iter().rev().flatten().collect(),
            repeats: Vec::new(),
            exchange: Exchange::default(),
            inside: Default::default(),
            kept: self.kept,
        }
    }

    fn keep(&mut self, bytes: f64) {
        self.kept.stream += bytes;
    }
}

/// Sizes of feature maps of a micro-batch.
fn elements(rows: &Rows, maps: Extent) -> f64 {
    rows.batch as f64 * maps.pixels() as f64 * maps.width() as f64
}

/// A layer.
pub(super) fn block(rows: &Rows, operations: &[Operation], input: Extent) -> Block {
    let mut row = Row::default();
    add(&mut row, rows, operations, input);
    row.finish()
}

/// Images as they come, in bytes, become maps of the training's precision.
pub(super) fn images(rows: &Rows, images: Images) -> Block {
    let Images { channels, height, width } = images;
    let pixels = elements(rows, Extent::Image { channels, height, width });
    let mut row = Row::default();
    row.forward.push(elementwise("normalise images", (1.0 + rows.element) * pixels));
    row.finish()
}

/// The mean of each map, if these have several pixels; scores and cross entropy.
pub(super) fn classifier(rows: &Rows, head: Classifier, input: Extent) -> Block {
    let mut row = Row::default();
    let mut maps = input;
    if maps.pixels() > 1 {
        maps = add(&mut row, rows, &[Operation::GlobalAveragePool], maps);
    }
    let linear = FullyConnected { outputs: head.classes, activation: false, dropout: false };
    add(&mut row, rows, &[Operation::Linear(linear)], maps);
    let scores = rows.batch as f64 * f64::from(head.classes);
    row.forward.push(elementwise("cross entropy", 8.0 * 4.0 * scores));
    row.backward.push(vec![elementwise("cross entropy backward", 2.0 * 4.0 * scores)]);
    row.finish()
}

/// Adds operations one after the other; returns what they put out.
fn add(row: &mut Row, rows: &Rows, operations: &[Operation], input: Extent) -> Extent {
    let mut maps = input;
    for operation in operations {
        let output = operation.output(maps).unwrap_or(maps);
        let (read, written) = (elements(rows, maps), elements(rows, output));
        match operation {
            Operation::Convolution(convolution) => convolve(row, rows, convolution, maps, output),
            Operation::MaxPool(_) | Operation::AveragePool(_) | Operation::GlobalAveragePool => {
                row.forward.push(elementwise("pool", rows.element * (read + written)));
                let backward = elementwise("pool backward", rows.element * (read + 2.0 * written));
                row.backward.push(vec![backward]);
                row.keep(rows.element * read);
            }
            Operation::Linear(linear) => connect(row, rows, *linear, maps),
            Operation::Branches(branches) => branch(row, rows, branches, maps, output),
            Operation::Activation => activate(row, rows, written),
        }
        maps = output;
    }
    maps
}

/// An activation function in place: what it puts out is kept as the input of what follows.
fn activate(row: &mut Row, rows: &Rows, maps: f64) {
    row.forward.push(elementwise("activation", 2.0 * rows.element * maps));
    row.backward.push(vec![elementwise("activation backward", 3.0 * rows.element * maps)]);
}

fn convolve(row: &mut Row, rows: &Rows, convolution: &Convolution, input: Extent, output: Extent) {
    let (
        Extent::Image { channels, height, width },
        Extent::Image { height: rows_out, width: columns_out, .. },
    ) = (input, output)
    else {
        return;
    };
    let (read, written) = (elements(rows, input), elements(rows, output));
    let product = |name, pass| {
        let work = ConvolutionWork {
            batch: rows.batch,
            input: (channels, height, width),
            output: (convolution.channels, rows_out, columns_out),
            kernel: convolution.kernel,
            stride: convolution.stride,
            groups: convolution.groups,
            pass,
        };
        Operator::new(name, Work::Convolution(work))
    };
    let weights = convolution.weight(channels, output.pixels()).elements();
    row.forward.push(product("convolution", ConvolutionPass::Forward));
    let mut backward = vec![product("convolution input gradient", ConvolutionPass::InputGradient)];
    let gradient = product("convolution weight gradient", ConvolutionPass::WeightGradient);
    backward.extend(weight_gradient(rows, gradient, weights));
    row.keep(rows.element * read);
    row.kept.waiting += rows.element * (read + written);

    if convolution.batch_norm {
        // Statistics (read), normalisation (read, write); backward the sums over gradient and input
        // (read both), the input's gradient (read both, write).
        row.backward.push(backward);
        row.forward.push(elementwise("batch norm", 3.0 * rows.element * written));
        row.backward.push(vec![elementwise("batch norm backward", 5.0 * rows.element * written)]);
        row.keep(rows.element * written);
    } else {
        row.forward.push(elementwise("bias", 2.0 * rows.element * written));
        backward.insert(0, elementwise("bias gradient", rows.element * written));
        row.backward.push(backward);
    }
    if convolution.activation {
        activate(row, rows, written);
    }
}

fn connect(row: &mut Row, rows: &Rows, linear: FullyConnected, input: Extent) {
    let product = Linear::new(rows, FULLY_CONNECTED, &[linear.weight(input)]).over(rows.batch);
    let written = rows.batch as f64 * product.outputs as f64;
    row.forward.extend(product.forward());
    row.forward.push(elementwise("bias", 2.0 * rows.element * written));
    row.backward.push(product.backward());
    row.keep(product.kept());
    row.kept.waiting += product.waiting();
    if linear.activation {
        activate(row, rows, written);
    }
    if linear.dropout {
        row.forward.push(rows.dropout_of("dropout", written));
        row.backward.push(vec![rows.dropout_gradient("dropout backward", written)]);
        row.keep(written);
    }
}

fn branch(row: &mut Row, rows: &Rows, branches: &Branches, input: Extent, output: Extent) {
    let (read, written) = (elements(rows, input), elements(rows, output));
    // Backward, the gradients of the branches' input are added up in the end.
    let more = branches.rows.len().saturating_sub(1) as f64;
    if more > 0.0 {
        let sum = elementwise("gradient sum", 3.0 * more * rows.element * read);
        row.backward.push(vec![sum]);
    }
    for operations in &branches.rows {
        add(row, rows, operations, input);
    }
    match branches.join {
        Join::Sum => row.forward.push(elementwise("sum", 3.0 * more * rows.element * written)),
        Join::Concatenate => {
            row.forward.push(elementwise("concatenate", 2.0 * rows.element * written));
            row.backward.push(vec![elementwise("split gradient", 2.0 * rows.element * written)]);
        }
    }
}
