//! What can go wrong with a store, said so that a person can act on it.

use std::{io, path::PathBuf};

use rusqlite::ErrorCode;

/// Why the store cannot be opened, read or written. Each text is: what happened, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder of the database cannot be made or entered.
    #[error(
        "cannot use the folder {path} for the database: {cause}. \
         Give a place that this user may write to with --db PATH"
    )]
    Directory {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The database file cannot be made or opened.
    #[error(
        "cannot open the database {path} for writing: {cause}. \
         Give a file that this user may write to with --db PATH"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is something else.
    #[error(
        "{path} is not a database of llmtap's, or so damaged that it cannot be told for one; nothing in it \
         was changed. Move it away, or give another file with --db PATH"
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database is ours, and damaged.
    #[error(
        "the database {path} is damaged ({why}). The llmtap that writes it sets it aside, and begins a new one, \
         before the next row"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// A damaged database cannot be set aside.
    #[error(
        "the database {path} is damaged and cannot be set aside: {cause}. \
         Move it away, or give another file with --db PATH"
    )]
    SetAside {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The log cannot be emptied, and has grown to its bound.
    #[error(
        "the log of {path} holds {bytes} bytes and cannot be emptied while another program reads the \
         database; rows are written again once it stops. End it, or raise --max-log-size"
    )]
    LogFull {
        /// The database's file.
        path: PathBuf,
        /// Bytes in the log.
        bytes: u64,
    },
    /// The file is a database of another program.
    #[error(
        "{path} is an SQLite database of another program; nothing in it was changed. \
         Give another file with --db PATH"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The database was written by a newer llmtap.
    #[error(
        "{path} has schema {found}, and this llmtap knows schemas up to {known}; nothing in it was changed. \
         Run the newer llmtap that wrote it, or give another file with --db PATH"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// There is no room to write.
    #[error(
        "the disk under {path} is full. Free some space (rows wait in memory meanwhile), \
         or give a place on another disk with --db PATH"
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the database.
    #[error(
        "{path} is locked by another process for longer than llmtap waits. \
         End what holds it, or give another file with --db PATH"
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The database may not be written.
    #[error(
        "{path} may be read but not written: it or its folder is read-only. \
         Make both writable for this user, or give another file with --db PATH"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The device failed.
    #[error("reading or writing {path} failed: {cause}. Check the disk and the system's log")]
    Device {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// Something else.
    #[error(
        "the database {path} refused: {cause}. Check the disk and the system's log, or give another file with --db PATH"
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// There is no such file to read.
    #[error("there is no database {path}. Name the file that llmtap writes with --db FILE")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be read.
    #[error(
        "cannot read the database {path}: {cause}. Ask as the user that llmtap runs as, or name another file \
         with --db FILE"
    )]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another file took the place of the one that was read.
    #[error("the database {path} was moved away or set aside while it was read. Ask again")]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// What is stored cannot be shown.
    #[error("what is stored cannot be shown as JSON")]
    Unreadable,
    /// A question took too long.
    #[error(
        "the question took longer than {seconds} s and was given up. \
         Ask for less: a shorter time, or fewer rows"
    )]
    Slow {
        /// How long it may take.
        seconds: f64,
    },
    /// The writer's thread cannot be started.
    #[error(
        "cannot start the thread that writes the store: {0}. Is the limit of processes (ulimit -u) reached?"
    )]
    Thread(io::Error),
}

impl StoreError {
    /// An error of SQLite about the database at `path`.
    pub(super) fn sqlite(path: &std::path::Path, cause: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                why: cause.to_string(),
            },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::SystemIoFailure) => Self::Device { path, cause },
            _ => Self::Other { path, cause },
        }
    }

    /// The name used in the metric `llmtap_store_errors_total`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "directory",
            Self::File { .. } => "file",
            Self::NotADatabase { .. } => "not_a_database",
            Self::Damaged { .. } => "damaged",
            Self::SetAside { .. } => "set_aside",
            Self::LogFull { .. } => "log_full",
            Self::Foreign { .. } => "foreign",
            Self::Newer { .. } => "newer",
            Self::Full { .. } => "full",
            Self::Locked { .. } => "locked",
            Self::ReadOnly { .. } => "read_only",
            Self::Device { .. } => "device",
            Self::Other { .. } => "other",
            Self::Missing { .. } => "missing",
            Self::Denied { .. } => "denied",
            Self::Replaced { .. } => "replaced",
            Self::Unreadable => "unreadable",
            Self::Slow { .. } => "slow",
            Self::Thread(_) => "thread",
        }
    }
}
