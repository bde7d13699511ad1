//! Reading many rows without being in anybody's way: a connection of its own, and short snapshots on it.
//!
//! A [`Session`] is a connection; a [`Snapshot`] is one read transaction on it, with a deadline. The log cannot
//! be folded into the database past the oldest snapshot, so none is held while an answer is sent: whoever
//! sends many rows takes a new one for each page.

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, params,
    types::{Value, ValueRef},
};

use super::{
    StoreError,
    blocks::{self, BLOCK_ROWS, Facts, Wanted},
    schema,
    sqlite::{FileId, file_id, is_ours},
};
use crate::{
    call::CallKey,
    columns::{CALL_COLUMNS, StoredRow},
};

/// How long a read waits for a lock: readers of a log wait for nobody but at its recovery.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Steps of SQLite's machine between two looks at the clock: about a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// Prepared statements that a connection keeps: the questions differ by the columns that they read.
const STATEMENTS: usize = 64;

/// A connection that reads.
#[derive(Debug)]
pub struct Session {
    db: Connection,
    path: PathBuf,
    /// Which file was opened.
    file: Option<FileId>,
}

impl Session {
    /// Opens a database that this process, or another of the same user, writes.
    ///
    /// # Errors
    /// Where it cannot be opened, or is not llmtap's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // Reading a WAL needs its shared memory, and that needs the right to write.
        Self::open_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE, "")
    }

    /// Opens a database that may be live, or closed, or another user's, and changes no row of it. In a folder
    /// that this user may not write to, a database without a log is taken as one that nobody writes.
    ///
    /// # Errors
    /// Where it cannot be opened, or is not llmtap's.
    pub fn open_any(path: &Path) -> Result<Self, StoreError> {
        readable(path)?;
        let refused = |result: &Result<Self, StoreError>| {
            matches!(
                result,
                Err(StoreError::ReadOnly { .. } | StoreError::Other { .. })
            )
        };
        // With the right to write, which the log's shared memory needs: the last one to close a database takes
        // the log and the memory away, and one that may only read leaves both behind.
        let mut result = Self::open(path);
        if refused(&result) {
            result = Self::open_with(path, OpenFlags::SQLITE_OPEN_READ_ONLY, "");
        }
        if refused(&result) && !has_log(path) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            result = Self::open_with(path, flags, "?immutable=1");
        }
        result
    }

    fn open_with(path: &Path, flags: OpenFlags, options: &str) -> Result<Self, StoreError> {
        let error = |cause| StoreError::sqlite(path, cause);
        let absolute = std::path::absolute(path).map_err(|cause| StoreError::File {
            path: path.to_owned(),
            cause,
        })?;
        let name = if options.is_empty() {
            absolute.clone()
        } else {
            PathBuf::from(format!("{}{options}", uri(&absolute)))
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Before it is opened: where another takes the name in between, that is noticed.
        let file = file_id(&absolute);
        let db = Connection::open_with_flags(name, flags).map_err(error)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
        db.pragma_update(None, "query_only", true).map_err(error)?;
        let error = |cause| match StoreError::sqlite(path, cause) {
            StoreError::Damaged { path, .. } if !is_ours(&path) => {
                StoreError::NotADatabase { path }
            }
            other => other,
        };
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        schema::look(&db).map_err(error)?.readable(&absolute)?;
        Ok(Self {
            db,
            path: absolute,
            file,
        })
    }

    /// Whether the file that it reads is still the one at its path: another takes its place where it was set aside
    /// or moved away.
    pub fn is_current(&self) -> bool {
        file_id(&self.path) == self.file
    }

    /// Begins to read: all that follows sees the rows of this moment, and fails once `limit` is over.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn snapshot(&mut self, limit: Duration) -> Result<Snapshot<'_>, StoreError> {
        let path = &self.path;
        let error = |cause| StoreError::sqlite(path, cause);
        let deadline = Instant::now() + limit;
        let is_over = move || Instant::now() >= deadline;
        self.db
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over))
            .map_err(error)?;
        let db = self.db.unchecked_transaction().map_err(error)?;
        let mut snapshot = Snapshot {
            db,
            path,
            deadline,
            limit,
            columns: HashSet::new(),
            row_sql: String::new(),
            chunks: Vec::new(),
        };
        snapshot.columns = snapshot.tell(blocks::columns_of_calls(&snapshot.db))?;
        snapshot.row_sql = row_sql(&snapshot.columns);
        snapshot.chunks = snapshot.tell(chunks(&snapshot.db))?;
        Ok(snapshot)
    }
}

