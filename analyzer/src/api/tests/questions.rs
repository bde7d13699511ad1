use std::io::BufRead as _;

use super::*;
use crate::api::{endpoints, openapi};

/// A server with so many calls: of four models, each third one an error.
fn with_calls(count: usize) -> Server {
    let server = Server::start();
    let receipts: Vec<_> = (0..count)
        .map(|number| {
            let mut record = fixtures::record(1);
            let call = &mut record.call;
            call.call_key.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
            call.request_model = Some(format!("model-{}", number % 4));
            if number % 3 == 0 {
                call.status = Some(503);
                call.outcome = crate::call::Outcome::ServerError;
            }
            call.marks.request_start = call
                .marks
                .request_start
                .map(|time| time.plus_micros(number as i64 * 1_000_000));
            server.writer.submit_acked(record).unwrap()
        })
        .collect();
    for receipt in receipts {
        receipt.blocking_recv().unwrap().unwrap();
    }
    server
}

/// The body of an answer in chunks.
fn dechunked(answer: &Answer) -> String {
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    let mut rest = answer.body.as_str();
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
}

#[test]
fn calls_are_listed_page_by_page() {
    let server = with_calls(25);
    let mut path = "/api/calls?limit=10&model=model-1&model=model-2".to_owned();
    let mut ids = Vec::new();
    loop {
        let answer = server.get(&path);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let page = answer.json();
        let calls = page["calls"].as_array().unwrap();
        ids.extend(calls.iter().map(|call| call["id"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/calls?limit=10&model=model-1&model=model-2&cursor={next}");
    }
    let expected: Vec<i64> = (1..=25)
        .rev()
        .filter(|id| matches!((id - 1) % 4, 1 | 2))
        .collect();
    assert_eq!(ids, expected);
}

#[test]
fn twins_hold_all_calls_that_the_pages_hold() {
    let server = with_calls(2_345);
    let lines = dechunked(&server.get("/api/calls.ndjson?status=5xx&sort=id&order=asc"));
    let rows: Vec<Json> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    let expected: Vec<i64> = (1..=2_345).filter(|id| (id - 1) % 3 == 0).collect();
    assert_eq!(ids, expected);

    let answer = server.get("/api/calls.csv?limit=1500");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"calls.csv\""
    );
    let csv = dechunked(&answer);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headings: Vec<_> = crate::columns::call_headings().collect();
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        headings
    );
    let first: Vec<String> = reader
        .records()
        .map(|record| record.unwrap()[0].to_owned())
        .collect();
    let newest: Vec<String> = (846..=2_345).rev().map(|id| id.to_string()).collect();
    assert_eq!(first, newest);
}

#[test]
fn one_call_comes_with_everything() {
    let server = with_calls(3);
    let by_id = server.get("/api/calls/2");
    assert_eq!(by_id.status, 200);
    let details = by_id.json();
    assert_eq!(details["call"]["id"], 2);
    assert_eq!(details["losses"]["missing_response_bytes"], 0);
    assert!(details["timeline"].is_array());
    assert_eq!(details["bodies"]["request"]["head"], "{\"q\":1}");
    let key = details["call"]["call_key"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/calls/{key}")).json(), details);
    assert_eq!(server.get("/api/calls/99").status, 404);
    assert_eq!(server.get("/api/calls/x").json()["field"], "id");
    assert_eq!(server.get("/api/calls/2?model=x").status, 400);
}

#[test]
fn summaries_and_series_agree() {
    let server = with_calls(40);
    let summary = server.get("/api/summary?group_by=model,outcome").json();
    assert_eq!(summary["total"]["calls"], 40);
    assert_eq!(summary["total"]["errors"], 14);
    // 52 ms, within 1 %.
    assert_eq!(summary["total"]["ttft"]["p50"], 0.05155);
    assert_eq!(summary["groups"].as_array().unwrap().len(), 8);
    let csv = server.get("/api/summary.csv?group_by=model").body;
    assert!(csv.starts_with("model,calls,errors,input_tokens,"), "{csv}");
    assert_eq!(csv.lines().count(), 5);
    let series = server.get("/api/timeseries?group_by=model&step=10s").json();
    assert_eq!(
        (&series["points"], &series["step"]),
        (&json!(4), &json!(10.0))
    );
    let counted: u64 = series["series"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|series| series["points"].as_array().unwrap())
        .filter_map(|point| point["calls"].as_u64())
        .sum();
    assert_eq!(counted, 40);
    let lines = server.get("/api/timeseries.ndjson?step=10s").body;
    let first: Json = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["calls"], &first["ttft_count"]),
        (&json!(10), &json!(10))
    );
    let heat = server.get("/api/heatmap?of=output_tokens&step=40s").json();
    assert_eq!(heat["counts"], json!([[40]]));
    assert_eq!(heat["bounds"], json!([22.63]));
}

