//! The store in SQLite: WAL, `synchronous=FULL`, one wide table of calls, bodies beside it.

mod damage;
mod log;
mod open;
mod retention;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;

use rusqlite::{
    Connection, Statement, ToSql, params,
    types::{ToSqlOutput, ValueRef},
};

pub(super) use self::damage::is_ours;
use self::log::{Log, Room};
use super::{
    Size, Store, StoreError, Upkeep, Written,
    blocks::{self, BLOCK_ROWS, Step},
    schema::{self, body_disk_bytes},
    text::BodyText,
};
use crate::{
    columns::{CALL_COLUMNS, Value},
    live::Live,
    record::Record,
    time::Timestamp,
};

/// The log file is cut back to this when it starts anew, so that one large batch does not keep its room.
const LOG_KEPT: u64 = 64 * 1024 * 1024;

/// Column blocks that may be missing: up to here rows come first, and blocks in between; past it each batch builds
/// one, so that questions never have more rows to read one by one.
const BLOCKS_BEHIND: usize = 64;

/// Whether bodies are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodiesMode {
    /// They are, as far as the retention allows.
    #[default]
    Full,
    /// They are not.
    None,
}

/// How long something is kept, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What was stored longer ago is removed.
    pub max_age: Option<Duration>,
    /// Past this many bytes on disk, the oldest is removed.
    pub max_bytes: Option<u64>,
}

/// How long rows and bodies are kept. A row takes its bodies with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Rows, with their indexes and all else that the file holds beside bodies.
    pub rows: Keep,
    /// Bodies.
    pub bodies: Keep,
}

impl Retention {
    /// All, for ever.
    pub const NONE: Self = Self {
        rows: Keep::ALL,
        bodies: Keep::ALL,
    };
}

impl Keep {
    /// All, for ever.
    pub const ALL: Self = Self {
        max_age: None,
        max_bytes: None,
    };
}

impl Default for Retention {
    /// Rows for 90 days and 5 GiB, bodies for 7 days and 1 GiB. With a sixteenth of free pages that wait to be
    /// used again and a log of at most 1 GiB, the store stays under 8 GiB.
    fn default() -> Self {
        let keep = |days: u64, gib: u64| Keep {
            max_age: Some(Duration::from_hours(days * 24)),
            max_bytes: Some(gib << 30),
        };
        Self {
            rows: keep(90, 5),
            bodies: keep(7, 1),
        }
    }
}

/// How the store works.
#[derive(Clone, Copy, Debug)]
pub struct SqliteSettings {
    /// Whether bodies are stored.
    pub bodies: BodiesMode,
    /// How long what is kept.
    pub retention: Retention,
    /// Bytes of the log at which no more is written: it cannot be emptied while another program reads what
    /// is older. From half of it on, rows are written without their bodies.
    pub max_log_bytes: Option<u64>,
    /// The clock that ages are counted by.
    pub clock: fn() -> Timestamp,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self {
            bodies: BodiesMode::default(),
            retention: Retention::default(),
            max_log_bytes: Some(1 << 30),
            clock: system_clock,
        }
    }
}

/// The store in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    db: Connection,
    path: PathBuf,
    /// Which file stood at the path when it was opened.
    file: Option<FileId>,
    settings: SqliteSettings,
    retention: Live<Retention>,
    insert_call: String,
    log: Log,
    /// Whether more is stored than may be, since the last batch.
    over: bool,
    /// What SQLite said when it met damage: the next write begins with a new file.
    damage: Option<String>,
    /// Rows written since a column block was built.
    rows_without_block: usize,
}

/// What a file is, whatever its name: its device and its number there.
pub(super) type FileId = (u64, u64);

