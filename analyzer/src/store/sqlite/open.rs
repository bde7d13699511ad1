//! Opening: the file and its mode, the checks before anything in it is changed, the schema.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{LOG_KEPT, damage};
use crate::store::{
    StoreError,
    schema::{self, Found},
};

/// How long a statement waits for another process's lock. Longer, and the queue fills behind it;
/// then the batch is tried again.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the pages of a database are looked through when it is opened. A small one is looked through
/// whole; in a large one, damage further on is found when it is met.
const CHECK_TIME: Duration = Duration::from_secs(1);

/// A database of a schema before 3 that is no larger than this learns to give room back when it is opened:
/// that rewrites it, which takes about a second. A larger one goes on without.
const REWRITTEN_AT_ONCE: u64 = 64 * 1024 * 1024;

/// Pages that the writer keeps in memory, as `PRAGMA cache_size` takes it: 16 MiB. Keys are spread at random, so
/// that each row touches another page of their index.
const CACHE: i64 = -16 * 1024;

/// Pages in the log at which it is brought into the database, 16 MiB: some batches touch the same pages, which
/// are written there once.
const CHECKPOINT_PAGES: i64 = 4_096;

/// `PRAGMA auto_vacuum` of a database that gives room back when it is asked to.
pub(super) const INCREMENTAL: i64 = 2;

/// Opens a database, or makes it; one that is ours and damaged is set aside, and a new one made.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    make_directory(path)?;
    make_file(path)?;
    match prepare(path) {
        Err(StoreError::Damaged { why, .. }) if damage::is_ours(path) => {
            damage::set_aside(path, &why)?;
            make_file(path)?;
            prepare(path)
        }
        Err(StoreError::Damaged { path, .. }) => Err(StoreError::NotADatabase { path }),
        other => other,
    }
}

/// A file that belongs to the database, such as its log.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens the file as a database and brings it to the newest schema; touches nothing that is not ours.
fn prepare(path: &Path) -> Result<Connection, StoreError> {
    let error = |cause| StoreError::sqlite(path, cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(error)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    let found = schema::look(&db).map_err(error)?;
    if found == Found::New {
        // Known to the file once its first page is written.
        db.pragma_update(None, "auto_vacuum", INCREMENTAL)
            .map_err(error)?;
    } else {
        found.readable(path)?;
        if let Some(why) = damage_in(&db).map_err(error)? {
            return Err(StoreError::Damaged {
                path: path.to_owned(),
                why,
            });
        }
    }
    let setup = |db: &mut Connection| {
        enter_wal(db)?;
        db.pragma_update(None, "synchronous", "full")?;
        db.pragma_update(None, "cache_size", CACHE)?;
        db.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
        db.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT as i64, |_| Ok(()))?;
        schema::migrate(db)?;
        // Found damaged before the first batch, not by it.
        db.query_row("SELECT rows FROM tallies", [], |_| Ok(()))
    };
    setup(&mut db).map_err(error)?;
    if found != Found::New {
        learn_to_give_back(&db, path);
    }
    Ok(db)
}

/// What is wrong with the pages that can be looked through in [`CHECK_TIME`].
fn damage_in(db: &Connection) -> rusqlite::Result<Option<String>> {
    let watch = db.get_interrupt_handle();
    let (done, waiting) = mpsc::channel::<()>();
    let verdict = thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(CHECK_TIME) == Err(RecvTimeoutError::Timeout) {
                watch.interrupt();
            }
        });
        let verdict = db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        drop(done);
        verdict
    });
    match verdict {
        Ok(verdict) => Ok((verdict != "ok").then_some(verdict)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Rewrites a database of an older schema so that it can give room back, where that is quick.
fn learn_to_give_back(db: &Connection, path: &Path) {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let rewrite = || {
        if number("auto_vacuum")? == INCREMENTAL {
            return Ok(());
        }
        let size = number("page_count")?.saturating_mul(number("page_size")?);
        if size.max(0) as u64 > REWRITTEN_AT_ONCE {
            let path = path.display();
            tracing::info!(
                "the file {path} is of an older llmtap: room that becomes free in it is used again, and not \
                 given back to the disk. To change that, stop llmtap and run \
                 sqlite3 {path} 'PRAGMA auto_vacuum = 2; VACUUM'"
            );
            return Ok(());
        }
        db.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        db.execute_batch("VACUUM")
    };
    // No harm: the next opening tries again.
    if let Err(error) = rewrite() {
        tracing::warn!(
            "{} cannot learn to give room back to the disk: {error}",
            path.display()
        );
    }
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
