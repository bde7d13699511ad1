//! Real clients, tapped live on loopback: the rows against what the clients and the server know, the
//! store and the metrics against the rows, and a replay of the same packets against the live run.
//! Needs root, to capture packets: without it, it fails.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http,
    judge::{self, Keys},
    metrics,
    model_server::{ModelServer, Pace},
    openai::{self, Client},
    process::{self, Daemon},
    recording::{self, Recording},
    row::Row,
    tap::Tap,
};
use rusqlite::types::Value as Sql;

#[test]
fn rows_of_a_live_run_are_the_truth_and_those_of_a_replay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ModelServer::start("127.0.0.1:0".parse()?, Pace::default())?;
    let port = server.address().port();
    let recording = Recording::start(&[port], folder.path().join("live.pcap"))?;
    let store = folder.path().join("llmtap.db");
    let llmtap = tap(port, &store)?;
    let api = llmtap.ready()?;

    let calls = openai::calls(42, "call");
    let seen = judge::by(Client::of(server.address()).make(&calls)?, &["id"])?;
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
    let rows = judge::by(done.rows()?, &["user"])?;
    let recording = recording.stop(calls.len())?;

    assert_eq!(
        rows.keys().collect::<Vec<_>>(),
        seen.keys().collect::<Vec<_>>(),
        "one row a call"
    );
    let path = judge::Path {
        source: "pcap",
        server: &server.address().to_string(),
        peer: "127.0.0.1",
        client: None,
    };
    for truth in log.iter().filter(|truth| truth.method == "POST") {
        let id = truth.user.as_deref().context("every call has a user")?;
        let (row, seen) = (rows.get(id), seen.get(id));
        judge::check_row(
            row.context("a row")?,
            truth,
            seen.context("the client's truth")?,
            &path,
        );
    }
    check_store(&store, &rows)?;
    metrics::check(&text)?;
    check_metrics(&samples, &rows);

    let replayed = recording::replay(&recording, &[])?.rows()?;
    judge::check_same(&rows, &judge::by(replayed, &["user"])?, Keys::Apart);
    Ok(())
}

/// Of a release build, which the suite runs: the code of a debug build takes more. The ring in the kernel is included,
/// which the resident size would count twice where it is mapped twice.
#[test]
fn at_rest_it_takes_less_than_60_mb() -> Result<()> {
    for backend in ["ebpf", "pcap"] {
        let folder = tempfile::tempdir()?;
        let llmtap = Tap::new(backend, "lo", &[1], &folder.path().join("llmtap.db")).start()?;
        http::get(llmtap.ready()?, "/metrics")?;
        let rollup = format!("/proc/{}/smaps_rollup", llmtap.id());
        let rollup = std::fs::read_to_string(&rollup).with_context(|| rollup)?;
        let figure = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let figure = figure.and_then(|text| text.trim().strip_suffix(" kB"));
        let kib: u64 = figure.context("no figure")?.parse()?;
        ensure!(kib * 1024 < 60_000_000, "{backend}: {rollup}");
        llmtap.stop("INT")?;
    }
    Ok(())
}

#[test]
fn sigterm_during_a_stream_writes_what_was_accepted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ModelServer::start("127.0.0.1:0".parse()?, Pace::default())?;
    let store = folder.path().join("llmtap.db");
    let llmtap = tap(server.address().port(), &store)?;
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

fn tap(port: u16, store: &Path) -> Result<Daemon> {
    Tap::new("pcap", "lo", &[port], store).start()
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
