//! The one thread that writes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Removed, Shed, Store, StoreError, Written,
    queue::{Entry, Next, Queue},
};
use crate::{
    metrics::{Metrics, ReasonCounters, StoreMetrics},
    record::Record,
};

/// The first wait after a failed batch; it doubles up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// The longest wait between two tries: a disk that has room again is noticed within it.
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// Tries of a failing batch once the writer is closed; then its rows are given up, and counted.
const TRIES_AT_CLOSE: u32 = 3;

/// Time between two looks for what is too old. What is too much is removed as soon as it is.
const UPKEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Time between two steps of removal while there is more to remove, so that rows come in between.
const UPKEEP_STEP: Duration = Duration::from_millis(100);

/// The writer's bounds.
#[derive(Clone, Copy, Debug)]
pub struct WriterSettings {
    /// Rows in the queue; more are shed.
    pub queue_rows: usize,
    /// Bytes in the queue, bodies included; past it bodies are shed first.
    pub queue_bytes: usize,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Bytes in a batch, which bounds the time of a commit.
    pub batch_bytes: usize,
    /// How long a row may wait for its batch to fill.
    pub batch_wait: Duration,
    /// How long a row may wait for that when somebody waits for its receipt. Short: reports that
    /// come together share a commit, one alone is not held up.
    pub awaited_wait: Duration,
}

impl Default for WriterSettings {
    /// 20,000 rows and 64 MiB; batches of 1,000 rows, 16 MiB or 200 ms (5 ms with a receipt).
    fn default() -> Self {
        Self {
            queue_rows: 20_000,
            queue_bytes: 64 * 1024 * 1024,
            batch_rows: 1_000,
            batch_bytes: 16 * 1024 * 1024,
            batch_wait: Duration::from_millis(200),
            awaited_wait: Duration::from_millis(5),
        }
    }
}

/// What somebody who waits is told.
pub(super) type Answer = Result<Receipt, NotStored>;

/// A row is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number; `None` where its key was there already.
    pub id: Option<i64>,
}

/// A row is not stored, and will not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row was not stored: {0}")]
pub struct NotStored(pub String);

/// Whether rows can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The last batch was committed.
    Storing,
    /// The last batch was not, and why.
    Failing(String),
}

/// What was written in all, when the writer was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New rows.
    pub rows: u64,
    /// Rows that were there already.
    pub duplicates: u64,
    /// Rows that were accepted and could not be written.
    pub lost: u64,
}

/// Hands rows to the writer. Clones share it.
#[derive(Clone)]
pub struct WriterHandle(Arc<Shared>);

/// Owns the writer's thread. Dropping it closes it.
pub struct WriterThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Summary>>,
}

struct Shared {
    queue: Queue,
    health: Mutex<Health>,
}

/// Starts the thread that writes to `store`.
///
/// # Errors
/// Where the system gives no thread.
pub fn start(
    store: Box<dyn Store>,
    settings: WriterSettings,
    metrics: &Metrics,
) -> Result<(WriterHandle, WriterThread), StoreError> {
    let metrics = metrics.store().clone();
    let shared = Arc::new(Shared {
        queue: Queue::new(settings, metrics.clone()),
        health: Mutex::new(Health::Storing),
    });
    let mut worker = Worker {
        store,
        metrics,
        shared: Arc::clone(&shared),
        summary: Summary::default(),
        upkeep_failed: false,
        condense_failed: false,
    };
    let thread = thread::Builder::new()
        .name("store".into())
        .spawn(move || worker.run())
        .map_err(StoreError::Thread)?;
    let handle = WriterHandle(Arc::clone(&shared));
    let thread = WriterThread {
        shared,
        thread: Some(thread),
    };
    Ok((handle, thread))
}

impl WriterHandle {
    /// Takes a row to be written soon. Never blocks.
    ///
    /// # Errors
    /// Where the queue is full or closed; the row is gone, and counted.
    pub fn submit(&self, record: Record) -> Result<(), Shed> {
        self.0.queue.push(Entry::new(record, None))
    }

    /// Takes a row to be written, when there is room: for replay, which may wait.
    ///
    /// # Errors
    /// Where the writer is closed.
    pub fn submit_blocking(&self, record: Record) -> Result<(), Shed> {
        self.0.queue.push_blocking(Entry::new(record, None))
    }

    /// Takes a row to be written at once. The receiver hears when it is committed, or that it is not
    /// stored; where it hears nothing but that the sender is gone, the writer is.
    ///
    /// # Errors
    /// Where the queue is full or closed.
    pub fn submit_acked(
        &self,
        record: Record,
    ) -> Result<oneshot::Receiver<Result<Receipt, NotStored>>, Shed> {
        let (sender, receiver) = oneshot::channel();
        self.0.queue.push(Entry::new(record, Some(sender)))?;
        Ok(receiver)
    }

