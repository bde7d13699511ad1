//! Export by OTLP, to a receiver made of OpenTelemetry's own messages and gRPC, and through a real collector: spans and
//! metrics are the rows and the scrape, and what fails is tried again or counted.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http, metrics,
    model_server::{ModelServer, Pace},
    otlp::{self, Collector, Receiver, Via},
    process::{self, Daemon},
    tap::Tap,
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// What no span may hold unless it is asked for.
const SAID: &str = "a-word-of-the-prompt";

/// A running `llmtap serve` that exports.
struct Served {
    daemon: Daemon,
    api: SocketAddr,
    folder: tempfile::TempDir,
}

impl Served {
    fn start(endpoint: &str, via: Via, more: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
        command.arg(folder.path().join("llmtap.db"));
        command.args([
            "--otlp-endpoint",
            endpoint,
            "--otlp-protocol",
            via.protocol(),
        ]);
        command.args(more);
        let daemon = Daemon::start(without_opentelemetry(command))?;
        let api = daemon.ready()?;
        Ok(Self {
            daemon,
            api,
            folder,
        })
    }

    /// Reports so many calls.
    fn report(&self, count: u64) -> Result<()> {
        for number in 0..count {
            let response = http::post(self.api, "/api/report", &report(number).to_string())?;
            ensure!(response.status == 200, "{}", response.text());
        }
        Ok(())
    }

    fn database(&self) -> Result<Connection> {
        Ok(Connection::open(self.folder.path().join("llmtap.db"))?)
    }

    /// Waits until a counter's sum over labels has this value.
    fn wait_for(&self, name: &str, label: (&str, &str), value: f64) -> Result<()> {
        let mut last = String::new();
        let found = process::eventually(|| {
            last = http::get(self.api, "/metrics").ok()?.text();
            let samples = metrics::parse(&last).ok()?;
            let of = |sample: &metrics::Sample| sample.label(label.0) == Some(label.1);
            let sum = metrics::sum(&samples, name, of);
            ((sum - value).abs() < 1e-9).then_some(())
        });
        found.with_context(|| format!("{name}{label:?} never was {value}:\n{last}"))
    }
}

/// OpenTelemetry's variables of whoever runs the tests are none of theirs.
fn without_opentelemetry(mut command: std::process::Command) -> std::process::Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command
}

fn report(number: u64) -> Value {
    let request = json!({"model": "qwen", "max_tokens": 20 + number, "temperature": 0.5,
        "messages": [{"role": "user", "content": SAID}]});
    let response = json!({"id": format!("chatcmpl-{number}"), "object": "chat.completion", "model": "qwen-8b",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100 + number, "completion_tokens": 4, "total_tokens": 104 + number}});
    json!({
        "request_body": request.to_string(),
        "response_body": response.to_string(),
        "elapsed_time": 1.5,
        "path": "/v1/chat/completions",
        "timestamp": format!("2025-08-01T12:00:0{}Z", number % 10),
        "model": "route-model",
    })
}

/// Spans and metrics against the rows and the scrape.
fn check(endpoint: &str, via: Via, receiver: &Receiver) -> Result<()> {
    let prices = tempfile::NamedTempFile::new()?;
    let table = "currency = 'EUR'\n[[price]]\nmodel = 'qwen*'\ninput = 1\noutput = 2\n";
    std::fs::write(prices.path(), table)?;
    let prices = prices.path().to_str().context("a name in UTF-8")?;
    let more = [
        "--otlp-header",
        "x-tenant=a b",
        "--otlp-interval=200ms",
        "--prices",
        prices,
    ];
    let served = Served::start(endpoint, via, &more)?;
    served.report(5)?;
    let spans = receiver.spans(5)?;
    let requests = receiver.wait(|requests| {
        let tokens = &otlp::last_metrics(requests)["llmtap.tokens"];
        points_sum(tokens, "kind", "output") == Some(20.0)
    })?;
    check_rows(&served.database()?, &spans)?;
    for request in &requests {
        let resource = &request["resource"];
        assert_eq!(resource["service.name"], "llmtap");
        let port = served.api.port().to_string();
        let instance = resource["service.instance.id"].as_str();
        assert!(instance.is_some_and(|id| id.ends_with(&port)), "{resource}");
        assert_eq!(request["scopes"], json!(["llmtap"]));
        assert!(
            !request.to_string().contains(SAID),
            "content was not asked for"
        );
    }
    check_metrics(&served, &otlp::last_metrics(&requests))?;
    let done = served.daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    Ok(())
}