impl SqliteStore {
    /// Opens a database, or makes it: its folder with mode 0700 where that is missing, the file with
    /// mode 0600 before anything is in it. SQLite gives its log files the mode of the database. A database of
    /// ours that is damaged is set aside, and a new one made.
    ///
    /// # Errors
    /// Where the folder or the file cannot be used, or the file is something else.
    pub fn open(path: &Path, settings: SqliteSettings) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(|cause| StoreError::File {
            path: path.to_owned(),
            cause,
        })?;
        let db = open::open(&path)?;
        Ok(Self {
            db,
            file: file_id(&path),
            settings,
            retention: settings.retention.into(),
            insert_call: schema::insert_call(),
            log: Log::new(&path, settings.max_log_bytes),
            over: false,
            damage: None,
            path,
            rows_without_block: 0,
        })
    }

    /// How long what is kept: replaced, it holds from the next upkeep on.
    pub fn retention(&self) -> Live<Retention> {
        self.retention.clone()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sees to it that there is a file to write to: not one that was found damaged, nor one that somebody
    /// moved away or removed, in which rows would be lost unseen.
    fn ensure_file(&mut self) -> Result<(), StoreError> {
        let there = file_id(&self.path);
        let same = self.file.is_some() && self.file == there;
        if same && self.damage.is_none() {
            return Ok(());
        }
        if !same && self.file.is_some() {
            // What stands in the log alone belongs to the file that was moved, wherever it is now.
            let _ = log::empty(&self.db);
        }
        // Closed before another file gets the name: who closes a database removes the log by its name.
        let nothing = Connection::open_in_memory();
        self.db = nothing.map_err(|cause| StoreError::sqlite(&self.path, cause))?;
        if let Some(why) = self.damage.as_ref().filter(|_| same) {
            damage::set_aside(&self.path, why)?;
        } else if self.file.is_some() {
            tracing::warn!(
                "the database {} was moved away or removed while it was written to; a new one is begun",
                self.path.display()
            );
            // It tells of the old file's log, also to those who still read that, and would be believed of the new
            // one's.
            let _ = fs::remove_file(open::beside(&self.path, "-shm"));
        }
        self.damage = None;
        self.file = None;
        self.db = open::open(&self.path)?;
        self.file = file_id(&self.path);
        Ok(())
    }

    /// For what the log has room.
    fn room(&mut self) -> Result<Room, StoreError> {
        let room = self.log.room(&self.db);
        room.map_err(|error| self.remember(error))
    }

    fn error(&mut self, cause: rusqlite::Error) -> StoreError {
        let error = StoreError::sqlite(&self.path, cause);
        self.remember(error)
    }

    /// An error that tells of damage is remembered.
    fn remember(&mut self, error: StoreError) -> StoreError {
        if let StoreError::Damaged { why, .. } = &error {
            self.damage = Some(why.clone());
        }
        error
    }

    fn insert(&mut self, batch: &[Record], bodies_too: bool) -> rusqlite::Result<Written> {
        let now = (self.settings.clock)().as_micros();
        let mut written = Written::default();
        let (mut rows, mut body_bytes) = (0_i64, 0_i64);
        let transaction = self.db.transaction()?;
        {
            let mut calls = transaction.prepare_cached(&self.insert_call)?;
            let mut bodies = transaction.prepare_cached(INSERT_BODY)?;
            for record in batch {
                for (place, column) in (1..).zip(CALL_COLUMNS) {
                    calls.raw_bind_parameter(place, Cell((column.get)(&record.call)))?;
                }
                calls.raw_bind_parameter(CALL_COLUMNS.len() + 1, now)?;
                let id = (calls.raw_execute()? == 1).then(|| transaction.last_insert_rowid());
                written.ids.push(id);
                let Some(id) = id else { continue };
                rows += 1;
                if self.settings.bodies == BodiesMode::Full && record.bodies.is_some() {
                    if bodies_too {
                        body_bytes += insert_bodies(&mut bodies, id, now, record)?;
                    } else {
                        written.without_bodies += 1;
                    }
                }
            }
            transaction
                .prepare_cached(
                    "UPDATE tallies SET rows = rows + ?1, body_bytes = body_bytes + ?2",
                )?
                .execute([rows, body_bytes])?;
        }
        transaction.commit()?;
        Ok(written)
    }
}

