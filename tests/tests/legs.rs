//! One call seen on two connections, or three, is one call: from generated captures, and through the real
//! Traefik, tapped before and behind it. The live test needs root, to capture packets: without it, it
//! fails.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http,
    judge::{self, Keys},
    metrics::{self, Sample},
    model_server::{ModelServer, Pace},
    openai::{self, Client},
    pcap::{Capture, Conversation, Link},
    process::{self, Done},
    recording::{self, Recording},
    relay::{Call, Ends, Leg},
    row::Row,
    tap::Tap,
    traefik::{Retry, Traefik},
};

const T0: u64 = 1_754_000_000_000_000;

fn call(number: u64) -> Call {
    Call {
        at: T0 + number * 3_000,
        model: "m".to_owned(),
        id: format!("chatcmpl-{number:032}"),
        tokens: 5,
        ends: Ends::Whole,
    }
}

/// A capture of these connections, replayed with more arguments.
fn replay(talks: &[Conversation], arguments: &[&str]) -> Result<Done> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("legs.pcap");
    let mut capture = Capture::new(Link::Ethernet);
    for talk in talks {
        capture.add(talk);
    }
    capture.write(&file)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let done = process::run_llmtap(&[&["replay", file], arguments].concat())?;
    ensure!(done.code == Some(0), "replay: {done:?}");
    Ok(done)
}

/// Which server's rows are the outer ones of which other's, in the order of the rows.
fn marks(talks: &[Conversation]) -> Result<Vec<String>> {
    marks_of(&replay(talks, &["--format", "ndjson"])?.rows()?)
}

fn marks_of(rows: &[Row]) -> Result<Vec<String>> {
    let mut by_key = BTreeMap::new();
    for row in rows {
        let key = row.text("call_key").context("a key")?;
        by_key.insert(key, row.text("server").context("a server")?);
    }
    let mark = |row: &Row| {
        let server = row.text("server").unwrap_or_default();
        match row.text("outer_of") {
            None => Ok(server.to_owned()),
            Some(key) => Ok(format!(
                "{server} of {}",
                by_key.get(key).context("an inner row")?
            )),
        }
    };
    rows.iter().map(mark).collect()
}

fn check(talks: &[Conversation], expected: &[&str]) -> Result<()> {
    let marks = marks(talks)?;
    ensure!(marks == expected, "{marks:#?}");
    Ok(())
}

/// The published port of a container: docker's userland proxy copies bytes between two connections.
fn published() -> Result<[Conversation; 2]> {
    let outer = Leg::new("192.0.2.1:40000", "10.0.0.9:8000", 0)?;
    let inner = Leg::new("172.17.0.1:50000", "172.17.0.2:8000", 60)?;
    Ok([call(0).over(&outer), call(0).over(&inner)])
}

#[test]
fn dockers_userland_proxy() -> Result<()> {
    check(
        &published()?,
        &["172.17.0.2:8000", "10.0.0.9:8000 of 172.17.0.2:8000"],
    )
}

