//! Which slot is due next.

use std::collections::BTreeSet;

use analyzer::time::Timestamp;

use super::connection::Patience;

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

/// The deadlines of all slots, by kind.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) urgent: Deadlines,
    half_open: Deadlines,
    empty: Deadlines,
    idle: Deadlines,
    waiting: Deadlines,
    pub(super) closed: Deadlines,
    /// No deadline is before this.
    pub(super) next: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Urgent,
    Silent(Patience),
    Forgotten,
}

impl Queues {
    const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

    pub(super) fn new() -> Self {
        Self {
            urgent: Deadlines::default(),
            half_open: Deadlines::default(),
            empty: Deadlines::default(),
            idle: Deadlines::default(),
            waiting: Deadlines::default(),
            closed: Deadlines::default(),
            next: Self::NEVER,
        }
    }

    pub(super) fn of(&mut self, patience: Patience) -> &mut Deadlines {
        match patience {
            Patience::HalfOpen => &mut self.half_open,
            Patience::Empty => &mut self.empty,
            Patience::Idle => &mut self.idle,
            Patience::Waiting => &mut self.waiting,
        }
    }

    /// Moves a slot from one queue to another, or to another place in the same.
    pub(super) fn move_to(
        &mut self,
        slot: SlotIndex,
        queued: &mut (Patience, Timestamp),
        to: (Patience, Timestamp),
    ) {
        self.of(queued.0).remove(queued.1, slot);
        self.of(to.0).insert(to.1, slot);
        self.note(to.1);
        *queued = to;
    }

    /// A deadline was queued.
    pub(super) fn note(&mut self, deadline: Timestamp) {
        self.next = self.next.min(deadline);
    }

    /// What is due first; urgent things before others of the same time.
    pub(super) fn first(&self) -> Option<(Timestamp, Due, SlotIndex)> {
        [
            (&self.urgent, Due::Urgent),
            (&self.half_open, Due::Silent(Patience::HalfOpen)),
            (&self.empty, Due::Silent(Patience::Empty)),
            (&self.idle, Due::Silent(Patience::Idle)),
            (&self.waiting, Due::Silent(Patience::Waiting)),
            (&self.closed, Due::Forgotten),
        ]
        .into_iter()
        .filter_map(|(queue, due)| queue.first().map(|(deadline, slot)| (deadline, due, slot)))
        .min_by_key(|(deadline, ..)| *deadline)
    }

    pub(super) fn renew(&mut self) {
        self.next = self.first().map_or(Self::NEVER, |(deadline, ..)| deadline);
    }
}