/// Each row is one span, with the row's own values.
fn check_rows(database: &Connection, spans: &[Value]) -> Result<()> {
    let mut query = database.prepare(
        "SELECT lower(hex(call_key)), input_tokens, output_tokens, request_model, response_model, response_id,
             max_tokens, request_start, ended, cost FROM calls ORDER BY id",
    )?;
    let mut rows = query.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let key: String = row.get(0)?;
        let found: Vec<_> = spans
            .iter()
            .filter(|span| span["trace_id"] == key.as_str())
            .collect();
        let [span] = found[..] else {
            anyhow::bail!("{} spans of {key}", found.len())
        };
        let attributes = &span["attributes"];
        assert_eq!(span["span_id"], key[..16]);
        assert_eq!(span["parent_span_id"], "");
        assert_eq!(span["name"], "chat qwen");
        assert_eq!(span["kind"], 2);
        assert_eq!(span["start"], json!(row.get::<_, i64>(7)? * 1_000));
        assert_eq!(span["end"], json!(row.get::<_, i64>(8)? * 1_000));
        assert_eq!(attributes["gen_ai.operation.name"], "chat");
        assert_eq!(attributes["gen_ai.provider.name"], "openai");
        assert_eq!(
            attributes["gen_ai.usage.input_tokens"],
            json!(row.get::<_, i64>(1)?)
        );
        assert_eq!(
            attributes["gen_ai.usage.output_tokens"],
            json!(row.get::<_, i64>(2)?)
        );
        assert_eq!(
            attributes["gen_ai.request.model"],
            json!(row.get::<_, String>(3)?)
        );
        assert_eq!(
            attributes["gen_ai.response.model"],
            json!(row.get::<_, String>(4)?)
        );
        assert_eq!(
            attributes["gen_ai.response.id"],
            json!(row.get::<_, String>(5)?)
        );
        assert_eq!(
            attributes["gen_ai.request.max_tokens"],
            json!(row.get::<_, i64>(6)?)
        );
        assert_eq!(
            attributes["gen_ai.response.finish_reasons"],
            json!(["stop"])
        );
        let cost: i64 = row.get(9)?;
        assert_eq!(attributes["llmtap.cost"], json!(cost as f64 / 1e9));
        assert_eq!(attributes["llmtap.currency"], "EUR");
        let tokens = row.get::<_, i64>(1)? * 1_000 + row.get::<_, i64>(2)? * 2_000;
        assert_eq!(cost, tokens, "in billionths");
    }
    assert_eq!((count, spans.len()), (5, 5));
    Ok(())
}

/// The sum of a metric's points with this attribute.
fn points_sum(metric: &Value, key: &str, value: &str) -> Option<f64> {
    let points = metric["points"].as_array()?.iter();
    let fitting = points.filter(|point| point["attributes"][key] == value);
    Some(fitting.filter_map(|point| point["value"].as_f64()).sum())
}

/// The same families as a scrape's, with its figures, under OpenTelemetry's names.
fn check_metrics(served: &Served, sent: &serde_json::Map<String, Value>) -> Result<()> {
    let text = http::get(served.api, "/metrics")?.text();
    let scraped = metrics::parse(&text)?;
    for metric in sent.values() {
        let name = metric["name"].as_str().context("a name")?;
        let unit = match metric["unit"].as_str() {
            Some("s") => "_seconds",
            Some("By") => "_bytes",
            _ => "",
        };
        let stem = format!("{}{unit}", name.replace('.', "_"));
        let of_kind = match metric["kind"].as_str() {
            Some("sum") => format!("{stem}_total"),
            Some("histogram") => format!("{stem}_count"),
            _ => stem.clone(),
        };
        assert!(
            scraped.iter().any(|s| s.name == of_kind),
            "{name}: no {of_kind} is scraped"
        );
        if metric["kind"] != "gauge" {
            assert_eq!(metric["temporality"], 2, "{name}");
        }
    }
    for (name, key, value, figure) in [
        ("llmtap.calls", "outcome", "ok", 5.0),
        ("llmtap.tokens", "kind", "input", 510.0),
        ("llmtap.cost", "currency", "EUR", 0.000_55),
    ] {
        let sum = points_sum(&sent[name], key, value).context(name)?;
        assert!((sum - figure).abs() < 1e-12, "{name}: {sum}");
        let scraped_name = format!("{}_total", name.replace('.', "_"));
        let of = |sample: &metrics::Sample| sample.label(key) == Some(value);
        assert!(
            (metrics::sum(&scraped, &scraped_name, of) - figure).abs() < 1e-12,
            "{scraped_name}"
        );
        assert_eq!(sent[name]["monotonic"], true);
    }
    let duration = &sent["gen_ai.server.request.duration"];
    let point = &duration["points"][0];
    assert_eq!(
        (duration["unit"].as_str(), point["count"].as_u64()),
        (Some("s"), Some(5))
    );
    assert_eq!(point["sum"].as_f64(), Some(7.5));
    let in_buckets = point["buckets"].as_array().context("buckets")?;
    assert_eq!(in_buckets.iter().filter_map(Value::as_u64).sum::<u64>(), 5);
    assert_eq!(point["attributes"]["gen_ai.request.model"], "qwen");
    assert!(point["start"].as_u64() < point["time"].as_u64(), "{point}");
    assert_eq!(
        point["exemplars"][0]["span_id"].as_str().map(str::len),
        Some(16)
    );
    Ok(())
}