/// One connection, seen on eth0 before its destination was translated and on docker0 after.
#[test]
fn a_translated_destination() -> Result<()> {
    for depth in [0, 3] {
        let outer = Leg::new("192.0.2.1:40000", "10.0.0.9:8000", 0)?;
        let inner = Leg::new("192.0.2.1:40000", "172.17.0.2:8000", depth)?;
        let rows = replay(
            &[call(0).over(&outer), call(0).over(&inner)],
            &["--format", "ndjson"],
        )?;
        let rows = rows.rows()?;
        // At one time to the microsecond, either is as good.
        let marked = rows
            .iter()
            .filter(|row| !row.get("outer_of").is_null())
            .count();
        assert_eq!((rows.len(), marked), (2, 1), "{rows:?}");
        if depth > 0 {
            let marks = marks_of(&rows)?;
            assert!(
                marks.contains(&"10.0.0.9:8000 of 172.17.0.2:8000".to_owned()),
                "{marks:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn three_legs() -> Result<()> {
    for ends in [Ends::Whole, Ends::ClientLeaves] {
        let call = Call { ends, ..call(0) };
        let mut talks = Vec::new();
        for (client, server, depth) in [
            ("192.0.2.1:40000", "10.0.0.9:80", 0),
            ("172.17.0.1:50000", "172.17.0.2:80", 60),
            ("172.17.0.2:50000", "172.17.0.3:8000", 500),
        ] {
            talks.push(call.over(&Leg::new(client, server, depth)?));
        }
        let mut marks = marks(&talks)?;
        marks.sort();
        assert_eq!(
            marks,
            [
                "10.0.0.9:80 of 172.17.0.2:80",
                "172.17.0.2:80 of 172.17.0.3:8000",
                "172.17.0.3:8000",
            ]
        );
    }
    Ok(())
}

#[test]
fn a_client_that_leaves_is_one_abort() -> Result<()> {
    for (client, server) in [
        ("172.17.0.1:50000", "172.17.0.2:8000"),
        ("10.0.0.9:50000", "172.17.0.2:8000"),
    ] {
        // Before any token, too.
        for tokens in [0, 5] {
            let call = Call {
                ends: Ends::ClientLeaves,
                tokens,
                ..call(0)
            };
            let outer = call.over(&Leg::new("192.0.2.1:40000", "10.0.0.9:80", 0)?);
            let inner = call.over(&Leg::new(client, server, 400)?);
            let done = replay(&[outer, inner], &["--format", "ndjson"])?;
            let rows = done.rows()?;
            assert!(
                rows.iter()
                    .all(|row| row.text("outcome") == Some("client_abort")),
                "{rows:?}"
            );
            let mut marks = marks_of(&rows)?;
            marks.sort();
            assert_eq!(marks, ["10.0.0.9:80 of 172.17.0.2:8000", "172.17.0.2:8000"]);
        }
    }
    Ok(())
}

/// The first replica takes the request and closes without a word; the proxy asks the next.
#[test]
fn a_call_tried_again_goes_with_the_answer() -> Result<()> {
    let outer = call(0).over(&Leg::new("192.0.2.1:40000", "10.0.0.9:80", 0)?);
    let unanswered = Call {
        ends: Ends::Unanswered,
        ..call(0)
    };
    let silent = unanswered.over(&Leg::new("10.0.0.9:50000", "10.0.0.1:8000", 300)?);
    let second = call(0).over(&Leg::new("10.0.0.9:50001", "10.0.0.2:8000", 5_500)?);
    check(
        &[outer, silent, second],
        &[
            "10.0.0.1:8000",
            "10.0.0.2:8000",
            "10.0.0.9:80 of 10.0.0.2:8000",
        ],
    )
}

/// One prompt, many calls at once, no relay: all of them count, whoever asks.
#[test]
fn equal_prompts_on_two_replicas_are_calls_of_their_own() -> Result<()> {
    for clients in [1, 2] {
        let mut talks = Vec::new();
        for number in 0..20 {
            let client = format!("192.0.2.{}:{}", 1 + number % clients, 40_000 + number);
            let server = format!("10.0.0.{}:8000", 1 + number % 2);
            talks.push(call(number).over(&Leg::new(&client, &server, 0)?));
        }
        let rows = replay(&talks, &["--format", "ndjson"])?.rows()?;
        assert_eq!(rows.len(), 20);
        for row in rows {
            assert!(row.get("outer_of").is_null(), "{clients} clients: {row:?}");
        }
    }
    Ok(())
}

#[test]
fn a_body_that_a_gateway_changes_makes_two_calls() -> Result<()> {
    let renamed = Call {
        model: "the-servers-own-name".to_owned(),
        ..call(0)
    };
    let outer = call(0).over(&Leg::new("192.0.2.1:40000", "10.0.0.9:80", 0)?);
    let inner = renamed.over(&Leg::new("10.0.0.9:50000", "10.0.0.2:8000", 300)?);
    check(&[outer, inner], &["10.0.0.2:8000", "10.0.0.9:80"])
}

#[test]
fn people_are_told_and_exchanges_stay() -> Result<()> {
    let talks = published()?;
    let table = replay(&talks, &[])?.stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[1].ends_with("  172.17.0.1"), "{table}");
    assert!(lines[2].ends_with("  192.0.2.1  (outer)"), "{table}");
    assert!(
        table.contains("\n1 call (1 streamed) in 2 exchanges"),
        "{table}"
    );
    assert!(
        table.contains("\n1 rows are the same calls, seen farther out"),
        "{table}"
    );
    assert!(table.contains("\noutcomes: 1 ok (100 %)\n"), "{table}");

    let csv = replay(&talks, &["--format", "csv"])?.stdout;
    let column = |line: usize, name: &str| {
        let mut lines = csv.lines();
        let place = lines
            .next()?
            .split(',')
            .position(|heading| heading == name)?;
        lines.nth(line)?.split(',').nth(place).map(str::to_owned)
    };
    assert_eq!(column(0, "outer_of").as_deref(), Some(""), "{csv}");
    assert_eq!(column(1, "outer_of"), column(0, "call_key"), "{csv}");

    let exchanges = replay(&talks, &["--rows", "exchanges", "--format", "ndjson"])?.rows()?;
    assert_eq!(exchanges.len(), 2);
    assert!(exchanges.iter().all(|row| row.0.get("outer_of").is_none()));
    Ok(())
}

#[test]
fn the_store_has_both_rows_and_the_old_view_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let path = store.to_str().context("a path in UTF-8")?;
    // Twice: the keys are the same, and so are the marks.
    for _ in 0..2 {
        replay(&published()?, &["--format", "ndjson", "--db", path])?;
    }
    let db = rusqlite::Connection::open(&store)?;
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(number("SELECT count(*) FROM calls")?, 2);
    assert_eq!(number("SELECT count(*) FROM token_stats")?, 1);
    let pairs = "SELECT count(*) FROM calls AS o JOIN calls AS i ON o.outer_of = i.call_key \
                 WHERE o.server = '10.0.0.9:8000' AND i.server = '172.17.0.2:8000'";
    assert_eq!(number(pairs)?, 1);
    Ok(())
}

/// Traefik's head start: see the tests of Traefik.
const PACE: Pace = Pace {
    think: Duration::from_millis(30),
    token: Duration::from_millis(2),
    head: Duration::from_millis(10),
};

#[test]
fn both_sides_of_traefik_tapped_live_count_each_call_once() -> Result<()> {
    for backend in ["ebpf", "pcap"] {
        through_traefik(backend)?;
    }
    Ok(())
}

fn through_traefik(backend: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ModelServer::start("127.0.0.1:0".parse()?, PACE)?;
    let traefik = Traefik::start(&[server.address()], Retry::Never, folder.path())?;
    let ports = [traefik.address().port(), server.address().port()];
    let key_file = folder.path().join("the.key");
    fs::write(&key_file, [7; 32])?;
    let key = ["--key-file", key_file.to_str().context("a path in UTF-8")?];
    let store = folder.path().join("llmtap.db");
    let llmtap = Tap::new(backend, "lo", &ports, &store).with(&key).start()?;
    let recording = Recording::start(&ports, folder.path().join("both.pcap"))?;
    let api = llmtap.ready()?;

    // From another address than Traefik's, and from the same, where only the answers tell.
    let mut seen = Vec::new();
    for (prefix, from) in [("far", "127.0.0.2"), ("near", "127.0.0.1")] {
        let client = Client {
            from: Some(from.parse()?),
            ..Client::of(traefik.address())
        };
        seen.extend(client.make(&openai::calls(17, prefix))?);
    }
    let seen = judge::by(seen, &["id"])?;
    server.log_of(seen.len())?;
    llmtap.stdout_lines(2 * seen.len())?;
    let counted = |samples: &[Sample], name| metrics::sum(samples, name, |_| true).round() as usize;
    let samples = process::eventually(|| {
        let samples = metrics::parse(&http::get(api, "/metrics").ok()?.text()).ok()?;
        (counted(&samples, "llmtap_outer_calls_total") >= seen.len()).then_some(samples)
    });
    let samples = samples.context("the metrics never showed the outer rows")?;
    assert_eq!(
        counted(&samples, "llmtap_calls_total"),
        seen.len(),
        "{backend}"
    );
    assert_eq!(
        counted(&samples, "llmtap_outer_calls_total"),
        seen.len(),
        "{backend}"
    );
    let durations = "gen_ai_server_request_duration_seconds_count";
    assert_eq!(counted(&samples, durations), seen.len(), "{backend}");
    assert_eq!(
        counted(&samples, "llmtap_exchanges_total"),
        2 * seen.len(),
        "{backend}"
    );

    let done = llmtap.stop("INT")?;
    ensure!(done.code == Some(0), "llmtap's end: {done:?}");
    let live = judge::by(done.rows()?, &["server", "user"])?;
    check_pairs(&live, &server, &traefik, &seen)?;
    let recording = recording.stop(2 * seen.len())?;
    check_replay(&recording, &key, &live)
}

/// Each call has one row at the server and one at Traefik, and the latter is the outer one.
fn check_pairs(
    rows: &BTreeMap<String, Row>,
    server: &ModelServer,
    traefik: &Traefik,
    seen: &BTreeMap<String, Row>,
) -> Result<()> {
    assert_eq!(rows.len(), 2 * seen.len());
    for user in seen.keys() {
        let at = |address| rows.get(&format!("{address} {user}")).context("a row");
        let (inner, outer) = (at(server.address())?, at(traefik.address())?);
        assert!(inner.get("outer_of").is_null(), "{inner:?}");
        assert_eq!(
            outer.get("outer_of"),
            inner.get("call_key"),
            "{outer:?} {inner:?}"
        );
    }
    Ok(())
}

fn check_replay(recording: &Path, key: &[&str], live: &BTreeMap<String, Row>) -> Result<()> {
    let replayed = recording::replay(recording, key)?.rows()?;
    judge::check_same(
        live,
        &judge::by(replayed, &["server", "user"])?,
        Keys::Shared,
    );
    Ok(())
}
