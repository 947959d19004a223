//! How much work a search may do. Work is counted, not timed, so that a search ends at the same plan on
//! every machine and with every number of threads.

/// Seconds of one core for a plan, for each of its cards and for each operation of its replay, on the
/// machine of `docs/performance.md`.
const COSTS: [f64; 3] = [5.0e-4, 8.0e-5, 3.0e-8];

/// Cores that a budget is counted for.
const CORES: f64 = 2.0;

/// Work that is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effort {
    allowed: f64,
    spent: f64,
    plans: u64,
    operations: u64,
    cut: bool,
}

impl Effort {
    /// What two cores do in so many seconds.
    pub(crate) fn of_seconds(seconds: f64) -> Self {
        Self { allowed: seconds * CORES, spent: 0.0, plans: 0, operations: 0, cut: false }
    }

    /// Charges a plan that is about to be replayed.
    pub(crate) fn charge_plan(&mut self, cards: usize) {
        self.spent += COSTS[0] + COSTS[1] * cards as f64;
    }

    /// Charges the operations of its replay.
    pub(crate) fn charge_operations(&mut self, operations: u64) {
        self.spent += COSTS[2] * operations as f64;
    }

    /// Counts a plan that was replayed.
    pub(crate) fn count(&mut self, operations: u64) {
        self.plans += 1;
        self.operations += operations;
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.spent >= self.allowed
    }

    /// Of all that is allowed, how much has been spent, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        (self.spent / self.allowed).min(1.0)
    }

    /// Something was left undone.
    pub(crate) fn cut(&mut self) {
        self.cut = true;
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.cut
    }

    pub(crate) fn plans(&self) -> u64 {
        self.plans
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations
    }
}
