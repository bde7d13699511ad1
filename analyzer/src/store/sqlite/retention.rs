//! Retention: what is too old or too much goes, in steps that rows can come between.
//!
//! Bodies go by the index of their ages. Rows go in the order of their ids, which is that of their storing, so
//! that no index has to be kept for it: where a clock was wrong for a while, the rows behind it wait for it or
//! for the bound of the size.
//!
//! Sizes are those on disk: what bodies take is reckoned ([`body_disk_bytes`]), rows and all else take the
//! rest of the pages in use. So the two bounds together bound the file, whatever else it comes to hold.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::{SqliteStore, open};
use crate::store::{Removed, Upkeep, schema::body_disk_bytes};

/// How long a step removes before it commits: what a row may have to wait for it.
const STEP_TIME: Duration = Duration::from_millis(25);

/// The same where the bound is passed by a 64th: what comes is more than such steps remove, and the bound
/// stands above the speed.
const LONG_STEP_TIME: Duration = Duration::from_millis(200);

/// Bodies or rows that are looked up at a time.
const CHUNK: i64 = 64;

/// Removal goes on to this part below the bound, so that not every batch brings one.
const MARGIN: u64 = 64;

/// Pages given back in a step: 4 MiB of the usual ones.
const PAGES_GIVEN_BACK: i64 = 1_024;

/// Free pages that are kept, to be used again: a part of the file, and at least some.
const FREE_PART: i64 = 16;
const FREE_LEAST: i64 = 1_024;

/// The row of `tallies`.
#[derive(Clone, Copy, Debug)]
struct Tallies {
    body_bytes: u64,
    since: i64,
}

/// Why something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Age,
    Size,
}

impl SqliteStore {
    /// Whether rows or bodies take more than they may.
    pub(super) fn is_past_size(&self) -> rusqlite::Result<bool> {
        let bodies = tallies(&self.db)?.body_bytes;
        let rows = used_bytes(&self.db)?.saturating_sub(bodies);
        let retention = &self.settings.retention;
        let past = |bytes: u64, max: Option<u64>| max.is_some_and(|max| bytes > max);
        Ok(past(bodies, retention.bodies.max_bytes) || past(rows, retention.rows.max_bytes))
    }

    /// Removes bodies, then rows; where there are none to remove, gives room back.
    pub(super) fn step_of_upkeep(&mut self) -> rusqlite::Result<Upkeep> {
        let mut upkeep = Upkeep {
            bodies: self.remove_bodies()?,
            rows: self.remove_rows()?,
            freed: 0,
        };
        if upkeep.is_done() {
            self.over = false;
            upkeep.freed = self.give_back()?;
        } else {
            self.over = self.is_past_size()?;
        }
        Ok(upkeep)
    }

    /// The time before which things are too old.
    fn oldest_kept(&self, max_age: Option<Duration>) -> i64 {
        let max_age = max_age.and_then(|age| i64::try_from(age.as_micros()).ok());
        max_age.map_or(i64::MIN, |age| {
            (self.settings.clock)().as_micros().saturating_sub(age)
        })
    }

