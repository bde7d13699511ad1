//! The read side: a connection of its own that cannot write.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{
    StoreError, schema,
    sqlite::{FileId, file_id},
};

/// Reads the database that a store writes.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
    /// Which file was opened.
    file: Option<FileId>,
}

/// The figures of one record as the old tracker showed them.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenStat {
    /// 0 where it is not known, as in the four that follow.
    pub input_tokens: i64,
    /// All generated tokens.
    pub output_tokens: i64,
    /// The sum.
    pub total_tokens: i64,
    /// Seconds.
    pub elapsed_time: f64,
    /// total_tokens / elapsed_time.
    pub tokens_per_second: f64,
    /// The request's path.
    pub path: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// The client's address, else the TCP client's.
    pub ip_address: Option<String>,
}

impl Reader {
    #[cfg(test)]
    pub(super) fn db_for_tests(&self) -> &Connection {
        &self.db
    }

    /// Opens a database that is there.
    ///
    /// # Errors
    /// Where it cannot be opened, or is not llmtap's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let error = |cause| StoreError::sqlite(path, cause);
        // Reading a WAL needs its shared memory, and that needs the right to write.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let absolute = std::path::absolute(path).map_err(|cause| StoreError::File {
            path: path.to_owned(),
            cause,
        })?;
        let db = Connection::open_with_flags(&absolute, flags).map_err(error)?;
        db.busy_timeout(std::time::Duration::from_secs(1))
            .map_err(error)?;
        db.pragma_update(None, "query_only", true).map_err(error)?;
        schema::look(&db).map_err(error)?.readable(&absolute)?;
        Ok(Self {
            db,
            file: file_id(&absolute),
            path: absolute,
        })
    }

    /// The file that it reads.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the database anew where another file has taken its place, as when it was set aside. Called
    /// before each use, it costs a look at the file's name.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn follow(&mut self) -> Result<(), StoreError> {
        if file_id(&self.path) != self.file {
            *self = Self::open(&self.path)?;
        }
        Ok(())
    }

    /// The record that has `offset` records before it, in the order in which they were stored. Rows that
    /// are the outer leg of another are none. Records that retention removed count as if they were there.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn record_at_offset(&self, offset: u64) -> Result<Option<TokenStat>, StoreError> {
        let Ok(offset) = i64::try_from(offset) else {
            return Ok(None);
        };
        let read = || {
            self.db
                .prepare_cached(AT_OFFSET)?
                .query_row([offset], |row| {
                    Ok(TokenStat {
                        input_tokens: row.get(0)?,
                        output_tokens: row.get(1)?,
                        total_tokens: row.get(2)?,
                        elapsed_time: row.get(3)?,
                        tokens_per_second: row.get(4)?,
                        path: row.get(5)?,
                        model: row.get(6)?,
                        ip_address: row.get(7)?,
                    })
                })
                .optional()
        };
        read().map_err(|cause| StoreError::sqlite(&self.path, cause))
    }

    /// How many calls are stored.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn calls(&self) -> Result<u64, StoreError> {
        let count = self
            .db
            .query_row("SELECT count(*) FROM calls", [], |row| row.get::<_, i64>(0));
        let count = count.map_err(|cause| StoreError::sqlite(&self.path, cause))?;
        Ok(count.max(0) as u64)
    }
}

const AT_OFFSET: &str = "SELECT input_tokens, output_tokens, total_tokens, elapsed_time, \
     tokens_per_second, path, model, ip_address FROM token_stats \
     WHERE ?1 >= (SELECT removed_records FROM tallies) \
     AND id = (SELECT id FROM calls WHERE outer_of IS NULL ORDER BY id \
         LIMIT 1 OFFSET ?1 - (SELECT removed_records FROM tallies))";