    /// Whether rows can be written.
    pub fn health(&self) -> Health {
        self.0.health()
    }
}

impl WriterThread {
    /// Takes no more rows, writes all that were accepted, and ends the thread.
    pub fn close(mut self) -> Summary {
        self.shared.queue.close();
        let thread = self.thread.take();
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn health(&self) -> Health {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes how the last batch went; one line in the log for each change.
    fn note(&self, now: Health) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*health, &now) {
            (Health::Storing, Health::Failing(why)) => {
                tracing::error!("rows cannot be written and wait in memory: {why}");
            }
            (Health::Failing(_), Health::Storing) => tracing::info!("rows are written again"),
            _ => {}
        }
        *health = now;
    }
}

struct Worker {
    store: Box<dyn Store>,
    metrics: StoreMetrics,
    shared: Arc<Shared>,
    summary: Summary,
    /// Whether the last step of upkeep failed: the next waits for its time, whatever there is to remove.
    upkeep_failed: bool,
    /// The same of the last step of condensing.
    condense_failed: bool,
}

impl Worker {
    fn run(&mut self) -> Summary {
        self.show_size();
        let (mut upkeep_at, mut condense_at) = (Instant::now(), Instant::now());
        let mut probe_delay = FIRST_RETRY;
        loop {
            let probe_at = self.is_failing().then(|| Instant::now() + probe_delay);
            let due = upkeep_at.min(condense_at);
            let until = probe_at.map_or(due, |probe_at| probe_at.min(due));
            match self.shared.queue.next(until) {
                Next::Batch(entries) => self.write(entries),
                Next::Idle => {}
                Next::Closed => return self.summary,
            }
            if probe_at.is_some_and(|probe_at| probe_at <= Instant::now()) && self.is_failing() {
                self.probe();
                probe_delay = (probe_delay * 2).min(LONGEST_RETRY);
            }
            if !self.is_failing() {
                probe_delay = FIRST_RETRY;
            }
            let over = self.store.is_over() && !self.upkeep_failed;
            if (over || upkeep_at <= Instant::now()) && !self.shared.queue.is_closed() {
                upkeep_at = Instant::now() + self.upkeep();
            }
            if self.store.is_condensable() && !self.condense_failed {
                condense_at = condense_at.min(Instant::now() + UPKEEP_STEP);
            }
            if condense_at <= Instant::now() && !self.shared.queue.is_closed() {
                condense_at = Instant::now() + self.condense();
            }
        }
    }

    /// Writes a batch, and tries until it is written or given up.
    fn write(&mut self, entries: Vec<Entry>) {
        let mut batch = Batch::from(entries);
        let mut delay = FIRST_RETRY;
        let mut tries_at_close = TRIES_AT_CLOSE;
        while !batch.records.is_empty() {
            let started = Instant::now();
            let why = match self.store.write(&batch.records) {
                Ok(written) => {
                    self.metrics.commit.observe(started.elapsed().as_secs_f64());
                    self.shared.note(Health::Storing);
                    return self.committed(batch, &written);
                }
                Err(error) => {
                    self.metrics.errors.inc(error.kind());
                    error.to_string()
                }
            };
            self.shared.note(Health::Failing(why.clone()));
            self.refuse_awaited(&mut batch, &why);
            if self.shared.queue.is_closed() {
                tries_at_close -= 1;
                if tries_at_close == 0 {
                    return self.give_up(&batch);
                }
                thread::sleep(FIRST_RETRY);
            } else if !batch.records.is_empty() {
                self.shared.queue.pause(delay);
                delay = (delay * 2).min(LONGEST_RETRY);
            }
        }
    }

    fn is_failing(&self) -> bool {
        self.shared.health() != Health::Storing
    }

    /// Looks whether the store works again. With no row left to write, nothing else would find out,
    /// and who heeds the readiness would send none.
    fn probe(&mut self) {
        match self.store.probe() {
            Ok(()) => self.shared.note(Health::Storing),
            Err(error) => {
                self.metrics.errors.inc(error.kind());
                self.shared.note(Health::Failing(error.to_string()));
            }
        }
    }

    fn committed(&mut self, batch: Batch, written: &Written) {
        let rows = batch.records.len() as u64;
        let new = written.new_rows() as u64;
        self.summary.rows += new;
        self.summary.duplicates += rows.saturating_sub(new);
        self.metrics.rows.inc_by("new", new);
        self.metrics
            .rows
            .inc_by("duplicate", rows.saturating_sub(new));
        self.metrics
            .shed
            .inc_by("log_bodies", written.without_bodies);
        self.metrics.batches.inc();
        self.show_size();
        for (answer, id) in batch.answers.into_iter().zip(&written.ids) {
            if let Some(answer) = answer {
                // Whoever asked may have gone away.
                let _ = answer.send(Ok(Receipt { id: *id }));
            }
        }
        self.shared
            .queue
            .release(batch.records.len(), batch.bytes.iter().sum());
    }

