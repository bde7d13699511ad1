//! JSON as Python's `json.dumps` writes it where `ensure_ascii` is off: chat templates' `tojson`.

use serde_json::Value;
use std::{borrow::Cow, fmt::Write as _};

/// How values are set apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style<'a> {
    pub(super) item: &'a str,
    pub(super) key: &'a str,
    /// Spaces a level; each value on a line of its own then.
    pub(super) indent: Option<usize>,
    pub(super) sorted: bool,
}

impl Default for Style<'_> {
    fn default() -> Self {
        Self {
            item: ", ",
            key: ": ",
            indent: None,
            sorted: false,
        }
    }
}

impl Style<'_> {
    /// Each value on its line, so many spaces a level.
    pub(super) const fn indented(indent: usize) -> Self {
        Self {
            item: ",",
            key: ": ",
            indent: Some(indent),
            sorted: false,
        }
    }
}

/// Writes a value. Values come from a reader that bounds their depth.
pub(super) fn dumps(value: &Value, style: Style<'_>) -> String {
    let mut text = String::new();
    write(&mut text, value, style, 0);
    text
}

/// JSON that is an object, written anew; anything else as it stands. Servers parse a call's arguments
/// before they render them.
pub(super) fn arguments(text: &str) -> Cow<'_, str> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => Cow::Owned(dumps(&value, Style::default())),
        _ => Cow::Borrowed(text),
    }
}

/// The value of a text that is JSON.
pub(super) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn write(text: &mut String, value: &Value, style: Style<'_>, depth: usize) {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => text.push_str(&float_repr(float)),
            None => {
                let _ = write!(text, "{number}");
            }
        },
        Value::Array(items) => {
            let each = |text: &mut String, item: &Value| write(text, item, style, depth + 1);
            within(text, ['[', ']'], items.iter(), style, depth, each);
        }
        Value::Object(fields) => {
            let each = |text: &mut String, (key, item): (&String, &Value)| {
                let _ = write!(text, "{}{}", Value::from(key.as_str()), style.key);
                write(text, item, style, depth + 1);
            };
            if style.sorted {
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_by_key(|(key, _)| *key);
                within(text, ['{', '}'], sorted.into_iter(), style, depth, each);
            } else {
                within(text, ['{', '}'], fields.iter(), style, depth, each);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {
            let _ = write!(text, "{value}");
        }
    }
}

fn within<T>(
    text: &mut String,
    [open, close]: [char; 2],
    items: impl Iterator<Item = T>,
    style: Style<'_>,
    depth: usize,
    each: impl Fn(&mut String, T),
) {
    let line = |text: &mut String, depth: usize| {
        if let Some(indent) = style.indent {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    text.push(open);
    let mut any = false;
    for item in items {
        if std::mem::replace(&mut any, true) {
            text.push_str(style.item);
        }
        line(text, depth + 1);
        each(text, item);
    }
    if any {
        line(text, depth);
    }
    text.push(close);
}

/// `repr` of a float: the shortest digits, an exponent from 1e16 on and below 1e-4.
fn float_repr(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..16 => {
            let plain = format!("{float}");
            if plain.contains('.') {
                plain
            } else {
                format!("{plain}.0")
            }
        }
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        // Each as Python 3.11 wrote it.
        let value = value(
            r#"{"b":[1,2.5,{"c":null}],"a":{},"d":[],"e":"é\n\u0001\"","f":[1e16,1e-5,1e15,0.0001,-0.0,100.0]}"#,
        );
        assert_eq!(
            dumps(&value, Style::default()),
            "{\"b\": [1, 2.5, {\"c\": null}], \"a\": {}, \"d\": [], \"e\": \"é\\n\\u0001\\\"\", \
             \"f\": [1e+16, 1e-05, 1000000000000000.0, 0.0001, -0.0, 100.0]}"
        );
        let small = super::value(r#"{"b":[1,{"c":[]}],"a":{}}"#);
        assert_eq!(
            dumps(
                &small,
                Style {
                    item: ",",
                    key: ":",
                    ..Style::default()
                }
            ),
            r#"{"b":[1,{"c":[]}],"a":{}}"#
        );
        assert_eq!(
            dumps(&small, Style::indented(4)),
            "{\n    \"b\": [\n        1,\n        {\n            \"c\": []\n        }\n    ],\n    \"a\": {}\n}"
        );
        let sorted = Style {
            sorted: true,
            ..Style::default()
        };
        assert_eq!(dumps(&small, sorted), r#"{"a": {}, "b": [1, {"c": []}]}"#);
        assert_eq!(arguments(r#"{"a":1}"#), r#"{"a": 1}"#);
        assert_eq!(arguments("[1,2]"), "[1,2]");
        assert_eq!(arguments("{\"a\":"), "{\"a\":");
    }
}
