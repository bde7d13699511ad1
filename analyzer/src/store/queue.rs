//! The bounded queue in front of the writer's thread.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{WriterSettings, writer::Answer};
use crate::{metrics::StoreMetrics, record::Record};

/// Why a row was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shed {
    /// The queue holds as many rows as it may.
    #[error("too many rows wait to be written")]
    Rows,
    /// The queue holds as many bytes as it may, and the row without its bodies does not fit either.
    #[error("the rows that wait to be written take too much memory")]
    Bytes,
    /// The writer was closed.
    #[error("the store is closed")]
    Closed,
}

impl Shed {
    /// The name used in the metric `llmtap_store_shed_total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "queue_rows",
            Self::Bytes => "queue_bytes",
            Self::Closed => "closed",
        }
    }
}

/// A row that waits.
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) bytes: usize,
    pub(super) answer: Option<oneshot::Sender<Answer>>,
    queued: Instant,
}

impl Entry {
    pub(super) fn new(record: Record, answer: Option<oneshot::Sender<Answer>>) -> Self {
        Self {
            bytes: record.bytes(),
            record,
            answer,
            queued: Instant::now(),
        }
    }
}

/// What the writer has to do next.
pub(super) enum Next {
    /// Write these.
    Batch(Vec<Entry>),
    /// Nothing is due before the time that was named.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

pub(super) struct Queue {
    settings: WriterSettings,
    metrics: StoreMetrics,
    state: Mutex<State>,
    /// Something changed that the writer waits for.
    work: Condvar,
    /// Room came up that a blocking submitter waits for.
    room: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Bytes of the entries.
    queued_bytes: usize,
    /// Rows and bytes in the queue or in the writer's hands.
    held_rows: usize,
    held_bytes: usize,
    /// Since when somebody waits for an answer.
    awaited: Option<Instant>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(settings: WriterSettings, metrics: StoreMetrics) -> Self {
        Self {
            settings,
            metrics,
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
        }
    }

    /// Takes a row, or sheds it: first its bodies, then the row. Never blocks.
    pub(super) fn push(&self, mut entry: Entry) -> Result<(), Shed> {
        let mut state = self.lock();
        let mut refused = self.refusal(&state, &entry);
        if refused == Some(Shed::Bytes) && entry.record.bodies.is_some() {
            entry.bytes = entry.bytes.saturating_sub(entry.record.body_bytes());
            entry.record.bodies = None;
            self.metrics.shed.inc("bodies");
            refused = self.refusal(&state, &entry);
        }
        if let Some(shed) = refused {
            self.metrics.shed.inc(shed.as_str());
            return Err(shed);
        }
        self.admit(&mut state, entry);
        Ok(())
    }

