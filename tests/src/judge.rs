//! Judging rows: against what both ends know, and against the rows of another tap.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    model_server::{Ending, Pace, Truth},
    row::Row,
};

/// What two taps of the same packets may differ by: each takes its own time stamps.
const JITTER_MICROS: i64 = 5_000;

/// Between whom a call passed, and how it was tapped.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    /// The `source` of its row.
    pub source: &'a str,
    /// The server, with its port.
    pub server: &'a str,
    /// Who called the server.
    pub peer: &'a str,
    /// Whom the proxy says that it called for.
    pub client: Option<&'a str>,
}

/// The rows by what they hold in some columns, which together differ in each.
///
/// # Errors
/// Where two rows hold the same.
pub fn by(rows: Vec<Row>, columns: &[&str]) -> Result<BTreeMap<String, Row>> {
    let count = rows.len();
    let map: BTreeMap<String, Row> = rows
        .into_iter()
        .map(|row| (name(&row, columns), row))
        .collect();
    ensure!(
        map.len() == count,
        "{count} rows, but by {columns:?}: {:?}",
        map.keys()
    );
    Ok(map)
}

/// The rows by what they hold in some columns, and the how manyth of those it is, from 1, in the order
/// of their starts.
pub fn number(mut rows: Vec<Row>, columns: &[&str]) -> BTreeMap<String, Row> {
    rows.sort_by_key(|row| row.micros("request_start"));
    let mut counts = BTreeMap::new();
    let numbered = rows.into_iter().map(|row| {
        let name = name(&row, columns);
        let number: &mut u32 = counts.entry(name.clone()).or_default();
        *number += 1;
        (format!("{name} {number}"), row)
    });
    numbered.collect()
}

fn name(row: &Row, columns: &[&str]) -> String {
    let texts: Vec<_> = columns
        .iter()
        .map(|column| row.text(column).unwrap_or_default())
        .collect();
    texts.join(" ")
}

/// One row against what the server and the client know of the call.
///
/// # Panics
/// Where they differ.
pub fn check_row(row: &Row, truth: &Truth, seen: &Row, path: &Path<'_>) {
    let id = truth.user.as_deref().unwrap_or_default();
    let model = truth.model.as_deref().unwrap_or_default();
    let outcome = match (truth.ending, truth.status) {
        // The client may leave at the error, before the server has said its last.
        (_, 200) if seen.text("error") == Some("APIError") => "error_in_200",
        (Ending::ClientLeft, _) => "client_abort",
        (Ending::ServerAborted, _) => "server_abort",
        (_, 429) => "rate_limited",
        (_, 400..=499) => "client_error",
        (_, 500..=599) => "server_error",
        _ => "ok",
    };
    assert_eq!(row.text("outcome"), Some(outcome), "{id}: {row:?}");
    assert_eq!(row.text("method"), Some("POST"), "{id}");
    assert_eq!(row.text("path"), Some(truth.path.as_str()), "{id}");
    assert_eq!(row.int("status"), Some(i64::from(truth.status)), "{id}");
    assert_eq!(row.get("status"), seen.get("status"), "{id}: the client");
    assert_eq!(row.text("request_model"), Some(model), "{id}");
    assert_eq!(row.flag("stream"), Some(truth.stream), "{id}");
    assert_eq!(row.text("source"), Some(path.source), "{id}");
    assert_eq!(row.text("confidence"), Some("complete"), "{id}");
    assert_eq!(row.text("server"), Some(path.server), "{id}");
    assert_eq!(row.text("peer"), Some(path.peer), "{id}");
    assert_eq!(row.text("client"), path.client, "{id}");
    check_tokens(row, truth, seen, outcome);
    if outcome == "ok" {
        assert_eq!(
            row.get("finish_reasons"),
            seen.get("finish_reasons"),
            "{id}"
        );
        assert!(row.micros("response_end").is_some(), "{id}");
    }
    if outcome == "ok" && truth.stream && truth.content_events > 0 {
        check_stream_clocks(row, model);
    } else if !truth.stream {
        assert_eq!(row.micros("first_token"), None, "{id}");
    }
}

/// Whether two taps of the same packets took the same keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// They have one key file: the hashes are the same.
    Shared,
    /// They have not, or one of them has none.
    Apart,
}

/// The rows of two taps of the same packets, by the same names.
///
/// # Panics
/// Where they differ by more than each tap's own time stamps explain.
pub fn check_same(one: &BTreeMap<String, Row>, other: &BTreeMap<String, Row>, keys: Keys) {
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>(),
        "calls"
    );
    for ((id, one), other) in one.iter().zip(other.values()) {
        same_but_for_jitter(id, one, other, keys);
    }
}

