//! Real clients, tapped live on loopback: the rows against what the clients and the server know, the
//! store and the metrics against the rows, and a replay of the same packets against the live run.
//! Needs root, to capture packets: without it, it fails.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http, metrics,
    model_server::{Ending, ModelServer, Pace, Truth},
    process::{self, Daemon, Done},
    row::Row,
    tools,
};
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

/// What two taps of the same packets may differ by: each takes its own time stamps.
const JITTER_MICROS: i64 = 5_000;

/// Threads of the client; each has a kept-alive connection in the pool.
const THREADS: usize = 4;

#[test]
fn rows_of_a_live_run_are_the_truth_and_those_of_a_replay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ModelServer::start("127.0.0.1:0".parse()?, Pace::default())?;
    let port = server.address().port().to_string();
    let recording = folder.path().join("live.pcap");
    let tcpdump = record(&port, &recording)?;
    let store = folder.path().join("llmtap.db");
    let llmtap = tap(&port, &store)?;
    let api = llmtap.ready()?;

    let calls = calls();
    let seen = by(drive(&server, &calls)?, "id")?;
    // No call: must make no row.
    http::get(server.address(), "/v1/models")?;
    let log = server.log_of(calls.len() + 1)?;
    llmtap.stdout_lines(calls.len())?;
    let scrape = process::eventually(|| {
        let text = http::get(api, "/metrics").ok()?.text();
        let samples = metrics::parse(&text).ok()?;
        let calls_total = metrics::sum(&samples, "llmtap_calls_total", |_| true);
        (calls_total >= calls.len() as f64).then_some((text, samples))
    });
    let (text, samples) = scrape.context("the metrics never showed all calls")?;
    let done = llmtap.stop("INT")?;
    ensure!(done.code == Some(0), "llmtap's end: {done:?}");
    let rows = by(done.rows()?, "user")?;
    // tcpdump leaves what its ring still holds: stop it when all ends are in the file.
    let whole = process::eventually(|| {
        let rows = replay(&recording).ok()?.rows().ok()?;
        let ended = |row: &&Row| row.text("outcome") != Some("incomplete");
        (rows.iter().filter(ended).count() == calls.len()).then_some(())
    });
    whole.context("the recording never held all calls")?;
    tcpdump.stop("INT")?;

    assert_eq!(
        rows.keys().collect::<Vec<_>>(),
        seen.keys().collect::<Vec<_>>(),
        "one row a call"
    );
    for truth in log.iter().filter(|truth| truth.method == "POST") {
        let id = truth.user.as_deref().context("every call has a user")?;
        let (row, seen) = (rows.get(id), seen.get(id));
        check_row(
            row.context("a row")?,
            truth,
            seen.context("the client's truth")?,
        );
    }
    check_store(&store, &rows)?;
    metrics::check(&text)?;
    check_metrics(&samples, &rows);

    let replay = replay(&recording)?;
    ensure!(replay.code == Some(0), "replay: {replay:?}");
    let replayed = by(replay.rows()?, "user")?;
    assert_eq!(
        replayed.keys().collect::<Vec<_>>(),
        rows.keys().collect::<Vec<_>>(),
        "replay"
    );
    for (id, row) in &rows {
        same_but_for_jitter(id, row, &replayed[id]);
    }
    Ok(())
}

#[test]
fn sigterm_during_a_stream_writes_what_was_accepted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ModelServer::start("127.0.0.1:0".parse()?, Pace::default())?;
    let store = folder.path().join("llmtap.db");
    let llmtap = tap(&server.address().port().to_string(), &store)?;
    llmtap.ready()?;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for _ in 0..20 {
        http::post(server.address(), "/v1/chat/completions", body)?;
    }
    llmtap.stdout_lines(20)?;
    let done = llmtap.stop("TERM")?;
    ensure!(done.code == Some(0), "llmtap's end: {done:?}");
    let count: i64 =
        rusqlite::Connection::open(&store)?
            .query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?;
    assert_eq!(count, 20);
    Ok(())
}

