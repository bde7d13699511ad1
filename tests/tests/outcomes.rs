//! How a call ended, from packets: one capture a case, replayed by the binary.

use anyhow::{Result, ensure};
use llmtap_tests::{
    pcap::{ByteOrder, Capture, Conversation, Resolution},
    process,
    row::Row,
};

const T0: u64 = 1_754_000_000_000_000;

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                           transfer-encoding: chunked\r\n\r\n";

const LAST_CHUNK: &str = "0\r\n\r\n";

const DONE: &str = "data: [DONE]\n\n";

const TOKEN: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}

"#;

const STOP: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

"#;

const FAULT: &str = "data: {\"error\":{\"type\":\"boom\",\"code\":500}}\n\n";

const ANSWER: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}"#;

fn at(millis: u64) -> u64 {
    T0 + 1_000 * millis
}

fn request() -> String {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn plain(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A connection on which a call was asked for.
fn asked() -> Conversation {
    let mut talk = Conversation::new(([10, 1, 0, 9], 40_001).into(), ([10, 0, 0, 1], 8000).into());
    talk.handshake(at(0))
        .client(at(1), request())
        .server_ack(at(2));
    talk
}

/// One on which a stream was answered so far.
fn streaming(events: &[&str]) -> Conversation {
    let mut talk = asked();
    talk.server(at(10), STREAM_HEAD);
    for (number, event) in (0..).zip(events) {
        talk.server(at(20 + 10 * number), chunk(event));
    }
    talk.client_ack(at(99));
    talk
}

fn rows(talk: &Conversation) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("outcome.pcap");
    let capture = Capture::of(talk);
    std::fs::write(&file, capture.to_pcap(ByteOrder::Little, Resolution::Micro))?;
    let done = process::run_llmtap(&[
        "replay".as_ref(),
        file.as_os_str(),
        "--format".as_ref(),
        "ndjson".as_ref(),
    ])?;
    ensure!(done.code == Some(0), "replay: {done:?}");
    done.rows()
}

/// What the one row of a case must say.
struct Expected {
    outcome: &'static str,
    status: Option<i64>,
    output: Option<i64>,
    partial: bool,
    wasted: i64,
}

fn expect(outcome: &'static str, status: i64, output: i64) -> Expected {
    Expected {
        outcome,
        status: Some(status),
        output: Some(output),
        partial: false,
        wasted: 0,
    }
}

fn partial(outcome: &'static str, wasted: i64) -> Expected {
    Expected {
        partial: true,
        wasted,
        ..expect(outcome, 200, 1)
    }
}

fn unanswered(outcome: &'static str) -> Expected {
    Expected {
        status: None,
        output: None,
        ..expect(outcome, 0, 0)
    }
}

fn refused(outcome: &'static str, status: i64) -> Expected {
    Expected {
        output: None,
        ..expect(outcome, status, 0)
    }
}

fn check(case: &str, talk: &Conversation, expected: &Expected) -> Result<()> {
    let rows = rows(talk)?;
    ensure!(rows.len() == 1, "{case}: {rows:?}");
    let row = &rows[0];
    assert_eq!(
        row.text("outcome"),
        Some(expected.outcome),
        "{case}: {row:?}"
    );
    assert_eq!(row.int("status"), expected.status, "{case}: {row:?}");
    assert_eq!(row.int("output_tokens"), expected.output, "{case}: {row:?}");
    assert_eq!(
        row.flag("output_partial"),
        Some(expected.partial),
        "{case}: {row:?}"
    );
    assert_eq!(
        row.micros("wasted"),
        Some(1_000 * expected.wasted),
        "{case}: {row:?}"
    );
    Ok(())
}

#[test]
fn clients_that_leave() -> Result<()> {
    let mut talk = asked();
    talk.client_fin(at(100))
        .server_fin(at(101))
        .client_ack(at(102));
    check("in the queue, by FIN", &talk, &unanswered("client_abort"))?;

    let mut talk = asked();
    talk.client_rst(at(100));
    check("in the queue, by RST", &talk, &unanswered("client_abort"))?;

    let mut talk = streaming(&[TOKEN]);
    talk.client_rst(at(100));
    check("mid-stream, by RST", &talk, &partial("client_abort", 0))?;

    let mut talk = streaming(&[TOKEN]);
    talk.client_fin(at(100))
        .server_fin(at(101))
        .client_ack(at(102));
    check("mid-stream, by FIN", &talk, &partial("client_abort", 0))?;

    let mut talk = streaming(&[TOKEN]);
    talk.client_fin(at(100))
        .server(at(130), chunk(": ping\n\n"))
        .client_rst(at(131));
    check(
        "and the server goes on",
        &talk,
        &partial("client_abort", 30),
    )?;

    let mut talk = streaming(&[TOKEN, STOP, DONE]);
    talk.client_rst(at(100));
    check("by RST after [DONE]", &talk, &expect("ok", 200, 1))?;

    let mut talk = streaming(&[TOKEN, STOP]);
    talk.client_fin(at(100))
        .server_fin(at(101))
        .client_ack(at(102));
    check("after the finish reason", &talk, &expect("ok", 200, 1))?;

    let mut talk = streaming(&[TOKEN]);
    talk.client_fin(at(100))
        .server(at(110), chunk(STOP) + &chunk(DONE) + LAST_CHUNK)
        .server_fin(at(111))
        .client_ack(at(112));
    check(
        "for one direction, and reads on",
        &talk,
        &expect("ok", 200, 1),
    )?;

    let mut talk = asked();
    talk.client_fin(at(3))
        .server(at(10), plain("429 Too Many Requests", "{\"error\":{}}"))
        .server_fin(at(11));
    check("half, and is refused", &talk, &refused("rate_limited", 429))
}

#[test]
fn servers_that_break_off() -> Result<()> {
    let mut talk = asked();
    talk.server_fin(at(100))
        .client_fin(at(101))
        .server_ack(at(102));
    check("without a word, by FIN", &talk, &unanswered("server_abort"))?;

    let mut talk = asked();
    talk.server_rst(at(100));
    check("without a word, by RST", &talk, &unanswered("server_abort"))?;

    let mut talk = streaming(&[TOKEN]);
    talk.server_fin(at(100))
        .client_fin(at(101))
        .server_ack(at(102));
    check(
        "by FIN in a chunked body",
        &talk,
        &partial("server_abort", 0),
    )?;

    let mut talk = streaming(&[TOKEN]);
    talk.server_rst(at(100));
    check(
        "by RST in a chunked body",
        &talk,
        &partial("server_abort", 0),
    )?;

    // The error ended the stream: nothing was broken off.
    let mut talk = streaming(&[TOKEN, FAULT]);
    talk.server_fin(at(100))
        .client_fin(at(101))
        .server_ack(at(102));
    check(
        "after an error event",
        &talk,
        &expect("error_in_200", 200, 1),
    )?;

    let mut talk = streaming(&[TOKEN, STOP, DONE]);
    talk.server_fin(at(100))
        .client_fin(at(101))
        .server_ack(at(102));
    check(
        "after [DONE], without the last chunk",
        &talk,
        &expect("ok", 200, 1),
    )?;

    let mut talk = asked();
    talk.server(
        at(10),
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{TOKEN}"),
    )
    .server_fin(at(20))
    .client_fin(at(21));
    check(
        "where FIN is the end of the body",
        &talk,
        &expect("ok", 200, 1),
    )?;

    let mut talk = asked();
    talk.server(
        at(10),
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            ANSWER.len() + 1
        ),
    )
    .server(
        at(11),
        r#"{"object":"chat.completion","choices":[{"message":{"content":"hi"#,
    )
    .server_fin(at(20))
    .client_fin(at(21));
    check("in a plain answer", &talk, &partial("server_abort", 0))
}

