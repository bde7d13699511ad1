//! Rows as `--format ndjson` prints them.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// One row: the columns of a call or of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Map<String, Value>);

impl Row {
    /// The rows of NDJSON text.
    ///
    /// # Errors
    /// Where a line is no JSON object; the error shows it.
    pub fn parse_lines(text: &str) -> Result<Vec<Self>> {
        text.lines()
            .map(|line| {
                let row = serde_json::from_str(line);
                row.map(Self)
                    .with_context(|| format!("no JSON object: {line}"))
            })
            .collect()
    }

    /// A column; NULL where the row has none of that name.
    pub fn get(&self, column: &str) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    /// A text column.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.get(column).as_str()
    }

    /// A column of whole numbers.
    pub fn int(&self, column: &str) -> Option<i64> {
        self.get(column).as_i64()
    }

    /// A column of truth values.
    pub fn flag(&self, column: &str) -> Option<bool> {
        self.get(column).as_bool()
    }

    /// A mark or duration, shown in seconds, in microseconds.
    pub fn micros(&self, column: &str) -> Option<i64> {
        let seconds = self.get(column).as_f64()?;
        Some((seconds * 1e6).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_of_today_is_exact_to_the_microsecond() {
        let rows =
            Row::parse_lines("{\"a\":1754000000.123457,\"b\":null}\n{\"a\":0.0000015}").unwrap();
        assert_eq!(rows[0].micros("a"), Some(1_754_000_000_123_457));
        assert_eq!(rows[0].micros("b"), None);
        assert_eq!(rows[1].micros("a"), Some(2));
        assert!(Row::parse_lines("[]").is_err());
    }
}
