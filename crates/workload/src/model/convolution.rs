//! Layers of models that read images: rows of operations on feature maps.

use serde::{Deserialize, Serialize};

use super::Extent;
use super::weight::Weight;

/// An operation on feature maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// A convolution, and what belongs to it.
    Convolution(Convolution),
    /// The largest value of each window.
    MaxPool(Pool),
    /// The mean of each window.
    AveragePool(Pool),
    /// The mean of each map.
    GlobalAveragePool,
    /// A fully connected layer over all maps.
    Linear(FullyConnected),
    /// Rows of operations side by side on the same maps.
    Branches(Branches),
    /// An activation function.
    Activation,
}

/// A convolution, with batch norm and activation function behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Feature maps that it puts out.
    pub channels: u32,
    /// Rows and columns of its window.
    pub kernel: (u32, u32),
    /// Steps of the window.
    #[serde(default = "one")]
    pub stride: u32,
    /// What surrounds the maps.
    #[serde(default)]
    pub padding: Padding,
    /// Parts that maps are cut into, each with its own weights; 1 unless given.
    #[serde(default = "one")]
    pub groups: u32,
    /// Batch norm behind it; the default. Without it the convolution adds a bias.
    #[serde(default = "yes")]
    pub batch_norm: bool,
    /// An activation function behind it; the default.
    #[serde(default = "yes")]
    pub activation: bool,
}

/// What surrounds feature maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// Half of the window on each side: with steps of one the maps keep their size.
    #[default]
    Same,
    /// Nothing.
    Valid,
    /// So many pixels on each side.
    Pixels(u32),
}

/// A pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Rows and columns of the window.
    pub kernel: u32,
    /// Its steps.
    pub stride: u32,
    /// What surrounds the maps.
    #[serde(default)]
    pub padding: Padding,
}

/// A fully connected layer with its bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullyConnected {
    /// What it puts out.
    pub outputs: u32,
    /// An activation function behind it; the default.
    #[serde(default = "yes")]
    pub activation: bool,
    /// Dropout behind it.
    #[serde(default)]
    pub dropout: bool,
}

/// Rows of operations side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branches {
    /// How their outputs are joined.
    pub join: Join,
    /// The rows. An empty one hands the maps on.
    pub rows: Vec<Vec<Operation>>,
}

/// How the outputs of branches are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Join {
    /// Added up: all are of one size (ResNet).
    Sum,
    /// Put behind one another: all have maps of one size (Inception).
    Concatenate,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl Padding {
    fn pixels(self, kernel: u32) -> u32 {
        match self {
            Self::Same => kernel.saturating_sub(1) / 2,
            Self::Valid => 0,
            Self::Pixels(pixels) => pixels,
        }
    }
}

/// How many steps a window takes along maps of a size; none if it does not fit.
fn steps(size: u32, kernel: u32, stride: u32, padding: Padding) -> Option<u32> {
    let padded = size.checked_add(padding.pixels(kernel).checked_mul(2)?)?;
    Some(padded.checked_sub(kernel)?.checked_div(stride)? + 1)
}

impl Convolution {
    /// Its matrix: one column for each map that it puts out.
    pub(crate) fn weight(&self, input_channels: u32, pixels: u64) -> Weight {
        let window = u64::from(self.kernel.0) * u64::from(self.kernel.1);
        let inputs = u64::from(input_channels / self.groups.max(1)) * window;
        Weight::whole(inputs, self.channels.into(), !self.batch_norm).of_pixels(pixels)
    }
}

impl FullyConnected {
    /// Its matrix, over all pixels of all maps.
    pub(crate) fn weight(self, input: Extent) -> Weight {
        let inputs = input.width() * input.pixels();
        Weight::whole(inputs, self.outputs.into(), true).of_pixels(1)
    }
}

