//! What gangs do again and again, worked out once.
//!
//! A segment that concerns a gang alone is a *stretch*: from a moment at which all members are at
//! the same time, and nothing of their communicator is under way, what they do is a matter of
//! additions and maxima of integers. So it is the same whenever it begins: if it begins later by d,
//! every time in it is later by d, to the picosecond. The first time a stretch is walked through;
//! from then on it is an addition for each member.
//!
//! Members that are not at the same time at first meet in the segment's first blocking call, and
//! are at the same time behind it. So each segment has two stretches: from its beginning, and from
//! behind that call.
//!
//! An observer that takes summaries is told at the end how often each stretch was passed over. With
//! jitter no two passes are alike, and all are walked through.

use motley_job::CommId;
use motley_units::Time;

use super::Replay;
use crate::Observer;
use crate::digest::Course;
use crate::eager::Window;
use crate::prepare::{Gang, Instruction, NONE, Segment, Tables};

/// The stretches of all gangs.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    /// By gang and segment, the two of them.
    known: Vec<Stretch>,
    /// By stretch and member: from its beginning to its end.
    offsets: Vec<Time>,
    /// By gang, whether its stretches are passed over.
    passed: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    /// It has been walked through.
    known: bool,
    /// All members end it at the same time.
    together: bool,
    /// How often it was passed over since.
    times: u32,
    /// Of the completions in it, less its beginning.
    course: Course,
}

impl Stretches {
    /// None known yet. `steady` is false if no two passes are alike.
    pub(super) fn new(tables: &Tables, steady: bool, observer: &impl Observer) -> Self {
        if !steady {
            return Self::default();
        }
        let summarised = |gang: &Gang| observer.summarises(CommId(gang.communicator));
        Self {
            known: vec![Stretch::default(); tables.stretches as usize],
            offsets: vec![Time::ZERO; tables.offsets as usize],
            passed: tables.gangs.iter().map(summarised).collect(),
        }
    }
}

impl<O: Observer> Replay<'_, O> {
    /// Takes a gang through a segment, `used` there with an index and after so many calls, once or,
    /// if that is no more work, up to `passes` times. How many times it did.
    pub(super) fn run_segment(
        &mut self,
        gang: Gang,
        segment: &Segment,
        ordinal: u16,
        used: (u16, u32),
        passes: u32,
    ) -> u32 {
        let number = self.led[gang.leader as usize] as usize;
        if !self.stretches.passed.get(number).copied().unwrap_or(false) {
            self.walk(gang, segment.first, NONE, used);
            return 1;
        }
        let mut which = 0;
        let mut from = segment.first;
        if !self.are_together(gang) {
            self.walk(gang, segment.first, segment.met, used);
            if segment.met == NONE {
                return 1;
            }
            (which, from) = (1, segment.met);
        }
        let begin = self.cursors[gang.leader as usize].now;
        let place = 2 * u32::from(ordinal) + which;
        let stretch = (gang.stretches + place) as usize;
        let offsets = (gang.offsets + place * gang.size) as usize;
        let weights = segment.weights[which as usize];
        if !self.stretches.known[stretch].known {
            let before = self.communicators[gang.communicator as usize].course;
            self.walk(gang, from, NONE, used);
            let course = self.communicators[gang.communicator as usize].course;
            let course = course.offsets_since(before, begin.as_picos(), weights);
            let offsets = &mut self.stretches.offsets[offsets..][..gang.size as usize];
            for (r, offset) in gang.ranks().zip(&mut *offsets) {
                *offset = self.cursors[r].now - begin;
            }
            let together = offsets.iter().all(|&offset| offset == offsets[0]);
            self.stretches.known[stretch] = Stretch { known: true, together, times: 0, course };
            return 1;
        }
        let known = &mut self.stretches.known[stretch];
        // What ends together can begin again at once.
        let passes = if which == 0 && known.together { passes } else { 1 };
        known.times += passes;
        let offsets = &self.stretches.offsets[offsets..][..gang.size as usize];
        let comm = &mut self.communicators[gang.communicator as usize];
        let mut at = begin;
        for _ in 1..passes {
            comm.course.fold_all(at.as_picos(), known.course, weights);
            at += offsets[0];
        }
        comm.course.fold_all(at.as_picos(), known.course, weights);
        let calls = passes * if which == 0 { segment.calls } else { segment.calls_after };
        comm.completed += calls;
        for (cursor, &offset) in self.cursors[gang.ranks()].iter_mut().zip(offsets) {
            cursor.now = at + offset;
        }
        let operations = passes * (segment.len - (from - segment.first));
        self.observer.pass_over(u64::from(operations) * u64::from(gang.size));
        passes
    }

    /// Whether all members are at the same time, and nothing of their communicator goes on beyond
    /// it. What stretches have left out of the window lies before every member's time.
    fn are_together(&self, gang: Gang) -> bool {
        let now = self.cursors[gang.leader as usize].now;
        let comm = &self.communicators[gang.communicator as usize];
        let last = self.windows[comm.eager as usize].instance(comm.completed.wrapping_sub(1)).end;
        last <= now && self.cursors[gang.ranks()].iter().all(|cursor| cursor.now == now)
    }

    /// Takes a gang through the instructions of a segment from `at` to before `until`, or to its
    /// end.
    fn walk(&mut self, gang: Gang, mut at: u32, until: u32, used: (u16, u32)) {
        while at != until {
            match self.tables.code.instructions[at as usize] {
                Instruction::End => return,
                own => self.step(gang, own, used),
            }
            at += 1;
        }
    }

    /// Tells the observer of all stretches that were passed over, once all else is over. Each is
    /// walked through once more; what that leaves behind is not looked at again.
    pub(super) fn sum_up(&mut self) {
        let tables = self.tables;
        let passed = std::mem::take(&mut self.stretches.passed);
        for (&gang, _) in tables.gangs.iter().zip(passed).filter(|&(_, passed)| passed) {
            let program = tables.code.programs[gang.program as usize];
            for at in program.first..gang.until {
                let Instruction::Segment { index, ordinal, segment, before, .. } =
                    tables.code.instructions[at as usize]
                else {
                    continue;
                };
                let segment = tables.code.segments[segment as usize];
                for (which, from) in [segment.first, segment.met].into_iter().enumerate() {
                    let stretch = (gang.stretches + 2 * u32::from(ordinal)) as usize + which;
                    let times = std::mem::take(&mut self.stretches.known[stretch].times);
                    if times == 0 {
                        continue;
                    }
                    // A moment after all that was before, also after the last stretch told of.
                    let members = &mut self.cursors[gang.ranks()];
                    let latest = members.iter().map(|cursor| cursor.now).max();
                    for cursor in members {
                        cursor.now = latest.unwrap_or_default();
                    }
                    let comm = &self.communicators[gang.communicator as usize];
                    self.windows[comm.eager as usize] = Window::default();
                    self.observer.repeat(u64::from(times));
                    self.walk(gang, from, NONE, (index, before));
                }
            }
        }
        self.observer.repeat(1);
    }
}
