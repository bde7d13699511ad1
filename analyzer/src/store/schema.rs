//! The schema, and its numbered migrations.
//!
//! `PRAGMA user_version` holds the number of the schema. A step to version N adds the columns of
//! calls that came with N ([`Column::since`](crate::columns::Column::since)) and then runs its SQL.

use std::{fmt::Write as _, path::Path};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::StoreError;
use crate::call::Call;
use crate::columns::{CALL_COLUMNS, Column, Kind};

/// `PRAGMA application_id` of our databases: "LLMT".
pub(super) const APPLICATION_ID: i32 = 0x4c4c_4d54;

/// What each version brings beside columns of calls; the first makes version 1.
const STEPS: &[&[&str]] = &[&[VERSION_1], &[VERSION_2], &[VERSION_3, BLOCKS]];

/// The newest schema version that this program knows.
pub(super) const NEWEST: u32 = newest();

/// Bodies, and the old tracker's view. `stored_at` and `bytes` stand before the texts: the index of
/// the two answers all questions of retention without touching a text.
const VERSION_1: &str = "
CREATE TABLE bodies (
    call_id INTEGER PRIMARY KEY REFERENCES calls (id),
    stored_at INTEGER NOT NULL, -- when it was written: microseconds since the Unix epoch
    bytes INTEGER NOT NULL, -- of the four texts together
    request_head TEXT NOT NULL, -- the first part
    request_tail TEXT NOT NULL, -- the last part, where something between is left out
    request_omitted INTEGER NOT NULL, -- bytes left out between the two
    response_head TEXT NOT NULL,
    response_tail TEXT NOT NULL,
    response_omitted INTEGER NOT NULL
) STRICT;
CREATE INDEX bodies_by_age ON bodies (stored_at, bytes);
CREATE VIEW token_stats AS SELECT
    c.id AS id,
    ifnull(c.input_tokens, 0) AS input_tokens,
    ifnull(c.output_tokens, 0) AS output_tokens,
    ifnull(c.total_tokens, 0) AS total_tokens,
    ifnull(c.elapsed / 1e6, 0.0) AS elapsed_time, -- seconds
    ifnull(c.tokens_per_second, 0.0) AS tokens_per_second,
    ifnull(c.reported_timestamp,
        strftime('%Y-%m-%dT%H:%M:%S', c.ended / 1000000, 'unixepoch')
            || printf('.%06dZ', c.ended % 1000000)) AS timestamp,
    c.path AS path,
    c.request_model AS model,
    ifnull(c.client, c.peer) AS ip_address,
    CASE WHEN b.request_omitted > 0
        THEN b.request_head || printf('[... %d bytes left out ...]', b.request_omitted) || b.request_tail
        ELSE b.request_head END AS request_body,
    CASE WHEN b.response_omitted > 0
        THEN b.response_head || printf('[... %d bytes left out ...]', b.response_omitted) || b.response_tail
        ELSE b.response_head END AS response_body
FROM calls AS c LEFT JOIN bodies AS b ON b.call_id = c.id;
";

/// A call that was seen on two connections is one record of the old tracker's. The rest of the view is as
/// it was.
const VERSION_2: &str = "
DROP VIEW token_stats;
CREATE VIEW token_stats AS SELECT
    c.id AS id,
    ifnull(c.input_tokens, 0) AS input_tokens,
    ifnull(c.output_tokens, 0) AS output_tokens,
    ifnull(c.total_tokens, 0) AS total_tokens,
    ifnull(c.elapsed / 1e6, 0.0) AS elapsed_time, -- seconds
    ifnull(c.tokens_per_second, 0.0) AS tokens_per_second,
    ifnull(c.reported_timestamp,
        strftime('%Y-%m-%dT%H:%M:%S', c.ended / 1000000, 'unixepoch')
            || printf('.%06dZ', c.ended % 1000000)) AS timestamp,
    c.path AS path,
    c.request_model AS model,
    ifnull(c.client, c.peer) AS ip_address,
    CASE WHEN b.request_omitted > 0
        THEN b.request_head || printf('[... %d bytes left out ...]', b.request_omitted) || b.request_tail
        ELSE b.request_head END AS request_body,
    CASE WHEN b.response_omitted > 0
        THEN b.response_head || printf('[... %d bytes left out ...]', b.response_omitted) || b.response_tail
        ELSE b.response_head END AS response_body
