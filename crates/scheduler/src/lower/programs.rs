//! Passes by shape and kind of card, and programs by passes and order, each made once.

use std::collections::HashMap;

use motley_job::{JobBuilder, ProgramId};
use motley_workload::MemoryUse;

use super::memory::stage_memory;
use super::names::Names;
use super::passes::Passes;
use super::program::build;
use super::shape::StageShape;
use crate::memory_course::{MemoryCourse, Moment};
use crate::schedule::Order;
use crate::times::{CardKind, KernelTimes};

/// Passes, by their place in [`Programs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PassesId(usize);

impl PassesId {
    /// Counted from zero; also the place of the memory's course in [`Programs::into_courses`].
    pub(super) fn number(self) -> u32 {
        self.0 as u32
    }
}

/// What depends on the shape of a stage and the kind of card alone.
#[derive(Debug)]
struct Made {
    shape: StageShape,
    kind: CardKind,
    passes: Passes,
    course: MemoryCourse,
}

/// A program, and the memory of a card that runs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Built {
    pub program: ProgramId,
    /// At its peak.
    pub memory: MemoryUse,
    pub moment: Moment,
}

/// All passes and programs of a job.
#[derive(Debug)]
pub(super) struct Programs<'a> {
    times: &'a KernelTimes<'a>,
    names: Names,
    made: Vec<Made>,
    /// Shapes hold floats, so they are found by comparison within a bucket of stages at the same
    /// place.
    by_place: HashMap<(usize, CardKind), Vec<usize>>,
    /// By passes and order.
    built: HashMap<(PassesId, u32), Built>,
}

impl<'a> Programs<'a> {
    pub(super) fn new(times: &'a KernelTimes<'a>, names: Names) -> Self {
        let (by_place, built) = (HashMap::new(), HashMap::new());
        Self { times, names, made: Vec::new(), by_place, built }
    }

    /// The passes of a shape, that of the `place`-th stage of its pipeline, on a kind of card, made
    /// at their first use.
    pub(super) fn passes(&mut self, place: usize, shape: &StageShape, kind: CardKind) -> PassesId {
        let bucket = self.by_place.entry((place, kind)).or_default();
        if let Some(&index) = bucket.iter().find(|&&index| self.made[index].shape == *shape) {
            return PassesId(index);
        }
        bucket.push(self.made.len());
        let passes = Passes::new(shape, kind, self.times, &self.names);
        let course = stage_memory(shape, kind, self.times);
        self.made.push(Made { shape: shape.clone(), kind, passes, course });
        PassesId(self.made.len() - 1)
    }

    /// By passes, how the memory of a card changes that runs them.
    pub(super) fn into_courses(self) -> Vec<MemoryCourse> {
        self.made.into_iter().map(|made| made.course).collect()
    }

    /// Passes that have been made.
    pub(super) fn get(&self, id: PassesId) -> &Passes {
        &self.made[id.0].passes
    }

    /// The shape that passes were made of.
    pub(super) fn shape(&self, id: PassesId) -> &StageShape {
        &self.made[id.0].shape
    }

    /// The program of passes in an order, built at its first use.
    pub(super) fn program(
        &mut self,
        id: PassesId,
        order: u32,
        orders: &[Order],
        job: &mut JobBuilder,
    ) -> Built {
        if let Some(&known) = self.built.get(&(id, order)) {
            return known;
        }
        let Made { shape, kind, passes, course } = &self.made[id.0];
        let turns = &orders[order as usize];
        let program = build(shape, passes, turns, *kind, self.times, &self.names);
        let (moment, memory) = course.peak(turns);
        let built = Built { program: job.program(&program), memory, moment };
        self.built.insert((id, order), built);
        built
    }
}
