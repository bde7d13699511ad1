mod access;
mod feed;
mod questions;

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    thread::JoinHandle,
};

use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use super::{
    access::{Access, Tokens},
    *,
};
use crate::{
    feed::Feed,
    fixtures,
    metrics::Metrics,
    record::Record,
    report::Report,
    store::{
        Reader, Size, SqliteSettings, SqliteStore, Store, StoreError, Upkeep, WriterHandle,
        WriterSettings, WriterThread, Written,
    },
};

/// What the API's owner sends.
const TOKEN: &str = "the-owners-token-0123456789";

/// An API on a port of its own, with a store behind it.
struct Server {
    address: SocketAddr,
    metrics: Metrics,
    capture: Arc<CaptureStatus>,
    writer: WriterHandle,
    feed: Feed,
    stop: Option<oneshot::Sender<()>>,
    api: Option<JoinHandle<()>>,
    store: Option<WriterThread>,
    dir: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value)
    }
}

impl Server {
    fn start() -> Self {
        Self::with_store(|store| store)
    }

    fn with_store(wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) -> Self {
        let access = Access {
            tokens: Tokens::parse(TOKEN).unwrap(),
            ..Access::default()
        };
        Self::with(access, wrap)
    }

    fn with(access: Access, wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("llmtap.db");
        let store = SqliteStore::open(&path, SqliteSettings::default()).unwrap();
        let metrics = Metrics::new();
        let settings = WriterSettings::default();
        let (writer, thread) =
            crate::store::start(wrap(Box::new(store)), settings, &metrics).unwrap();
        let capture = Arc::new(CaptureStatus::new(CaptureState::None));
        let state = ApiState::new(
            metrics.clone(),
            Arc::new(Board::new(metrics.clone())),
            Arc::clone(&capture),
            writer.clone(),
            Reader::open(&path).unwrap(),
            Arc::new(row_of),
        );
        let feed = Feed::start(&metrics, 0xabc).unwrap();
        let state = Arc::new(state.guarded(access.into()).feeding(feed.clone()));
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let api = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let shutdown = async {
                let _ = stopped.await;
            };
            runtime.block_on(serve(listener, state, shutdown)).unwrap();
        });
        Self {
            address,
            metrics,
            capture,
            writer,
            feed,
            stop: Some(stop),
            api: Some(api),
            store: Some(thread),
            dir,
        }
    }

    fn db(&self) -> std::path::PathBuf {
        self.dir.path().join("llmtap.db")
    }

    fn get(&self, path: &str) -> Answer {
        self.send(
            &format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            ),
            b"",
        )
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&head, body.as_bytes())
    }

    fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        read_answer(&mut stream)
    }

    /// Ends the API and the store, in that order.
    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(api) = self.api.take() {
            api.join().unwrap();
        }
        if let Some(store) = self.store.take() {
            store.close();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Stands in for the analysis: a row whose tokens are the bodies' lengths.
fn row_of(report: Report) -> Record {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    let mut hasher = DefaultHasher::new();
    (
        &report.request_body,
        &report.response_body,
        &report.timestamp,
    )
        .hash(&mut hasher);
    let mut record = fixtures::record(0);
    let call = &mut record.call;
    call.call_key.0[..8].copy_from_slice(&hasher.finish().to_be_bytes());
    let tokens = (report.request_body.len(), report.response_body.len());
    call.input_tokens = Some(tokens.0 as u64);
    call.output_tokens = Some(tokens.1 as u64);
    call.total_tokens = Some((tokens.0 + tokens.1) as u64);
    call.elapsed = Some((report.elapsed_time * 1e6) as i64);
    call.tokens_per_second =
        (report.elapsed_time > 0.0).then(|| (tokens.0 + tokens.1) as f64 / report.elapsed_time);
    call.path = report.path;
    call.request_model = report.model;
    call.client = report.reporter.map(|ip| ip.to_string());
    record
}

fn report(number: usize) -> String {
    json!({"request_body": "four", "response_body": number.to_string(), "elapsed_time": 0.5, "timestamp": number.to_string()})
        .to_string()
}

fn calls(path: &Path) -> u64 {
    Reader::open(path).unwrap().calls().unwrap()
}

#[test]
fn a_report_is_answered_when_it_is_in_the_store() {
    let server = Server::start();
    let body =
        r#"{"request_body":"four","response_body":"sixsix","elapsed_time":2,"path":"/v1/x"}"#;
    let answer = server.post("/api/report", body);
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"status":"ok","total_tokens":10,"tps":5.0}"#)
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(calls(&server.db()), 1);
    let page = server.get("/api/metrics?offset=0");
    let labels = r#"{model="None",path="/v1/x",ip="127.0.0.1"}"#;
    assert_eq!(page.status, 200);
    assert!(
        page.body.starts_with("# HELP llm_input_tokens "),
        "{page:?}"
    );
    assert!(
        page.body
            .contains(&format!("llm_elapsed_time{labels} 2.0\n")),
        "{page:?}"
    );
    assert!(
        page.body
            .ends_with(&format!("llm_tokens_per_second{labels} 5.0")),
        "{page:?}"
    );
}