FROM calls AS c LEFT JOIN bodies AS b ON b.call_id = c.id
WHERE c.outer_of IS NULL;
";

/// Column blocks, from which questions are answered (see `blocks`). What stands before the texts of a block is
/// read without them. The triggers keep a block from telling of rows that are no more.
const BLOCKS: &str = "
CREATE TABLE call_blocks (
    first_id INTEGER PRIMARY KEY, -- all calls from this id
    last_id INTEGER NOT NULL, -- to this one stand in it
    format INTEGER NOT NULL, -- the form of the columns, and which they are
    time_from INTEGER, -- the first time of a call in it: microseconds since the Unix epoch
    time_to INTEGER, -- the last
    timeless INTEGER NOT NULL, -- 1 where a call has no time
    columns BLOB NOT NULL -- a copy of some columns of these calls
) STRICT;
CREATE TRIGGER call_blocks_delete AFTER DELETE ON calls BEGIN
    DELETE FROM call_blocks WHERE last_id >= old.id
        AND first_id = (SELECT max(first_id) FROM call_blocks WHERE first_id <= old.id);
END;
CREATE TRIGGER call_blocks_update AFTER UPDATE ON calls BEGIN
    DELETE FROM call_blocks WHERE last_id >= old.id
        AND first_id = (SELECT max(first_id) FROM call_blocks WHERE first_id <= old.id);
END;
";

/// What retention needs, and no more: rows go in the order of their ids, so that no write has to keep another
/// index. `tallies` has one row, written with each batch, so that no opening has to count. Body bytes are
/// reckoned as by [`body_disk_bytes`].
const VERSION_3: &str = "
ALTER TABLE calls ADD COLUMN stored_at INTEGER /* when the row was written; microseconds since the Unix epoch */;
CREATE TABLE tallies (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    rows INTEGER NOT NULL, -- rows of calls
    body_bytes INTEGER NOT NULL, -- what their bodies take on disk, nearly
    removed_records INTEGER NOT NULL, -- records of the old tracker's that retention removed: its offsets count them
    since INTEGER NOT NULL -- when the table was made, microseconds since the Unix epoch: the age of older rows
) STRICT;
INSERT INTO tallies SELECT 1,
    (SELECT count(*) FROM calls),
    (SELECT ifnull(sum(bytes + 64 + iif(bytes > 2000, 2048, 0)), 0) FROM bodies),
    0,
    CAST(unixepoch('subsec') * 1000000 AS INTEGER);
";

/// What a call's bodies of this many bytes take on disk, nearly: they and the columns beside them. Long ones
/// fill pages of their own, the last of which is half empty on the average.
pub(super) const fn body_disk_bytes(bytes: i64) -> i64 {
    const BESIDE: i64 = 64;
    const LONG: i64 = 2_000;
    const HALF_A_PAGE: i64 = 2_048;
    bytes + BESIDE + if bytes > LONG { HALF_A_PAGE } else { 0 }
}

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Empty: a new database.
    New,
    /// Ours, of this version.
    Version(u32),
    /// Another program's.
    Foreign,
}

impl Found {
    /// Whether rows can be read from it: it is ours, and of a version that this program knows.
    pub(super) fn readable(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_owned();
        match self {
            Self::Version(found) if *found > NEWEST => Err(StoreError::Newer {
                path,
                found: *found,
                known: NEWEST,
            }),
            Self::Version(_) => Ok(()),
            Self::New | Self::Foreign => Err(StoreError::Foreign { path }),
        }
    }
}

/// Looks at a database without changing it; in one snapshot, since another process may be making it.
pub(super) fn look(db: &Connection) -> rusqlite::Result<Found> {
    let db = db.unchecked_transaction()?;
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (id, u32::try_from(version)) {
        (APPLICATION_ID, Ok(version)) => Found::Version(version),
        (0, Ok(0)) if tables == 0 => Found::New,
        _ => Found::Foreign,
    })
}