fn same_but_for_jitter(id: &str, live: &Row, replayed: &Row, keys: Keys) {
    // What is a tap's own: the row's number, the source, the hash over request_start, a rate of the
    // clocks, and the times of all events.
    const OTHER: &[&str] = &["id", "source", "call_key", "tokens_per_second", "timeline"];
    const CLOCKS: &[&str] = &[
        "request_start",
        "request_end",
        "response_head",
        "first_event",
        "first_token",
        "last_token",
        "response_end",
        "ended",
        "elapsed",
        "upload",
        "ttft",
        "tpot",
        "gap_p50",
        "gap_p95",
        "gap_max",
        "wasted",
    ];
    assert_eq!(
        live.0.keys().collect::<Vec<_>>(),
        replayed.0.keys().collect::<Vec<_>>(),
        "{id}: columns"
    );
    for column in live
        .0
        .keys()
        .map(String::as_str)
        .filter(|column| !OTHER.contains(column) && (*column != "key" || keys == Keys::Shared))
    {
        if !CLOCKS.contains(&column) {
            assert_eq!(live.get(column), replayed.get(column), "{id}.{column}");
            continue;
        }
        match (live.micros(column), replayed.micros(column)) {
            (Some(a), Some(b)) => assert!((a - b).abs() <= JITTER_MICROS, "{id}.{column}: {a} {b}"),
            (a, b) => assert_eq!(a, b, "{id}.{column}"),
        }
    }
}

fn check_tokens(row: &Row, truth: &Truth, seen: &Row, outcome: &str) {
    let id = truth.user.as_deref().unwrap_or_default();
    let reported = |count: Option<u64>| count.map(|count| count as i64);
    let (input, output) = (truth.reported_input_tokens, truth.reported_output_tokens);
    assert_eq!(row.int("reported_input_tokens"), reported(input), "{id}");
    assert_eq!(row.int("reported_output_tokens"), reported(output), "{id}");
    assert_eq!(
        row.get("reported_input_tokens"),
        seen.get("input_tokens"),
        "{id}"
    );
    assert_eq!(
        row.get("reported_output_tokens"),
        seen.get("output_tokens"),
        "{id}"
    );
    let events = truth.content_events as i64;
    match outcome {
        _ if output.is_some() => {
            assert_eq!(row.text("output_source"), Some("reported"), "{id}");
            assert_eq!(row.int("output_tokens"), reported(output), "{id}");
        }
        "client_error" | "rate_limited" | "server_error" => {
            assert_eq!(row.text("output_source"), Some("none"), "{id}");
            assert!(row.get("output_tokens").is_null(), "{id}");
        }
        // The tokens of names and arguments of tools are not one an event.
        _ if seen.get("finish_reasons") == &json!(["tool_calls"]) => {
            assert_eq!(row.text("output_source"), Some("counted"), "{id}");
            assert!(row.int("output_tokens") > Some(0), "{id}");
        }
        "client_abort" => {
            assert_eq!(row.flag("output_partial"), Some(true), "{id}");
            // The first event that the client read is without a token; the server may have sent more
            // than it read.
            let read = (seen.int("chunks").unwrap_or(0) - 1).max(0);
            assert!(
                (read..=events).contains(&row.int("output_tokens").unwrap_or(-1)),
                "{id}: {row:?}"
            );
        }
        _ => {
            // Every content event of the server is one token.
            assert_eq!(row.text("output_source"), Some("counted"), "{id}");
            assert_eq!(row.int("output_tokens"), Some(events), "{id}");
            // Whether an error event is an end or a break is the dialect's to say.
            if outcome != "error_in_200" {
                let partial = outcome == "server_abort";
                assert_eq!(row.flag("output_partial"), Some(partial), "{id}");
            }
        }
    }
}

/// The head leaves at once; the first token comes after the server's thinking.
fn check_stream_clocks(row: &Row, model: &str) {
    let think = Pace::default().think.as_micros() as i64;
    let least = if model == "slow" {
        think + 1_000_000
    } else {
        think
    };
    let mark = |name| {
        row.micros(name)
            .unwrap_or_else(|| panic!("{name} of {row:?}"))
    };
    assert!(mark("ttft") >= least, "{row:?}");
    assert!(mark("response_head") < mark("first_token"), "{row:?}");
    assert!(mark("first_event") <= mark("first_token"), "{row:?}");
    assert!(mark("last_token") <= mark("response_end"), "{row:?}");
    assert_eq!(
        mark("ttft"),
        mark("first_token") - mark("request_start"),
        "{row:?}"
    );
    assert_eq!(
        mark("elapsed"),
        mark("ended") - mark("request_start"),
        "{row:?}"
    );
}
