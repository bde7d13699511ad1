//! Which slot is due next.

use std::collections::BTreeSet;

use analyzer::time::Timestamp;

/// The index of a connection's slot in its table.
pub(super) type SlotIndex = u32;

/// Slots in the order of their deadlines. Each owner remembers the deadline under which its slot is
/// queued, so that entries are taken out exactly: no flood of short-lived connections leaves a tail
/// of stale ones. A deadline that moves later is left where it is, and looked at again when it is due.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: BTreeSet<(Timestamp, SlotIndex)>,
}

impl Deadlines {
    pub(super) fn insert(&mut self, deadline: Timestamp, slot: SlotIndex) {
        self.queue.insert((deadline, slot));
    }

    pub(super) fn remove(&mut self, deadline: Timestamp, slot: SlotIndex) {
        self.queue.remove(&(deadline, slot));
    }

    pub(super) fn first(&self) -> Option<(Timestamp, SlotIndex)> {
        self.queue.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
