//! The old tracker's contract, over `llmtap serve`: its report, its metrics by offset, its table.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http, metrics,
    process::{self, Daemon},
};
use serde_json::{Value, json};

/// Longer than any report that is taken.
const TOO_LARGE: usize = 80 << 20;

/// A running `llmtap serve`.
struct Served {
    daemon: Daemon,
    api: SocketAddr,
}

fn serve(store: &Path) -> Result<Served> {
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(store);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    Ok(Served { daemon, api })
}

impl Served {
    fn report(&self, report: &Value) -> Result<http::Response> {
        http::post(self.api, "/api/report", &report.to_string())
    }
}

/// A report of the old plugin: bodies are text.
fn report() -> Value {
    let request =
        json!({"model": "qwen", "messages": [{"role": "user", "content": "hello there"}]});
    let response = json!({"object": "chat.completion", "model": "qwen",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}});
    json!({
        "request_body": request.to_string(),
        "response_body": response.to_string(),
        "elapsed_time": 1.5,
        "path": "/v1/chat/completions",
        "timestamp": "2025-08-01 12:00:00",
        "model": "route-model",
    })
}

#[test]
fn a_report_is_answered_with_its_stored_rows_figures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let served = serve(&store)?;
    let response = served.report(&report())?;
    assert_eq!(response.status, 200, "{}", response.text());
    let answer: Value = serde_json::from_slice(&response.body)?;
    assert_eq!(answer["status"], "ok");
    assert_eq!(answer["total_tokens"], 15);
    assert_eq!(answer["tps"], 10.0);

    // It is committed before the answer, so another connection sees it now.
    let database = rusqlite::Connection::open(&store)?;
    let mut query = database.prepare("SELECT * FROM token_stats")?;
    let columns = query.column_names().collect::<Vec<_>>().join(",");
    assert_eq!(
        columns,
        "id,input_tokens,output_tokens,total_tokens,elapsed_time,tokens_per_second,timestamp,path,\
         model,ip_address,request_body,response_body"
    );
    let row = query.query_one([], |row| {
        Ok((
            (
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
            ),
            (row.get::<_, f64>(4)?, row.get::<_, f64>(5)?),
            (row.get::<_, String>(6)?, row.get::<_, String>(7)?),
            (row.get::<_, String>(8)?, row.get::<_, String>(9)?),
        ))
    })?;
    assert_eq!(row.0, (11, 4, 15));
    assert!(
        (row.1.0 - 1.5).abs() < 1e-6 && (row.1.1 - 10.0).abs() < 1e-6,
        "{row:?}"
    );
    assert_eq!(
        row.2,
        ("2025-08-01 12:00:00".into(), "/v1/chat/completions".into())
    );
    // The model of the body comes before that of the route.
    assert_eq!(row.3, ("qwen".into(), "127.0.0.1".into()));
    let bodies: (String, String) = database.query_one(
        "SELECT request_body, response_body FROM token_stats",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let sent = report();
    assert_eq!(Some(bodies.0.as_str()), sent["request_body"].as_str());
    assert_eq!(Some(bodies.1.as_str()), sent["response_body"].as_str());
    Ok(())
}

#[test]
fn optional_fields_may_be_absent_or_null_and_bodies_may_be_any_text() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = serve(&folder.path().join("llmtap.db"))?;
    for (request, response) in [
        ("", ""),
        ("not json", "\u{1f980} \u{0}"),
        ("[1,2]", "null"),
        ("{}", "{}"),
    ] {
        let bare = json!({"request_body": request, "response_body": response, "elapsed_time": 2});
        assert_eq!(served.report(&bare)?.status, 200, "{bare}");
        let nulls = json!({"request_body": request, "response_body": response, "elapsed_time": 0,
            "path": null, "timestamp": null, "model": null, "unknown": [1]});
        assert_eq!(served.report(&nulls)?.status, 200, "{nulls}");
    }
    Ok(())
}

