//! The columns of a row: one definition for SQLite, JSON, NDJSON and CSV.
//!
//! A table of [`Column`]s names each column once, with its kind, its meaning and the field that it
//! shows. What a [`Kind`] looks like outside is decided here, once:
//!
//! | kind | SQLite | JSON | CSV |
//! |---|---|---|---|
//! | `Time` | INTEGER, microseconds since the Unix epoch | seconds since the Unix epoch | the same |
//! | `Duration` | INTEGER, microseconds | seconds | seconds |
//! | `FineDuration` | REAL, microseconds | seconds | seconds |
//! | `Money` | INTEGER, billionths of the currency's unit: sums are exact | units | the same, exactly |
//! | `Bool` | INTEGER, 0 or 1 | `true`, `false` | `true`, `false` |
//! | `List` | TEXT, a JSON array | array | joined with `;` |
//! | `Json` | TEXT, a JSON value | the value | its text |
//! | `Key`, `OtherKey` | BLOB, 16 bytes | 32 hexadecimal digits | the same |

mod calls;
mod exchanges;
pub mod reference;
mod stored;

use std::borrow::Cow;

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value as Json};

use crate::{
    call::{Call, CallKey, ExchangeRow},
    cost::{self, NANOS},
    time::Timestamp,
};

pub use calls::CALL_COLUMNS;
pub use exchanges::EXCHANGE_COLUMNS;
pub use stored::StoredRow;

/// The name of the first column of a call's row, which the store gives.
pub const ID: &str = "id";

/// One column of a row of type `R`.
pub struct Column<R: 'static> {
    /// The name: the SQL column, the key in JSON and the heading in CSV.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// The schema version that brought it.
    pub since: u32,
    /// What it means, in one line.
    pub doc: &'static str,
    /// The value in a row.
    pub get: for<'a> fn(&'a R) -> Value<'a>,
}

impl<R> Column<R> {
    /// The same column, brought by a later schema version.
    #[must_use]
    pub const fn since(mut self, version: u32) -> Self {
        self.since = version;
        self
    }

    /// A column of the first schema version; later ones add `.since(N)`.
    const fn new(
        name: &'static str,
        kind: Kind,
        doc: &'static str,
        get: for<'a> fn(&'a R) -> Value<'a>,
    ) -> Self {
        Self {
            name,
            kind,
            since: 1,
            doc,
            get,
        }
    }
}

/// What the values of a column are. NULL is allowed in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// Text.
    Text,
    /// A point in time.
    Time,
    /// A span of time in whole microseconds.
    Duration,
    /// A span of time in fractional microseconds.
    FineDuration,
    /// An amount of money in whole billionths of the currency's unit.
    Money,
    /// A list of texts.
    List,
    /// A JSON value.
    Json,
    /// A call's key: unique, and there in each row.
    Key,
    /// The key of another call.
    OtherKey,
}

impl Kind {
    /// The type in SQLite.
    pub const fn sql_type(self) -> &'static str {
        match self {
            Self::Bool | Self::Integer | Self::Time | Self::Duration | Self::Money => "INTEGER",
            Self::Real | Self::FineDuration => "REAL",
            Self::Text | Self::List | Self::Json => "TEXT",
            Self::Key | Self::OtherKey => "BLOB",
        }
    }

    /// The unit in SQLite, where there is one.
    pub const fn sql_unit(self) -> Option<&'static str> {
        match self {
            Self::Time => Some("microseconds since the Unix epoch"),
            Self::Duration | Self::FineDuration => Some("microseconds"),
            Self::Money => Some("billionths of the currency's unit"),
            Self::List => Some("JSON array"),
            Self::Json => Some("JSON"),
            _ => None,
        }
    }
}

/// One value of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not known, or not defined.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A point in time.
    Time(Timestamp),
    /// Microseconds.
    Duration(i64),
    /// Fractional microseconds.
    FineDuration(f64),
    /// Billionths of a currency's unit.
    Money(i64),
    /// A list of texts.
    List(&'a [String]),
    /// A JSON value, as text.
    Json(String),
    /// A call's key.
    Key(CallKey),
}