/// Finds out whether there is a file that may be read: SQLite says but that it cannot be opened.
fn readable(path: &Path) -> Result<(), StoreError> {
    let opened = fs::metadata(path).and_then(|file| {
        if file.is_file() {
            fs::File::open(path).map(drop)
        } else {
            Err(io::Error::other("it is no file"))
        }
    });
    let path = path.to_owned();
    opened.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { path },
        _ => StoreError::Denied { path, cause },
    })
}

/// A path as SQLite's URIs have it.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            other => {
                let _ = write!(uri, "%{other:02x}");
            }
        }
    }
    uri
}

/// Whether there is a log with something in it: then the file alone is not the database.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// A range of ids: a block, or what lies between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// What is known of its rows, where they stand in a block.
    pub(crate) block: Option<BlockTimes>,
}

/// The times of a block's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockTimes {
    /// The first and the last; `None` where no row has one.
    pub(crate) between: Option<(i64, i64)>,
    /// Whether some have none.
    pub(crate) timeless: bool,
}

/// What was stored of a call's bodies.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StoredTexts {
    /// The request's.
    pub request: StoredText,
    /// The response's.
    pub response: StoredText,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StoredText {
    /// The first part.
    pub head: String,
    /// Bytes left out between the two.
    pub omitted: i64,
    /// The last part, where something between is left out.
    pub tail: String,
}

/// One moment's rows.
#[derive(Debug)]
pub struct Snapshot<'a> {
    db: Transaction<'a>,
    path: &'a Path,
    deadline: Instant,
    limit: Duration,
    columns: HashSet<String>,
    /// Reads a row; columns that an older schema has not are NULL.
    row_sql: String,
    chunks: Vec<Chunk>,
}

