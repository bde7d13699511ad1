//! The store when things go wrong: what was acknowledged is there, and no row is doubled.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, anyhow, ensure};
use llmtap_tests::{
    http,
    pcap::{ByteOrder, Capture, Conversation, Link, Resolution},
    process,
};
use rusqlite::Connection;

/// A report; its model tells it from all others.
fn report(number: usize) -> String {
    format!(
        r#"{{"request_body":"{{\"model\":\"m{number}\",\"messages\":[]}}","response_body":"{{\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}","elapsed_time":1}}"#
    )
}

/// How often the process is killed: some stores side by side, each killed again and again.
const STORES: usize = 4;
const KILLS: usize = 25;

/// Reporters at a time.
const REPORTERS: usize = 3;

fn count(store: &Path, what: &str) -> Result<usize> {
    let database = Connection::open(store)?;
    let check: String = database.query_one("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(check == "ok", "{check}");
    let count = format!("SELECT count(*) FROM {what}");
    let count: i64 = database.query_one(&count, [], |row| row.get(0))?;
    Ok(usize::try_from(count)?)
}

/// Reports until the process is gone, which is killed after some were acknowledged. Which were sent, and which
/// of them were acknowledged.
fn report_and_kill(store: &Path, numbers: &AtomicUsize, after: usize) -> Result<Reported> {
    let (daemon, api) = process::serve(store)?;
    let reported = Mutex::new(Reported::default());
    let lock = || reported.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..REPORTERS {
            scope.spawn(|| {
                loop {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    lock().sent.insert(format!("m{number}"));
                    match http::post(api, "/api/report", &report(number)) {
                        Ok(response) if response.status == 200 => {
                            lock().acknowledged.insert(format!("m{number}"));
                        }
                        _ => return,
                    }
                }
            });
        }
        let enough = process::eventually(|| (lock().acknowledged.len() >= after).then_some(()));
        daemon.signal("KILL")?;
        enough.context("the reports were not acknowledged")
    })?;
    let done = daemon.wait()?;
    ensure!(done.code.is_none(), "{done:?}");
    Ok(reported
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

#[derive(Default)]
struct Reported {
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

/// A hundred times in all: the file opens clean, holds each acknowledged row once, and nothing that was not
/// sent. What was sent and not acknowledged may be there or not, but once at most.
#[test]
fn what_was_acknowledged_outlives_a_hundred_kills() -> Result<()> {
    let outlives = || -> Result<()> {
        let folder = tempfile::tempdir()?;
        let store = folder.path().join("llmtap.db");
        let numbers = AtomicUsize::new(0);
        let mut all = Reported::default();
        for round in 0..KILLS {
            // At another place of a batch, and sometimes before the first.
            let reported = report_and_kill(&store, &numbers, round * 7 % 24)?;
            all.sent.extend(reported.sent);
            all.acknowledged.extend(reported.acknowledged);
            let rows = count(&store, "calls")?;
            assert_eq!(count(&store, "bodies")?, rows);
            let database = Connection::open(&store)?;
            let mut select = database.prepare("SELECT request_model FROM calls")?;
            let models = select.query_map([], |row| row.get(0))?;
            let stored: BTreeSet<String> = models.collect::<Result<_, _>>()?;
            assert_eq!(stored.len(), rows, "no row twice");
            assert!(stored.is_superset(&all.acknowledged), "kill {round}");
            assert!(stored.is_subset(&all.sent), "kill {round}");
            let tally: i64 =
                database.query_one("SELECT rows FROM tallies", [], |row| row.get(0))?;
            assert_eq!(usize::try_from(tally)?, rows);
        }
        ensure!(all.acknowledged.len() > KILLS, "hardly any load");
        Ok(())
    };
    std::thread::scope(|scope| {
        let stores: Vec<_> = (0..STORES).map(|_| scope.spawn(outlives)).collect();
        stores
            .into_iter()
            .try_for_each(|store| store.join().map_err(|_| anyhow!("it panicked"))?)
    })
}

#[test]
fn a_reader_beside_the_writer_always_sees_whole_batches() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (daemon, api) = process::serve(&store)?;
    let reader = Connection::open(&store)?;
    let mut seen = 0;
    for sent in 1..=40_i64 {
        let response = http::post(api, "/api/report", &report(0))?;
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
