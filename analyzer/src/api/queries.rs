//! Questions to the store, so that none is in anybody's way.
//!
//! A question has a connection of its own, one short snapshot and a deadline, and few are answered at a time:
//! they compete with capture and writing for the processor alone, and a waiting one costs nothing.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use tokio::{sync::Semaphore, time::timeout};

use super::{error::Refusal, held::Held};
use crate::store::{Session, Snapshot, StoreError};

/// Questions that are answered at a time.
const AT_A_TIME: usize = 2;

/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// How long one may take. No log is longer than what is written in this time for its sake.
const LIMIT: Duration = Duration::from_secs(10);

/// Long answers that are sent at a time. One that waits for its reader holds memory, and nothing else.
const LONG_ANSWERS: usize = 4;

/// Bytes of answers that may wait for slow readers in all: some dozen pages of the longest. Past it an answer is
/// refused.
const HELD: usize = 64 << 20;

/// Asks the store.
pub(super) struct Queries {
    path: PathBuf,
    turns: Arc<Semaphore>,
    pub(super) long_answers: Arc<Semaphore>,
    held: Held,
    idle: Mutex<Vec<Session>>,
}

impl Queries {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            long_answers: Arc::new(Semaphore::new(LONG_ANSWERS)),
            held: Held::new(HELD),
            idle: Mutex::default(),
        }
    }

    /// Has a question answered on a thread that may wait.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Snapshot<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Refusal::unavailable("too many questions at a time"));
        };
        let queries = Arc::clone(self);
        // The turn goes with the work: whoever asks and goes away does not make room for more of it.
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            queries.answer(question)
        });
        let answer = answer
            .await
            .map_err(|_| Refusal::unavailable("the store cannot be read"))?;
        answer.map_err(|error| Refusal::unavailable(error.to_string()))
    }

    /// An answer as a body.
    pub(super) fn body(&self, answer: Vec<u8>) -> Result<Body, Refusal> {
        let body = self.held.body(answer.into());
        body.ok_or_else(|| Refusal::unavailable("too many answers wait for their readers"))
    }

    fn answer<T>(
        &self,
        question: impl FnOnce(&Snapshot<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop().filter(Session::is_current);
        let mut session = idle.map_or_else(|| Session::open(&self.path), Ok)?;
        let answer = {
            let snapshot = session.snapshot(LIMIT)?;
            question(&snapshot)
        };
        if !session.is_current() {
            return Err(StoreError::Replaced {
                path: self.path.clone(),
            });
        }
        if matches!(&answer, Ok(_) | Err(StoreError::Slow { .. })) {
            self.idle().push(session);
        }
        answer
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
