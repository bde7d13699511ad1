//! What happens now: calls as they begin, get their first token and end, and those that are under way.
//!
//! ```text
//!  workers, the end of the pipeline ──▶ bounded queue ──▶ one thread: secrets out, JSON ──▶ ring ──▶ readers
//! ```
//!
//! Whoever tells never waits: where the queue is full, the event is left out and counted. The ring is bounded, and a
//! reader that falls behind it is told how many events it missed. While nobody reads, nothing is told: it costs the
//! look at one flag. Calls under way are not followed here: who asks for them has each worker write down its own,
//! once, at its next tick.

mod event;
mod in_flight;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use tokio::sync::watch;

use event::Maker;
pub(crate) use event::{Event, Rules, Seen, under_way_at};
pub use in_flight::{InFlight, SHOWN};

use crate::{analysis::News, call::Call, metrics::Metrics};

/// Events that may wait to be made ready: a second's worth of a few thousand calls a second. A row takes 1 to 3 KiB.
const QUEUE: usize = 8_192;

/// Events that are kept for readers: those that are slow, and those that come back.
const RING: usize = 2_048;

/// How long after the last reader has left events are still kept, for it to come back.
const RETURN: Duration = Duration::from_secs(30);

/// How often that is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// Readers at a time; each holds a connection and some tens of KiB.
const READERS: usize = 32;

/// The way in, for whoever has something to tell, and for readers.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    queue: Sender<Told>,
    ring: Arc<Ring>,
    in_flight: InFlight,
    metrics: Metrics,
}

/// What is told.
enum Told {
    News(Box<News>),
    Ended(Box<Call>),
    /// There is a reader.
    Wake,
}

struct Ring {
    /// Whether there are readers, or were a moment ago.
    wanted: AtomicBool,
    state: Mutex<State>,
    /// The number of the next event.
    next: watch::Sender<u64>,
    /// Numbers of another run mean nothing in this one.
    run: u64,
}

#[derive(Default)]
struct State {
    events: VecDeque<Arc<Event>>,
    readers: usize,
    /// When the last one left.
    left: Option<Instant>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Feed {
    /// Starts it; its thread ends with the last of its handles. `run` is another number in each run.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn start(metrics: &Metrics, run: u64) -> std::io::Result<Self> {
        let (queue, told) = bounded(QUEUE);
        let ring = Arc::new(Ring {
            wanted: AtomicBool::new(false),
            state: Mutex::default(),
            next: watch::Sender::new(0),
            run,
        });
        let filled = Arc::clone(&ring);
        std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || filled.fill(&told))?;
        Ok(Self(Arc::new(Shared {
            queue,
            ring,
            in_flight: InFlight::default(),
            metrics: metrics.clone(),
        })))
    }

    /// Whether anybody wants to know.
    pub fn is_wanted(&self) -> bool {
        self.0.ring.wanted.load(Ordering::Relaxed)
    }

    /// Tells what is new of a call under way.
    pub fn news(&self, news: News) {
        self.tell(Told::News(Box::new(news)));
    }

    /// Tells that a call has ended.
    pub fn ended(&self, call: &Call) {
        if self.is_wanted() {
            self.tell(Told::Ended(Box::new(call.clone())));
        }
    }

    /// Calls under way.
    pub fn in_flight(&self) -> &InFlight {
        &self.0.in_flight
    }

    fn tell(&self, told: Told) {
        if let Err(TrySendError::Full(_)) = self.0.queue.try_send(told) {
            self.0.metrics.api().feed_shed.inc("queue");
        }
    }

    /// A reader of what comes from now on, or from behind the event of this id on where it is one of this run's;
    /// nothing where there are too many.
    pub(crate) fn read(&self, after: Option<&str>) -> Option<Reader> {
        let ring = &self.0.ring;
        let mut state = ring.lock();
        if state.readers >= READERS {
            return None;
        }
        state.readers += 1;
        let next = *ring.next.borrow();
        ring.wanted.store(true, Ordering::Relaxed);
        drop(state);
        let _ = self.0.queue.try_send(Told::Wake);
        self.0.metrics.api().feed_readers.inc();
        let (at, missed) = match after.map(|id| ring.place(id)) {
            None => (next, None),
            Some(Some(number)) if number < next => (number + 1, None),
            // Of another run, or of none.
            Some(_) => (next, Some(Missed::Unknown)),
        };
        Some(Reader {
            feed: self.clone(),
            at,
            missed,
            changed: ring.next.subscribe(),
        })
    }
}

impl Ring {
    /// Makes events ready until there is nobody left who tells.
    fn fill(&self, told: &Receiver<Told>) {
        let mut maker = Maker::default();
        loop {
            let next = if self.wanted.load(Ordering::Relaxed) {
                told.recv_timeout(LOOK)
            } else {
                told.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match next {
                Ok(Told::News(news)) => {
                    for event in maker.news(*news) {
                        self.push(event);
                    }
                }
                Ok(Told::Ended(call)) => self.push(maker.ended(&call)),
                Ok(Told::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.rest();
        }
    }

    fn push(&self, mut event: Event) {
        let mut state = self.lock();
        let number = *self.next.borrow();
        event.number(self.run, number);
        if state.events.len() >= RING {
            state.events.pop_front();
        }
        state.events.push_back(Arc::new(event));
        drop(state);
        self.next.send_replace(number + 1);
    }

    /// Wants nothing more where nobody has read for a while.
    fn rest(&self) {
        let mut state = self.lock();
        let gone = state.left.is_some_and(|left| left.elapsed() >= RETURN);
        if state.readers == 0 && gone {
            self.wanted.store(false, Ordering::Relaxed);
            state.events = VecDeque::new();
            state.left = None;
        }
    }

    /// The number of an event of this run.
    fn place(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        (u64::from_str_radix(run, 16).ok()? == self.run).then_some(())?;
        number.parse().ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many events a reader did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    Some(u64),
    Unknown,
}

/// Reads the ring at its own pace.
pub(crate) struct Reader {
    feed: Feed,
    /// The number of the next event.
    at: u64,
    missed: Option<Missed>,
    changed: watch::Receiver<u64>,
}

impl Reader {
    /// The next events, at most so many, and what was missed before them; waits until there are such.
    pub(crate) async fn next(&mut self, most: usize) -> (Option<Missed>, Vec<Arc<Event>>) {
        loop {
            self.changed.mark_unchanged();
            let taken = self.take(most);
            if taken.0.is_some() || !taken.1.is_empty() {
                return taken;
            }
            // The ring outlives its readers, so there is always somebody to tell of a change.
            let _ = self.changed.changed().await;
        }
    }

    fn take(&mut self, most: usize) -> (Option<Missed>, Vec<Arc<Event>>) {
        let state = self.feed.0.ring.lock();
        let next = *self.feed.0.ring.next.borrow();
        let first = state.events.front().map_or(next, |event| event.number);
        let mut missed = self.missed.take();
        if first > self.at {
            let count = first - self.at;
            missed = missed.or(Some(Missed::Some(count)));
            self.feed.0.metrics.api().feed_shed.inc_by("reader", count);
            self.at = first;
        }
        let place = usize::try_from(self.at - first).unwrap_or(usize::MAX);
        let events = state.events.iter().skip(place).take(most);
        let events: Vec<_> = events.map(Arc::clone).collect();
        self.at += events.len() as u64;
        (missed, events)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.feed.0.ring.lock();
        state.readers -= 1;
        state.left = Some(Instant::now());
        self.feed.0.metrics.api().feed_readers.dec();
    }
}