impl Snapshot<'_> {
    /// All ids, in order, by blocks and what is between them.
    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Gives the wanted columns of a chunk's rows, in pieces, until `take` breaks off.
    pub(crate) fn read(
        &self,
        chunk: Chunk,
        wanted: Wanted,
        mut take: impl FnMut(&Facts) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if chunk.block.is_some() {
            self.in_time()?;
            let facts = self.tell(blocks::load(&self.db, chunk.first, wanted))?;
            // It begins and ends with the rows that it says it holds.
            let ends = (Some(&chunk.first), Some(&chunk.last));
            if let Some(facts) = facts.filter(|facts| (facts.ids.first(), facts.ids.last()) == ends)
            {
                let _ = take(&facts);
                return Ok(());
            }
            // A damaged block: the rows are still there.
        }
        let mut first = chunk.first;
        loop {
            self.in_time()?;
            let range = (first, chunk.last);
            let facts = Facts::read(&self.db, &self.columns, wanted, range, BLOCK_ROWS);
            let facts = self.tell(facts)?;
            if facts.rows() > 0 && take(&facts).is_break() {
                return Ok(());
            }
            match facts.ids.last() {
                Some(last) if facts.rows() == BLOCK_ROWS && *last < chunk.last => first = last + 1,
                _ => return Ok(()),
            }
        }
    }

    /// The row of a number.
    pub(crate) fn row(&self, id: i64) -> Result<Option<StoredRow>, StoreError> {
        self.in_time()?;
        let read = || {
            let mut select = self.db.prepare_cached(&self.row_sql)?;
            let row = select.query_row([id], |row| {
                let cells = (0..CALL_COLUMNS.len()).map(|place| row.get::<_, Value>(place + 1));
                Ok(StoredRow::new(
                    row.get(0)?,
                    cells.collect::<Result<_, _>>()?,
                ))
            });
            row.optional()
        };
        self.tell(read())
    }

    /// The number of the call with this key.
    pub(crate) fn id_of(&self, key: CallKey) -> Result<Option<i64>, StoreError> {
        let read = || {
            let mut select = self
                .db
                .prepare_cached("SELECT id FROM calls WHERE call_key = ?1")?;
            select
                .query_row([key.0.as_slice()], |row| row.get(0))
                .optional()
        };
        self.tell(read())
    }

    /// The texts of a call, where they are stored.
    pub(crate) fn texts(&self, id: i64) -> Result<Option<StoredTexts>, StoreError> {
        let read = || {
            let mut select = self.db.prepare_cached(
                "SELECT request_head, request_omitted, request_tail, \
                 response_head, response_omitted, response_tail FROM bodies WHERE call_id = ?1",
            )?;
            let text = |row: &rusqlite::Row<'_>, place: usize| -> rusqlite::Result<StoredText> {
                Ok(StoredText {
                    head: row.get(place)?,
                    omitted: row.get(place + 1)?,
                    tail: row.get(place + 2)?,
                })
            };
            let texts = select.query_row(params![id], |row| {
                Ok(StoredTexts {
                    request: text(row, 0)?,
                    response: text(row, 3)?,
                })
            });
            texts.optional()
        };
        self.tell(read())
    }

    /// The calls in whose stored texts each of `searches` is found, in the order of `searches`.
    pub(crate) fn search(
        &self,
        searches: &[regex::bytes::Regex],
    ) -> Result<Vec<HashSet<i64>>, StoreError> {
        let mut found = vec![HashSet::new(); searches.len()];
        let read = |found: &mut Vec<HashSet<i64>>| -> rusqlite::Result<()> {
            let mut select = self.db.prepare_cached(
                "SELECT call_id, request_head, request_tail, response_head, response_tail FROM bodies",
            )?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                // Few large rows take few steps of SQLite's machine: the clock is looked at here too.
                if Instant::now() >= self.deadline {
                    return Ok(());
                }
                for (search, found) in searches.iter().zip(&mut *found) {
                    let holds = |place: usize| -> rusqlite::Result<bool> {
                        let text = row.get_ref(place)?;
                        Ok(matches!(text, ValueRef::Text(text) if search.is_match(text)))
                    };
                    if holds(1)? || holds(2)? || holds(3)? || holds(4)? {
                        found.insert(row.get(0)?);
                    }
                }
            }
            Ok(())
        };
        self.tell(read(&mut found))?;
        self.in_time()?;
        Ok(found)
    }

    /// Fails once the time is over.
    fn in_time(&self) -> Result<(), StoreError> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(StoreError::Slow {
            seconds: self.limit.as_secs_f64(),
        })
    }

    fn tell<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|cause| match cause.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => StoreError::Slow {
                seconds: self.limit.as_secs_f64(),
            },
            _ => StoreError::sqlite(self.path, cause),
        })
    }
}

fn row_sql(columns: &HashSet<String>) -> String {
    let names = CALL_COLUMNS.iter().map(|column| {
        if columns.contains(column.name) {
            format!("\"{}\"", column.name)
        } else {
            "NULL".to_owned()
        }
    });
    let names: Vec<_> = names.collect();
    format!("SELECT id, {} FROM calls WHERE id = ?1", names.join(", "))
}

/// All ids from the least to the largest: blocks, and what is between them.
fn chunks(db: &Connection) -> rusqlite::Result<Vec<Chunk>> {
    let between = |first, last| Chunk {
        first,
        last,
        block: None,
    };
    let mut chunks = Vec::new();
    let mut next = i64::MIN;
    if blocks::there(db)? {
        let mut select = db.prepare_cached(
            "SELECT first_id, last_id, time_from, time_to, timeless FROM call_blocks \
             WHERE format = ?1 ORDER BY first_id",
        )?;
        let mut rows = select.query([blocks::format()])?;
        while let Some(row) = rows.next()? {
            let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (from, to): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            if first > next {
                chunks.push(between(next, first - 1));
            }
            next = last.saturating_add(1);
            chunks.push(Chunk {
                first,
                last,
                block: Some(BlockTimes {
                    between: from.zip(to),
                    timeless: row.get(4)?,
                }),
            });
        }
    }
    chunks.push(between(next, i64::MAX));
    Ok(chunks)
}