#[test]
fn offsets_are_those_of_the_old_tracker() {
    let server = Server::start();
    for number in [5, 55, 555] {
        assert_eq!(server.post("/api/report", &report(number)).status, 200);
    }
    let output = |offset: &str| {
        let page = server.get(&format!("/metrics?offset={offset}"));
        assert_eq!(page.status, 200, "{page:?}");
        let line = page
            .body
            .lines()
            .find(|line| line.starts_with("llm_output_tokens"))
            .unwrap();
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    assert_eq!([output("0"), output("1"), output("2")], ["1", "2", "3"]);
    assert_eq!(output("-7"), "1");
    assert_eq!(output("0&offset=2"), "3");
    for past in ["3", "99999999999999999999999999"] {
        let page = server.get(&format!("/api/metrics?offset={past}"));
        assert_eq!(
            (page.status, page.body.as_str()),
            (404, "# No record found")
        );
        assert!(page.header("content-type").starts_with("text/plain"));
    }
    for wrong in ["x", "", "1.5", "-"] {
        let answer = server.get(&format!("/api/metrics?offset={wrong}"));
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (400, &json!("offset"))
        );
    }
}

#[test]
fn a_bad_report_is_named_and_not_stored() {
    let server = Server::start();
    let answer = server.post(
        "/api/report",
        r#"{"request_body":1,"response_body":"","elapsed_time":1}"#,
    );
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = json!({
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "request_body must be a string",
        "error": "request_body must be a string",
        "field": "request_body",
    });
    assert_eq!(answer.json(), problem);
    assert_eq!(server.post("/api/report", "not json").status, 400);
    assert_eq!(calls(&server.db()), 0);
}

#[test]
fn a_report_that_is_too_large_gets_its_answer() {
    let server = Server::start();
    let body = "x".repeat(report::REPORT_CAP + 1);
    let answer = server.post("/api/report", &body);
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(
        answer.json()["error"]
            .as_str()
            .unwrap()
            .contains("33554432")
    );

    // In chunks, so that the size is not known before.
    let chunk = "y".repeat(1 << 20);
    let mut chunked = String::new();
    for _ in 0..33 {
        let _ = write!(chunked, "{:x}\r\n{chunk}\r\n", chunk.len());
    }
    chunked.push_str("0\r\n\r\n");
    let head = "POST /api/report HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(server.send(head, chunked.as_bytes()).status, 413);

    // Who asks first is told before sending.
    let head = "POST /api/report HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n";
    assert_eq!(server.send(head, b"").status, 413);
}