#[test]
fn a_bad_report_gets_an_error_that_names_the_field() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let served = serve(&store)?;
    let cases = [
        ("request_body", json!(null)),
        ("request_body", json!({"model": "m"})),
        ("response_body", json!(3)),
        ("elapsed_time", json!("1.5")),
        ("elapsed_time", json!(-1)),
        ("path", json!(7)),
        ("timestamp", json!([])),
        ("model", json!({})),
    ];
    for (field, value) in cases {
        let mut bad = report();
        bad[field] = value;
        refused(&served.report(&bad)?, 400, field)?;
    }
    for field in ["request_body", "response_body", "elapsed_time"] {
        let mut bad = report();
        bad.as_object_mut().context("an object")?.remove(field);
        refused(&served.report(&bad)?, 400, field)?;
    }
    for text in ["", "{", "[]", "\"x\"", "{\"request_body\":\"\\ud800\"}"] {
        refused(&http::post(served.api, "/api/report", text)?, 400, "")?;
    }
    let large =
        json!({"request_body": "x".repeat(TOO_LARGE), "response_body": "", "elapsed_time": 1});
    refused(&served.report(&large)?, 413, "")?;
    let count: i64 =
        rusqlite::Connection::open(&store)?
            .query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?;
    assert_eq!(count, 0, "a refused report leaves no row");
    Ok(())
}

fn refused(response: &http::Response, status: u16, field: &str) -> Result<()> {
    assert_eq!(response.status, status, "{field}: {}", response.text());
    let error: Value = serde_json::from_slice(&response.body)
        .with_context(|| format!("an error is JSON: {}", response.text()))?;
    ensure!(
        error.to_string().contains(field),
        "{field} is not named: {error}"
    );
    Ok(())
}

#[test]
fn metrics_by_offset_are_five_gauges_of_one_record() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = serve(&folder.path().join("llmtap.db"))?;
    served.report(&report())?;
    let mut second = report();
    second["elapsed_time"] = json!(0.1);
    second["path"] = Value::Null;
    second["model"] = json!("a \"quoted\" \\ model\nname");
    served.report(&second)?;

    let first = http::get(served.api, "/api/metrics?offset=0")?;
    assert_eq!(first.status, 200);
    assert!(
        first.content_type.starts_with("text/plain"),
        "{}",
        first.content_type
    );
    let text = first.text();
    assert!(!text.ends_with('\n'));
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(
        lines.len(),
        15,
        "five times HELP, TYPE and a sample: {text}"
    );
    for gauge in lines.chunks(3) {
        let name = gauge[2].split('{').next().unwrap_or_default();
        assert!(
            gauge[0].starts_with(&format!("# HELP {name} ")),
            "{gauge:?}"
        );
        assert_eq!(gauge[1], format!("# TYPE {name} gauge"));
        assert!(
            gauge[2].contains("{model=\"")
                && gauge[2].contains(",path=\"")
                && gauge[2].contains(",ip=\"")
        );
    }
    let values: Vec<&str> = lines
        .iter()
        .skip(2)
        .step_by(3)
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    assert_eq!(values, ["11", "4", "15", "1.5", "10.0"]);

    let second = http::get(served.api, "/api/metrics?offset=1")?.text();
    let samples = metrics::parse(&second)?;
    assert_eq!(samples.len(), 5);
    assert_eq!(samples[0].label("path"), Some("None"));
    let values: Vec<&str> = second
        .split('\n')
        .skip(2)
        .step_by(3)
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    assert_eq!(values, ["11", "4", "15", "0.1", "150.0"]);

    let past = http::get(served.api, "/api/metrics?offset=2")?;
    assert_eq!(
        (past.status, past.text().as_str()),
        (404, "# No record found")
    );
    let negative = http::get(served.api, "/api/metrics?offset=-5")?;
    assert_eq!((negative.status, negative.text()), (200, text));
    Ok(())
}

#[test]
fn aggregates_are_clean_and_equal_on_both_paths() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = serve(&folder.path().join("llmtap.db"))?;
    metrics::check(&http::get(served.api, "/metrics")?.text())?;
    for _ in 0..3 {
        served.report(&report())?;
    }
    for path in ["/metrics", "/api/metrics"] {
        let response = http::get(served.api, path)?;
        assert_eq!(response.status, 200);
        metrics::check(&response.text())?;
        let samples = metrics::parse(&response.text())?;
        let calls = metrics::sum(&samples, "llmtap_calls_total", |_| true);
        assert!((calls - 3.0).abs() < 1e-9, "{path}: {calls}");
    }
    assert_eq!(http::get(served.api, "/live")?.status, 200);
    Ok(())
}

#[test]
fn reports_of_many_threads_are_all_there_after_the_end() -> Result<()> {
    const THREADS: usize = 8;
    const EACH: usize = 25;
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let served = serve(&store)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    for _ in 0..EACH {
                        let response = served.report(&report())?;
                        ensure!(response.status == 200, "{}", response.text());
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))
        })
    })?;
    let done = served.daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    let database = rusqlite::Connection::open(&store)?;
    let count: i64 = database.query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?;
    assert_eq!(count, (THREADS * EACH) as i64);
    Ok(())
}
