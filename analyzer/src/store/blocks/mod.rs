//! Column blocks: what questions are answered from.
//!
//! A question such as "p95 of ttft by model since Monday" reads a dozen of a row's ninety columns in all rows.
//! So the writer keeps, beside the wide rows, blocks of [`BLOCK_ROWS`] rows each in which these columns stand
//! one after the other: some 40 bytes a row in place of 700, and 2,048 rows decoded in well under a millisecond.
//! All filters, sortings, groups and series are answered from them, so that the table of calls needs no
//! index for any of it, and writing stays cheap.
//!
//! Blocks are a copy, and never believed further than they reach: a block says which ids it covers, rows
//! that no block covers are read from the table, and a trigger removes the block of a row that is deleted or
//! changed. So a row that was just written, a retention that takes rows away, and a `kill -9` need no
//! repair; `build` brings the copy up to date in small steps.

mod build;
mod codec;
mod facts;

use std::{
    collections::HashSet,
    hash::{Hash as _, Hasher as _},
};

use rusqlite::{Connection, OptionalExtension as _};

pub(super) use build::{Step, build};
pub use facts::{Dictionary, Facts, Wanted};

/// Rows in a block. As many rows at most, and those of the last batches, are read from the table. Tests have
/// few rows, and want some blocks of them.
pub(super) const BLOCK_ROWS: usize = if cfg!(test) { 32 } else { 2_048 };

/// What calls are told apart by: texts, few of them many times. A new one is one line here.
pub const DIMENSIONS: &[Field] = &[
    Field::new(
        "model",
        "ifnull(request_model, response_model)",
        &["request_model", "response_model"],
        "the model that was asked for, else the one that answered",
    ),
    Field::column("operation", &["operation"], "the OpenTelemetry operation"),
    Field::column("dialect", &["dialect"], "the wire API"),
    Field::column("outcome", &["outcome"], "how it ended"),
    Field::new(
        "status",
        "CAST(status AS TEXT)",
        &["status"],
        "the HTTP status code",
    ),
    Field::new(
        "client",
        "ifnull(client, peer)",
        &["client", "peer"],
        "the client's address, else the TCP client's",
    ),
    Field::column(
        "user",
        &["user"],
        "the user, by the body's field or a configured header",
    ),
    Field::column("key", &["key"], "the keyed hash of the API key"),
    Field::new(
        "stream",
        "CASE stream WHEN 0 THEN 'false' WHEN 1 THEN 'true' END",
        &["stream"],
        "whether the answer was streamed",
    ),
    Field::column("server", &["server"], "the model server's address and port"),
    Field::column("source", &["source"], "where the call was seen"),
    Field::column("currency", &["currency"], "the currency of the cost"),
    Field::new(
        "outer",
        "CASE WHEN outer_of IS NULL THEN NULL ELSE 'true' END",
        &["outer_of"],
        "whether the row shows a call from farther out",
    ),
    Field::column("labels", &["labels"], "the labels, as a JSON object"),
];

/// What is summed up and compared: whole numbers from 0 on. A new one is one line here.
pub const MEASURES: &[Field] = &[
    Field::column(
        "input_tokens",
        &["input_tokens"],
        "all prompt tokens, cached ones included",
    ),
    Field::column(
        "output_tokens",
        &["output_tokens"],
        "all generated tokens, reasoning included",
    ),
    Field::column("total_tokens", &["total_tokens"], "the sum of the two"),
    Field::column(
        "cached_tokens",
        &["cached_tokens"],
        "prompt tokens that came from a cache",
    ),
    Field::column(
        "reasoning_tokens",
        &["reasoning_tokens"],
        "generated tokens that were reasoning",
    ),
    Field::column("elapsed", &["elapsed"], "microseconds from begin to end"),
    Field::column("ttft", &["ttft"], "microseconds to the first token"),
    // In nanoseconds, so that a whole number is exact enough for the fastest server.
    Field::new(
        "tpot",
        "CAST(round(tpot * 1000) AS INTEGER)",
        &["tpot"],
        "nanoseconds a token after the first",
    ),
    Field::column(
        "cost",
        &["cost"],
        "billionths of the currency's unit, by the price table",
    ),
];

/// When a call was: its first time that is known.
const TIME: Field = Field::new(
    "time",
    "coalesce(request_start, response_head, ended)",
    &["request_start", "response_head", "ended"],
    "when it began, as far as that is known: microseconds since the Unix epoch",
);

/// A column of a block, and how it comes from a row.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, as questions name it.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    sql: &'static str,
    /// The columns of `calls` that the expression reads; where an older schema has not all, it is NULL.
    needs: &'static [&'static str],
}

impl Field {
    const fn new(
        name: &'static str,
        sql: &'static str,
        needs: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            doc,
            sql,
            needs,
        }
    }

    /// The column of that name.
    const fn column(name: &'static str, needs: &'static [&'static str], doc: &'static str) -> Self {
        Self::new(name, name, needs, doc)
    }

    fn expression(&self, columns: &HashSet<String>) -> String {
        let there = self.needs.iter().all(|name| columns.contains(*name));
        if !there {
            return "NULL".to_owned();
        }
        if self.sql == self.name {
            return format!("\"{}\"", self.name);
        }
        self.sql.to_owned()
    }
}

/// The place of a dimension in [`DIMENSIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dimension(pub(crate) usize);

/// The place of a measure in [`MEASURES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Measure(pub(crate) usize);

impl Dimension {
    /// The dimension of this name.
    pub fn named(name: &str) -> Option<Self> {
        let place = DIMENSIONS.iter().position(|field| field.name == name);
        place.map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        DIMENSIONS[self.0].name
    }
}

impl Measure {
    /// The measure of this name.
    pub fn named(name: &str) -> Option<Self> {
        let place = MEASURES.iter().position(|field| field.name == name);
        place.map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        MEASURES[self.0].name
    }
}

/// The number of the blocks' form: it follows the definitions above, so that blocks which were made by
/// others are never misread. They are left out, and built anew.
pub(crate) fn format() -> i64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    codec::VERSION.hash(&mut hasher);
    for field in DIMENSIONS.iter().chain(MEASURES).chain([&TIME]) {
        field.name.hash(&mut hasher);
        field.sql.hash(&mut hasher);
    }
    (hasher.finish() >> 1) as i64
}

/// FNV-1a: the standard library's hashers may change from one release to the next.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The columns that `calls` has in this file.
pub(crate) fn columns_of_calls(db: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut select = db.prepare_cached("SELECT name FROM pragma_table_info('calls')")?;
    select.query_map([], |row| row.get(0))?.collect()
}

/// Whether the file has the table of blocks; an older schema has none.
pub(crate) fn there(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'call_blocks'")?
        .exists([])
}

/// The wanted columns of a block; `None` where it is damaged.
pub(super) fn load(db: &Connection, first: i64, wanted: Wanted) -> rusqlite::Result<Option<Facts>> {
    let mut select = db.prepare_cached("SELECT columns FROM call_blocks WHERE first_id = ?1")?;
    let facts = select.query_row([first], |row| {
        let bytes = row.get_ref(0)?;
        Ok(bytes
            .as_blob()
            .ok()
            .and_then(|bytes| codec::decode(bytes, wanted)))
    });
    Ok(facts.optional()?.flatten())
}