#[test]
fn captures_that_end_first() -> Result<()> {
    check("before the answer", &asked(), &unanswered("incomplete"))?;
    check(
        "mid-stream",
        &streaming(&[TOKEN]),
        &partial("incomplete", 0),
    )?;
    let talk = streaming(&[TOKEN, STOP, DONE]);
    check(
        "after [DONE], before the last chunk",
        &talk,
        &expect("ok", 200, 1),
    )?;

    // The head was never captured: what came is read, and its status is not known.
    let mut talk = asked();
    let _lost = talk.reserve_server(STREAM_HEAD);
    talk.server(at(20), chunk(TOKEN))
        .server(at(30), chunk(STOP) + &chunk(DONE) + LAST_CHUNK)
        .close(at(40));
    let rows = rows(&talk)?;
    ensure!(rows.len() == 1, "{rows:?}");
    assert_eq!(rows[0].text("outcome"), Some("incomplete"), "{rows:?}");
    assert_eq!(rows[0].int("status"), None, "{rows:?}");
    assert_eq!(rows[0].text("confidence"), Some("partial"), "{rows:?}");
    Ok(())
}

#[test]
fn answers_by_status_and_error() -> Result<()> {
    let fault = r#"{"error":{"message":"x","type":"t","code":"c"}}"#;
    for (status, body, expected) in [
        ("200 OK", ANSWER, expect("ok", 200, 1)),
        ("200 OK", fault, refused("error_in_200", 200)),
        ("400 Bad Request", fault, refused("client_error", 400)),
        (
            "404 Not Found",
            "{\"detail\":\"Not Found\"}",
            refused("client_error", 404),
        ),
        ("429 Too Many Requests", fault, refused("rate_limited", 429)),
        (
            "500 Internal Server Error",
            fault,
            refused("server_error", 500),
        ),
        ("502 Bad Gateway", "<html>", refused("server_error", 502)),
        ("307 Temporary Redirect", "", refused("other", 307)),
    ] {
        let mut talk = asked();
        talk.server(at(10), plain(status, body)).close(at(20));
        check(status, &talk, &expected)?;
        // Before its final head the server may send others, which are none.
        let mut talk = asked();
        talk.server(at(5), "HTTP/1.1 100 Continue\r\n\r\n")
            .server(at(6), "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n")
            .server(at(10), plain(status, body))
            .close(at(20));
        check(status, &talk, &expected)?;
    }
    let mut talk = streaming(&[TOKEN, FAULT, DONE]);
    talk.server(at(100), LAST_CHUNK).close(at(101));
    check("an error event", &talk, &expect("error_in_200", 200, 1))?;
    let mut talk = asked();
    talk.server(
        at(10),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    )
    .close(at(20));
    check("101", &talk, &refused("other", 101))
}