impl Store for SqliteStore {
    fn write(&mut self, batch: &[Record]) -> Result<Written, StoreError> {
        self.ensure_file()?;
        let room = self.room()?;
        let written = self.insert(batch, room == Room::Enough);
        let written = written.map_err(|cause| self.error(cause))?;
        self.over = self.is_past_size().map_err(|cause| self.error(cause))?;
        self.rows_without_block += written.new_rows();
        if self.rows_without_block >= BLOCKS_BEHIND * BLOCK_ROWS {
            // The rows are stored, and a block is but a copy: the worker tries again later.
            if let Err(error) = self.condense() {
                self.rows_without_block -= BLOCK_ROWS;
                tracing::debug!("a column block could not be built: {error}");
            }
        }
        Ok(written)
    }

    fn upkeep(&mut self) -> Result<Upkeep, StoreError> {
        // Removing is writing: it waits for the log as rows do, and for a new file if need be.
        if self.file.is_none() || self.damage.is_some() || self.room().is_err() {
            return Ok(Upkeep::default());
        }
        let step = self.step_of_upkeep();
        step.map_err(|cause| self.error(cause))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn condense(&mut self) -> Result<bool, StoreError> {
        self.ensure_file()?;
        if self.room()? != Room::Enough {
            return Ok(false);
        }
        let step = blocks::build(&mut self.db);
        let step = step.map_err(|cause| self.error(cause))?;
        self.rows_without_block = match step {
            Step::Done => self.rows_without_block.saturating_sub(BLOCK_ROWS),
            Step::Idle => self.rows_without_block.min(BLOCK_ROWS - 1),
        };
        Ok(step == Step::Done)
    }

    fn is_condensable(&self) -> bool {
        self.rows_without_block >= BLOCK_ROWS
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.ensure_file()?;
        self.room()?;
        // Written to the log like a batch, though nothing changes by it.
        let result = self.db.pragma_update(None, "user_version", schema::NEWEST);
        result.map_err(|cause| self.error(cause))
    }

    fn size(&self) -> Option<Size> {
        let rows = self.db.prepare_cached("SELECT rows FROM tallies");
        let rows = rows.and_then(|mut rows| rows.query_row([], |row| row.get::<_, i64>(0)));
        Some(Size {
            database: fs::metadata(&self.path).ok()?.len(),
            log: self.log.bytes(),
            rows: rows.ok()?.max(0) as u64,
        })
    }
}

/// Which file stands at a path.
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    return Some((metadata.dev(), metadata.ino()));
    #[cfg(not(unix))]
    return Some((0, 0));
}

/// The time of the system's clock.
pub fn system_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since_epoch.map_or(0, |time| time.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

const INSERT_BODY: &str = "INSERT INTO bodies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// A value as SQLite stores it.
struct Cell<'a>(Value<'a>);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let borrowed = match &self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(b) => ValueRef::Integer((*b).into()),
            Value::Integer(n) | Value::Duration(n) | Value::Money(n) => ValueRef::Integer(*n),
            Value::Real(x) | Value::FineDuration(x) => ValueRef::Real(*x),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Json(text) => ValueRef::Text(text.as_bytes()),
            Value::Time(time) => ValueRef::Integer(time.as_micros()),
            Value::Key(key) => ValueRef::Blob(&key.0),
            list @ Value::List(_) => {
                return Ok(list.to_json().to_string().into());
            }
        };
        Ok(ToSqlOutput::Borrowed(borrowed))
    }
}

/// Writes a call's bodies; what they take on disk, nearly.
fn insert_bodies(
    statement: &mut Statement<'_>,
    id: i64,
    now: i64,
    record: &Record,
) -> rusqlite::Result<i64> {
    let Some(bodies) = &record.bodies else {
        return Ok(0);
    };
    let (request, response) = (
        BodyText::new(&bodies.request),
        BodyText::new(&bodies.response),
    );
    let bytes = (request.bytes() + response.bytes()) as i64;
    statement.execute(params![
        id,
        now,
        bytes,
        request.head,
        request.tail,
        request.omitted as i64,
        response.head,
        response.tail,
        response.omitted as i64,
    ])?;
    Ok(body_disk_bytes(bytes))
}

#[cfg(test)]
mod tests;
