//! The connections of one shard.

use std::{collections::BTreeSet, hash::BuildHasher as _, mem, net::SocketAddr};

use analyzer::time::Timestamp;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    closed::Closed,
    connection::{Connection, Patience, Verdict},
    copies::Copies,
    counters::TcpCounters,
    deadlines::{Due, Queues, SlotIndex},
    handler::{CloseReason, StreamHandler},
    key::{End, Key, Pair},
    lone::LoneSyn,
    outlet::Context,
    settings::{CLOSED_MICROS, TcpSettings},
};
use crate::packet::Segment;

/// Where the shard's number stands in a connection's: ids stay below 2⁵³, which JSON keeps exact.
const SHARD_SHIFT: u32 = 48;

/// The connections of one shard: takes their segments, and hands their streams to a [`StreamHandler`].
///
/// What it hands on depends on the segments alone, in the order in which they came: not on how often
/// [`ConnectionTable::tick`] is called between them.
#[derive(Debug)]
pub struct ConnectionTable<H: StreamHandler> {
    settings: TcpSettings,
    shard: u64,
    connections: u64,
    /// The slots by their keys, which they hold themselves.
    index: HashTable<SlotIndex>,
    hasher: RandomState,
    slots: Vec<Slot<H::Stream>>,
    free: Vec<SlotIndex>,
    open: usize,
    queues: Queues,
    /// The connections in which something waits, by its cost; and the sum.
    weights: BTreeSet<(usize, SlotIndex)>,
    buffered: usize,
    copies: Copies,
    counters: TcpCounters,
}

#[derive(Debug)]
enum Slot<S> {
    Free,
    Lone(LoneSyn),
    Open(Box<Entry<S>>),
    Closed(Key, Timestamp, Box<Closed>),
}

impl<S> Slot<S> {
    const fn key(&self) -> Option<&Key> {
        match self {
            Self::Free => None,
            Self::Lone(lone) => Some(&lone.key),
            Self::Open(entry) => Some(&entry.key),
            Self::Closed(key, ..) => Some(key),
        }
    }

    /// The id and place in the queues of what is open.
    const fn open_mut(&mut self) -> Option<(u64, &mut (Patience, Timestamp))> {
        match self {
            Self::Lone(lone) => Some((lone.id, &mut lone.patience)),
            Self::Open(entry) => Some((entry.connection.id(), &mut entry.patience)),
            Self::Free | Self::Closed(..) => None,
        }
    }
}

/// A connection, and where it stands in the table's queues.
#[derive(Debug)]
struct Entry<S> {
    key: Key,
    connection: Connection<S>,
    patience: (Patience, Timestamp),
    deadline: Option<Timestamp>,
    weight: usize,
}

impl<H: StreamHandler> ConnectionTable<H> {
    /// An empty table for the shard of this number, below [`SHARDS`](super::SHARDS).
    pub fn new(settings: TcpSettings, shard: usize) -> Self {
        Self {
            settings,
            shard: shard as u64,
            connections: 0,
            index: HashTable::new(),
            hasher: RandomState::default(),
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
            queues: Queues::new(),
            weights: BTreeSet::new(),
            buffered: 0,
            copies: Copies::default(),
            counters: TcpCounters::default(),
        }
    }

    /// What was seen, lost and refused so far.
    pub const fn counters(&self) -> &TcpCounters {
        &self.counters
    }

    /// How many connections are open.
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Whether no connection is open.
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// What waits for its turn in all connections, in octets with their overhead.
    pub const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Takes a segment of this shard. Deadlines up to its time are kept first.
    pub fn segment(&mut self, segment: &Segment<'_>, handler: &mut H) {
        self.counters.segments += 1;
        self.counters.payload_bytes += segment.payload.len() as u64;
        let (key, from) = Key::of(segment.source, segment.destination);
        if self.copies.is_copy(&key, from, segment) {
            self.counters.duplicate_segments += 1;
            self.counters.duplicate_bytes += segment.payload.len() as u64;
            return;
        }
        self.tick(segment.time, handler);
        let Some(slot) = self.find(&key) else {
            if segment.flags.rst {
                self.ignore(segment);
            } else {
                self.create(key, from, segment, handler);
            }
            return;
        };
        if let Some(Slot::Lone(lone)) = self.slots.get_mut(slot as usize) {
            if lone.repeat(from, segment) {
                return;
            }
            self.grow(slot, from, segment, handler);
        }
        match self.slots.get_mut(slot as usize) {
            Some(Slot::Open(entry)) => {
                let mut cx = Context {
                    handler: &mut *handler,
                    counters: &mut self.counters,
                    settings: &self.settings,
                };
                match entry.connection.segment(from, segment, &mut cx) {
                    Verdict::Reopen => {
                        let reason = if entry.connection.is_reset() {
                            CloseReason::Closed
                        } else {
                            CloseReason::Replaced
                        };
                        self.close(slot, reason, segment.time, handler);
                        self.forget(slot);
                        self.create(key, from, segment, handler);
                    }
                    verdict => self.after(slot, verdict, handler),
                }
            }
            Some(Slot::Closed(_, _, closed)) if closed.is_succeeded_by(from, segment) => {
                self.forget(slot);
                self.create(key, from, segment, handler);
            }
            _ => self.ignore(segment),
        }
    }

