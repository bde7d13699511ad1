//! The store in SQLite: WAL, `synchronous=FULL`, one wide table of calls, bodies beside it.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, Statement, ToSql, params,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    Store, StoreError, Upkeep, Written,
    blocks::{self, BLOCK_ROWS, Step},
    schema::{self, Found},
    text::BodyText,
};
use crate::{
    columns::{CALL_COLUMNS, Value},
    record::Record,
    time::Timestamp,
};

/// How long a statement waits for another process's lock. Longer, and the queue fills behind it;
/// then the batch is tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bodies removed in one step of upkeep: at 640 KiB each it frees at most 64 MiB, in well under a second.
const REMOVED_AT_ONCE: u32 = 100;

/// The log file is cut back to this after a checkpoint, so that one large batch does not keep its room.
const LOG_LIMIT: i64 = 64 * 1024 * 1024;

/// Whether bodies are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodiesMode {
    /// They are, as far as the retention allows.
    #[default]
    Full,
    /// They are not.
    None,
}

/// How long bodies are kept. Rows stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRetention {
    /// Older ones are removed.
    pub max_age: Duration,
    /// Past this many bytes in all, the oldest are removed.
    pub max_bytes: u64,
}

impl Default for BodyRetention {
    /// 7 days and 1 GiB.
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(7 * 24),
            max_bytes: 1024 * 1024 * 1024,
        }
    }
}

/// How the store works.
#[derive(Clone, Copy, Debug)]
pub struct SqliteSettings {
    /// Whether bodies are stored.
    pub bodies: BodiesMode,
    /// How long.
    pub retention: BodyRetention,
    /// The clock that bodies' ages are counted by.
    pub clock: fn() -> Timestamp,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self {
            bodies: BodiesMode::default(),
            retention: BodyRetention::default(),
            clock: system_clock,
        }
    }
}

/// The store in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    db: Connection,
    path: PathBuf,
    settings: SqliteSettings,
    insert_call: String,
    /// Bytes of all stored bodies, kept along so that no write has to sum them up.
    body_bytes: u64,
    /// Rows written since a column block was built.
    rows_without_block: usize,
}

