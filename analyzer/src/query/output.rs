//! Rows as lines of text, for the API and for the command line.

use serde_json::{Map, Value as Json};

use crate::columns::{StoredRow, call_headings};

/// A line a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// A JSON object.
    Ndjson,
    /// Comma-separated values.
    Csv,
}

impl Lines {
    /// What stands before the first call.
    pub fn begin_calls(self, out: &mut Vec<u8>) {
        if self == Self::Csv {
            csv_line(out, call_headings());
        }
    }

    /// A call.
    pub fn call(self, out: &mut Vec<u8>, row: &StoredRow) {
        match self {
            Self::Csv => csv_line(out, row.csv_fields().iter().map(String::as_str)),
            Self::Ndjson => json_line(out, row),
        }
    }

    /// All the objects of an answer, each with the same keys.
    pub fn objects(self, objects: &[Map<String, Json>]) -> Vec<u8> {
        let mut out = Vec::new();
        if let (Self::Csv, Some(first)) = (self, objects.first()) {
            csv_line(&mut out, first.keys().map(String::as_str));
        }
        for object in objects {
            match self {
                Self::Ndjson => json_line(&mut out, object),
                Self::Csv => {
                    let fields: Vec<String> = object.values().map(field).collect();
                    csv_line(&mut out, fields.iter().map(String::as_str));
                }
            }
        }
        out
    }
}

/// The groups of a summary as flat objects; without groups, its total.
pub fn flat_summary(answer: &Json) -> Vec<Map<String, Json>> {
    let groups = answer["groups"].as_array();
    match groups {
        Some(groups) if answer["group_by"] != Json::Array(Vec::new()) => {
            groups.iter().map(flat).collect()
        }
        _ => vec![flat(&answer["total"])],
    }
}

/// The points of all series as flat objects, `time` first; points without a call are left out.
pub fn flat_series(answer: &Json) -> Vec<Map<String, Json>> {
    let number = |name: &str| answer[name].as_f64().unwrap_or_default();
    let (from, step) = (number("from"), number("step"));
    let mut rows = Vec::new();
    for series in answer["series"].as_array().into_iter().flatten() {
        let points = series["points"].as_array().into_iter().flatten();
        for (place, point) in points.enumerate().filter(|(_, point)| !point.is_null()) {
            let mut row = Map::new();
            row.insert("time".to_owned(), (from + place as f64 * step).into());
            for name in answer["group_by"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                row.insert(name.to_owned(), series[name].clone());
            }
            row.extend(flat(point));
            rows.push(row);
        }
    }
    rows
}

/// Objects inside an object become keys with an underscore between the names.
fn flat(object: &Json) -> Map<String, Json> {
    let mut map = Map::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match value {
            Json::Object(inner) => {
                for (inner_name, value) in inner {
                    map.insert(format!("{name}_{inner_name}"), value.clone());
                }
            }
            value => {
                map.insert(name.clone(), value.clone());
            }
        }
    }
    map
}

fn field(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn json_line(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    // Rows have text keys and finite numbers, and memory takes all that is written to it.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b'\n');
}

fn csv_line<'f>(out: &mut Vec<u8>, fields: impl Iterator<Item = &'f str>) {
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    let _ = writer.write_record(fields.map(str::as_bytes));
    let _ = writer.flush();
}
