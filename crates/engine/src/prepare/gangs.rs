//! Gangs: ranks that walk through one program side by side.

use motley_job::Job;

use super::{Instruction, NONE, Tables};

/// Consecutive ranks of one program that are exactly the members of a communicator which ends
/// without events: a tensor-parallel group. Until the first instruction that treats them unlike,
/// the replay executes each instruction for all of them at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gang {
    /// The first rank.
    pub(crate) leader: u32,
    /// How many ranks.
    pub(crate) size: u32,
    /// The communicator.
    pub(crate) communicator: u32,
    /// The program.
    pub(crate) program: u32,
    /// The first instruction that treats the members unlike.
    pub(crate) until: u32,
    /// Where its stretches begin: two for each segment of its program, see `replay::stretch`.
    pub(crate) stretches: u32,
    /// Where their offsets begin: one for each stretch and member.
    pub(crate) offsets: u32,
}

/// Finds the gangs of a job that is laid out otherwise.
pub(super) fn find(job: &Job, tables: &mut Tables) {
    let ranks = tables.cursors.len();
    let mut gangs: Vec<Gang> = Vec::new();
    let mut led = vec![NONE; ranks];
    let mut taken = vec![false; ranks];
    let (mut stretches, mut offsets) = (0, 0);
    for (c, comm) in tables.communicators.iter().enumerate() {
        if comm.eager == NONE {
            continue;
        }
        let members = comm.members as usize..(comm.members + comm.size) as usize;
        let members = &tables.members[members];
        let leader = members[0] as usize;
        let side_by_side = members.iter().zip(leader..).all(|(&member, rank)| {
            let starts_alike = tables.cursors[leader].at == tables.cursors[member as usize].at;
            member as usize == rank && !taken[rank] && starts_alike
        });
        if side_by_side {
            taken[leader..leader + members.len()].fill(true);
            led[leader] = gangs.len() as u32;
            let program = job.ranks[leader].program.0;
            gangs.push(Gang {
                leader: leader as u32,
                size: comm.size,
                communicator: c as u32,
                program,
                until: first_unlike(tables, leader, members.len(), c as u32),
                stretches,
                offsets,
            });
            let own = 2 * u32::from(tables.code.programs[program as usize].segments);
            stretches += own;
            offsets += own * comm.size;
        }
    }
    tables.starters =
        (0..ranks).rev().filter(|&r| !taken[r] || led[r] != NONE).map(|r| r as u32).collect();
    (tables.gangs, tables.led) = (gangs, led);
    (tables.stretches, tables.offsets) = (stretches, offsets);
}

/// The first instruction that members cannot execute as one: a call or a wait on a communicator that
/// is not the same for all of them, or on one that ends without events and is not the gang's, or a
/// blocking call on any other than the gang's, or a call of another that takes processors: what is
/// computed beside it may end when only the clock knows.
fn first_unlike(tables: &Tables, leader: usize, size: usize, gang: u32) -> u32 {
    let slots = &tables.cursors[leader..leader + size];
    let common = |slot: motley_job::Slot| {
        let of = |cursor: &super::Cursor| tables.communicator(cursor.slots, slot);
        let communicator = of(&slots[0]);
        slots.iter().all(|cursor| of(cursor) == communicator).then_some(communicator)
    };
    let mut at = slots[0].at;
    loop {
        let alike = match tables.code.instructions[at as usize] {
            Instruction::Compute { .. } | Instruction::Beside { .. } => true,
            Instruction::Segment { segment, .. } => {
                let slot = tables.code.segments[segment as usize].slot;
                slot.is_none_or(|slot| common(slot) == Some(gang))
            }
            Instruction::Collective { slot, .. } => common(slot) == Some(gang),
            Instruction::Issue { slot, takes, .. } => common(slot).is_some_and(|c| {
                c == gang || (tables.communicators[c as usize].eager == NONE && !takes)
            }),
            Instruction::Await { slot, .. } => common(slot)
                .is_some_and(|c| c == gang || tables.communicators[c as usize].eager == NONE),
            Instruction::End => false,
        };
        if !alike {
            return at;
        }
        at += 1;
    }
}
