//! Rows on standard output: a line a row, in one of the formats.

use std::io::{self, Write};

use analyzer::{
    call::{Call, ExchangeRow, TokenSource},
    columns::{self, Row},
};

use super::{
    args::{Format, Rows},
    human,
    layout::Layout,
};

/// Marks the line of a call that has another, nearer to the model server.
const OUTER: &str = "  (outer)";

/// Writes rows as they come; nothing is kept.
pub(crate) struct Printer<W: Write> {
    out: W,
    format: Format,
    rows: Rows,
    layout: Layout,
    printed: i64,
}

impl<W: Write> Printer<W> {
    pub(crate) fn new(out: W, format: Format, rows: Rows) -> Self {
        Self {
            out,
            format,
            rows,
            layout: Layout::of(rows),
            printed: 0,
        }
    }

    /// What stands before the first row.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        match (self.format, self.rows) {
            (Format::Table, _) => {
                let titles = self.layout.titles();
                writeln!(self.out, "{}", self.layout.line(&titles))
            }
            (Format::Csv, Rows::Calls) => {
                csv_line(&mut self.out, columns::call_headings().map(str::to_owned))
            }
            (Format::Csv, Rows::Exchanges) => csv_line(
                &mut self.out,
                columns::exchange_headings().map(str::to_owned),
            ),
            (Format::Json, _) => self.out.write_all(b"["),
            (Format::Ndjson, _) => Ok(()),
        }
    }

    /// What stands after the last row.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if self.format == Format::Json {
            self.out
                .write_all(if self.printed > 0 { b"\n]\n" } else { b"]\n" })?;
        }
        self.out.flush()
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    pub(crate) fn call(&mut self, call: &Call) -> io::Result<()> {
        self.printed += 1;
        let row = Row::call(call, Some(self.printed));
        match self.format {
            Format::Table => {
                writeln!(self.out, "{}", self.layout.line(&call_cells(call)))
            }
            Format::Csv => csv_line(&mut self.out, row.csv_fields().into_iter()),
            Format::Json | Format::Ndjson => self.json(&row),
        }
    }

    pub(crate) fn exchange(&mut self, exchange: &ExchangeRow) -> io::Result<()> {
        self.printed += 1;
        let row = Row::exchange(exchange);
        match self.format {
            Format::Table => {
                writeln!(self.out, "{}", self.layout.line(&exchange_cells(exchange)))
            }
            Format::Csv => csv_line(&mut self.out, row.csv_fields().into_iter()),
            Format::Json | Format::Ndjson => self.json(&row),
        }
    }

    fn json(&mut self, row: &impl serde::Serialize) -> io::Result<()> {
        if self.format == Format::Json {
            self.out
                .write_all(if self.printed > 1 { b",\n" } else { b"\n" })?;
        }
        serde_json::to_writer(&mut self.out, row)?;
        if self.format == Format::Ndjson {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// One call as cells of the table.
fn call_cells(call: &Call) -> Vec<String> {
    let start = call
        .marks
        .request_start
        .or(call.marks.response_head)
        .or(call.marks.ended);
    let model = call
        .request_model
        .as_deref()
        .or(call.response_model.as_deref())
        .unwrap_or("-");
    let tokens = |n: Option<u64>, source| match (n, source) {
        (None, _) => "-".to_owned(),
        (Some(n), TokenSource::Counted) => format!("~{}", human::count(n)),
        (Some(n), _) => human::count(n),
    };
    let duration = |micros: Option<i64>| micros.map_or_else(|| "-".to_owned(), human::duration);
    let outer = if call.outer_of.is_some() { OUTER } else { "" };
    let client = call.client.as_deref().or(call.peer.as_deref());
    vec![
        start.map_or_else(|| "-".to_owned(), human::time_of_day),
        model.to_owned(),
        call.outcome.as_str().to_owned(),
        call.status
            .map_or_else(|| "-".to_owned(), |s| s.to_string()),
        tokens(call.input_tokens, call.input_source),
        tokens(call.output_tokens, call.output_source),
        duration(call.ttft),
        duration(call.elapsed),
        call.tokens_per_second
            .map_or_else(|| "-".to_owned(), human::rate),
        format!("{}{outer}", client.unwrap_or("-")),
    ]
}

/// One exchange as cells of the table.
fn exchange_cells(row: &ExchangeRow) -> Vec<String> {
    let start = row.request_start.or(row.response_head).or(row.ended);
    let elapsed = row
        .request_start
        .zip(row.ended)
        .map(|(from, to)| to.micros_since(from));
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        start.map_or_else(|| "-".to_owned(), human::time_of_day),
        text(&row.method),
        row.status.map_or_else(|| "-".to_owned(), |s| s.to_string()),
        human::bytes(row.request_decoded_len),
        human::bytes(row.response_decoded_len),
        elapsed.map_or_else(|| "-".to_owned(), human::duration),
        row.ending.to_owned(),
        text(&row.server),
        text(&row.target),
    ]
}

fn csv_line(out: &mut impl Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    writer.write_record(fields.map(String::into_bytes))?;
    writer.flush()
}