/// Forty-two calls of every kind, mixed.
fn calls() -> Vec<Value> {
    let kinds = [
        json!({"stream": true, "include_usage": true, "max_tokens": 30}),
        json!({"stream": true, "max_tokens": 17}),
        json!({"max_tokens": 25}),
        json!({"stream": true, "max_tokens": 800, "leave_after": 6}),
        json!({"stream": true, "include_usage": true, "n": 3, "max_tokens": 8}),
        json!({"api": "completion", "stream": true, "max_tokens": 12}),
        json!({"api": "completion", "max_tokens": 12}),
        json!({"model": "error-400"}),
        json!({"model": "error-429", "stream": true}),
        json!({"model": "error-500"}),
        json!({"model": "error-in-stream", "stream": true}),
        json!({"model": "abort", "stream": true, "max_tokens": 20}),
        json!({"model": "reasoner", "stream": true, "max_tokens": 20}),
        json!({"tools": true, "stream": true}),
        json!({"prompt": [{"type": "text", "text": "what is this"},
                          {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
               "max_tokens": 5}),
        json!({"stream": true, "max_tokens": 0, "include_usage": true}),
        json!({"model": "slow", "stream": true, "max_tokens": 3}),
    ];
    (0..42)
        .map(|number| {
            let mut call = kinds[number % kinds.len()].clone();
            call["id"] = format!("call-{number:02}").into();
            if call.get("prompt").is_none() {
                call["prompt"] = "tell me more about packets ".repeat(1 + number * 7).into();
            }
            call
        })
        .collect()
}

/// tcpdump, once it records.
fn record(port: &str, file: &Path) -> Result<Daemon> {
    let mut command = Command::new("tcpdump");
    // -Z root: it would otherwise write as a user who cannot enter the folder.
    command
        .args(["-i", "lo", "-U", "-B", "16384", "-Z", "root", "-w"])
        .arg(file);
    command.args(["tcp", "port", port]);
    let tcpdump = Daemon::start(command)?;
    tcpdump.stderr_line(|line| line.contains("listening on"))?;
    Ok(tcpdump)
}

fn replay(recording: &Path) -> Result<Done> {
    let recording = recording.to_str().context("a path in UTF-8")?;
    process::run_llmtap(&["replay", recording, "--format", "ndjson"])
}

fn tap(port: &str, store: &Path) -> Result<Daemon> {
    let mut command = process::llmtap(&["run", "-i", "lo", "-p", port, "--backend", "pcap"])?;
    command
        .args(["--listen", "127.0.0.1:0", "--format", "ndjson", "--db"])
        .arg(store);
    Daemon::start(command)
}

/// Has the openai package make the calls, and gives what it saw.
fn drive(server: &ModelServer, calls: &[Value]) -> Result<Vec<Row>> {
    let mut child = Command::new(tools::python()?)
        .arg(tools::file("clients/openai_client.py"))
        .arg(format!("http://{}/v1", server.address()))
        .arg(THREADS.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("its input is a pipe")?;
    input.write_all(serde_json::to_string(calls)?.as_bytes())?;
    drop(input);
    let done = Done::from(child.wait_with_output()?);
    ensure!(done.code == Some(0), "the client: {}", done.stderr);
    done.rows()
}

fn by(rows: Vec<Row>, column: &str) -> Result<BTreeMap<String, Row>> {
    let count = rows.len();
    let map: BTreeMap<String, Row> = rows
        .into_iter()
        .map(|row| (row.text(column).unwrap_or_default().to_owned(), row))
        .collect();
    ensure!(
        map.len() == count,
        "{count} rows, but by {column}: {:?}",
        map.keys()
    );
    Ok(map)
}

/// One row against what the server and the client know of the call.
fn check_row(row: &Row, truth: &Truth, seen: &Row) {
    let id = truth.user.as_deref().unwrap_or_default();
    let model = truth.model.as_deref().unwrap_or_default();
    let outcome = match (truth.ending, truth.status) {
        (Ending::ClientLeft, _) => "client_abort",
        (Ending::ServerAborted, _) => "server_abort",
        (_, 429) => "rate_limited",
        (_, 400..=499) => "client_error",
        (_, 500..=599) => "server_error",
        _ if model == "error-in-stream" => "error_in_200",
        _ => "ok",
    };
    assert_eq!(row.text("outcome"), Some(outcome), "{id}: {row:?}");
    assert_eq!(row.text("method"), Some("POST"), "{id}");
    assert_eq!(row.text("path"), Some(truth.path.as_str()), "{id}");
    assert_eq!(row.int("status"), Some(i64::from(truth.status)), "{id}");
    assert_eq!(row.get("status"), seen.get("status"), "{id}: the client");
    assert_eq!(row.text("request_model"), Some(model), "{id}");
    assert_eq!(row.flag("stream"), Some(truth.stream), "{id}");
    assert_eq!(row.text("source"), Some("pcap"), "{id}");
    assert_eq!(row.text("confidence"), Some("complete"), "{id}");
    assert_eq!(row.text("peer"), Some("127.0.0.1"), "{id}");
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
            // The client read 6 events, the first without a token; the server may have sent more.
            assert!(
                (5..=events).contains(&row.int("output_tokens").unwrap_or(-1)),
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

/// The store has the same rows.
fn check_store(store: &Path, rows: &BTreeMap<String, Row>) -> Result<()> {
    const TEXTS: &[&str] = &[
        "outcome",
        "request_model",
        "dialect",
        "path",
        "input_source",
        "server",
    ];
    const NUMBERS: &[&str] = &[
        "status",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "stalls",
    ];
    const TIMES: &[&str] = &[
        "request_start",
        "first_token",
        "ended",
        "elapsed",
        "ttft",
        "gap_max",
    ];
    let database = rusqlite::Connection::open(store)?;
    let all: Vec<&str> = [TEXTS, NUMBERS, TIMES].concat();
    let mut query = database.prepare(&format!("SELECT user, {} FROM calls", all.join(", ")))?;
    let stored = query.query_map([], |row| {
        let values = (1..=all.len()).map(|index| row.get::<_, Sql>(index));
        Ok((
            row.get::<_, String>(0)?,
            values.collect::<Result<Vec<_>, _>>()?,
        ))
    })?;
    let mut count = 0;
    for stored in stored {
        let (user, values) = stored?;
        let row = rows
            .get(&user)
            .with_context(|| format!("{user} was not printed"))?;
        count += 1;
        for (column, value) in all.iter().zip(values) {
            let shown = if TEXTS.contains(column) {
                row.text(column)
                    .map_or(Sql::Null, |text| Sql::Text(text.to_owned()))
            } else if NUMBERS.contains(column) {
                row.int(column).map_or(Sql::Null, Sql::Integer)
            } else {
                row.micros(column).map_or(Sql::Null, Sql::Integer)
            };
            assert_eq!(value, shown, "{user}.{column}");
        }
    }
    assert_eq!(count, rows.len(), "rows in the store");
    let tracker: i64 =
        database.query_one("SELECT count(*) FROM token_stats", [], |row| row.get(0))?;
    assert_eq!(tracker, rows.len() as i64, "rows of the old tracker's view");
    Ok(())
}

fn check_metrics(samples: &[metrics::Sample], rows: &BTreeMap<String, Row>) {
    let near = |a: f64, b: f64| (a - b).abs() < 0.5;
    let calls = metrics::sum(samples, "llmtap_calls_total", |_| true);
    assert!(near(calls, rows.len() as f64), "{calls} calls");
    for outcome in [
        "ok",
        "client_abort",
        "server_abort",
        "rate_limited",
        "error_in_200",
    ] {
        let fits = |sample: &metrics::Sample| sample.label("outcome") == Some(outcome);
        let counted = metrics::sum(samples, "llmtap_calls_total", fits);
        let expected = rows
            .values()
            .filter(|row| row.text("outcome") == Some(outcome))
            .count();
        assert!(
            expected > 0 && near(counted, expected as f64),
            "{outcome}: {counted}"
        );
    }
    let durations = metrics::sum(
        samples,
        "gen_ai_server_request_duration_seconds_count",
        |_| true,
    );
    assert!(near(durations, rows.len() as f64), "{durations} durations");
    for kind in ["input", "output"] {
        let fits = |sample: &metrics::Sample| sample.label("gen_ai_token_type") == Some(kind);
        let counted = metrics::sum(samples, "gen_ai_client_token_usage_sum", fits);
        let column = format!("{kind}_tokens");
        let expected: i64 = rows.values().filter_map(|row| row.int(&column)).sum();
        assert!(
            near(counted, expected as f64),
            "{kind}: {counted}, not {expected}"
        );
    }
}

/// A live row and the replay's row of the same packets.
fn same_but_for_jitter(id: &str, live: &Row, replayed: &Row) {
    // What is another's or a run's own: the row's number, the source, the hash over request_start,
    // the keyed hash (a replay without a store has no key), and a rate of the clocks.
    const OTHER: &[&str] = &["id", "source", "call_key", "key", "tokens_per_second"];
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
        .filter(|column| !OTHER.contains(column))
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
