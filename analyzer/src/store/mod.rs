//! Where rows are kept: a trait with one writer, SQLite behind it, and a reader beside it.
//!
//! Capture never waits for storage: [`WriterHandle::submit`] sheds, and counts, when the queue is
//! full. Storage never loses what it acknowledged: a receipt comes after its batch is committed.

pub mod blocks;
mod error;
mod queue;
mod reader;
mod schema;
mod snapshot;
mod sqlite;
mod text;
mod writer;

use crate::record::Record;

pub use error::StoreError;
pub use queue::Shed;
pub use reader::{Reader, TokenStat};
pub(crate) use snapshot::Chunk;
pub use snapshot::{Session, Snapshot, StoredText, StoredTexts};
pub use sqlite::{BodiesMode, Keep, Retention, SqliteSettings, SqliteStore, system_clock};
#[cfg(feature = "otlp")]
pub(crate) use text::body_text;
pub use writer::{
    Health, NotStored, Receipt, Summary, WriterHandle, WriterSettings, WriterThread, start,
};

/// A place for rows. One thread owns it.
pub trait Store: Send {
    /// Writes a batch in one transaction: all of it or, with an error, nothing.
    ///
    /// # Errors
    /// Where the batch could not be committed; it may be tried again, rows are never doubled.
    fn write(&mut self, batch: &[Record]) -> Result<Written, StoreError>;

    /// Does a small step of upkeep (what is too old or too much goes, room is given back to the disk) and
    /// says whether more is to be done.
    ///
    /// # Errors
    /// Where the step could not be committed.
    fn upkeep(&mut self) -> Result<Upkeep, StoreError>;

    /// Does a small step of bringing the copies of rows up to date that questions are answered from, and says
    /// whether more is to be done.
    ///
    /// # Errors
    /// Where the step could not be committed.
    fn condense(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Whether there is something to condense. Asked after each batch.
    fn is_condensable(&self) -> bool {
        false
    }

    /// Whether upkeep is due before its time: more is stored than may be. Asked after each batch.
    fn is_over(&self) -> bool;

    /// Finds out whether a batch could be written now, and leaves no trace in the rows.
    ///
    /// # Errors
    /// Where it could not.
    fn probe(&mut self) -> Result<(), StoreError>;

    /// What is on disk, if that is known.
    fn size(&self) -> Option<Size>;
}

/// What a store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the database's file.
    pub database: u64,
    /// Bytes of the log beside it.
    pub log: u64,
    /// Rows in it.
    pub rows: u64,
}

/// What became of a batch, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The number that each row got; `None` where its key was there already.
    pub ids: Vec<Option<i64>>,
    /// Rows whose bodies were left out for want of room in the log.
    pub without_bodies: u64,
}

impl Written {
    /// Rows that were not there before.
    pub fn new_rows(&self) -> usize {
        self.ids.iter().flatten().count()
    }
}

/// What a step of upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Bodies removed.
    pub bodies: Removed,
    /// Rows removed, each with its bodies.
    pub rows: Removed,
    /// Bytes given back to the disk.
    pub freed: u64,
}

/// How many were removed, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// For their age.
    pub by_age: u64,
    /// Because all of them together were too large.
    pub by_size: u64,
}

impl Upkeep {
    /// Whether the step found nothing to do.
    pub fn is_done(self) -> bool {
        self == Self::default()
    }
}