#[test]
fn spans_are_the_rows_and_metrics_the_scrape_over_http() -> Result<()> {
    let receiver = Receiver::start(&[])?;
    check(&receiver.endpoint(Via::Http), Via::Http, &receiver)?;
    let requests = receiver.wait(|_| true)?;
    for request in &requests {
        let headers = &request["headers"];
        assert_eq!(headers["x-tenant"], "a b");
        assert_eq!(headers["content-encoding"], "gzip");
        let path = format!("/v1/{}", request["signal"].as_str().context("a signal")?);
        assert_eq!(request["path"], path.as_str());
    }
    Ok(())
}

#[test]
fn spans_are_the_rows_and_metrics_the_scrape_over_grpc() -> Result<()> {
    let receiver = Receiver::start(&[])?;
    check(&receiver.endpoint(Via::Grpc), Via::Grpc, &receiver)?;
    let requests = receiver.wait(|_| true)?;
    assert!(
        requests
            .iter()
            .all(|request| request["headers"]["x-tenant"] == "a b")
    );
    Ok(())
}

#[test]
fn a_real_collector_takes_both_and_hands_them_on_unchanged() -> Result<()> {
    let receiver = Receiver::start(&[])?;
    let collector = Collector::before(&receiver)?;
    check(&collector.endpoint(Via::Http), Via::Http, &receiver)?;
    let receiver = Receiver::start(&[])?;
    drop(collector);
    let collector = Collector::before(&receiver)?;
    check(&collector.endpoint(Via::Grpc), Via::Grpc, &receiver)
}

