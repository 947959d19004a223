//! Programs as the replay executes them: each call knows its place in its communicator's order.

use std::collections::BTreeMap;

use motley_job::{Op, Program, Slot, Stream, Tag};

/// [`Op`] with what can be known of it beforehand. 16 bytes.
///
/// The sequence of a call counts the calls of its slot before it in the program; all members of a
/// communicator make the same calls in the same order, so it is the number of the instance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instruction {
    /// Keep the compute stream busy.
    Compute {
        tag: Tag,
        /// Index of the number of kernels in [`super::Tables::kernels`].
        spread: u16,
        /// Picoseconds, as the float that it is multiplied as.
        duration: f64,
    },
    /// Join instance `sequence` and stand until it is complete.
    Collective { tag: Tag, slot: Slot, call: u16, sequence: u32 },
    /// Enqueue instance `sequence` on a stream.
    Issue { slot: Slot, call: u16, stream: Stream, sequence: u32 },
    /// Stand until instance `sequence` is complete.
    Await { tag: Tag, slot: Slot, sequence: u32 },
    /// The program is over.
    End,
}

/// All programs one after the other, where each begins, and the kernel counts by spread class.
pub(crate) fn lower(programs: &[Program]) -> (Vec<Instruction>, Vec<u32>, Vec<u16>) {
    let mut instructions = Vec::new();
    let mut starts = Vec::with_capacity(programs.len());
    let mut kernels = Vec::new();
    let mut classes = BTreeMap::new();
    for program in programs {
        starts.push(instructions.len() as u32);
        let mut calls: BTreeMap<Slot, u32> = BTreeMap::new();
        let mut number = |slot| {
            let next = calls.entry(slot).or_default();
            *next += 1;
            *next - 1
        };
        instructions.extend(program.ops.iter().map(|op| match *op {
            Op::Compute { tag, kernels: count, duration } => {
                let spread = *classes.entry(count).or_insert_with(|| {
                    let class = kernels.len() as u16;
                    kernels.push(count);
                    class
                });
                Instruction::Compute { tag, spread, duration: duration.as_picos() as f64 }
            }
            Op::Collective { tag, slot, call } => {
                Instruction::Collective { tag, slot, call, sequence: number(slot) }
            }
            Op::Issue { slot, call, stream, .. } => {
                Instruction::Issue { slot, call, stream, sequence: number(slot) }
            }
            Op::Await { tag, slot, sequence } => Instruction::Await { tag, slot, sequence },
        }));
        instructions.push(Instruction::End);
    }
    (instructions, starts, kernels)
}
