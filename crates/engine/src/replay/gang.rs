//! Ranks that walk side by side.
//!
//! The ranks of a tensor-parallel group run one program and meet in every layer. Taken one by one
//! they would be put aside and fetched again at every meeting. As a gang they are taken through
//! each instruction together: compute in a row, a meeting by taking the latest. The times are the
//! same, whatever the speed of each member; members part at the first instruction that treats them
//! unlike, and for good.

use motley_job::{CommId, RankId, Tag};
use motley_units::Time;

use super::{Replay, length};
use crate::Observer;
use crate::eager::Instance;
use crate::prepare::{Gang, Instruction, NONE, shifted};
use crate::streams::Issued;

impl<O: Observer> Replay<'_, O> {
    /// Runs a gang until it must wait or its members part.
    pub(super) fn run_gang(&mut self, gang: Gang) {
        let tables = self.tables;
        let Gang { leader, communicator, until, .. } = gang;
        let slots = self.cursors[leader as usize].slots;
        let mut at = self.cursors[leader as usize].at;
        while at < until {
            match tables.code.instructions[at as usize] {
                Instruction::Issue { slot, sequence, stream, .. }
                    if tables.communicator(slots, slot) != communicator =>
                {
                    let c = tables.communicator(slots, slot);
                    let stream = usize::from(stream.0);
                    for r in gang.ranks() {
                        let issued = Issued::new(self.cursors[r].now, c, sequence, at);
                        if self.streams.push(r, stream, issued) {
                            self.join_head(r, stream);
                        }
                    }
                }
                Instruction::Await { slot, sequence, .. }
                    if tables.communicator(slots, slot) != communicator =>
                {
                    let c = tables.communicator(slots, slot);
                    if self.communicators[c as usize].completed <= sequence {
                        self.stand_at(gang, at);
                        self.wait_for(leader, c);
                        return;
                    }
                }
                Instruction::Segment { index, ordinal, segment, before, times } => {
                    let segment = tables.code.segments[segment as usize];
                    let mut passes = u32::from(times);
                    at += passes - 1;
                    let mut used = (index, before);
                    while passes > 0 {
                        let done = self.run_segment(gang, &segment, ordinal, used, passes);
                        passes -= done;
                        used.1 += done * segment.calls;
                    }
                }
                Instruction::End => break,
                own => self.step(gang, own, (0, 0)),
            }
            at += 1;
        }
        self.stand_at(gang, at);
        self.part_beside(gang);
        self.led[leader as usize] = NONE;
        self.ready.extend(gang.ranks().rev().map(|r| r as u32));
    }

    /// Takes all members through an instruction that concerns the gang alone. In a segment, the
    /// index of its use is added to that of the tag, and the calls before it to the sequence.
    #[inline]
    pub(super) fn step(&mut self, gang: Gang, own: Instruction, (index, before): (u16, u32)) {
        match own {
            Instruction::Compute { tag, spread, duration } => {
                let tag = shifted(tag, index);
                for r in gang.ranks() {
                    let cursor = &mut self.cursors[r];
                    let start = cursor.now;
                    let end =
                        start + length(&mut self.noise, r, spread, duration * cursor.slowness);
                    cursor.now = end;
                    self.observer.compute(RankId(r as u32), tag, start, end);
                }
            }
            Instruction::Beside { tag, spread, duration } => {
                self.compute_gang_beside(gang, shifted(tag, index), spread, duration);
            }
            Instruction::Collective { tag, call, sequence, .. } => {
                let instance = self.join_as_one(gang, call, sequence + before);
                self.wait_as_one(gang, instance, shifted(tag, index));
            }
            Instruction::Issue { call, sequence, .. } => {
                self.join_as_one(gang, call, sequence + before);
            }
            Instruction::Await { tag, sequence, .. } => {
                let eager = self.communicators[gang.communicator as usize].eager as usize;
                let instance = *self.windows[eager].instance(sequence + before);
                self.wait_as_one(gang, instance, shifted(tag, index));
            }
            Instruction::Segment { .. } | Instruction::End => {}
        }
    }

    /// All members join an instance of the gang's communicator, which settles it.
    fn join_as_one(&mut self, gang: Gang, call: u16, sequence: u32) -> Instance {
        let at = self.cursors[gang.ranks()].iter().map(|cursor| cursor.now).max();
        let comm = &mut self.communicators[gang.communicator as usize];
        let duration = self.tables.calls[comm.calls as usize + usize::from(call)].duration;
        let window = &mut self.windows[comm.eager as usize];
        let instance = window.join_all(sequence, at.unwrap_or_default(), call, duration);
        comm.completed += 1;
        comm.course.fold(instance.end.as_picos());
        self.last = self.last.max(instance.end);
        let comm = CommId(gang.communicator);
        self.observer.transfer(comm, call, sequence, instance.start, instance.end);
        instance
    }

    /// All members wait for the end of an instance of the gang's communicator.
    fn wait_as_one(&mut self, gang: Gang, instance: Instance, tag: Tag) {
        let Instance { start, end, call, .. } = instance;
        let comm = CommId(gang.communicator);
        for r in gang.ranks() {
            let from = self.cursors[r].now;
            if end > from {
                self.observer.wait(RankId(r as u32), comm, call, tag, from, start, end);
                self.cursors[r].now = end;
            }
        }
    }

    /// What a gang waited for is complete at `end`: all members go on.
    pub(super) fn gang_goes_on(&mut self, gang: Gang, communicator: u32, start: Time, end: Time) {
        for r in gang.ranks() {
            let cursor = self.cursors[r];
            self.tell_wait(r as u32, cursor, communicator, start, end);
            self.cursors[r].now = end.max(cursor.now);
            self.cursors[r].at += 1;
        }
        self.ready.push(gang.leader);
    }

    fn stand_at(&mut self, gang: Gang, at: u32) {
        for cursor in &mut self.cursors[gang.ranks()] {
            cursor.at = at;
        }
    }
}

impl Gang {
    pub(super) fn ranks(self) -> std::ops::Range<usize> {
        self.leader as usize..(self.leader + self.size) as usize
    }
}
