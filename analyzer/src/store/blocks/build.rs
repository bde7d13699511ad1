//! Keeping the blocks up to date, in small steps.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{BLOCK_ROWS, Facts, Wanted, codec, columns_of_calls, format};

/// Blocks of another form that one step removes.
const REMOVED_AT_ONCE: u32 = 16;

/// A hole between blocks with fewer rows stays one: the retention takes rows from the oldest block bit by
/// bit, and a new block for each bit would be work for nothing.
const HOLE_ROWS: i64 = BLOCK_ROWS as i64 / 2;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Step {
    /// A block was built, or old ones were removed: there may be more to do.
    Done,
    /// Nothing: all is up to date.
    Idle,
}

/// Builds one block, if there are rows enough for one.
pub(in crate::store) fn build(db: &mut Connection) -> rusqlite::Result<Step> {
    // The right to write is taken first: between the look and the block, nobody writes.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let step = step(&transaction)?;
    transaction.commit()?;
    Ok(step)
}

fn step(transaction: &Transaction<'_>) -> rusqlite::Result<Step> {
    let format = format();
    let removed = transaction
        .prepare_cached(
            "DELETE FROM call_blocks WHERE first_id IN \
             (SELECT first_id FROM call_blocks WHERE format <> ?1 LIMIT ?2)",
        )?
        .execute((format, REMOVED_AT_ONCE))?;
    if removed > 0 {
        return Ok(Step::Done);
    }
    let last: Option<i64> = transaction
        .prepare_cached("SELECT last_id FROM call_blocks ORDER BY first_id DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let after = last.map_or(i64::MIN, |last| last.saturating_add(1));
    let whole_block = transaction
        .prepare_cached("SELECT id FROM calls WHERE id >= ?1 ORDER BY id LIMIT 1 OFFSET ?2")?
        .exists((after, BLOCK_ROWS as i64 - 1))?;
    let range = if whole_block {
        Some((after, i64::MAX))
    } else {
        hole(transaction)?
    };
    let Some(range) = range else {
        return Ok(Step::Idle);
    };
    let columns = columns_of_calls(transaction)?;
    let facts = Facts::read(transaction, &columns, Wanted::ALL, range, BLOCK_ROWS)?;
    insert(transaction, format, &facts)?;
    Ok(Step::Done)
}

/// The first hole between two blocks that is worth a block.
fn hole(transaction: &Transaction<'_>) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut holes = transaction.prepare_cached(
        "SELECT ifnull(lag(last_id) OVER (ORDER BY first_id), ?1 - 1) + 1 AS hole_begin, first_id - 1 AS hole_end \
         FROM call_blocks",
    )?;
    let mut count = transaction.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM calls WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
    )?;
    let mut holes = holes.query([i64::MIN + 1])?;
    while let Some(row) = holes.next()? {
        let (begin, end): (i64, i64) = row.try_into()?;
        if begin > end {
            continue;
        }
        let rows: i64 = count.query_row((begin, end, HOLE_ROWS), |row| row.get(0))?;
        if rows >= HOLE_ROWS {
            return Ok(Some((begin, end)));
        }
    }
    Ok(None)
}

fn insert(transaction: &Transaction<'_>, format: i64, facts: &Facts) -> rusqlite::Result<()> {
    let (Some(first), Some(last)) = (facts.ids.first(), facts.ids.last()) else {
        return Ok(());
    };
    let (from, to) = facts.times_between().unzip();
    let timeless = facts.times.iter().any(Option::is_none);
    transaction
        .prepare_cached("INSERT INTO call_blocks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            first,
            last,
            format,
            from,
            to,
            timeless,
            codec::encode(facts)
        ])?;
    Ok(())
}
