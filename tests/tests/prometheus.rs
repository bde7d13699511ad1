//! A real Prometheus scrapes a live run, and what it answers are the figures of the rows; totals outlive the
//! process. Needs root, to capture packets: without it, it fails.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http, metrics,
    model_server::{ModelServer, Pace},
    openai::{self, Client},
    process,
    prometheus::Prometheus,
    tap::Tap,
    tools,
};
use rusqlite::Connection;

/// Calls of the real client, with every outcome among them.
const CALLS: usize = 42;

/// The bounds of `gen_ai_server_request_duration_seconds`.
const BOUNDS: [f64; 18] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68, 655.36, 1310.72,
];

/// The label that tells the elements of an answer apart, the question to Prometheus, and the same to the store.
const FIGURES: &[(&str, &str, &str)] = &[
    (
        "outcome",
        "sum by (outcome) (llmtap_calls_total)",
        "SELECT outcome, count(*) FROM calls GROUP BY 1",
    ),
    (
        "operation",
        "sum by (operation) (llmtap_calls_total)",
        "SELECT operation, count(*) FROM calls GROUP BY 1",
    ),
    (
        "source",
        "sum by (source) (llmtap_tokens_total{kind=\"input\"})",
        "SELECT input_source, sum(input_tokens) FROM calls WHERE input_tokens NOTNULL GROUP BY 1",
    ),
    (
        "source",
        "sum by (source) (llmtap_tokens_total{kind=\"output\"})",
        "SELECT output_source, sum(output_tokens) FROM calls WHERE output_tokens NOTNULL GROUP BY 1",
    ),
    (
        "gen_ai_token_type",
        "sum by (gen_ai_token_type) (gen_ai_client_token_usage_sum)",
        "SELECT 'input', sum(input_tokens) FROM calls UNION SELECT 'output', sum(output_tokens) FROM calls",
    ),
    (
        "error_type",
        "sum by (error_type) (gen_ai_server_request_duration_seconds_count)",
        "SELECT iif(outcome = 'ok', '', outcome), count(*) FROM calls WHERE elapsed NOTNULL GROUP BY 1",
    ),
    (
        "gen_ai_response_model",
        "sum by (gen_ai_response_model) (gen_ai_server_time_to_first_token_seconds_count)",
        "SELECT ifnull(response_model, ''), count(*) FROM calls WHERE ttft NOTNULL GROUP BY 1",
    ),
    (
        "user",
        "sum by (user) (llmtap_calls_total{outcome=\"ok\"})",
        "SELECT user, count(*) FROM calls WHERE outcome = 'ok' GROUP BY 1",
    ),
    (
        "",
        "sum(gen_ai_server_request_duration_seconds_sum)",
        "SELECT '', sum(elapsed) / 1e6 FROM calls",
    ),
    (
        "",
        "sum(gen_ai_server_time_to_first_token_seconds_sum)",
        "SELECT '', sum(ttft) / 1e6 FROM calls",
    ),
    (
        "",
        "sum(gen_ai_server_time_per_output_token_seconds_sum)",
        "SELECT '', sum(tpot) / 1e6 FROM calls",
    ),
    (
        "",
        "sum(llmtap_stalls_total)",
        "SELECT '', sum(stalls) FROM calls",
    ),
    (
        "",
        "sum(llmtap_wasted_seconds_total) or vector(0)",
        "SELECT '', sum(wasted) / 1e6 FROM calls",
    ),
];

