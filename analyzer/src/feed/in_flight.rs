//! Calls under way, written down by the workers that follow them when somebody asks.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::Notify, time::timeout};

use super::{Rules, under_way_at};
use crate::{analysis::UnderWay, time::Timestamp};

/// Calls that one answer tells of, in all; one takes about a KiB.
pub const SHOWN: usize = 8_192;

/// How long is waited for the workers: they tick ten times a second, and once a second where nothing comes.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Asks the workers, and takes what they say.
#[derive(Debug, Default)]
pub struct InFlight {
    /// How often was asked.
    asked: AtomicU64,
    slots: Mutex<Vec<Slot>>,
    told: Notify,
}

/// What one worker said last.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// The number of the asking that it answered.
    answered: u64,
    calls: Vec<UnderWay>,
    left_out: usize,
}

/// What all workers said.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) calls: Vec<UnderWay>,
    /// Exchanges that there was no room for.
    pub(crate) left_out: usize,
    /// Whether all workers answered in time.
    pub(crate) complete: bool,
}

impl InFlight {
    /// There are so many workers from now on.
    pub fn workers(&self, count: usize) {
        *self.lock() = vec![Slot::default(); count];
        self.told.notify_waiters();
    }

    /// The number of the last asking; a worker that has answered another one writes down its calls.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// A worker's calls, and how many more exchanges there was no room for.
    pub fn answer(&self, worker: usize, asked: u64, calls: Vec<UnderWay>, left_out: usize) {
        if let Some(slot) = self.lock().get_mut(worker) {
            *slot = Slot {
                answered: asked,
                calls,
                left_out,
            };
        }
        self.told.notify_waiters();
    }

    /// Asks, and waits for the answers.
    pub(crate) async fn ask(&self) -> Shown {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let all = async {
            loop {
                let mut told = std::pin::pin!(self.told.notified());
                // From here on no answer is missed.
                told.as_mut().enable();
                if self.lock().iter().all(|slot| slot.answered >= asked) {
                    return;
                }
                told.await;
            }
        };
        let complete = timeout(PATIENCE, all).await.is_ok();
        let slots = self.lock();
        Shown {
            calls: slots.iter().flat_map(|slot| slot.calls.clone()).collect(),
            left_out: slots.iter().map(|slot| slot.left_out).sum(),
            complete,
        }
    }

    /// What the workers said last, as JSON under the names of `GET /api/inflight`, the oldest call first; and asks
    /// them to say it anew. Nothing is waited for.
    pub fn peek(&self, now: Timestamp) -> Vec<Value> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut calls: Vec<_> = {
            let slots = self.lock();
            slots.iter().flat_map(|slot| slot.calls.clone()).collect()
        };
        calls.sort_by_key(|call| (call.marks.request_start, call.call_key.0));
        let mut rules = Rules::default();
        let calls = calls.into_iter().map(|mut call| {
            rules.apply(&mut call);
            Value::from(under_way_at(&call, now))
        });
        calls.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
