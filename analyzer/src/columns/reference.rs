//! The reference page of a call's columns, made of their table. `docs/columns.md` is this text.

use std::fmt::Write as _;

use super::{CALL_COLUMNS, Column, ID, Kind};
use crate::call::Call;

const BEGIN: &str = "\
# Columns

*What does each field of a row mean?* This page is made of the table in `analyzer/src/columns/calls.rs`
(`cargo xtask docs`); `.schema calls` in SQLite says the same. [Outcomes](outcomes.md) explains outcomes, clocks and
confidence, [tokens](tokens.md) the figures, [cost](cost.md) the money.

SQL, JSON, NDJSON and CSV (and Parquet, where llmtap was built with it) have the same columns under the same names. Any
may be empty (NULL, `null`): not known, or not defined for this call. In SQL times are microseconds since the Unix epoch, durations microseconds, costs billionths
of the currency's unit, yes and no 1 and 0, keys 16 bytes; elsewhere times are seconds since the Unix epoch (in Parquet
timestamps), durations seconds, costs decimals, yes and no `true` and `false`, keys 32 hexadecimal digits.
";

/// The groups of the page: a heading, and the columns below it in order.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "The call",
        &[
            "call_key",
            "source",
            "outer_of",
            "dialect",
            "response_dialect",
            "operation",
            "provider",
            "stream",
            "method",
            "path",
            "request_model",
            "response_model",
            "response_id",
            "reported_timestamp",
        ],
    ),
    (
        "How it ended, and how sure the row is",
        &[
            "status",
            "outcome",
            "error_type",
            "error_code",
            "finish_reasons",
            "retry_after",
            "confidence",
            "missing_request_bytes",
            "missing_response_bytes",
            "truncated",
            "redactions",
        ],
    ),
    (
        "When",
        &[
            "request_start",
            "request_end",
            "response_head",
            "first_event",
            "first_token",
            "last_token",
            "response_end",
            "ended",
        ],
    ),
    (
        "How long",
        &[
            "elapsed",
            "upload",
            "ttft",
            "tpot",
            "tokens_per_second",
            "gap_p50",
            "gap_p95",
            "gap_max",
            "stalls",
            "wasted",
            "timeline",
            "server_queue",
            "server_prefill",
            "server_decode",
            "server_load",
            "server_total",
        ],
    ),
    (
        "Tokens",
        &[
            "input_tokens",
            "output_tokens",
            "total_tokens",
            "input_source",
            "output_source",
            "output_partial",
            "reported_input_tokens",
            "reported_output_tokens",
            "counted_input_tokens",
            "counted_output_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "audio_tokens",
            "tokenizer",
            "tokenizer_fit",
            "prompt_rule",
            "output_rule",
            "counted_pictures",
            "uncounted_parts",
            "audited",
        ],
    ),
    ("Cost", &["cost", "currency", "unpriced"]),
    (
        "Whose it was",
        &[
            "peer",
            "client",
            "user",
            "key",
            "labels",
            "user_agent",
            "server",
            "trace_id",
            "span_id",
            "request_id",
            "server_request_id",
        ],
    ),
    (
        "What was asked and answered",
        &[
            "max_tokens",
            "temperature",
            "n",
            "message_count",
            "tool_count",
            "tool_choice",
            "response_format",
            "file_bytes",
            "file_type",
            "tool_calls",
            "content_chars",
            "reasoning_chars",
            "tool_chars",
        ],
    ),
];

/// Makes the page, in Markdown.
pub fn page() -> String {
    let mut page = BEGIN.to_owned();
    let _ = write!(
        page,
        "\nThe first is `{ID}`, the store's number for the row, in the order in which rows were stored.\n"
    );
    for (heading, names) in GROUPS {
        let _ = write!(
            page,
            "\n## {heading}\n\n| column | is a | meaning |\n|---|---|---|\n"
        );
        for name in *names {
            if let Some(column) = named(name) {
                let _ = writeln!(
                    page,
                    "| `{name}` | {} | {} |",
                    kind(column.kind),
                    column.doc.replace('|', "\\|")
                );
            }
        }
    }
    page
}

fn named(name: &str) -> Option<&'static Column<Call>> {
    CALL_COLUMNS.iter().find(|column| column.name == name)
}

/// What its values are, for people.
const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "yes or no",
        Kind::Integer | Kind::Real => "number",
        Kind::Text => "text",
        Kind::Time => "time",
        Kind::Duration | Kind::FineDuration => "duration",
        Kind::Money => "cost",
        Kind::List => "list of texts",
        Kind::Json => "JSON",
        Kind::Key | Kind::OtherKey => "key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_stands_on_the_page_once() {
        let grouped = GROUPS.iter().flat_map(|(_, names)| *names);
        let mut grouped: Vec<&str> = grouped.copied().collect();
        let mut all: Vec<&str> = CALL_COLUMNS.iter().map(|column| column.name).collect();
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
        let page = page();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), all.len());
    }
}