    /// Takes a row as soon as there is room for all of it.
    pub(super) fn push_blocking(&self, entry: Entry) -> Result<(), Shed> {
        let mut state = self.lock();
        loop {
            match self.refusal(&state, &entry) {
                None => break,
                Some(Shed::Closed) => {
                    self.metrics.shed.inc(Shed::Closed.as_str());
                    return Err(Shed::Closed);
                }
                Some(Shed::Rows | Shed::Bytes) => {
                    state = self
                        .room
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        self.admit(&mut state, entry);
        Ok(())
    }

    /// Waits for a batch that is due, for `until`, or for the end.
    pub(super) fn next(&self, until: Instant) -> Next {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let due = self.due(&state);
            if due.is_some_and(|due| due <= now) {
                return Next::Batch(self.take(&mut state));
            }
            if state.closed {
                return Next::Closed;
            }
            if until <= now {
                return Next::Idle;
            }
            let wake = due.map_or(until, |due| due.min(until));
            let wait = wake.saturating_duration_since(now);
            let woken = self.work.wait_timeout(state, wait);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Rows left the writer's hands.
    pub(super) fn release(&self, rows: usize, bytes: usize) {
        let mut state = self.lock();
        state.held_rows = state.held_rows.saturating_sub(rows);
        state.held_bytes = state.held_bytes.saturating_sub(bytes);
        self.show(&state);
        drop(state);
        self.room.notify_all();
    }

    /// Takes out all rows that somebody waits for.
    pub(super) fn take_awaited(&self) -> Vec<Entry> {
        let mut state = self.lock();
        if state.awaited.take().is_none() {
            return Vec::new();
        }
        let entries = std::mem::take(&mut state.entries);
        let (awaited, others): (Vec<_>, _) = entries
            .into_iter()
            .partition(|entry| entry.answer.is_some());
        state.entries = others.into();
        let bytes: usize = awaited.iter().map(|entry| entry.bytes).sum();
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
        awaited
    }

    /// Waits for `delay`, or for the closing.
    pub(super) fn pause(&self, delay: Duration) {
        let state = self.lock();
        drop(
            self.work
                .wait_timeout_while(state, delay, |state| !state.closed),
        );
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Why an entry cannot be admitted now. An empty queue takes a row of any size.
    fn refusal(&self, state: &State, entry: &Entry) -> Option<Shed> {
        let bytes = state.held_bytes.saturating_add(entry.bytes);
        if state.closed {
            Some(Shed::Closed)
        } else if state.held_rows == 0 {
            None
        } else if state.held_rows >= self.settings.queue_rows {
            Some(Shed::Rows)
        } else if bytes > self.settings.queue_bytes {
            Some(Shed::Bytes)
        } else {
            None
        }
    }

    fn admit(&self, state: &mut State, entry: Entry) {
        let was_full = self.is_full(state);
        let first_awaited = entry.answer.is_some() && state.awaited.is_none();
        if first_awaited {
            state.awaited = Some(entry.queued);
        }
        state.held_rows += 1;
        state.held_bytes += entry.bytes;
        state.queued_bytes += entry.bytes;
        state.entries.push_back(entry);
        self.show(state);
        // The writer wakes by itself when a batch's time is over: it is woken for the first row, the one that
        // makes a batch full and one that somebody waits for, not for each. To wake is a system call, whether
        // somebody sleeps or not.
        let becomes_full = !was_full && self.is_full(state);
        if first_awaited || state.entries.len() == 1 || becomes_full {
            self.work.notify_one();
        }
    }

    fn is_full(&self, state: &State) -> bool {
        state.entries.len() >= self.settings.batch_rows
            || state.queued_bytes >= self.settings.batch_bytes
    }

    /// When the next batch is due; `None` where nothing waits.
    fn due(&self, state: &State) -> Option<Instant> {
        let first = state.entries.front()?.queued;
        if state.closed || self.is_full(state) {
            return Some(first);
        }
        let due = first.checked_add(self.settings.batch_wait);
        let awaited = state
            .awaited
            .map(|since| since + self.settings.awaited_wait);
        due.into_iter().chain(awaited).min()
    }

    fn take(&self, state: &mut State) -> Vec<Entry> {
        // Rows are large: a list that grows by doubling moves each of them twice.
        let rows = state.entries.len().min(self.settings.batch_rows);
        let mut batch = Vec::with_capacity(rows);
        let mut bytes = 0_usize;
        while batch.len() < self.settings.batch_rows {
            let fits = |entry: &mut Entry| {
                batch.is_empty() || bytes + entry.bytes <= self.settings.batch_bytes
            };
            let Some(entry) = state.entries.pop_front_if(fits) else {
                break;
            };
            bytes += entry.bytes;
            batch.push(entry);
        }
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
        let mut waiting = state.entries.iter().filter(|entry| entry.answer.is_some());
        state.awaited = waiting.next().map(|entry| entry.queued);
        batch
    }

    fn show(&self, state: &State) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.queue_rows.set(gauge(state.held_rows));
        self.metrics.queue_bytes.set(gauge(state.held_bytes));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