    /// Counts a segment of a connection that is over.
    fn ignore(&mut self, segment: &Segment<'_>) {
        self.counters.after_end += 1;
        let bytes = if segment.flags.rst {
            &mut self.counters.rst_bytes
        } else {
            &mut self.counters.after_end_bytes
        };
        *bytes += segment.payload.len() as u64;
    }

    /// Does what is due at this packet time: gives up holes, and connections that are silent too long.
    pub fn tick(&mut self, now: Timestamp, handler: &mut H) {
        if now < self.queues.next {
            return;
        }
        while let Some((deadline, due, slot)) = self.queues.first() {
            if deadline > now {
                break;
            }
            match due {
                Due::Urgent => self.advance(slot, deadline, handler),
                Due::Silent(patience) => self.check(slot, patience, deadline, handler),
                Due::Forgotten => self.forget(slot),
            }
        }
        self.queues.renew();
    }

    /// The capture ended: hands on all that waits and closes every connection, in the order of their ids.
    pub fn finish(&mut self, now: Timestamp, handler: &mut H) {
        self.tick(now, handler);
        let mut left: Vec<(u64, SlotIndex)> = (0..)
            .zip(&mut self.slots)
            .filter_map(|(slot, state)| Some((state.open_mut()?.0, slot)))
            .collect();
        left.sort_unstable();
        for (_, slot) in left {
            self.close(slot, CloseReason::CaptureEnd, now, handler);
        }
    }

    fn create(&mut self, key: Key, from: End, segment: &Segment<'_>, handler: &mut H) {
        if self.open >= TcpSettings::share(self.settings.max_connections) {
            self.evict(segment.time, handler);
        }
        let id = self.shard << SHARD_SHIFT | self.connections;
        self.connections += 1;
        self.counters.connections += 1;
        if LoneSyn::is_one(segment) {
            let deadline = segment.time.plus_micros(self.settings.half_open_micros);
            let lone = LoneSyn::new(key, id, from, segment, deadline);
            self.settle_in(Slot::Lone(lone), key, (Patience::HalfOpen, deadline));
            return;
        }
        let mut connection = Connection::new(id, ends_of(from, segment), segment.time);
        let mut cx = Context {
            handler: &mut *handler,
            counters: &mut self.counters,
            settings: &self.settings,
        };
        let verdict = connection.segment(from, segment, &mut cx);
        self.counters.joined_late += u64::from(!connection.is_from_start());

        let (patience, last) = connection.patience(handler);
        let deadline = last.plus_micros(self.settings.patience_micros(patience));
        let entry = Entry::new(key, connection, (patience, deadline));
        let slot = self.settle_in(Slot::Open(Box::new(entry)), key, (patience, deadline));
        self.after(slot, verdict, handler);
    }