/// Brings a database to [`NEWEST`], each step in a transaction of its own.
pub(super) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    for step in 1..=NEWEST {
        // Two processes may open a new file at once: whoever comes second finds the step done.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: u32 = transaction.pragma_query_value(None, "user_version", |r| r.get(0))?;
        if version < step {
            apply(&transaction, step)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

/// The insertion of a call: its columns in the order of the table, then when it was stored.
pub(super) fn insert_call() -> String {
    let names: Vec<_> = CALL_COLUMNS
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    let places = vec!["?"; names.len()];
    format!(
        "INSERT OR IGNORE INTO calls ({}, stored_at) VALUES ({}, ?)",
        names.join(", "),
        places.join(", ")
    )
}

fn apply(transaction: &Transaction<'_>, step: u32) -> rusqlite::Result<()> {
    if step == 1 {
        transaction.execute_batch(&create_calls())?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    } else {
        for column in CALL_COLUMNS.iter().filter(|column| column.since == step) {
            transaction.execute_batch(&add_column(column))?;
        }
    }
    for sql in STEPS.get(step as usize - 1).copied().into_iter().flatten() {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "user_version", step)
}

/// The table of calls as of version 1, with what each column means as SQL comments: `.schema` shows them.
fn create_calls() -> String {
    let mut sql = "CREATE TABLE calls (\n    \"id\" INTEGER PRIMARY KEY AUTOINCREMENT".to_owned();
    for column in CALL_COLUMNS.iter().filter(|column| column.since == 1) {
        let _ = write!(sql, ", {}", definition(column));
    }
    sql.push_str("\n) STRICT");
    sql
}

fn add_column(column: &Column<Call>) -> String {
    format!("ALTER TABLE calls ADD COLUMN {}", definition(column))
}

fn definition(column: &Column<Call>) -> String {
    let unit = match column.kind.sql_unit() {
        Some(unit) => format!("; {unit}"),
        None => String::new(),
    };
    let constraint = match column.kind {
        Kind::Key => " NOT NULL UNIQUE",
        _ => "",
    };
    format!(
        "\n    \"{}\" {}{constraint} /* {}{unit} */",
        column.name,
        column.kind.sql_type(),
        column.doc,
    )
}

const fn newest() -> u32 {
    let mut newest = STEPS.len() as u32;
    let mut i = 0;
    while i < CALL_COLUMNS.len() {
        if CALL_COLUMNS[i].since > newest {
            newest = CALL_COLUMNS[i].since;
        }
        i += 1;
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Value;

    #[test]
    fn a_later_column_is_added_to_the_rows_that_are_there() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        db.execute("INSERT INTO calls (call_key) VALUES (x'00')", [])
            .unwrap();
        let later = Column {
            name: "later",
            kind: Kind::Duration,
            since: 1,
            doc: "what came later",
            get: |_| Value::Null,
        }
        .since(NEWEST + 1);
        assert_eq!(later.since, NEWEST + 1);
        db.execute_batch(&add_column(&later)).unwrap();
        let count = "SELECT count(*) FROM calls WHERE later IS NULL";
        assert_eq!(
            db.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(),
            1
        );
    }

    /// Version 2 brings `outer_of`, and a view that leaves such rows out.
    #[test]
    fn rows_of_version_1_stay_in_the_view() {
        let mut db = Connection::open_in_memory().unwrap();
        let transaction = db.transaction().unwrap();
        apply(&transaction, 1).unwrap();
        transaction.commit().unwrap();
        assert_eq!(look(&db).unwrap(), Found::Version(1));
        db.execute("INSERT INTO calls (call_key) VALUES (x'01')", [])
            .unwrap();
        migrate(&mut db).unwrap();
        let later = "INSERT INTO calls (call_key, outer_of) VALUES (x'02', x'01'), (x'03', NULL)";
        db.execute(later, []).unwrap();
        let mut select = db
            .prepare("SELECT id FROM token_stats ORDER BY id")
            .unwrap();
        let ids: Vec<i64> = select
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(ids, [1, 3]);
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        migrate(&mut db).unwrap();
        assert_eq!(look(&db).unwrap(), Found::Version(NEWEST));
    }

    #[test]
    fn the_schema_explains_itself() {
        let sql = create_calls();
        assert!(
            sql.contains("\"ttft\" INTEGER /* first_token - request_start; microseconds */"),
            "{sql}"
        );
        for column in CALL_COLUMNS {
            assert!(!column.doc.contains("*/"), "{}", column.name);
        }
    }
}