    /// Tells all who wait that their rows are not stored, and drops those rows: they may send again,
    /// and a row must not be stored after that was said.
    fn refuse_awaited(&mut self, batch: &mut Batch, why: &str) {
        let (mut rows, mut bytes) = (0, 0);
        let mut refuse = |answer: oneshot::Sender<Answer>, size: usize| {
            rows += 1;
            bytes += size;
            let _ = answer.send(Err(NotStored(why.to_owned())));
        };
        let mut kept = Batch::default();
        for (record, (size, answer)) in batch.take() {
            match answer {
                Some(answer) => refuse(answer, size),
                None => kept.push(record, size, None),
            }
        }
        *batch = kept;
        for entry in self.shared.queue.take_awaited() {
            if let Some(answer) = entry.answer {
                refuse(answer, entry.bytes);
            }
        }
        self.metrics.shed.inc_by("refused", rows as u64);
        self.shared.queue.release(rows, bytes);
    }

    fn give_up(&mut self, batch: &Batch) {
        let rows = batch.records.len();
        self.summary.lost += rows as u64;
        self.metrics.shed.inc_by("lost_at_close", rows as u64);
        tracing::error!(
            rows,
            "rows could not be written before the end and are lost"
        );
        self.shared.queue.release(rows, batch.bytes.iter().sum());
    }

    /// Does a step of upkeep; when the next is due.
    fn upkeep(&mut self) -> Duration {
        let step = self.store.upkeep();
        self.upkeep_failed = step.is_err();
        match step {
            Ok(step) => {
                let count = |counters: &ReasonCounters, removed: Removed| {
                    counters.inc_by("age", removed.by_age);
                    counters.inc_by("size", removed.by_size);
                };
                count(&self.metrics.bodies_removed, step.bodies);
                count(&self.metrics.rows_removed, step.rows);
                self.metrics.freed.inc_by(step.freed);
                self.show_size();
                if step.is_done() {
                    UPKEEP_INTERVAL
                } else {
                    UPKEEP_STEP
                }
            }
            Err(error) => {
                self.metrics.errors.inc(error.kind());
                tracing::warn!("what is too old or too much could not be removed: {error}");
                UPKEEP_INTERVAL
            }
        }
    }

    /// Does a step of bringing copies up to date; when the next is due.
    fn condense(&mut self) -> Duration {
        let step = self.store.condense();
        // Where there is no room for it, there will be none a moment later.
        self.condense_failed =
            step.is_err() || matches!(step, Ok(false)) && self.store.is_condensable();
        match step {
            Ok(true) => UPKEEP_STEP,
            Ok(false) => UPKEEP_INTERVAL,
            Err(error) => {
                self.metrics.errors.inc(error.kind());
                tracing::warn!(
                    "questions become slower, since column blocks cannot be built: {error}"
                );
                UPKEEP_INTERVAL
            }
        }
    }

    fn show_size(&self) {
        let Some(size) = self.store.size() else {
            return;
        };
        let set = |gauge: &crate::metrics::Gauge, n: u64| {
            gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        };
        set(&self.metrics.size, size.database.saturating_add(size.log));
        set(&self.metrics.log, size.log);
        set(&self.metrics.stored_rows, size.rows);
    }
}

/// A batch in the writer's hands: three lists of one length.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    bytes: Vec<usize>,
    answers: Vec<Option<oneshot::Sender<Answer>>>,
}

impl Batch {
    fn push(&mut self, record: Record, bytes: usize, answer: Option<oneshot::Sender<Answer>>) {
        self.records.push(record);
        self.bytes.push(bytes);
        self.answers.push(answer);
    }

    fn take(&mut self) -> impl Iterator<Item = (Record, (usize, Option<oneshot::Sender<Answer>>))> {
        let Self {
            records,
            bytes,
            answers,
        } = std::mem::take(self);
        records.into_iter().zip(bytes.into_iter().zip(answers))
    }
}

impl From<Vec<Entry>> for Batch {
    fn from(entries: Vec<Entry>) -> Self {
        let rows = entries.len();
        let mut batch = Self {
            records: Vec::with_capacity(rows),
            bytes: Vec::with_capacity(rows),
            answers: Vec::with_capacity(rows),
        };
        for entry in entries {
            batch.push(entry.record, entry.bytes, entry.answer);
        }
        batch
    }
}

#[cfg(test)]
mod tests;
