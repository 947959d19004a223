//! Counting calls.

use crate::Slot;

/// How often each slot has been called, for whoever walks through a program.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Up to the highest slot that was called.
    by_slot: Vec<u32>,
}

impl Calls {
    /// So far.
    pub fn of(&self, slot: Slot) -> u32 {
        self.by_slot.get(usize::from(slot.0)).copied().unwrap_or(0)
    }

    /// Counts `more` calls; how many there were before.
    pub fn count(&mut self, slot: Slot, more: u32) -> u32 {
        let slot = usize::from(slot.0);
        if self.by_slot.len() <= slot {
            self.by_slot.resize(slot + 1, 0);
        }
        let calls = &mut self.by_slot[slot];
        *calls += more;
        *calls - more
    }
}