impl SqliteStore {
    /// Opens a database, or makes it: its folder with mode 0700 where that is missing, the file with
    /// mode 0600 before anything is in it. SQLite gives its log files the mode of the database.
    ///
    /// # Errors
    /// Where the folder or the file cannot be used, or the file is something else.
    pub fn open(path: &Path, settings: SqliteSettings) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(|cause| StoreError::File {
            path: path.to_owned(),
            cause,
        })?;
        make_directory(&path)?;
        make_file(&path)?;
        let (db, body_bytes) = prepare(&path)?;
        Ok(Self {
            db,
            path,
            settings,
            insert_call: schema::insert_call(),
            body_bytes,
            rows_without_block: 0,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn insert(&mut self, batch: &[Record]) -> rusqlite::Result<(Written, u64)> {
        let now = (self.settings.clock)().as_micros();
        let mut written = Written::default();
        let mut body_bytes = 0_u64;
        let transaction = self.db.transaction()?;
        {
            let mut calls = transaction.prepare_cached(&self.insert_call)?;
            let mut bodies = transaction.prepare_cached(INSERT_BODY)?;
            for record in batch {
                for (place, column) in (1..).zip(CALL_COLUMNS) {
                    calls.raw_bind_parameter(place, Cell((column.get)(&record.call)))?;
                }
                let id = (calls.raw_execute()? == 1).then(|| transaction.last_insert_rowid());
                written.ids.push(id);
                if let (Some(id), BodiesMode::Full) = (id, self.settings.bodies) {
                    body_bytes += insert_bodies(&mut bodies, id, now, record)?;
                }
            }
        }
        transaction.commit()?;
        Ok((written, body_bytes))
    }

    fn remove_old_bodies(&mut self) -> rusqlite::Result<Upkeep> {
        let retention = self.settings.retention;
        let max_age = i64::try_from(retention.max_age.as_micros()).unwrap_or(i64::MAX);
        let oldest = (self.settings.clock)().as_micros().saturating_sub(max_age);
        let mut upkeep = Upkeep::default();
        let mut freed = 0_u64;
        let mut surplus = self.body_bytes.saturating_sub(retention.max_bytes);
        let transaction = self.db.transaction()?;
        {
            let mut select = transaction.prepare_cached(OLDEST_BODIES)?;
            let mut delete = transaction.prepare_cached("DELETE FROM bodies WHERE call_id = ?1")?;
            let oldest_ones: Vec<(i64, i64, i64)> = select
                .query_map([REMOVED_AT_ONCE], |row| row.try_into())?
                .collect::<Result<_, _>>()?;
            for (id, stored_at, bytes) in oldest_ones {
                if stored_at < oldest {
                    upkeep.removed_by_age += 1;
                } else if surplus > 0 {
                    upkeep.removed_by_size += 1;
                } else {
                    break;
                }
                delete.execute([id])?;
                let bytes = bytes.max(0) as u64;
                surplus = surplus.saturating_sub(bytes);
                freed += bytes;
            }
        }
        transaction.commit()?;
        self.body_bytes = self.body_bytes.saturating_sub(freed);
        Ok(upkeep)
    }
}

impl Store for SqliteStore {
    fn write(&mut self, batch: &[Record]) -> Result<Written, StoreError> {
        let result = self.insert(batch);
        let (written, body_bytes) =
            result.map_err(|cause| StoreError::sqlite(&self.path, cause))?;
        self.body_bytes = self.body_bytes.saturating_add(body_bytes);
        self.rows_without_block += written.new_rows();
        if self.rows_without_block >= BLOCK_ROWS {
            self.rows_without_block -= BLOCK_ROWS;
            // The rows are stored, and a block is but a copy: the next upkeep tries again.
            if let Err(error) = blocks::build(&mut self.db) {
                tracing::debug!("a column block could not be built: {error}");
            }
        }
        Ok(written)
    }

    fn upkeep(&mut self) -> Result<Upkeep, StoreError> {
        let result = self.remove_old_bodies();
        result.map_err(|cause| StoreError::sqlite(&self.path, cause))
    }

    fn condense(&mut self) -> Result<bool, StoreError> {
        let step = blocks::build(&mut self.db);
        let step = step.map_err(|cause| StoreError::sqlite(&self.path, cause))?;
        Ok(step == Step::Done)
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        // Written to the log like a batch, though nothing changes by it.
        let result = self.db.pragma_update(None, "user_version", schema::NEWEST);
        result.map_err(|cause| StoreError::sqlite(&self.path, cause))
    }

    fn size(&self) -> Option<u64> {
        let database = fs::metadata(&self.path).ok()?.len();
        let log = fs::metadata(beside(&self.path, "-wal")).map_or(0, |log| log.len());
        Some(database.saturating_add(log))
    }
}

/// The time of the system's clock.
pub fn system_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since_epoch.map_or(0, |time| time.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

const INSERT_BODY: &str = "INSERT INTO bodies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const OLDEST_BODIES: &str =
    "SELECT call_id, stored_at, bytes FROM bodies ORDER BY stored_at, call_id LIMIT ?1";

/// A value as SQLite stores it.
struct Cell<'a>(Value<'a>);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let borrowed = match &self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(b) => ValueRef::Integer((*b).into()),
            Value::Integer(n) | Value::Duration(n) => ValueRef::Integer(*n),
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

fn insert_bodies(
    statement: &mut Statement<'_>,
    id: i64,
    now: i64,
    record: &Record,
) -> rusqlite::Result<u64> {
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
    Ok(bytes as u64)
}

/// Opens the file as a database and brings it to the newest schema; touches nothing that is not ours.
fn prepare(path: &Path) -> Result<(Connection, u64), StoreError> {
    let error = |cause| StoreError::sqlite(path, cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(error)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    match schema::look(&db).map_err(error)? {
        Found::Foreign => {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
            });
        }
        Found::Version(found) if found > schema::NEWEST => {
            return Err(StoreError::Newer {
                path: path.to_owned(),
                found,
                known: schema::NEWEST,
            });
        }
        Found::New | Found::Version(_) => {}
    }
    let setup = |db: &mut Connection| {
        enter_wal(db)?;
        db.pragma_update(None, "synchronous", "full")?;
        db.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |_| Ok(()))?;
        schema::migrate(db)?;
        db.query_row("SELECT ifnull(sum(bytes), 0) FROM bodies", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    let body_bytes = setup(&mut db).map_err(error)?;
    Ok((db, body_bytes.max(0) as u64))
}

/// Switches to a write-ahead log. SQLite does not wait for other processes here, so this does.
fn enter_wal(db: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

/// Makes the folder of the database where it is missing; one that is there keeps its mode.
fn make_directory(path: &Path) -> Result<(), StoreError> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder
        .create(directory)
        .map_err(|cause| StoreError::Directory {
            path: directory.to_owned(),
            cause,
        })
}

/// Makes the file with its mode from the first moment, and finds out whether it can be written.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let mut fresh = options.clone();
    fresh.create_new(true);
    #[cfg(unix)]
    fresh.mode(0o600);
    let result = match fresh.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        other => other,
    };
    let file = result.map_err(|cause| StoreError::File {
        path: path.to_owned(),
        cause,
    })?;
    warn_if_readable_by_others(path, &file);
    Ok(())
}

#[cfg(unix)]
fn warn_if_readable_by_others(path: &Path, file: &fs::File) {
    use std::os::unix::fs::PermissionsExt as _;

    if let Ok(metadata) = file.metadata() {
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            tracing::warn!(
                "the database {path} was there already and others may open it (mode {mode:o}). \
                 It holds what was said: chmod 600 {path}"
            );
        }
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_: &Path, _: &fs::File) {}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
