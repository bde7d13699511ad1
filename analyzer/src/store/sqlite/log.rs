//! The write-ahead log, and its bound.
//!
//! SQLite starts the log anew once all of it is in the database and nobody reads from it. A program that reads
//! for hours, such as a backup, an open shell or a query without end, keeps it growing by what is written
//! meanwhile, and nothing that a writer can do changes that. So it has a bound: from half of it on, bodies are
//! left out, and at the bound nothing is written until the reader has gone.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    LOG_KEPT,
    open::{BUSY_TIMEOUT, beside},
};
use crate::store::StoreError;

/// Time between two tries to empty the log.
const TRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long a try waits for readers to come to their end: those that come later do not hold it up, so that
/// short ones, however many, never keep the log.
const TRY_TIME: Duration = Duration::from_millis(100);

/// For what the log has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// For rows with their bodies.
    Enough,
    /// For rows alone.
    ForRows,
}

#[derive(Debug)]
pub(super) struct Log {
    database: PathBuf,
    file: PathBuf,
    max: Option<u64>,
    pub(super) tried: Option<Instant>,
    /// What was found last, to log each change once.
    room: Room,
}

impl Log {
    pub(super) fn new(database: &Path, max: Option<u64>) -> Self {
        Self {
            database: database.to_owned(),
            file: beside(database, "-wal"),
            max,
            tried: None,
            room: Room::Enough,
        }
    }

    /// Bytes in the file.
    pub(super) fn bytes(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    /// Looks for what there is room, and makes room where that is possible.
    pub(super) fn room(&mut self, db: &Connection) -> Result<Room, StoreError> {
        let max = self.max.unwrap_or(u64::MAX);
        let mut bytes = self.bytes();
        if bytes > LOG_KEPT.min(max / 4) && self.may_try() {
            empty(db).map_err(|cause| StoreError::sqlite(&self.database, cause))?;
            bytes = self.bytes();
        }
        if bytes >= max {
            return Err(StoreError::LogFull {
                path: self.database.clone(),
                bytes,
            });
        }
        let room = if bytes >= max / 2 {
            Room::ForRows
        } else {
            Room::Enough
        };
        self.note(room, bytes, max);
        Ok(room)
    }

    fn may_try(&mut self) -> bool {
        let due = self
            .tried
            .is_none_or(|tried| tried.elapsed() >= TRY_INTERVAL);
        if due {
            self.tried = Some(Instant::now());
        }
        due
    }

    fn note(&mut self, room: Room, bytes: u64, max: u64) {
        if self.room == room {
            return;
        }
        self.room = room;
        let path = self.database.display();
        match room {
            Room::ForRows => tracing::warn!(
                "another program has been reading {path} for long, so that its log cannot be emptied: it \
                 holds {bytes} bytes. Rows are written without bodies, and not at all from {max} bytes on"
            ),
            Room::Enough => tracing::info!("the log of {path} has room again: bodies are stored"),
        }
    }
}

/// Brings all of the log into the database and cuts it to nothing, if no reader stands in the way.
pub(super) fn empty(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(TRY_TIME)?;
    // Its answer, whether somebody was in the way, shows in the size.
    let result = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    db.busy_timeout(BUSY_TIMEOUT)?;
    result
}
