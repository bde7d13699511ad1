//! What a network, a tap or a hostile end can do to TCP, one case a test: the exchanges that come out of
//! a capture file, and the counters that tell what was met.

mod beginnings;
mod doubts;
mod endings;
mod order;

use std::{fmt::Write as _, fs, sync::atomic::AtomicBool};

use analyzer::{analysis, call::ExchangeRow, exchange::Source, tokens::Counter};
use anyhow::{Result, ensure};
use llmtap_tests::pcap::{
    From::{Client, Server},
    Script,
};
use sniffer::{
    capture::file::FileSource,
    http::HttpSettings,
    pipeline::{self, Output, Pace, Report, Settings},
    tcp::TcpSettings,
};

/// The time from which the tests count, in microseconds.
const T0: u64 = 1_754_000_000_000_000;
const SECOND: u64 = 1_000_000;

const ASK: &str = "POST /a HTTP/1.1\r\nHost: llm\r\nContent-Length: 8\r\n\r\nquestion";
const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nreply";
const A: u32 = ASK.len() as u32;
const R: u32 = REPLY.len() as u32;
const WHOLE: &[&str] = &["/a 200 complete 8/5"];
const TWICE: &[&str] = &["/a 200 complete 8/5"; 2];

fn at(millis: u64) -> u64 {
    T0 + millis * 1_000
}

fn script() -> Script {
    Script::new(([10, 1, 0, 9], 40_001).into(), ([10, 0, 0, 1], 8000).into())
}

/// After a handshake at 0.
fn connected() -> Script {
    let mut script = script();
    script.handshake(at(0));
    script
}

/// With a whole exchange at 10 and 20 ms.
fn exchanged() -> Script {
    let mut script = connected();
    script
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, REPLY)
        .client(at(21), A, R, "");
    script
}

/// A second exchange on the same connection, and its end.
fn and_again(script: &mut Script, millis: u64) {
    script
        .client(at(millis), A, R, ASK)
        .server(at(millis + 10), R, 2 * A, REPLY)
        .fin(Client, at(millis + 20), 2 * A, 2 * R, "")
        .fin(Server, at(millis + 21), 2 * R, 2 * A + 1, "")
        .client(at(millis + 22), 2 * A + 1, 2 * R + 1, "");
}

fn part(text: &str, from: u32, to: u32) -> &str {
    text.get(from as usize..to as usize).unwrap_or_default()
}

/// Replays capture files: the exchanges, written short, and what was counted.
fn replay(files: &[&[u8]]) -> Result<(Vec<ExchangeRow>, Report)> {
    let folder = tempfile::tempdir()?;
    let mut paths = Vec::new();
    for (n, file) in files.iter().enumerate() {
        let path = folder.path().join(format!("{n}.pcap"));
        fs::write(&path, file)?;
        paths.push(path);
    }
    let settings = Settings {
        source: Source::File,
        pace: Pace::Replay,
        feed: None,
        ports: Vec::new(),
        workers: 1,
        tcp: TcpSettings::default(),
        http: HttpSettings::new(Source::File),
        analysis: analysis::Settings::default().into(),
        counter: Counter::always().into(),
    };
    let mut rows = Vec::new();
    let report = pipeline::run(
        &mut FileSource::open(&paths)?,
        &settings,
        &AtomicBool::new(false),
        |output| {
            if let Output::Exchange(row, _) = output {
                rows.push(*row);
            }
        },
        |_| {},
    )?;
    Ok((rows, report))
}

/// Target, status, ending, the lengths of both bodies, and where bytes are missing, how many.
fn short(row: &ExchangeRow) -> String {
    let mut text = format!(
        "{} {} {} {}/{}",
        row.target.as_deref().unwrap_or("-"),
        row.status.map_or("-".into(), |status| status.to_string()),
        row.ending,
        row.request_decoded_len,
        row.response_decoded_len,
    );
    for (place, missing) in [
        ("request_head", row.missing_request_head),
        ("request_body", row.missing_request_body),
        ("response_head", row.missing_response_head),
        ("response_body", row.missing_response_body),
    ] {
        if missing > 0 {
            let _ = write!(text, " {place}-{missing}");
        }
    }
    text
}

/// Checks the exchanges and some counters; all others of damage must be 0. No octet is unaccounted for.
fn check_files(files: &[&[u8]], rows: &[&str], counters: &[(&str, u64)]) -> Result<()> {
    let (found, report) = replay(files)?;
    let found: Vec<String> = found.iter().map(short).collect();
    let tcp = report.totals.tcp;
    ensure!(found == rows, "{found:#?}\n{tcp:#?}");
    let ordinary = [
        "segments",
        "payload_bytes",
        "handed_on_bytes",
        "connections",
        "opened",
        "closed",
        "capture_end",
    ];
    for (name, value) in tcp.iter() {
        let expected = counters.iter().find(|(counter, _)| *counter == name);
        let is_right = match expected {
            Some((_, expected)) => value == *expected,
            None => value == 0 || ordinary.contains(&name),
        };
        ensure!(is_right, "{name}: {value}, not {expected:?}: {tcp:#?}");
    }
    let sum = tcp.handed_on_bytes
        + tcp.retransmitted_bytes
        + tcp.duplicate_bytes
        + tcp.late_bytes
        + tcp.keep_alive_bytes
        + tcp.after_end_bytes
        + tcp.rst_bytes
        + tcp.absurd_bytes;
    ensure!(tcp.payload_bytes == sum, "{tcp:#?}");
    Ok(())
}

fn check(script: &Script, rows: &[&str], counters: &[(&str, u64)]) -> Result<()> {
    check_files(&[&script.to_pcap()], rows, counters)
}
