//! The limits as settings: each is reached by a small capture where it is set low, and is not where it is
//! left alone; the table in docs/limits.md is that of the program.

use std::{collections::BTreeMap, io::Write as _};

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use llmtap_tests::{
    http,
    pcap::{Capture, Conversation, Link, Packet},
    process::{self, Done},
    tap::Tap,
    tools,
};

const T0: u64 = 1_754_000_000_000_000;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn at(millis: u64) -> u64 {
    T0 + millis * 1_000
}

fn talk(number: u16) -> Conversation {
    Conversation::new(
        ([10, 1, 0, 9], 40_000 + number).into(),
        ([10, 0, 0, 1], 8000).into(),
    )
}

fn post(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: llm\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn question(words: usize) -> String {
    let text = "word ".repeat(words);
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

fn whole(number: u16, millis: u64, request: impl AsRef<[u8]>) -> Conversation {
    let mut talk = talk(number);
    talk.handshake(at(millis))
        .client(at(millis + 1), request)
        .server(at(millis + 2), ANSWER)
        .close(at(millis + 3));
    talk
}

fn replay(packets: &[Packet], arguments: &[&str]) -> Result<Done> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("limits.pcap");
    let mut capture = Capture::new(Link::Ethernet);
    capture.add_packets(packets);
    capture.write(&file)?;
    let file = file.to_str().context("a path in UTF-8")?;
    process::run_llmtap(&[&["replay", file, "--rows", "exchanges"], arguments].concat())
}

/// Replayed as they are, these packets reach no limit; with the arguments, this one.
fn check(talks: &[Conversation], arguments: &[&str], reached: &str) -> Result<()> {
    let packets: Vec<_> = talks
        .iter()
        .flat_map(|talk| talk.packets().to_vec())
        .collect();
    let limits = |arguments: &[&str]| {
        let done = replay(&packets, arguments)?;
        let text = [done.stdout, done.stderr].concat();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("limits reached: "));
        anyhow::Ok(line.unwrap_or("none").to_owned())
    };
    assert_eq!(limits(&[])?, "none");
    assert_eq!(limits(arguments)?, reached, "{arguments:?}");
    Ok(())
}

#[test]
fn connections() -> Result<()> {
    // All stay open. Each sixteenth has room for one.
    let talks: Vec<_> = (0..100)
        .map(|number| {
            let mut talk = talk(number);
            let begun = at(number.into());
            talk.handshake(begun).client(begun, post("", question(1)));
            talk
        })
        .collect();
    check(
        &talks,
        &["--max-connections", "16"],
        "84 evicted (--max-connections)",
    )
}

#[test]
fn silence() -> Result<()> {
    const REACHED: &str = "1 timed_out (--idle-timeout, --answer-timeout or --half-open-timeout)";
    let later = whole(99, 20_000, post("", question(1)));
    let mut idle = talk(1);
    idle.handshake(at(0))
        .client(at(1), post("", question(1)))
        .server(at(2), ANSWER)
        .client_ack(at(3));
    check(&[idle, later.clone()], &["--idle-timeout", "10s"], REACHED)?;
    let mut waiting = talk(1);
    waiting
        .handshake(at(0))
        .client(at(1), post("", question(1)))
        .server_ack(at(2));
    let talks = [waiting, later.clone()];
    check(&talks, &["--idle-timeout", "10s"], "none")?;
    let both = ["--idle-timeout", "10s", "--answer-timeout", "15s"];
    check(&talks, &both, REACHED)?;
    let mut half_open = talk(1);
    half_open.client_ack(at(0));
    check(
        &[half_open, later],
        &["--half-open-timeout", "10s"],
        REACHED,
    )
}

#[test]
fn bytes_that_wait() -> Result<()> {
    let reached = "1 gaps_for_budget (--max-connection-buffer or --max-buffered)";
    let mut talk = talk(1);
    talk.handshake(at(0));
    let request = post("", question(4_000));
    let (first, rest) = request.split_at(1_000);
    let (lost, rest) = rest.split_at(1_000);
    talk.client(at(1), first);
    let lost = talk.reserve_client(lost);
    // Late, but it comes: without a limit nothing is lost.
    talk.client(at(2), rest)
        .send(at(3), &lost)
        .server(at(4), ANSWER)
        .close(at(5));
    let talks = [talk];
    check(&talks, &["--max-connection-buffer", "8KiB"], reached)?;
    check(&talks, &["--max-buffered", "128KiB"], reached)
}

#[test]
fn heads_that_are_not_whole() -> Result<()> {
    let mut talk = talk(1);
    let head = format!("POST / HTTP/1.1\r\nX-Long: {}\r\n", "x".repeat(10_000));
    talk.handshake(at(0)).client(at(1), head);
    // Without the limit it waits for its end.
    let reached = "1 heads_shed (--max-connection-buffer or --max-buffered)";
    check(&[talk], &["--max-buffered", "128KiB"], reached)
}

#[test]
fn heads() -> Result<()> {
    let long = whole(
        1,
        0,
        post(&format!("X-Long: {}\r\n", "x".repeat(2_000)), question(1)),
    );
    check(
        &[long],
        &["--max-head-bytes", "1KiB"],
        "1 heads_too_large (--max-head-bytes)",
    )?;
    let many = whole(1, 0, post(&"X-One: 1\r\n".repeat(10), question(1)));
    // Host, Content-Length and ten more, of which the answer has one.
    check(
        &[many],
        &["--max-head-fields", "5"],
        "7 fields_dropped (--max-head-fields)",
    )
}