#[test]
fn what_fails_for_a_while_is_sent_again() -> Result<()> {
    for (via, answers, tries) in [
        (Via::Http, "503:0,429,close,ok", 3.0),
        (Via::Grpc, "UNAVAILABLE,RESOURCE_EXHAUSTED:0.01,ok", 2.0),
    ] {
        let receiver = Receiver::start(&["--traces", answers])?;
        let served = Served::start(&receiver.endpoint(via), via, &["--otlp-signals=traces"])?;
        served.report(3)?;
        let spans = receiver.spans(3)?;
        assert_eq!(spans.len(), 3);
        served.wait_for("llmtap_otlp_spans_total", ("result", "exported"), 3.0)?;
        served.wait_for("llmtap_otlp_requests_total", ("result", "retry"), tries)?;
        let done = served.daemon.stop("TERM")?;
        assert!(
            done.stderr.contains("does not take spans now"),
            "{}",
            done.stderr
        );
        assert!(done.stderr.contains("takes spans again"), "{}", done.stderr);
        let words = match via {
            Via::Http => "no room now",
            Via::Grpc => "no room",
        };
        // The receiver's words had the end of a line in them: they forge none.
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
    Ok(())
}

#[test]
fn a_receiver_that_does_not_answer_holds_nothing_up() -> Result<()> {
    for via in Via::ALL {
        let receiver = Receiver::start(&["--traces", "hang,ok"])?;
        let more = ["--otlp-signals=traces", "--otlp-timeout=300ms"];
        let served = Served::start(&receiver.endpoint(via), via, &more)?;
        served.report(2)?;
        receiver.wait(|requests| !requests.is_empty())?;
        // While one request hangs, reports are stored and answered.
        served.report(2)?;
        let first = receiver.spans(2)?;
        assert!(first.len() >= 2);
        served.wait_for("llmtap_otlp_spans_total", ("result", "exported"), 4.0)?;
        let done = served.daemon.stop("TERM")?;
        assert!(
            done.stderr.contains("no answer within 0.3 s"),
            "{}",
            done.stderr
        );
    }
    Ok(())
}

#[test]
fn what_a_receiver_refuses_is_counted_and_not_sent_again() -> Result<()> {
    for (via, answers) in [
        (Via::Http, "400,500,noise,partial:1:too old"),
        (
            Via::Grpc,
            "INVALID_ARGUMENT,RESOURCE_EXHAUSTED,ok,partial:1:too old",
        ),
    ] {
        let receiver = Receiver::start(&["--traces", answers])?;
        let served = Served::start(&receiver.endpoint(via), via, &["--otlp-signals=traces"])?;
        for sent in 1..=4 {
            served.report(1)?;
            // One request for each: the next report comes when this one's span has arrived.
            receiver.wait(|requests| requests.len() == sent)?;
        }
        let spans = "llmtap_otlp_spans_total";
        served.wait_for(spans, ("result", "refused"), 2.0)?;
        served.wait_for(spans, ("result", "exported"), 1.0)?;
        served.wait_for(spans, ("result", "rejected"), 1.0)?;
        served.wait_for("llmtap_otlp_requests_total", ("result", "partial"), 1.0)?;
        let done = served.daemon.stop("TERM")?;
        assert!(done.stderr.contains("refuses spans"), "{}", done.stderr);
        assert!(done.stderr.contains("too old"), "{}", done.stderr);
        assert_eq!(receiver.wait(|_| true)?.len(), 4, "none was sent twice");
    }
    Ok(())
}

#[test]
fn without_a_receiver_llmtap_works_and_ends_in_time() -> Result<()> {
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for via in Via::ALL {
        let served = Served::start(&format!("http://{gone}"), via, &[])?;
        served.report(3)?;
        served
            .daemon
            .stderr_line(|line| line.contains("does not take spans now"))?;
        served.report(1)?;
        let stored: i64 =
            served
                .database()?
                .query_row("SELECT count(*) FROM calls", [], |row| row.get(0))?;
        assert_eq!(stored, 4);
        let done = served.daemon.stop("TERM")?;
        ensure!(done.code == Some(0), "{done:?}");
    }
    Ok(())
}

#[test]
fn what_waits_is_sent_at_the_end() -> Result<()> {
    let receiver = Receiver::start(&[])?;
    let served = Served::start(
        &receiver.endpoint(Via::Http),
        Via::Http,
        &["--otlp-interval=1h"],
    )?;
    served.report(4)?;
    let done = served.daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    assert_eq!(receiver.spans(4)?.len(), 4);
    let requests = receiver.wait(|requests| !otlp::last_metrics(requests).is_empty())?;
    let calls = &otlp::last_metrics(&requests)["llmtap.calls"];
    assert_eq!(points_sum(calls, "outcome", "ok"), Some(4.0));
    Ok(())
}

#[test]
fn content_goes_along_where_it_is_asked_for_without_its_secrets() -> Result<()> {
    let receiver = Receiver::start(&[])?;
    let more = [
        "--otlp-content",
        "--otlp-signals=traces",
        "--redact=forbidden[0-9]+",
    ];
    let served = Served::start(&receiver.endpoint(Via::Grpc), Via::Grpc, &more)?;
    let mut report = report(1);
    report["request_body"] = json!({"model": "m", "messages": [{"role": "user",
        "content": format!("{SAID} forbidden42")}]})
    .to_string()
    .into();
    http::post(served.api, "/api/report", &report.to_string())?;
    let span = receiver.spans(1)?.remove(0);
    let body = span["attributes"]["llmtap.request.body"]
        .as_str()
        .context("a body")?;
    assert!(body.contains(SAID), "{body}");
    assert!(!body.contains("forbidden42"), "{body}");
    assert!(span["attributes"]["llmtap.response.body"].is_string());

    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--bodies=none"])?;
    command.args([
        "--otlp-content",
        "--otlp-endpoint=http://127.0.0.1:1",
        "--db",
    ]);
    let done = process::run(command.arg(served.folder.path().join("other.db")))?;
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("--bodies none"), "{}", done.stderr);
    Ok(())
}