#[test]
fn a_report_as_large_as_allowed_is_stored() {
    let server = Server::start();
    let frame = r#"{"request_body":"","response_body":"","elapsed_time":1}"#.len();
    let text = "z".repeat(report::REPORT_CAP - frame);
    let body = format!(r#"{{"request_body":"{text}","response_body":"","elapsed_time":1}}"#);
    assert_eq!(body.len(), report::REPORT_CAP);
    let answer = server.post("/api/report", &body);
    assert_eq!(
        (answer.status, &answer.json()["total_tokens"]),
        (200, &json!(text.len()))
    );
}

#[test]
fn reports_that_come_together_are_all_there() {
    let mut server = Server::start();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for number in 0..25 {
                    let answer = server.post("/api/report", &report(thread * 1_000 + number));
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            });
        }
    });
    assert_eq!(calls(&server.db()), 200);
    let text = server.get("/metrics").body;
    assert!(
        text.contains("llmtap_calls_total{outcome=\"ok\",operation=\"chat\"} 200\n"),
        "{text}"
    );
    server.stop();
    assert_eq!(calls(&server.db()), 200);
}

#[test]
fn a_report_that_was_there_is_not_counted_again() {
    let server = Server::start();
    for _ in 0..2 {
        assert_eq!(server.post("/api/report", &report(1)).status, 200);
    }
    assert_eq!(calls(&server.db()), 1);
    assert_eq!(
        server.get("/api/status").json()["calls"]["total"]["calls"],
        1
    );
}

/// Writes nothing.
struct FullStore;

impl Store for FullStore {
    fn write(&mut self, _: &[Record]) -> Result<Written, StoreError> {
        Err(StoreError::Full {
            path: "llmtap.db".into(),
        })
    }

    fn upkeep(&mut self) -> Result<Upkeep, StoreError> {
        Ok(Upkeep::default())
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.write(&[]).map(drop)
    }

    fn is_over(&self) -> bool {
        false
    }

    fn size(&self) -> Option<Size> {
        None
    }
}

#[test]
fn a_store_that_fails_is_said_and_readiness_goes() {
    let server = Server::with_store(|_| Box::new(FullStore));
    assert_eq!(server.get("/ready").status, 200);
    let answer = server.post("/api/report", &report(1));
    assert_eq!(answer.status, 503);
    assert!(
        answer.json()["error"].as_str().unwrap().contains("full"),
        "{answer:?}"
    );
    assert_eq!(answer.header("retry-after"), "1");
    let ready = server.get("/ready");
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)));
    assert!(
        ready.json()["reasons"][0]
            .as_str()
            .unwrap()
            .starts_with("store: ")
    );
    assert_eq!(server.get("/live").status, 200);
    assert_eq!(
        server.get("/api/status").json()["calls"]["total"]["calls"],
        0
    );
}

#[test]
fn ready_means_capturing_too() {
    let server = Server::start();
    for (state, status) in [
        (CaptureState::None, 200),
        (CaptureState::Starting, 503),
        (CaptureState::Capturing("lo port 8000".into()), 200),
        (CaptureState::Stopped("the interface is gone".into()), 503),
    ] {
        server.capture.set(state);
        let answer = server.get("/ready");
        assert_eq!(answer.status, status);
        assert_eq!(server.get("/live").status, 200);
        if let CaptureState::Stopped(why) = server.capture.get() {
            assert_eq!(answer.json()["reasons"], json!([format!("capture: {why}")]));
        }
    }
}