#[test]
fn pipelining() -> Result<()> {
    let mut talk = talk(1);
    let requests = post("", question(1)).repeat(5);
    talk.handshake(at(0)).client(at(1), requests);
    for _ in 0..5 {
        talk.server(at(2), ANSWER);
    }
    talk.close(at(3));
    let reached = "3 exchanges_evicted (--max-open-exchanges)";
    check(&[talk], &["--max-open-exchanges", "3"], reached)
}

#[test]
fn bodies() -> Result<()> {
    let long = whole(1, 0, post("", question(1_000)));
    check(
        &[long],
        &["--max-body-read", "1000"],
        "1 bodies_capped (--max-body-read)",
    )?;

    // A thousand bytes on the wire, many when decoded.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(question(100_000).as_bytes())?;
    let coded = post("Content-Encoding: gzip\r\n", gzip.finish()?);
    let small = whole(1, 0, &coded);
    check(
        &[small],
        &["--max-body-read", "100KiB"],
        "1 bodies_capped (--max-body-read)",
    )
}

#[test]
fn decoders() -> Result<()> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(question(1).as_bytes())?;
    let coded = post("Content-Encoding: gzip\r\n", gzip.finish()?);
    let (begun, rest) = coded.split_at(coded.len() - 5);
    // All are under way at once. Each sixteenth of the connections has memory for one decoder.
    let talks: Vec<_> = (0..100)
        .map(|number| {
            let mut talk = talk(number);
            talk.handshake(at(0))
                .client(at(1), begun)
                .client(at(2), rest)
                .server(at(3), ANSWER)
                .close(at(4));
            talk
        })
        .collect();
    check(
        &talks,
        &["--max-decoder-memory", "2MiB"],
        "84 decoders_refused (--max-decoder-memory)",
    )
}

#[test]
fn text() -> Result<()> {
    let long = whole(1, 0, post("", question(10_000)));
    check(
        &[long],
        &["--max-text", "64KiB"],
        "1 texts_shed (--max-text)",
    )
}

#[test]
fn stored_bodies() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let path = store.to_str().context("a path in UTF-8")?;
    let talk = whole(1, 0, post("", question(100)));
    let arguments = ["--db", path, "--body-head", "10", "--body-tail", "4"];
    let done = replay(talk.packets(), &arguments)?;
    let reached = "limits reached: 1 bodies_cut (--body-head and --body-tail)";
    assert!(done.stdout.contains(reached), "{done:?}");
    let db = rusqlite::Connection::open(&store)?;
    let columns = "SELECT request_head, request_tail, request_omitted FROM bodies";
    let stored: (String, String, i64) = db.query_row(columns, [], |row| row.try_into())?;
    let length = question(100).len() as i64;
    assert_eq!(
        stored,
        (r#"{"model":""#.to_owned(), "\"}]}".to_owned(), length - 14)
    );
    Ok(())
}

#[test]
fn settings_come_from_the_environment_and_nonsense_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("limits.pcap");
    Capture::of(&whole(1, 0, post("", question(1_000)))).write(&file)?;
    let run = |value: &str| {
        let mut llmtap = process::llmtap(&["replay".as_ref(), file.as_os_str()])?;
        process::run(llmtap.env("LLMTAP_MAX_BODY_READ", value))
    };
    let done = run("1kB")?;
    assert!(
        done.stdout.contains("1 bodies_capped (--max-body-read)"),
        "{done:?}"
    );
    let refused = run("much")?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--max-body-read"), "{refused:?}");
    assert!(refused.stderr.contains("such as 64MiB"), "{refused:?}");
    Ok(())
}

/// Flags and their defaults, as the help lists them under "Limits".
fn helped() -> Result<BTreeMap<String, String>> {
    let help = process::run_llmtap(&["run", "--help"])?.stdout;
    let (_, limits) = help.split_once("\nLimits:\n").context("the heading")?;
    let mut flags: Vec<(String, String)> = Vec::new();
    // The next heading stands at the margin.
    let limits = limits
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '));
    for line in limits {
        let line = line.trim();
        if let Some(flag) = line.split(' ').next().filter(|word| word.starts_with("--")) {
            flags.push((flag.to_owned(), String::new()));
        }
        if let (Some((_, default)), Some(last)) = (line.split_once("[default: "), flags.last_mut())
        {
            default.trim_end_matches(']').clone_into(&mut last.1);
        }
    }
    ensure!(flags.len() > 10, "{help}");
    Ok(flags.into_iter().collect())
}

#[test]
fn the_page_has_each_limit_with_its_default_and_its_counter() -> Result<()> {
    let page = std::fs::read_to_string(tools::file("../docs/limits.md"))?;
    let rows: Vec<Vec<String>> = page
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().replace('`', ""))
                .collect()
        })
        .collect();
    let listed: BTreeMap<_, _> = rows
        .iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    assert_eq!(listed, helped()?);

    // A live run shows the counters, at zero too.
    let folder = tempfile::tempdir()?;
    let tap = Tap::new("pcap", "lo", &[1], &folder.path().join("llmtap.db")).start()?;
    let api = tap.ready()?;
    let scrape = process::eventually(|| {
        let text = http::get(api, "/metrics").ok()?.text();
        rows.iter()
            .all(|row| text.contains(&format!("\n{}{{event=\"{}\"}} ", row[3], row[4])))
            .then_some(())
    });
    scrape.context("a counter that docs/limits.md names is not in the metrics")
}