    /// Puts what was made into a slot, the index and a queue.
    fn settle_in(
        &mut self,
        state: Slot<H::Stream>,
        key: Key,
        (patience, deadline): (Patience, Timestamp),
    ) -> SlotIndex {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            (self.slots.len() - 1) as SlotIndex
        });
        if let Some(free) = self.slots.get_mut(slot as usize) {
            *free = state;
        }
        let hash = self.hasher.hash_one(key);
        self.index.insert_unique(hash, slot, |other| {
            let state = self.slots.get(*other as usize);
            self.hasher
                .hash_one(state.and_then(Slot::key).unwrap_or(&key))
        });
        self.queues.of(patience).insert(deadline, slot);
        self.queues.note(deadline);
        self.open += 1;
        slot
    }

    fn find(&self, key: &Key) -> Option<SlotIndex> {
        let is_same = |slot: &SlotIndex| {
            let state = self.slots.get(*slot as usize);
            state.and_then(Slot::key) == Some(key)
        };
        self.index.find(self.hasher.hash_one(key), is_same).copied()
    }

    /// Takes a slot out of the index.
    fn remove(&mut self, key: &Key, slot: SlotIndex) {
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }

    /// Makes a connection of a lone SYN, since more has come.
    fn grow(&mut self, slot: SlotIndex, from: End, segment: &Segment<'_>, handler: &mut H) {
        let Some(state) = self.slots.get_mut(slot as usize) else {
            return;
        };
        if let Slot::Lone(lone) = state {
            let ends = ends_of(from, segment);
            let mut connection = lone.connection(ends);
            let (from, syn) = lone.segment(&ends);
            let mut cx = Context {
                handler,
                counters: &mut self.counters,
                settings: &self.settings,
            };
            connection.segment(from, &syn, &mut cx);
            let entry = Entry::new(lone.key, connection, lone.patience);
            *state = Slot::Open(Box::new(entry));
        }
    }

    /// Keeps the budgets and queues right after a connection changed.
    fn after(&mut self, slot: SlotIndex, mut verdict: Verdict, handler: &mut H) {
        let Some(Slot::Open(entry)) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let mut cx = Context {
            handler: &mut *handler,
            counters: &mut self.counters,
            settings: &self.settings,
        };
        if entry.connection.is_too_heavy(&cx) {
            let limit = self.settings.max_connection_bytes;
            verdict = entry.connection.relieve(limit, &mut cx);
        }
        self.note(slot, verdict, handler);
        while self.buffered > TcpSettings::share(self.settings.max_buffered_bytes) {
            let Some((_, heaviest)) = self.weights.last().copied() else {
                break;
            };
            let Some(Slot::Open(entry)) = self.slots.get_mut(heaviest as usize) else {
                break;
            };
            let mut cx = Context {
                handler: &mut *handler,
                counters: &mut self.counters,
                settings: &self.settings,
            };
            let verdict = entry.connection.shed(&mut cx);
            self.note(heaviest, verdict, handler);
        }
    }

    /// Notes what a connection weighs and when it is due, or closes it.
    fn note(&mut self, slot: SlotIndex, verdict: Verdict, handler: &mut H) {
        if let Verdict::Over(time) = verdict {
            self.close(slot, CloseReason::Closed, time, handler);
            return;
        }
        let Some(Slot::Open(entry)) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let weight = entry.connection.weight(handler);
        if weight != entry.weight {
            self.weights.remove(&(entry.weight, slot));
            if weight > 0 {
                self.weights.insert((weight, slot));
            }
            self.buffered = self.buffered.saturating_sub(entry.weight) + weight;
            entry.weight = weight;
        }
        if let Some(deadline) = entry.connection.deadline()
            && entry.deadline.is_none_or(|queued| deadline < queued)
        {
            if let Some(queued) = entry.deadline.replace(deadline) {
                self.queues.urgent.remove(queued, slot);
            }
            self.queues.urgent.insert(deadline, slot);
            self.queues.note(deadline);
        }
        // Elsewhere a later deadline is found when the earlier one is due; an answer that came makes
        // it earlier.
        if entry.patience.0 == Patience::Waiting {
            let (patience, last) = entry.connection.patience(handler);
            if patience != Patience::Waiting {
                let deadline = last.plus_micros(self.settings.patience_micros(patience));
                self.queues
                    .move_to(slot, &mut entry.patience, (patience, deadline));
            }
        }
    }

    /// Lets a connection do what is due at `now`.
    fn advance(&mut self, slot: SlotIndex, now: Timestamp, handler: &mut H) {
        self.queues.urgent.remove(now, slot);
        let Some(Slot::Open(entry)) = self.slots.get_mut(slot as usize) else {
            return;
        };
        entry.deadline = None;
        let mut cx = Context {
            handler: &mut *handler,
            counters: &mut self.counters,
            settings: &self.settings,
        };
        let verdict = entry.connection.advance(now, &mut cx);
        self.after(slot, verdict, handler);
    }

    /// Closes a connection that was silent until `deadline`, or moves it to its true one.
    fn check(&mut self, slot: SlotIndex, was: Patience, deadline: Timestamp, handler: &mut H) {
        let truth = self.true_deadline(slot, handler);
        let open = self.slots.get_mut(slot as usize).and_then(Slot::open_mut);
        match (open, truth) {
            (Some((_, queued)), Some((patience, later))) if later > deadline => {
                self.queues.move_to(slot, queued, (patience, later));
            }
            (Some(_), _) => self.close(slot, CloseReason::TimedOut, deadline, handler),
            (None, _) => self.queues.of(was).remove(deadline, slot),
        }
    }

    /// Gives up the idlest connection: of those that never carried anything if there are such, of
    /// those that wait for an answer only if there are no others.
    fn evict(&mut self, now: Timestamp, handler: &mut H) {
        for class in Patience::ALL {
            while let Some((deadline, slot)) = self.queues.of(class).first() {
                let Some((patience, later)) = self.true_deadline(slot, handler) else {
                    self.queues.of(class).remove(deadline, slot);
                    continue;
                };
                let is_stale = patience > class || (patience == class && later > deadline);
                match self.slots.get_mut(slot as usize).and_then(Slot::open_mut) {
                    Some((_, queued)) if is_stale => {
                        self.queues.move_to(slot, queued, (patience, later));
                    }
                    _ => {
                        self.close(slot, CloseReason::Evicted, now, handler);
                        return;
                    }
                }
            }
        }
    }

    fn true_deadline(&self, slot: SlotIndex, handler: &H) -> Option<(Patience, Timestamp)> {
        let (patience, last) = match self.slots.get(slot as usize)? {
            Slot::Lone(lone) => (Patience::HalfOpen, lone.last),
            Slot::Open(entry) => entry.connection.patience(handler),
            Slot::Free | Slot::Closed(..) => return None,
        };
        Some((
            patience,
            last.plus_micros(self.settings.patience_micros(patience)),
        ))
    }

    /// Closes a connection; one that ended by itself is remembered.
    fn close(&mut self, slot: SlotIndex, reason: CloseReason, time: Timestamp, handler: &mut H) {
        let Some(state) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let Some((_, (patience, deadline))) = state.open_mut() else {
            return;
        };
        self.queues.of(*patience).remove(*deadline, slot);
        self.open -= 1;
        *match reason {
            CloseReason::Closed => &mut self.counters.closed,
            CloseReason::TimedOut => &mut self.counters.timed_out,
            CloseReason::CaptureEnd => &mut self.counters.capture_end,
            CloseReason::Evicted => &mut self.counters.evicted,
            CloseReason::Replaced => &mut self.counters.replaced,
        } += 1;
        let entry = match mem::replace(state, Slot::Free) {
            Slot::Open(entry) => *entry,
            Slot::Lone(LoneSyn { key, .. }) => {
                self.remove(&key, slot);
                self.free.push(slot);
                return;
            }
            Slot::Free | Slot::Closed(..) => return,
        };
        if let Some(deadline) = entry.deadline {
            self.queues.urgent.remove(deadline, slot);
        }
        self.weights.remove(&(entry.weight, slot));
        self.buffered = self.buffered.saturating_sub(entry.weight);

        if reason == CloseReason::Closed {
            let until = time.plus_micros(CLOSED_MICROS);
            let closed = Box::new(Closed::new(entry.connection.bounds()));
            *state = Slot::Closed(entry.key, until, closed);
            self.queues.closed.insert(until, slot);
            self.queues.note(until);
        } else {
            self.remove(&entry.key, slot);
            self.free.push(slot);
        }
        let mut cx = Context {
            handler: &mut *handler,
            counters: &mut self.counters,
            settings: &self.settings,
        };
        entry.connection.close(reason, time, &mut cx);
        if self.queues.closed.len() > TcpSettings::share(self.settings.max_closed)
            && let Some((_, oldest)) = self.queues.closed.first()
        {
            self.counters.forgotten += 1;
            self.forget(oldest);
        }
    }

    /// Forgets a connection that ended.
    fn forget(&mut self, slot: SlotIndex) {
        if let Some(state) = self.slots.get_mut(slot as usize)
            && let Slot::Closed(key, until, _) = state
        {
            self.queues.closed.remove(*until, slot);
            let key = *key;
            *state = Slot::Free;
            self.free.push(slot);
            self.remove(&key, slot);
        }
    }
}

impl<S> Entry<S> {
    const fn new(key: Key, connection: Connection<S>, patience: (Patience, Timestamp)) -> Self {
        Self {
            key,
            connection,
            patience,
            deadline: None,
            weight: 0,
        }
    }
}

/// The ends of a segment's connection.
fn ends_of(from: End, segment: &Segment<'_>) -> Pair<SocketAddr> {
    let (low, high) = match from {
        End::Low => (segment.source, segment.destination),
        End::High => (segment.destination, segment.source),
    };
    Pair { low, high }
}

impl TcpSettings {
    const fn patience_micros(&self, patience: Patience) -> i64 {
        match patience {
            Patience::HalfOpen => self.half_open_micros,
            Patience::Empty | Patience::Idle => self.idle_micros,
            Patience::Waiting => self.waiting_micros,
        }
    }
}
