//! A call's row as it comes back from the store.

use std::borrow::Cow;

use rusqlite::types::Value as Cell;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value as Json};

use super::{CALL_COLUMNS, ID, Kind, Value};
use crate::{call::CallKey, time::Timestamp};

/// One row of `calls`. It shows itself as [`Row`](super::Row) shows the call that it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRow {
    /// The store's number for it.
    pub id: i64,
    cells: Vec<Cell>,
}

impl StoredRow {
    /// `cells` stand in the order of [`CALL_COLUMNS`].
    pub(crate) const fn new(id: i64, cells: Vec<Cell>) -> Self {
        Self { id, cells }
    }

    /// The value in the column of this name.
    pub fn get(&self, name: &str) -> Json {
        if name == ID {
            return self.id.into();
        }
        let place = CALL_COLUMNS.iter().position(|column| column.name == name);
        let cell = place.and_then(|place| Some((CALL_COLUMNS[place].kind, self.cells.get(place)?)));
        cell.map_or(Json::Null, |(kind, cell)| json(kind, cell))
    }

    /// The whole number, unscaled, in the column at this place of [`CALL_COLUMNS`].
    pub fn integer(&self, place: usize) -> Option<i64> {
        match self.cells.get(place) {
            Some(Cell::Integer(n)) => Some(*n),
            _ => None,
        }
    }

    /// The number, unscaled, in the column at this place of [`CALL_COLUMNS`].
    pub fn real(&self, place: usize) -> Option<f64> {
        match self.cells.get(place) {
            Some(Cell::Real(x)) => Some(*x),
            Some(Cell::Integer(n)) => Some(*n as f64),
            _ => None,
        }
    }

    /// The text in the column at this place of [`CALL_COLUMNS`]; keys as hexadecimal digits, lists as JSON.
    pub fn text(&self, place: usize) -> Option<Cow<'_, str>> {
        match self.cells.get(place) {
            Some(Cell::Text(text)) => Some(Cow::Borrowed(text)),
            Some(Cell::Blob(bytes)) => {
                let key = CallKey(bytes.as_slice().try_into().ok()?);
                Some(Cow::Owned(key.to_string()))
            }
            _ => None,
        }
    }

    /// The row as CSV fields, in order.
    pub fn csv_fields(&self) -> Vec<String> {
        let id = std::iter::once(self.id.to_string());
        let cells = CALL_COLUMNS.iter().zip(&self.cells);
        id.chain(cells.map(|(column, cell)| csv(column.kind, cell)))
            .collect()
    }

    /// The row as a JSON object, its keys in order.
    pub fn to_json(&self) -> Map<String, Json> {
        let id = std::iter::once((ID.to_owned(), self.id.into()));
        let cells = CALL_COLUMNS.iter().zip(&self.cells);
        id.chain(cells.map(|(column, cell)| (column.name.to_owned(), json(column.kind, cell))))
            .collect()
    }
}

impl Serialize for StoredRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + CALL_COLUMNS.len()))?;
        map.serialize_entry(ID, &self.id)?;
        for (column, cell) in CALL_COLUMNS.iter().zip(&self.cells) {
            match value(column.kind, cell) {
                Some(value) => map.serialize_entry(column.name, &value)?,
                None => map.serialize_entry(column.name, &json(column.kind, cell))?,
            }
        }
        map.end()
    }
}

/// What the cell of a column holds; `None` for lists, which a value only borrows.
fn value(kind: Kind, cell: &Cell) -> Option<Value<'_>> {
    Some(match (kind, cell) {
        (Kind::List, Cell::Text(_)) => return None,
        (Kind::Bool, Cell::Integer(n)) => Value::Bool(*n != 0),
        (Kind::Time, Cell::Integer(n)) => Value::Time(Timestamp::from_micros(*n)),
        (Kind::Duration, Cell::Integer(n)) => Value::Duration(*n),
        (Kind::Money, Cell::Integer(nanos)) => Value::Money(*nanos),
        (Kind::FineDuration, Cell::Real(x)) => Value::FineDuration(*x),
        (Kind::Json, Cell::Text(text)) => Value::Json(text.clone()),
        (_, Cell::Integer(n)) => Value::Integer(*n),
        (_, Cell::Real(x)) => Value::Real(*x),
        (_, Cell::Text(text)) => Value::Text(Cow::Borrowed(text)),
        (_, Cell::Blob(bytes)) => bytes
            .as_slice()
            .try_into()
            .map_or(Value::Null, |key| Value::Key(CallKey(key))),
        (_, Cell::Null) => Value::Null,
    })
}

fn json(kind: Kind, cell: &Cell) -> Json {
    match (value(kind, cell), cell) {
        (Some(value), _) => value.to_json(),
        (None, Cell::Text(text)) => serde_json::from_str(text).unwrap_or_default(),
        (None, _) => Json::Null,
    }
}

fn csv(kind: Kind, cell: &Cell) -> String {
    match (value(kind, cell), cell) {
        (Some(value), _) => value.to_csv().into_owned(),
        (None, Cell::Text(text)) => {
            let items: Vec<String> = serde_json::from_str(text).unwrap_or_default();
            items.join(";")
        }
        (None, _) => String::new(),
    }
}
