//! One LLM call in every wrapping that a capture can have: the row is the same as without it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{
        ByteOrder, Capture, Conversation, Resolution, WRAPPINGS, WRAPPINGS_OF_V6, Wrapping,
        to_pcapng,
    },
    process,
    row::Row,
};

/// The time from which the tests count, in microseconds.
const T0: u64 = 1_754_000_000_000_000;

/// Columns that name the connection, and so differ between two calls that are alike otherwise.
const NAMES: [&str; 4] = ["id", "call_key", "peer", "server"];

fn at(millis: u64) -> u64 {
    T0 + millis * 1_000
}

/// A whole call: handshake, a request over two segments, a streamed answer, an end. It asks for something
/// of its own: equal questions at one time, of one machine to one server and of another to another with equal
/// answers, are one call on two sides of a relay.
fn call(family: u8, port: u16) -> Conversation {
    let ends = match family {
        4 => (([10, 1, 0, 9], port).into(), ([10, 0, 0, 1], 8000).into()),
        _ => (
            ([0xfd00, 0, 0, 0, 0, 0, 0, 9], port).into(),
            ([0xfd00, 0, 0, 0, 0, 0, 0, 1], 8000).into(),
        ),
    };
    let body = format!(
        r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"{port}: {}"}}]}}"#,
        "tell me more about packets ".repeat(20)
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: llm:8000\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (first, second) = request.as_bytes().split_at(300);
    let chunk = |data: &str| {
        let event = format!("data: {data}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len())
    };
    let delta = |content: &str, finish: &str| {
        chunk(&format!(
            r#"{{"object":"chat.completion.chunk","model":"m","choices":[{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":{finish}}}]}}"#
        ))
    };
    let usage = chunk(
        r#"{"object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":90,"completion_tokens":3,"total_tokens":93}}"#,
    );
    let mut talk = Conversation::new(ends.0, ends.1);
    talk.handshake(at(0))
        .client(at(1), first)
        .client(at(2), second)
        .server_ack(at(3))
        .server(
            at(5),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
        )
        .server(at(50), delta(" one", "null"))
        .client_ack(at(51))
        .server(at(70), delta(" two", "null"))
        .server(at(90), delta(" three", "\"stop\"") + &usage)
        .server(at(91), chunk("[DONE]") + "0\r\n\r\n")
        .client_ack(at(92))
        .close(at(100));
    talk
}

/// The rows of a replay of a file with this name and content.
fn replay(folder: &Path, name: &str, bytes: &[u8]) -> Result<Vec<Row>> {
    let file = folder.join(name);
    std::fs::write(&file, bytes)?;
    let done = process::run_llmtap(&[
        "replay".as_ref(),
        file.as_os_str(),
        "--format".as_ref(),
        "ndjson".as_ref(),
    ])?;
    ensure!(done.code == Some(0), "{name}: {done:?}");
    done.rows().with_context(|| name.to_owned())
}

/// Every wrapping with every family of addresses that it can carry.
fn cases() -> impl Iterator<Item = (u8, &'static Wrapping)> {
    let both = [4, 6]
        .into_iter()
        .flat_map(|family| WRAPPINGS.iter().map(move |w| (family, w)));
    both.chain(WRAPPINGS_OF_V6.iter().map(|wrapping| (6, wrapping)))
}

fn plain(family: u8, port: u16) -> Vec<u8> {
    Capture::of(&call(family, port)).to_pcap(ByteOrder::Little, Resolution::Micro)
}

/// A row without what names its connection.
fn alike(row: &Row) -> Row {
    let mut row = row.clone();
    for name in NAMES {
        row.0.remove(name);
    }
    row
}

#[test]
fn every_wrapping_gives_the_same_row() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut usual = Vec::new();
    for family in [4, 6] {
        let rows = replay(folder.path(), "plain.pcap", &plain(family, 40_001))?;
        ensure!(rows.len() == 1, "not one row: {rows:?}");
        assert_eq!(rows[0].text("outcome"), Some("ok"));
        assert_eq!(rows[0].int("output_tokens"), Some(3));
        assert_eq!(rows[0].micros("upload"), Some(1_000));
        usual.push((family, rows));
    }
    for (family, wrapping) in cases() {
        let capture = Capture::wrapped(wrapping, &call(family, 40_001));
        let bytes = capture.to_pcap(ByteOrder::Little, Resolution::Micro);
        let rows = replay(folder.path(), &format!("{}.pcap", wrapping.name), &bytes)?;
        let expected = usual
            .iter()
            .find(|(of, _)| *of == family)
            .map(|(_, rows)| rows);
        assert_eq!(Some(&rows), expected, "{} IPv{family}", wrapping.name);
    }
    Ok(())
}

#[test]
fn all_wrappings_in_one_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let captures: Vec<_> = (40_000..)
        .zip(cases())
        .map(|(port, (family, wrapping))| Capture::wrapped(wrapping, &call(family, port)))
        .collect();
    let usual = replay(folder.path(), "plain.pcap", &plain(4, 40_001))?;
    let mixed = to_pcapng(&captures, ByteOrder::Big, Resolution::Nano);
    let rows = replay(folder.path(), "mixed.pcapng", &mixed)?;
    assert_eq!(rows.len(), captures.len());
    for row in &rows {
        assert_eq!(alike(row), alike(&usual[0]));
    }
    Ok(())
}

#[test]
fn a_packet_seen_inside_and_outside_of_its_tunnel_is_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let usual = replay(folder.path(), "plain.pcap", &plain(4, 40_001))?;
    let mut captures = Vec::new();
    for (port, (family, wrapping)) in (40_000..).zip(cases()) {
        let talk = call(family, port);
        captures.push(Capture::of(&talk));
        // The outer interface sees it some microseconds later.
        captures.push(Capture::wrapped(wrapping, &talk).delayed(7));
    }
    let both = to_pcapng(&captures, ByteOrder::Little, Resolution::Nano);
    let rows = replay(folder.path(), "twice.pcapng", &both)?;
    assert_eq!(rows.len(), captures.len() / 2);
    for row in &rows {
        assert_eq!(alike(row), alike(&usual[0]));
    }
    Ok(())
}