#[test]
fn wrong_questions_are_problem_documents() {
    let server = with_calls(1);
    for (path, field, said) in [
        ("/api/calls?modle=x", "modle", "was \"model\" meant"),
        ("/api/calls?limit=0", "limit", "from 1 to 1000"),
        ("/api/calls?limit=1001", "limit", "from 1 to 1000"),
        ("/api/calls?cursor=abc", "cursor", "none that llmtap gave"),
        ("/api/calls?sort=tttft", "sort", "was \"ttft\" meant"),
        (
            "/api/calls.csv?cursor=abc",
            "cursor",
            "there is no parameter",
        ),
        (
            "/api/summary?group_by=modell",
            "group_by",
            "was \"model\" meant",
        ),
        (
            "/api/summary?group_by=labels",
            "group_by",
            "was \"label.\" meant",
        ),
        (
            "/api/timeseries?step=1ms&from=2020-01-01",
            "step",
            "1000 at most",
        ),
        ("/api/timeseries?step=0", "step", "30s"),
        ("/api/heatmap?of=cost", "of", "one of"),
        ("/api/calls?from=2&to=1", "from", "later"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(
            (&problem["field"], &problem["status"]),
            (&json!(field), &json!(400))
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{path}: {detail}");
    }
    let other_order = server.get("/api/calls?limit=1").json();
    assert_eq!(other_order["next"], Json::Null);
}

#[test]
fn a_cursor_belongs_to_its_order() {
    let server = with_calls(3);
    let page = server.get("/api/calls?limit=1").json();
    let next = page["next"].as_str().unwrap();
    assert_eq!(
        server
            .get(&format!("/api/calls?limit=1&cursor={next}"))
            .status,
        200
    );
    let answer = server.get(&format!("/api/calls?limit=1&sort=ttft&cursor={next}"));
    assert_eq!(
        (answer.status, &answer.json()["field"]),
        (400, &json!("cursor"))
    );
}

#[test]
fn the_document_tells_of_what_there_is() {
    let server = with_calls(1);
    let document = server.get("/api/openapi.json").json();
    assert_eq!(document, openapi::build());
    for endpoint in endpoints::ENDPOINTS {
        let described = &document["paths"][endpoint.path][endpoint.method.to_ascii_lowercase()];
        assert!(described["responses"].is_object(), "{}", endpoint.path);
        let path = endpoint
            .path
            .replace("{id}", "1")
            .replace("{file}", "main.js");
        let status = match endpoint.method {
            "POST" => server.post(&path, &report(1)).status,
            // It has no end.
            _ if matches!(endpoint.answer, endpoints::Answer::Events) => {
                access::status(&server, &format!("GET {path}"), "Host: localhost\r\n")
            }
            _ => server.get(&path).status,
        };
        assert_eq!(status, 200, "{}", endpoint.path);
    }
    // What a row has is described, and the other way round.
    let row = server.get("/api/calls").json()["calls"][0].clone();
    let described = &document["components"]["schemas"]["Call"]["properties"];
    let keys =
        |value: &Json| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&row), keys(described));
}

#[test]
fn a_reader_that_stops_reading_holds_nothing_up() {
    let server = with_calls(5_000);
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(b"GET /api/calls.ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(slow.try_clone().unwrap());
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    // Others are answered, rows are written, and the log can be folded into the database whole.
    assert_eq!(server.get("/api/calls?limit=1").status, 200);
    let record = fixtures::record(77);
    let stored = server.writer.submit_acked(record).unwrap();
    stored.blocking_recv().unwrap().unwrap();
    let db = rusqlite::Connection::open(server.db()).unwrap();
    let (busy, log, folded): (i64, i64, i64) = db
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.try_into())
        .unwrap();
    assert_eq!((busy, log), (0, folded));
    drop((reader, slow));
}

#[test]
fn the_page_of_the_api_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let page = reference::page();
    if std::env::var_os("LLMTAP_RENEW").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/api.md is old: LLMTAP_RENEW=1 cargo test -p analyzer --lib the_page_of_the_api writes it anew"
    );
}