#[test]
fn what_prometheus_answers_are_the_figures_of_the_rows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let prometheus = Prometheus::start(&folder.path().join("prometheus"))?;
    let server = ModelServer::start("127.0.0.1:0".parse()?, Pace::default())?;
    let store = folder.path().join("llmtap.db");
    let labels = ["--metric-label", "user", "--metric-label", "path"];
    let tap = Tap::new("pcap", "lo", &[server.address().port()], &store).with(&labels);
    let llmtap = tap.start()?;
    let api = llmtap.ready()?;
    prometheus.scrape(api)?;

    let calls = openai::calls(CALLS, "call");
    Client::of(server.address()).make(&calls)?;
    llmtap.stdout_lines(calls.len())?;
    prometheus.wait_for("sum(llmtap_calls_total)", calls.len() as f64)?;
    // Rows are stored a moment later than they are counted.
    prometheus.wait_for("sum(llmtap_store_rows_total)", calls.len() as f64)?;
    let rows = Connection::open(&store)?;

    for (label, promql, sql) in FIGURES {
        let (answered, expected) = (prometheus.by(label, promql)?, figures(&rows, sql)?);
        ensure!(!expected.is_empty(), "{sql}: nothing to compare");
        let near = |(key, value): (&String, &f64)| {
            let other = expected.get(key).copied().unwrap_or(f64::NAN);
            (value - other).abs() <= 1e-6 * value.abs().max(1.0)
        };
        ensure!(
            answered.len() == expected.len() && answered.iter().all(near),
            "{promql}\n{answered:?}\n{sql}\n{expected:?}"
        );
    }
    check_quantiles(&prometheus, &rows)?;
    check_exemplars(&prometheus, &rows)?;
    let paths = prometheus.by("path", "sum by (path) (llmtap_calls_total)")?;
    ensure!(paths.contains_key("/chat/completions"), "{paths:?}");
    ensure!(
        prometheus.value("min_over_time(up[1h])")? == Some(1.0),
        "a scrape failed"
    );
    check_open_metrics(api)?;
    let done = llmtap.stop("INT")?;
    ensure!(done.code == Some(0), "llmtap's end: {done:?}");
    Ok(())
}

/// The format's own library reads the text, and finds in it what Prometheus' text has not.
fn check_open_metrics(api: SocketAddr) -> Result<()> {
    let mut python = std::process::Command::new(tools::python()?);
    python
        .arg(tools::file("clients/open_metrics.py"))
        .arg(format!("http://{api}/metrics"));
    let done = process::run(&mut python)?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    let found: serde_json::Value = serde_json::from_str(&done.stdout)?;
    let count = |key: &str| found[key].as_u64().unwrap_or(0);
    ensure!(
        count("families") > 30 && count("created") > 30 && count("exemplars") > 3,
        "{found}"
    );
    Ok(())
}

fn figures(rows: &Connection, sql: &str) -> Result<BTreeMap<String, f64>> {
    let mut query = rows.prepare(sql)?;
    let figures = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(figures.collect::<Result<_, _>>()?)
}

/// As Prometheus finds a quantile in buckets, from the rows' own durations.
fn check_quantiles(prometheus: &Prometheus, rows: &Connection) -> Result<()> {
    let mut query = rows.prepare("SELECT elapsed / 1e6 FROM calls WHERE elapsed NOTNULL")?;
    let values = query.query_map([], |row| row.get::<_, f64>(0))?;
    let values: Vec<f64> = values.collect::<Result<_, _>>()?;
    let up_to = |bound: f64| values.iter().filter(|value| **value <= bound).count() as f64;
    for quantile in [0.5, 0.9, 0.95] {
        let rank = quantile * values.len() as f64;
        let bucket = BOUNDS.iter().position(|bound| up_to(*bound) >= rank);
        let bucket = bucket.context("no call takes so long")?;
        let (low, high) = (
            if bucket == 0 { 0.0 } else { BOUNDS[bucket - 1] },
            BOUNDS[bucket],
        );
        let below = if bucket == 0 { 0.0 } else { up_to(low) };
        let expected = low + (high - low) * (rank - below) / (up_to(high) - below);
        let promql = format!(
            "histogram_quantile({quantile}, sum by (le) (gen_ai_server_request_duration_seconds_bucket))"
        );
        let answered = prometheus.value(&promql)?.context("no quantile")?;
        ensure!(
            (answered - expected).abs() < 1e-9,
            "{promql}: {answered}, not {expected}"
        );
    }
    Ok(())
}

/// Each names a row, and has that row's duration.
fn check_exemplars(prometheus: &Prometheus, rows: &Connection) -> Result<()> {
    let exemplars = prometheus.exemplars("gen_ai_server_request_duration_seconds_bucket")?;
    ensure!(!exemplars.is_empty(), "no exemplars");
    for exemplar in exemplars {
        let key = exemplar["labels"]["call_key"]
            .as_str()
            .context("a call_key")?;
        let elapsed: i64 = rows
            .query_one(
                "SELECT elapsed FROM calls WHERE lower(hex(call_key)) = ?1",
                [key],
                |row| row.get(0),
            )
            .with_context(|| format!("no row {key}"))?;
        let value: f64 = exemplar["value"].as_str().context("a value")?.parse()?;
        ensure!(
            (value - elapsed as f64 / 1e6).abs() < 1e-9,
            "{exemplar}: {elapsed}"
        );
    }
    Ok(())
}