    fn remove_bodies(&mut self) -> rusqlite::Result<Removed> {
        let keep = self.settings.retention.bodies;
        let oldest = self.oldest_kept(keep.max_age);
        let mut removed = Removed::default();
        let mut freed = 0_u64;
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stored = tallies(&transaction)?.body_bytes;
        let mut surplus = surplus(stored, keep.max_bytes);
        let deadline = Instant::now() + step_time(surplus, keep.max_bytes);
        {
            let mut select = transaction.prepare_cached(OLDEST_BODIES)?;
            let mut delete = transaction.prepare_cached("DELETE FROM bodies WHERE call_id = ?1")?;
            'step: while Instant::now() < deadline {
                let chunk: Vec<(i64, i64, i64)> = select
                    .query_map([CHUNK], |row| row.try_into())?
                    .collect::<Result<_, _>>()?;
                if chunk.is_empty() {
                    // Somebody else removed some as well: the reckoning begins anew.
                    freed = stored;
                    break;
                }
                for (id, stored_at, bytes) in chunk {
                    let Some(reason) = reason(stored_at < oldest, surplus) else {
                        break 'step;
                    };
                    delete.execute([id])?;
                    removed.count(reason);
                    let bytes = body_disk_bytes(bytes).max(0) as u64;
                    surplus = surplus.saturating_sub(bytes);
                    freed = freed.saturating_add(bytes);
                    // A long body takes a millisecond.
                    if Instant::now() >= deadline {
                        break 'step;
                    }
                }
            }
            if freed > 0 {
                take_off(&transaction, 0, freed, 0)?;
            }
        }
        transaction.commit()?;
        Ok(removed)
    }

    fn remove_rows(&mut self) -> rusqlite::Result<Removed> {
        let keep = self.settings.retention.rows;
        let oldest = self.oldest_kept(keep.max_age);
        let mut removed = Removed::default();
        let (mut rows, mut records, mut body_bytes) = (0_i64, 0_i64, 0_u64);
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Tallies {
            body_bytes: bodies,
            since,
        } = tallies(&transaction)?;
        let at_first = used_bytes(&transaction)?.saturating_sub(bodies);
        let at_first = surplus(at_first, keep.max_bytes);
        let deadline = Instant::now() + step_time(at_first, keep.max_bytes);
        {
            let mut select = transaction.prepare_cached(OLDEST_ROWS)?;
            let mut delete_bodies = transaction
                .prepare_cached("DELETE FROM bodies WHERE call_id = ?1 RETURNING bytes")?;
            let mut delete = transaction.prepare_cached("DELETE FROM calls WHERE id = ?1")?;
            'step: while Instant::now() < deadline {
                // Pages become free as rows go, so that the rest is known anew for each chunk.
                let taken =
                    used_bytes(&transaction)?.saturating_sub(bodies.saturating_sub(body_bytes));
                let surplus = surplus(taken, keep.max_bytes);
                let chunk: Vec<(i64, Option<i64>, bool)> = select
                    .query_map([CHUNK], |row| row.try_into())?
                    .collect::<Result<_, _>>()?;
                if chunk.is_empty() {
                    break;
                }
                for (id, stored_at, is_record) in chunk {
                    let too_old = stored_at.unwrap_or(since) < oldest;
                    let Some(reason) = reason(too_old, surplus) else {
                        break 'step;
                    };
                    let bytes = delete_bodies.query_row([id], |row| row.get::<_, i64>(0));
                    if let Some(bytes) = bytes.optional()? {
                        body_bytes += body_disk_bytes(bytes).max(0) as u64;
                    }
                    delete.execute([id])?;
                    removed.count(reason);
                    rows += 1;
                    records += i64::from(is_record);
                }
            }
            if rows > 0 {
                take_off(&transaction, rows, body_bytes, records)?;
            }
        }
        transaction.commit()?;
        Ok(removed)
    }

    /// Gives free pages back to the disk, but for some that will be used again.
    fn give_back(&self) -> rusqlite::Result<u64> {
        if number(&self.db, "auto_vacuum")? != open::INCREMENTAL {
            return Ok(0);
        }
        let pages = number(&self.db, "page_count")?;
        let kept = (pages / FREE_PART).max(FREE_LEAST);
        let surplus = number(&self.db, "freelist_count")?.saturating_sub(kept);
        if surplus <= 0 {
            return Ok(0);
        }
        let give = surplus.min(PAGES_GIVEN_BACK);
        // A page for each row that it answers.
        let mut statement = self
            .db
            .prepare(&format!("PRAGMA incremental_vacuum({give})"))?;
        let mut given = statement.query([])?;
        while given.next()?.is_some() {}
        drop(given);
        drop(statement);
        // The file is cut when the log is brought into it.
        self.db
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        let left = number(&self.db, "page_count")?;
        let freed = pages.saturating_sub(left).max(0) as u64;
        Ok(freed.saturating_mul(number(&self.db, "page_size")?.max(0) as u64))
    }
}

impl Removed {
    fn count(&mut self, reason: Reason) {
        match reason {
            Reason::Age => self.by_age += 1,
            Reason::Size => self.by_size += 1,
        }
    }
}

pub(super) const OLDEST_BODIES: &str =
    "SELECT call_id, stored_at, bytes FROM bodies ORDER BY stored_at LIMIT ?1";

pub(super) const OLDEST_ROWS: &str =
    "SELECT id, stored_at, outer_of IS NULL FROM calls ORDER BY id LIMIT ?1";

/// Why the oldest goes; `None` where it stays.
const fn reason(too_old: bool, surplus: u64) -> Option<Reason> {
    match (too_old, surplus) {
        (true, _) => Some(Reason::Age),
        (false, 1..) => Some(Reason::Size),
        (false, 0) => None,
    }
}

/// Bytes that have to go: where there are too many, down to a little below the bound.
fn surplus(bytes: u64, max: Option<u64>) -> u64 {
    match max {
        Some(max) if bytes > max => bytes - (max - max / MARGIN),
        _ => 0,
    }
}

/// How long a step may take that finds so much to remove.
fn step_time(surplus: u64, max: Option<u64>) -> Duration {
    match max {
        Some(max) if surplus > 2 * (max / MARGIN) => LONG_STEP_TIME,
        _ => STEP_TIME,
    }
}

/// Bytes of the pages that hold something.
fn used_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let pages = number(db, "page_count")? - number(db, "freelist_count")?;
    Ok(pages.saturating_mul(number(db, "page_size")?).max(0) as u64)
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}

fn tallies(db: &Connection) -> rusqlite::Result<Tallies> {
    let mut select = db.prepare_cached("SELECT body_bytes, since FROM tallies")?;
    select.query_row([], |row| {
        Ok(Tallies {
            body_bytes: row.get::<_, i64>(0)?.max(0) as u64,
            since: row.get(1)?,
        })
    })
}

fn take_off(db: &Connection, rows: i64, body_bytes: u64, records: i64) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE tallies SET rows = rows - ?1, body_bytes = body_bytes - ?2, \
         removed_records = removed_records + ?3",
    )?;
    let body_bytes = i64::try_from(body_bytes).unwrap_or(i64::MAX);
    update.execute([rows, body_bytes, records]).map(drop)
}