impl Operation {
    /// What it makes of maps.
    ///
    /// # Errors
    /// What does not fit, in a few words.
    pub(crate) fn output(&self, input: Extent) -> Result<Extent, String> {
        let Extent::Image { channels, height, width } = input else {
            return Err("reads feature maps, and these are sequences".to_owned());
        };
        let maps = |channels, height, width| Extent::Image { channels, height, width };
        let windows = |kernel: (u32, u32), stride, padding| {
            steps(height, kernel.0, stride, padding)
                .zip(steps(width, kernel.1, stride, padding))
                .ok_or_else(|| {
                    let (rows, columns) = kernel;
                    format!(
                        "a window of {rows} x {columns} does not fit on maps of {height} x {width}"
                    )
                })
        };
        match self {
            Self::Convolution(convolution) => {
                let groups = convolution.groups;
                if groups == 0 || channels % groups != 0 || convolution.channels % groups != 0 {
                    let own = convolution.channels;
                    return Err(format!("{groups} groups do not divide {channels} and {own} maps"));
                }
                let (height, width) =
                    windows(convolution.kernel, convolution.stride, convolution.padding)?;
                Ok(maps(convolution.channels, height, width))
            }
            Self::MaxPool(pool) | Self::AveragePool(pool) => {
                let (height, width) =
                    windows((pool.kernel, pool.kernel), pool.stride, pool.padding)?;
                Ok(maps(channels, height, width))
            }
            Self::GlobalAveragePool => Ok(maps(channels, 1, 1)),
            Self::Linear(linear) => Ok(maps(linear.outputs, 1, 1)),
            Self::Branches(branches) => branches.output(input),
            Self::Activation => Ok(input),
        }
    }
}

impl Branches {
    fn output(&self, input: Extent) -> Result<Extent, String> {
        let mut joined: Option<(u32, u32, u32)> = None;
        for row in &self.rows {
            let output = row.iter().try_fold(input, |maps, operation| operation.output(maps))?;
            let Extent::Image { channels, height, width } = output else {
                return Err("reads feature maps, and these are sequences".to_owned());
            };
            joined = Some(match (joined, self.join) {
                (None, _) => (channels, height, width),
                (Some((c, h, w)), Join::Sum) if (c, h, w) == (channels, height, width) => (c, h, w),
                (Some((c, h, w)), Join::Concatenate) if (h, w) == (height, width) => {
                    (c.saturating_add(channels), h, w)
                }
                (Some((c, h, w)), _) => {
                    return Err(format!(
                        "branches of {c} x {h} x {w} and {channels} x {height} x {width} cannot be joined"
                    ));
                }
            });
        }
        let (channels, height, width) = joined.ok_or("has no branch")?;
        Ok(Extent::Image { channels, height, width })
    }
}

/// What a row of operations that fit makes of maps.
pub(crate) fn output_of(row: &[Operation], input: Extent) -> Extent {
    row.iter().fold(input, |maps, operation| operation.output(maps).unwrap_or(maps))
}

/// Visits the operations of a row and of all branches in it, with what each reads and puts out.
pub(crate) fn walk(
    row: &[Operation],
    input: Extent,
    visit: &mut impl FnMut(&Operation, Extent, Extent),
) {
    let mut maps = input;
    for operation in row {
        if let Operation::Branches(branches) = operation {
            for row in &branches.rows {
                walk(row, maps, visit);
            }
        }
        let output = operation.output(maps).unwrap_or(maps);
        visit(operation, maps, output);
        maps = output;
    }
}

/// The matrices of a row of operations.
pub(crate) fn weights(row: &[Operation], input: Extent) -> Vec<Weight> {
    let mut weights = Vec::new();
    walk(row, input, &mut |operation, input, output| match operation {
        Operation::Convolution(convolution) => {
            weights.push(convolution.weight(input.width() as u32, output.pixels()));
        }
        Operation::Linear(linear) => {
            weights.push(linear.weight(input));
        }
        _ => {}
    });
    weights
}

/// Scales and shifts of batch norms.
pub(crate) fn vectors(row: &[Operation], input: Extent) -> f64 {
    let mut vectors = 0.0;
    walk(row, input, &mut |operation, _, output| {
        if let Operation::Convolution(Convolution { batch_norm: true, .. }) = operation {
            vectors += 2.0 * output.width() as f64;
        }
    });
    vectors
}