const REPORT: &str = r#"{"request_body":"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}","response_body":"{\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"hello\"}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}","elapsed_time":1.1}"#;

fn send(api: SocketAddr, reports: usize) -> Result<()> {
    for _ in 0..reports {
        let response = http::post(api, "/api/report", REPORT)?;
        ensure!(response.status == 200, "{}", response.text());
    }
    Ok(())
}

/// Whatever ends the process, Prometheus sees counters that go on: none falls, and nothing is counted twice.
#[test]
fn counters_go_on_after_every_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let prometheus = Prometheus::start(&folder.path().join("prometheus"))?;
    let store = folder.path().join("llmtap.db");
    let mut sent = 0;
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    for (round, signal) in ["TERM", "KILL", "KILL", "INT"].iter().enumerate() {
        let (daemon, api) = process::serve(&store)?;
        let first = totals(&http::get(api, "/metrics")?.text())?;
        for (series, before) in &last {
            let now = first.get(series).copied().unwrap_or(0.0);
            ensure!(
                now >= *before,
                "{signal}: {series} fell from {before} to {now}"
            );
        }
        prometheus.scrape(api)?;
        send(api, round + 1)?;
        sent += round + 1;
        prometheus.wait_for("sum(llmtap_calls_total)", sent as f64)?;
        last = totals(&http::get(api, "/metrics")?.text())?;
        let done = daemon.stop(signal)?;
        ensure!((done.code == Some(0)) == (*signal != "KILL"), "{done:?}");
    }
    for counter in [
        "llmtap_calls_total",
        "llmtap_store_rows_total",
        "llmtap_api_requests_total",
        "gen_ai_server_request_duration_seconds_count",
        "gen_ai_server_request_duration_seconds_sum",
        "gen_ai_client_token_usage_bucket",
    ] {
        let resets = prometheus.value(&format!("sum(resets({counter}[1h]))"))?;
        ensure!(resets == Some(0.0), "{counter}: {resets:?}");
    }
    let rows: i64 =
        Connection::open(&store)?.query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?;
    ensure!(rows == sent as i64, "{rows} rows of {sent}");
    Ok(())
}

/// All samples of counters and histograms that llmtap keeps, by their names and labels.
fn totals(text: &str) -> Result<BTreeMap<String, f64>> {
    let samples = metrics::parse(text)?.into_iter();
    let kept = samples.filter(|sample| {
        let suffixes = ["_total", "_bucket", "_sum", "_count"];
        let total = suffixes.iter().any(|suffix| sample.name.ends_with(suffix));
        total && !sample.name.starts_with("process_")
    });
    Ok(kept
        .map(|sample| (format!("{}{:?}", sample.name, sample.labels), sample.value))
        .collect())
}

#[test]
fn a_second_process_on_a_store_keeps_totals_of_its_own_run_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (first, api) = process::serve(&store)?;
    send(api, 2)?;
    let (second, other) = process::serve(&store)?;
    second.stderr_line(|line| line.contains("another llmtap keeps its totals in"))?;
    let calls = |api| -> Result<f64> {
        let samples = metrics::parse(&http::get(api, "/metrics")?.text())?;
        Ok(metrics::sum(&samples, "llmtap_calls_total", |_| true))
    };
    ensure!(calls(other)?.abs() < 0.5 && (calls(api)? - 2.0).abs() < 0.5);
    second.stop("TERM")?;
    first.stop("TERM")?;
    let (third, api) = process::serve(&store)?;
    ensure!((calls(api)? - 2.0).abs() < 0.5);
    third.stop("TERM")?;
    Ok(())
}

#[test]
fn damaged_totals_are_set_aside_with_a_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let totals = folder.path().join("llmtap.db.metrics");
    let (daemon, api) = process::serve(&store)?;
    send(api, 1)?;
    daemon.stop("TERM")?;
    let half = std::fs::metadata(&totals)?.len() / 2;
    std::fs::File::options()
        .write(true)
        .open(&totals)?
        .set_len(half)?;
    let (daemon, api) = process::serve(&store)?;
    daemon.stderr_line(|line| {
        line.contains("cannot be read, and was set aside as")
            && line.contains("llmtap.db.metrics.damaged")
    })?;
    let samples = metrics::parse(&http::get(api, "/metrics")?.text())?;
    ensure!(metrics::sum(&samples, "llmtap_calls_total", |_| true).abs() < 0.5);
    daemon.stop("TERM")?;
    Ok(())
}
