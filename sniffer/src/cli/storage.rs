//! The store and its writer, opened and closed as one.

use std::path::Path;

use analyzer::{
    metrics::Metrics,
    record::Record,
    store::{BodiesMode, SqliteSettings, SqliteStore, WriterHandle, WriterSettings, WriterThread},
};
use anyhow::bail;

use super::{args::Bodies, human};

/// An open store with its writer's thread.
pub(crate) struct Storage {
    handle: WriterHandle,
    thread: WriterThread,
}

impl Storage {
    /// Opens or makes the store.
    pub(crate) fn open(db: &Path, bodies: Bodies, metrics: &Metrics) -> anyhow::Result<Self> {
        let settings = SqliteSettings {
            bodies: match bodies {
                Bodies::Full | Bodies::Text => BodiesMode::Full,
                Bodies::None => BodiesMode::None,
            },
            ..SqliteSettings::default()
        };
        let store = SqliteStore::open(db, settings)?;
        let (handle, thread) =
            analyzer::store::start(Box::new(store), WriterSettings::default(), metrics)?;
        Ok(Self { handle, thread })
    }

    /// The way in for others.
    pub(crate) fn handle(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Stores a row as soon as there is room: for files, which can wait.
    pub(crate) fn store(&self, record: Record) {
        // A closed or failing writer says so when it is closed, with the number of rows lost.
        let _ = self.handle.submit_blocking(record);
    }

    /// Writes all that was accepted.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let summary = self.thread.close();
        tracing::info!(
            "stored {} calls, {} were there already",
            human::count(summary.rows),
            human::count(summary.duplicates)
        );
        if summary.lost > 0 {
            bail!(
                "{} calls could not be written: see the errors above; is the disk full?",
                human::count(summary.lost)
            );
        }
        Ok(())
    }
}
