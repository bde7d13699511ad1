//! The store when things go wrong: what was acknowledged is there, and no row is doubled.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http,
    pcap::{ByteOrder, Capture, Conversation, Link, Resolution},
    process::{self, Daemon},
};
use rusqlite::Connection;

const REPORT: &str = r#"{"request_body":"{\"model\":\"m\",\"messages\":[]}","response_body":"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}","elapsed_time":1}"#;

/// Acknowledged reports after which the process is killed.
const ACKNOWLEDGED: usize = 60;

/// Reporters at a time.
const REPORTERS: usize = 6;

fn serve(store: &Path) -> Result<(Daemon, SocketAddr)> {
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(store);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    Ok((daemon, api))
}

fn count(store: &Path, what: &str) -> Result<usize> {
    let database = Connection::open(store)?;
    let check: String = database.query_one("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(check == "ok", "{check}");
    let count = format!("SELECT count(*) FROM {what}");
    let count: i64 = database.query_one(&count, [], |row| row.get(0))?;
    Ok(usize::try_from(count)?)
}

#[test]
fn what_was_acknowledged_outlives_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let mut least = 0;
    let mut most = 0;
    for _ in 0..3 {
        let (daemon, api) = serve(&store)?;
        let (sent, acknowledged) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..REPORTERS {
                scope.spawn(|| {
                    // Until the process is gone.
                    loop {
                        sent.fetch_add(1, Ordering::SeqCst);
                        match http::post(api, "/api/report", REPORT) {
                            Ok(response) if response.status == 200 => {
                                acknowledged.fetch_add(1, Ordering::SeqCst);
                            }
                            _ => return,
                        }
                    }
                });
            }
            let enough = process::eventually(|| {
                (acknowledged.load(Ordering::SeqCst) >= ACKNOWLEDGED).then_some(())
            });
            daemon.signal("KILL")?;
            enough.context("the reports were not acknowledged")
        })?;
        let done = daemon.wait()?;
        ensure!(done.code.is_none(), "{done:?}");
        least += acknowledged.load(Ordering::SeqCst);
        most += sent.load(Ordering::SeqCst);
        let rows = count(&store, "calls")?;
        assert!(
            (least..=most).contains(&rows),
            "{least} <= {rows} <= {most}"
        );
        assert_eq!(count(&store, "bodies")?, rows);
    }
    Ok(())
}

#[test]
fn a_reader_beside_the_writer_always_sees_whole_batches() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (daemon, api) = serve(&store)?;
    let reader = Connection::open(&store)?;
    let mut seen = 0;
    for sent in 1..=40_i64 {
        let response = http::post(api, "/api/report", REPORT)?;
        ensure!(response.status == 200, "{}", response.text());
        let (calls, bodies, shown): (i64, i64, i64) = reader.query_one(
            "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM bodies), \
             (SELECT count(*) FROM token_stats WHERE request_body IS NOT NULL)",
            [],
            |row| row.try_into(),
        )?;
        assert_eq!((calls, bodies, shown), (sent, sent, sent));
        assert!(calls > seen);
        seen = calls;
    }
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    Ok(())
}

/// Calls on one connection, all at one moment but for the exchange's number.
fn capture() -> Capture {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = r#"{"object":"chat.completion","choices":[]}"#;
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let mut capture = Capture::new(Link::Ethernet);
    for port in 40_000..40_010_u16 {
        let client = ([10, 1, 0, 9], port).into();
        let mut talk = Conversation::new(client, ([10, 0, 0, 1], 8000).into());
        let start = 1_754_000_000_000_000;
        talk.handshake(start);
        for _ in 0..5 {
            talk.client(start, &request).server(start, &response);
        }
        talk.close(start);
        capture.add(&talk);
    }
    capture
}

#[test]
fn replaying_again_or_a_copy_doubles_no_row() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let bytes = capture().to_pcap(ByteOrder::Little, Resolution::Micro);
    let nano = capture().to_pcap(ByteOrder::Big, Resolution::Nano);
    for (name, bytes) in [
        ("one.pcap", &bytes),
        ("copy.pcap", &nano),
        ("one.pcap", &bytes),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes)?;
        let mut command = process::llmtap(&["replay", "--format", "ndjson", "--db"])?;
        let done = process::run(command.arg(&store).arg(&file))?;
        ensure!(done.code == Some(0), "{done:?}");
        assert_eq!(done.rows()?.len(), 50);
        assert_eq!(count(&store, "calls")?, 50);
        assert_eq!(count(&store, "bodies")?, 50);
    }
    Ok(())
}