impl Value<'_> {
    /// How a CSV field shows it; NULL is the empty field.
    pub fn to_csv(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Self::Integer(n) => Cow::Owned(n.to_string()),
            Self::Real(x) => Cow::Owned(x.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Time(time) => Cow::Owned(micros_as_seconds(time.as_micros())),
            Self::Duration(micros) => Cow::Owned(micros_as_seconds(*micros)),
            Self::FineDuration(micros) => Cow::Owned((micros / 1e6).to_string()),
            Self::Money(nanos) => Cow::Owned(cost::amount(*nanos)),
            Self::List(items) => Cow::Owned(items.join(";")),
            Self::Json(text) => Cow::Borrowed(text),
            Self::Key(key) => Cow::Owned(key.to_string()),
        }
    }

    /// How JSON shows it. Numbers that are not finite are `null`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::from(*b),
            Self::Integer(n) => Json::from(*n),
            Self::Real(x) => Json::from(*x),
            Self::Text(text) => Json::from(text.as_ref()),
            Self::Time(time) => Json::from(time.as_seconds()),
            Self::Duration(micros) => Json::from(*micros as f64 / 1e6),
            Self::FineDuration(micros) => Json::from(micros / 1e6),
            Self::Money(nanos) => Json::from(*nanos as f64 / NANOS as f64),
            Self::List(items) => Json::from(*items),
            Self::Json(text) => serde_json::from_str(text).unwrap_or_default(),
            Self::Key(key) => Json::from(key.to_string()),
        }
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Integer(n) => serializer.serialize_i64(*n),
            Self::Real(x) => serializer.serialize_f64(*x),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Time(time) => serializer.serialize_f64(time.as_seconds()),
            Self::Duration(micros) => serializer.serialize_f64(*micros as f64 / 1e6),
            Self::FineDuration(micros) => serializer.serialize_f64(micros / 1e6),
            Self::Money(nanos) => serializer.serialize_f64(*nanos as f64 / NANOS as f64),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in *items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Json(_) => self.to_json().serialize(serializer),
            Self::Key(key) => serializer.collect_str(key),
        }
    }
}

/// A row that serialises itself as an object with its columns in order: a line of NDJSON.
pub struct Row<'a, R: 'static> {
    columns: &'static [Column<R>],
    id: Option<Value<'static>>,
    fields: &'a R,
}

impl<'a> Row<'a, Call> {
    /// A call's row; `id` is the store's number for it, `null` where it is not stored.
    pub fn call(call: &'a Call, id: Option<i64>) -> Self {
        Self {
            columns: CALL_COLUMNS,
            id: Some(id.map_or(Value::Null, Value::Integer)),
            fields: call,
        }
    }
}

impl<'a> Row<'a, ExchangeRow> {
    /// An exchange's row.
    pub fn exchange(row: &'a ExchangeRow) -> Self {
        Self {
            columns: EXCHANGE_COLUMNS,
            id: None,
            fields: row,
        }
    }
}

impl<R> Row<'_, R> {
    /// Names and values in order.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        let id = self.id.clone().map(|value| (ID, value));
        let columns = self.columns.iter();
        id.into_iter()
            .chain(columns.map(|column| (column.name, (column.get)(self.fields))))
    }

    /// The row as CSV fields, in order.
    pub fn csv_fields(&self) -> Vec<String> {
        self.cells()
            .map(|(_, value)| value.to_csv().into_owned())
            .collect()
    }

    /// The row as a JSON object, its keys in order.
    pub fn to_json(&self) -> Map<String, Json> {
        self.cells()
            .map(|(name, value)| (name.to_owned(), value.to_json()))
            .collect()
    }
}

impl<R> Serialize for Row<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.cells() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

/// The headings of calls' rows, in order, `id` first.
pub fn call_headings() -> impl Iterator<Item = &'static str> {
    std::iter::once(ID).chain(CALL_COLUMNS.iter().map(|column| column.name))
}

/// The headings of exchanges' rows, in order.
pub fn exchange_headings() -> impl Iterator<Item = &'static str> {
    EXCHANGE_COLUMNS.iter().map(|column| column.name)
}

/// A call's row as a JSON object, its keys in order.
pub fn row_json(call: &Call, id: Option<i64>) -> Map<String, Json> {
    Row::call(call, id).to_json()
}

/// Bytes of text in a row: what its size in memory depends on.
pub(crate) fn text_bytes(call: &Call) -> usize {
    let sizes = CALL_COLUMNS.iter().map(|column| match (column.get)(call) {
        Value::Text(text) => text.len(),
        Value::Json(text) => text.len(),
        Value::List(items) => items.iter().map(String::len).sum(),
        _ => 0,
    });
    sizes.sum()
}

/// Microseconds as seconds with six decimals, exact over the whole range.
fn micros_as_seconds(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let magnitude = micros.unsigned_abs();
    format!(
        "{sign}{}.{:06}",
        magnitude / 1_000_000,
        magnitude % 1_000_000
    )
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value<'_> {
    /// SQLite's integers end at 2⁶³ − 1, and so does this.
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u16> for Value<'_> {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Time(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests;