#[test]
fn tls_is_spoken_and_checked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let receiver = Receiver::start_tls(folder.path())?;
    let authority = format!("--otlp-ca={}", folder.path().join("ca.pem").display());
    for (via, spans) in [(Via::Http, 2), (Via::Grpc, 4)] {
        let more = ["--otlp-signals=traces", &authority];
        let served = Served::start(&receiver.endpoint(via), via, &more)?;
        served.report(2)?;
        assert_eq!(receiver.spans(spans)?.len(), spans);
    }
    // Another authority's word is nothing here.
    let other = tempfile::tempdir()?;
    let _other = Receiver::start_tls(other.path())?;
    let authority = format!("--otlp-ca={}", other.path().join("ca.pem").display());
    let served = Served::start(&receiver.endpoint(Via::Grpc), Via::Grpc, &[&authority])?;
    served.report(1)?;
    let line = served
        .daemon
        .stderr_line(|line| line.contains("does not take spans now"))?;
    assert!(line.contains("certificate"), "{line}");
    Ok(())
}

#[test]
fn opentelemetrys_variables_are_honoured() -> Result<()> {
    let receiver = Receiver::start(&[])?;
    let folder = tempfile::tempdir()?;
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(folder.path().join("llmtap.db"));
    let mut command = without_opentelemetry(command);
    for (name, value) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            receiver.endpoint(Via::Grpc).as_str(),
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20s3cret",
        ),
        ("OTEL_SERVICE_NAME", "tap-7"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ] {
        command.env(name, value);
    }
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    http::post(api, "/api/report", &report(0).to_string())?;
    receiver.spans(1)?;
    let done = daemon.stop("TERM")?;
    assert!(!done.stderr.contains("s3cret"), "{}", done.stderr);
    let requests = receiver.wait(|_| true)?;
    for request in &requests {
        assert_eq!(request["signal"], "traces");
        assert_eq!(request["resource"]["service.name"], "tap-7");
        assert_eq!(request["headers"]["authorization"], "Bearer s3cret");
    }
    Ok(())
}

/// Needs root, to capture packets: without it, it fails.
#[test]
fn a_live_call_is_a_child_of_its_callers_span_with_the_times_of_its_row() -> Result<()> {
    let receiver = Receiver::start(&[])?;
    let server = ModelServer::start("127.0.0.1:0".parse()?, Pace::default())?;
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let endpoint = receiver.endpoint(Via::Http);
    let tap = Tap::new("pcap", "lo", &[server.address().port()], &store);
    let tap = tap.with(&["--otlp-endpoint", &endpoint, "--otlp-signals=traces"]);
    let llmtap = Daemon::start(without_opentelemetry(tap.command()?))?;
    llmtap.ready()?;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    call(
        server.address(),
        &format!("traceparent: 00-{trace}-{parent}-01\r\n"),
    )?;
    llmtap.stdout_lines(1)?;
    let span = receiver.spans(1)?.remove(0);
    let row = llmtap.stop("INT")?.rows()?.remove(0);
    assert_eq!(
        (&span["trace_id"], &span["parent_span_id"]),
        (&json!(trace), &json!(parent))
    );
    assert_eq!(span["flags"], 0x300);
    check_times(&store, &span)?;
    assert_eq!(
        span["attributes"]["llmtap.call_key"],
        row.get("call_key").clone()
    );
    assert_eq!(span["attributes"]["gen_ai.request.stream"], true);
    Ok(())
}

/// Start, end and events are the marks of the row.
fn check_times(store: &Path, span: &Value) -> Result<()> {
    let marks = "request_start, ended, request_end, response_head, first_token, last_token";
    let query = format!("SELECT {marks} FROM calls");
    let found: [i64; 6] = Connection::open(store)?.query_row(&query, [], |row| {
        Ok([
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
        ])
    })?;
    let events = &span["events"];
    let shown = [
        &span["start"],
        &span["end"],
        &events["llmtap.request_end"],
        &events["llmtap.response_head"],
        &events["llmtap.first_token"],
        &events["llmtap.last_token"],
    ];
    assert_eq!(
        shown.map(Value::as_i64),
        found.map(|micros| Some(micros * 1_000))
    );
    Ok(())
}

/// A streamed call with these header lines.
fn call(address: SocketAddr, headers: &str) -> Result<()> {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(process::PATIENCE))?;
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}