#[test]
fn both_formats_of_the_aggregates_are_served() {
    let server = Server::start();
    let plain = server.get("/metrics");
    assert_eq!(
        plain.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(
        plain.body.contains(
            "# TYPE llmtap_capture_packets_total counter\nllmtap_capture_packets_total 0\n"
        )
    );
    assert!(plain.body.contains("llmtap_build_info{version=\""));
    let head = "GET /api/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: application/openmetrics-text\r\n\r\n";
    let open = server.send(head, b"");
    assert!(
        open.header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(
        open.body
            .contains("# TYPE llmtap_capture_packets counter\n")
            && open.body.ends_with("# EOF\n")
    );
}

#[test]
fn a_scrape_is_coded_for_those_who_take_that() {
    let server = Server::start();
    let ask = |coding: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: {coding}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        (head.to_lowercase(), bytes.split_off(end + 4))
    };
    let (head, coded) = ask("br, gzip");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("vary: accept, accept-encoding"), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&coded[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("llmtap_capture_packets_total 0\n"), "{text}");
    let (head, plain) = ask("gzip;q=0");
    assert!(!head.contains("content-encoding"), "{head}");
    assert!(String::from_utf8(plain).unwrap().ends_with('\n'));
}

#[test]
fn requests_are_counted_by_route_and_made_up_paths_are_one() {
    let server = Server::start();
    for path in [
        "/live",
        "/live",
        "/api/metrics?offset=x",
        "/a",
        "/b",
        "/c?d",
    ] {
        server.get(path);
    }
    server.post("/live", "");
    let text = server.get("/metrics").body;
    let requests: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("llmtap_api_requests_total{"))
        .collect();
    assert_eq!(
        requests,
        [
            r#"llmtap_api_requests_total{route="/live",status="200"} 2"#,
            r#"llmtap_api_requests_total{route="/api/metrics",status="400"} 1"#,
            r#"llmtap_api_requests_total{route="other",status="404"} 3"#,
            r#"llmtap_api_requests_total{route="/live",status="405"} 1"#,
        ],
        "{text}"
    );
    assert!(text.contains("llmtap_api_request_seconds_count{route=\"/live\"} 3\n"));
    assert!(text.contains("llmtap_api_requests_in_flight 1\n"));
}

#[test]
fn other_paths_and_methods_get_json() {
    let server = Server::start();
    let answer = server.get("/nowhere?secret=1");
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (404, &json!("there is no /nowhere"))
    );
    assert!(
        answer.json()["endpoints"]
            .as_array()
            .unwrap()
            .contains(&json!("POST /api/report"))
    );
    let answer = server.get("/api/report");
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (405, &json!("/api/report does not take GET"))
    );
    assert_eq!(answer.header("allow"), "POST");
    assert_eq!(server.post("/metrics", "").status, 405);
}

#[test]
fn the_page_comes_with_its_policy() {
    let server = Server::start();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
    let script = server.get("/ui/main.js");
    assert_eq!(script.status, 200);
    assert_eq!(script.header("content-security-policy"), policy);
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(server.get("/ui/mod.rs").status, 404);
    assert_eq!(server.get("/ui/..%2fmain.js").status, 404);
}

#[test]
fn the_status_shows_calls_without_their_text() {
    let server = Server::start();
    server.metrics.capture().dropped.inc_by("ring", 4);
    let secret = json!({"request_body": "do not show", "response_body": "this", "elapsed_time": 1, "model": "m<b>"});
    server.post("/api/report", &secret.to_string());
    let status = server.get("/api/status");
    assert!(!status.body.contains("do not show"));
    let status = status.json();
    assert_eq!(status["calls"]["last_calls"][0]["model"], "m<b>");
    assert_eq!(status["calls"]["models"][0]["input_tokens"], 11);
    assert_eq!(
        status["losses"],
        json!([{"family": "llmtap_capture_dropped_packets", "reason": "ring", "count": 4}])
    );
    assert_eq!(status["capture"], json!({"state": "none"}));
}

#[test]
fn the_end_lets_a_request_finish() {
    let mut server = Server::start();
    let body = report(1);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /api/report HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body: the request is under way.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    drop(server.stop.take());
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 200);
    server.stop();
    assert_eq!(calls(&server.db()), 1);
    assert!(server.writer.submit(fixtures::record(9)).is_err());
}

#[test]
fn a_port_in_use_says_what_to_do() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = bind(taken.local_addr().unwrap()).unwrap_err();
    assert!(matches!(error, ApiError::InUse(_)));
    assert!(
        error.to_string().contains("another program listens there"),
        "{error}"
    );
    assert!(error.to_string().contains("--listen ADDR:PORT"), "{error}");
    let error = bind("203.0.113.1:9464".parse().unwrap()).unwrap_err();
    assert!(matches!(error, ApiError::NoSuchAddress(_)), "{error}");
}
