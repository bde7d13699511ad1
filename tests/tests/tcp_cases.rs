//! What a network, a tap or a hostile end can do to TCP, one case a test: the exchanges that come out of
//! a capture file, and the counters that tell what was met.

use std::{
    fmt::Write as _,
    fs,
    sync::{Arc, atomic::AtomicBool},
};

use analyzer::{analysis, call::ExchangeRow, exchange::Source, tokens::Tokenizers};
use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{
        ByteOrder, Capture,
        From::{Client, Server},
        Link, Resolution, Script, to_pcapng,
    },
    process,
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
        ports: Vec::new(),
        workers: 1,
        tcp: TcpSettings::default(),
        http: HttpSettings::new(Source::File),
        analysis: Arc::new(analysis::Settings::default()),
        tokenizers: Arc::new(Tokenizers::from_setting(None)?),
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

#[test]
fn out_of_order_within_a_window() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 20, 0, part(ASK, 20, A))
        .client(at(11), 0, 0, part(ASK, 0, 20))
        .server(at(20), 10, A, part(REPLY, 10, 20))
        .server(at(21), 20, A, part(REPLY, 20, R))
        .server(at(22), 0, A, part(REPLY, 0, 10));
    and_again(&mut script, 100);
    check(&script, TWICE, &[("out_of_order", 3), ("after_end", 1)])
}

#[test]
fn out_of_order_across_windows() -> Result<()> {
    // An answer of 60 KB, whose first segment is captured after three windows were acknowledged.
    let body = "x".repeat(60_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{body}");
    let mut script = connected();
    script.client(at(10), 0, 0, ASK);
    let end = answer.len() as u32;
    for from in (1_400..end).step_by(1_400) {
        script.server(at(20), from, A, part(&answer, from, end.min(from + 1_400)));
        if from % 14_000 == 0 {
            script.client(at(20), A, from, "");
        }
    }
    script.server(at(21), 0, A, part(&answer, 0, 1_400));
    check(
        &script,
        &["/a 200 complete 8/60000"],
        &[("out_of_order", 42)],
    )
}

#[test]
fn a_retransmission() -> Result<()> {
    let mut script = exchanged();
    script.server(at(40), 0, A, REPLY).client(at(50), 0, R, ASK);
    and_again(&mut script, 100);
    let again = u64::from(A + R);
    check(
        &script,
        TWICE,
        &[
            ("retransmitted_segments", 2),
            ("retransmitted_bytes", again),
            ("after_end", 1),
        ],
    )
}

#[test]
fn a_partial_overlap() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 0, 0, part(ASK, 0, 30))
        .client(at(11), 10, 0, part(ASK, 10, 50))
        .client(at(12), 40, 0, part(ASK, 40, A))
        .server(at(20), 0, A, REPLY);
    check(&script, WHOLE, &[("retransmitted_bytes", 30)])
}

#[test]
fn an_overlap_with_other_bytes() -> Result<()> {
    let lie = ASK.replace("/a", "/b");
    let mut script = connected();
    script
        .client(at(10), 1, 0, part(ASK, 1, A))
        .client(at(11), 0, 0, part(&lie, 0, 30))
        .server(at(20), 0, A, REPLY);
    check(
        &script,
        WHOLE,
        &[
            ("out_of_order", 1),
            ("conflicts", 1),
            ("conflict_bytes", 1),
            ("retransmitted_bytes", 29),
        ],
    )
}

#[test]
fn sequence_numbers_wrap_anywhere() -> Result<()> {
    // At the SYN, in both heads and both bodies, and behind.
    for before in 0..=A + 4 {
        let mut script = script();
        script
            .numbered(0u32.wrapping_sub(before), 0u32.wrapping_sub(before))
            .handshake(at(0))
            .client(at(10), 0, 0, part(ASK, 0, 10))
            .client(at(11), 20, 0, part(ASK, 20, A))
            .client(at(12), 5, 0, part(ASK, 5, 25))
            .server(at(20), 0, A, part(REPLY, 0, R - 3))
            // Two octets of the body are lost.
            .server(at(21), R - 1, A, part(REPLY, R - 1, R))
            .client(at(22), A, R, "");
        and_again(&mut script, 400);
        check(
            &script,
            &["/a 200 complete 8/3 response_body-2", "/a 200 complete 8/5"],
            &[
                ("out_of_order", 2),
                ("retransmitted_bytes", 10),
                ("gaps", 1),
                ("gap_bytes", 2),
                ("after_end", 1),
            ],
        )
        .with_context(|| format!("{before} octets before 0"))?;
    }
    Ok(())
}

#[test]
fn joined_without_the_handshake_or_parts_of_it() -> Result<()> {
    for (parts, late) in [
        ("syn", 0),
        ("syn_ack", 0),
        ("syn syn_ack", 0),
        ("ack", 1),
        ("", 1),
    ] {
        let mut script = script();
        for part in parts.split(' ') {
            match part {
                "syn" => script.syn(at(0), ""),
                "syn_ack" => script.syn_ack(at(1), 0, ""),
                "ack" => script.client(at(2), 0, 0, ""),
                _ => &mut script,
            };
        }
        script.client(at(10), 0, 0, ASK).server(at(20), 0, A, REPLY);
        and_again(&mut script, 100);
        // Joined late, the answer waits with its request for the beginning.
        let counters = [
            ("joined_late", late),
            ("held", late),
            ("after_end", 1 - late),
        ];
        check(&script, TWICE, &counters).with_context(|| parts.to_owned())?;
    }
    Ok(())
}

#[test]
fn joined_in_the_middle_of_a_response_body() -> Result<()> {
    let mut script = script();
    script
        .server(at(20), R - 3, A, part(REPLY, R - 3, R))
        .client(at(21), A, R, "");
    and_again(&mut script, 400);
    check(
        &script,
        WHOLE,
        &[("joined_late", 1), ("roles_guessed", 1), ("after_end", 1)],
    )
}

#[test]
fn one_direction_only() -> Result<()> {
    for captured in [Client, Server] {
        let mut script = script();
        if captured == Client {
            script
                .syn(at(0), "")
                .client(at(10), 0, 0, ASK)
                .client(at(30), A, R, ASK)
                .fin(Client, at(50), 2 * A, 2 * R, "");
        } else {
            script
                .syn_ack(at(0), 0, "")
                .server(at(20), 0, A, REPLY)
                .server(at(40), R, 2 * A, REPLY)
                .fin(Server, at(50), 2 * R, 2 * A, "");
        }
        let (rows, report) = replay(&[&script.to_pcap()])?;
        let rows: Vec<String> = rows.iter().map(short).collect();
        assert_eq!(rows.len(), 2, "{captured:?}: {rows:?}");
        let whole = if captured == Client {
            "/a - "
        } else {
            "- 200 "
        };
        ensure!(rows.iter().all(|row| row.starts_with(whole)), "{rows:?}");
        assert_eq!(report.totals.tcp.connections, 1);
    }
    Ok(())
}

#[test]
fn a_handshake_reordered_and_repeated() -> Result<()> {
    let mut reordered = script();
    reordered
        .syn_ack(at(0), 0, "")
        .client(at(1), 0, 0, "")
        .syn(at(2), "");
    let mut repeated = script();
    repeated
        .syn(at(0), "")
        .syn(at(1), "")
        .syn_ack(at(2), 0, "")
        .syn_ack(at(3), 0, "")
        .client(at(4), 0, 0, "");
    for mut script in [reordered, repeated] {
        script.client(at(10), 0, 0, ASK).server(at(20), 0, A, REPLY);
        and_again(&mut script, 100);
        check(&script, TWICE, &[("after_end", 1)])?;
    }
    Ok(())
}

#[test]
fn a_syn_sent_again_with_another_number() -> Result<()> {
    let mut script = script();
    script
        .numbered(77_777, 500_001)
        .syn(at(0), "")
        .numbered(99_999_999, 500_001)
        .handshake(at(5))
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    and_again(&mut script, 100);
    check(&script, TWICE, &[("replaced", 1), ("after_end", 1)])
}

#[test]
fn both_ends_open_at_once() -> Result<()> {
    let mut script = script();
    script
        .server_syn(at(0))
        .syn(at(0), "")
        .syn_ack(at(1), 0, "")
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    and_again(&mut script, 100);
    check(&script, TWICE, &[("after_end", 1)])
}

#[test]
fn data_in_the_syn() -> Result<()> {
    let mut accepted = script();
    accepted
        .syn(at(0), ASK)
        .syn_ack(at(1), A, "")
        .client(at(2), A, 0, "")
        .server(at(20), 0, A, REPLY);
    and_again(&mut accepted, 100);
    check(&accepted, TWICE, &[("after_end", 1)])?;

    let mut refused = script();
    refused
        .syn(at(0), ASK)
        .syn_ack(at(1), 0, "")
        .client(at(2), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    and_again(&mut refused, 100);
    check(
        &refused,
        TWICE,
        &[
            ("retransmitted_segments", 1),
            ("retransmitted_bytes", A.into()),
            ("after_end", 1),
        ],
    )
}

#[test]
fn data_in_the_syn_ack() -> Result<()> {
    let mut script = script();
    script
        .syn(at(0), ASK)
        .syn_ack(at(1), A, REPLY)
        .client(at(2), A, R, "");
    and_again(&mut script, 100);
    check(&script, TWICE, &[("after_end", 1)])
}

#[test]
fn keep_alive_probes() -> Result<()> {
    let mut script = exchanged();
    for n in 0..3 {
        let time = at(75_000 * (n + 1));
        script
            .server(time, R - 1, A, "")
            .client(time, A, R, "")
            .client(time, A - 1, R, "\0")
            .server(time, R, A, "");
    }
    and_again(&mut script, 300_000);
    check(
        &script,
        TWICE,
        &[
            ("keep_alives", 6),
            ("keep_alive_bytes", 3),
            ("after_end", 1),
        ],
    )
}

#[test]
fn zero_window_probes_and_their_octet() -> Result<()> {
    for accepted in [0, 1] {
        let mut script = connected();
        script
            .client(at(10), 0, 0, ASK)
            .server(at(20), 0, A, part(REPLY, 0, 10))
            // The window is shut: a probe without an octet, and two with the next one.
            .server(at(200), 9, A, "")
            .client(at(200), A, 10, "")
            .server(at(400), 10, A, part(REPLY, 10, 11))
            .client(at(400), A, 10, "")
            .server(at(800), 10, A, part(REPLY, 10, 11))
            .client(at(800), A, 10 + accepted, "")
            .server(at(900), 10 + accepted, A, part(REPLY, 10 + accepted, R));
        and_again(&mut script, 1_000);
        let again = u64::from(1 - accepted);
        check(
            &script,
            TWICE,
            &[
                // The second octet looks like a keep-alive's.
                ("keep_alives", 2),
                ("keep_alive_bytes", 1),
                ("retransmitted_bytes", again),
                ("after_end", 1),
            ],
        )?;
    }
    Ok(())
}

#[test]
fn a_half_close_with_a_long_answer_after_it() -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n";
    let first = head.len() as u32;
    let mut script = connected();
    script
        .fin(Client, at(10), 0, 0, ASK)
        .server(at(11), 0, A + 1, head);
    for n in 0..100 {
        let time = at(10_000 * (u64::from(n) + 1));
        script.server(time, first + n * 4, A + 1, "four").client(
            time,
            A + 1,
            first + n * 4 + 4,
            "",
        );
    }
    script.fin(Server, at(1_100_000), first + 400, A + 1, "");
    check(&script, &["/a 200 complete 8/400"], &[])
}

#[test]
fn an_rst_of_either_side() -> Result<()> {
    for (from, text, ending) in [
        (Client, "", "client_reset"),
        (Server, "", "server_reset"),
        (Server, "go away", "server_reset"),
    ] {
        let mut script = connected();
        script
            .client(at(10), 0, 0, ASK)
            .server(at(20), 0, A, part(REPLY, 0, R - 3))
            .client(at(21), A, R - 3, "");
        let own = if from == Client { A } else { R - 3 };
        script.rst(from, at(30), own, 0, text);
        let (rows, report) = replay(&[&script.to_pcap()])?;
        let rows: Vec<String> = rows.iter().map(short).collect();
        assert_eq!(rows, [format!("/a 200 {ending} 8/2")]);
        assert_eq!(report.totals.tcp.rst_bytes, text.len() as u64);
    }
    Ok(())
}

#[test]
fn an_rst_out_of_the_window() -> Result<()> {
    let mut script = exchanged();
    script
        .rst(Client, at(30), A + (17 << 20), R, "")
        .rst(Server, at(31), R - 2, A, "")
        .rst(Server, at(32), 1 << 31, A, "");
    and_again(&mut script, 100);
    check(&script, TWICE, &[("rst_ignored", 3), ("after_end", 1)])
}

#[test]
fn an_rst_after_the_fins() -> Result<()> {
    let mut script = exchanged();
    and_again(&mut script, 100);
    script
        .rst(Client, at(200), 2 * A + 1, 0, "")
        .rst(Server, at(201), 2 * R + 1, 0, "");
    check(&script, TWICE, &[("after_end", 3)])
}

#[test]
fn both_ends_close_at_once() -> Result<()> {
    let mut script = exchanged();
    script
        .fin(Client, at(30), A, R, "")
        .fin(Server, at(30), R, A, "")
        .client(at(31), A + 1, R + 1, "")
        .server(at(31), R + 1, A + 1, "");
    check(&script, WHOLE, &[("after_end", 2)])
}

#[test]
fn a_fin_with_data_and_repeated_and_data_after_it() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 0, 0, ASK)
        .fin(Server, at(20), 0, A, REPLY)
        .fin(Server, at(21), 0, A, REPLY)
        .fin(Server, at(22), R, A, "")
        .server(at(23), R + 1, A, "HTTP/1.1 200 OK\r\n")
        .fin(Client, at(30), A, R + 1, "");
    check(
        &script,
        WHOLE,
        &[
            ("retransmitted_segments", 1),
            ("retransmitted_bytes", R.into()),
            ("after_end", 1),
            ("after_end_bytes", 17),
        ],
    )
}

#[test]
fn a_port_used_again_in_time_wait() -> Result<()> {
    for (client, server) in [
        // Higher, lower, and higher by so little that only the FINs tell.
        (3_000_000_000, 2_000_000_000),
        (500, 400_000),
        (101_001, 600_001),
    ] {
        for syn_is_lost in [false, true] {
            if syn_is_lost && client == 500 {
                // Nothing would tell it from a straggler.
                continue;
            }
            let mut script = exchanged();
            and_again(&mut script, 100);
            script.numbered(client, server);
            if !syn_is_lost {
                script.handshake(at(1_000));
            }
            script
                .client(at(1_010), 0, 0, ASK)
                .server(at(1_020), 0, A, REPLY);
            check(
                &script,
                &[WHOLE, TWICE].concat(),
                &[
                    ("joined_late", syn_is_lost.into()),
                    ("held", syn_is_lost.into()),
                    ("after_end", 1),
                ],
            )
            .with_context(|| format!("{client} {syn_is_lost}"))?;
        }
    }
    Ok(())
}

#[test]
fn times_that_go_backwards() -> Result<()> {
    let mut script = connected();
    script
        .client(at(50), 0, 0, ASK)
        .server(at(20), 0, A, REPLY)
        .client(at(10), A, R, "");
    and_again(&mut script, 100);
    check(&script, TWICE, &[("after_end", 1)])
}

#[test]
fn one_time_years_ahead_ends_nothing() -> Result<()> {
    let years = 5 * 365 * 86_400 * SECOND;
    let mut script = connected();
    script
        .client(at(10), 0, 0, ASK)
        .server(T0 + years, 0, A, part(REPLY, 0, 10))
        .server(at(20), 10, A, part(REPLY, 10, R))
        .client(at(21), A, R, "");
    and_again(&mut script, 100);
    let file = script.to_pcap();
    check_files(&[&file], TWICE, &[("after_end", 1)])?;
    let (rows, report) = replay(&[&file])?;
    let head = rows.first().and_then(|row| row.response_head);
    let head = head.context("no response head")?.as_micros();
    assert_eq!(head, at(20) as i64);
    assert_eq!(report.capture.warnings.len(), 1, "{report:?}");

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("years.pcap");
    fs::write(&path, &file)?;
    let path = path.to_str().context("a path in UTF-8")?;
    let done = process::run_llmtap(&["replay", path, "--rows", "exchanges"])?;
    ensure!(done.stderr.contains("1 packet"), "{done:?}");
    Ok(())
}

#[test]
fn a_real_pause_ends_what_is_silent() -> Result<()> {
    let hours = 5 * 3_600_000;
    let mut script = exchanged();
    and_again(&mut script, hours);
    let (rows, report) = replay(&[&script.to_pcap()])?;
    let rows: Vec<String> = rows.iter().map(short).collect();
    assert_eq!(rows, TWICE);
    let tcp = report.totals.tcp;
    assert_eq!((tcp.connections, tcp.timed_out, tcp.joined_late), (2, 1, 1));
    assert_eq!(report.capture.warnings, [""; 0]);
    Ok(())
}

#[test]
fn acknowledgements_captured_before_their_data() -> Result<()> {
    let mut script = connected();
    script
        .server(at(9), 0, A, "")
        .server(at(10), 0, A, REPLY)
        .client(at(11), 0, 0, ASK)
        .client(at(12), A, R, "")
        .server(at(13), R, 2 * A, "")
        .client(at(14), A, R, ASK)
        .server(at(15), R, 2 * A, REPLY);
    check(&script, TWICE, &[("held", 1)])
}

#[test]
fn packets_cut_by_a_snap_length() -> Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}",
        "x".repeat(3_000)
    );
    let mut script = connected();
    script.client(at(10), 0, 0, ASK);
    let end = answer.len() as u32;
    for from in (0..end).step_by(1_000) {
        let to = end.min(from + 1_000);
        script.server(at(20), from, A, part(&answer, from, to));
        if to - from == 1_000 {
            script.cut(900);
        }
    }
    script
        .client(at(21), A, end, "")
        .client(at(30), A, end, ASK);
    script.server(at(40), end, 2 * A, REPLY);
    check(
        &script,
        &[
            "/a 200 complete 8/300 response_body-2700",
            "/a 200 complete 8/5",
        ],
        &[
            ("out_of_order", 3),
            ("cut_bytes", 2_700),
            ("gaps", 3),
            ("gap_bytes", 2_700),
        ],
    )
}

#[test]
fn what_is_captured_too_late_is_counted() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, part(REPLY, 0, R - 4))
        .server(at(20), R - 1, A, part(REPLY, R - 1, R))
        .client(at(21), A, R, "")
        .client(at(300), A, R, ASK)
        .server(at(310), R - 4, A, part(REPLY, R - 4, R - 1))
        .server(at(320), R, 2 * A, REPLY);
    check(
        &script,
        &["/a 200 complete 8/2 response_body-3", "/a 200 complete 8/5"],
        &[
            ("out_of_order", 1),
            ("gaps", 1),
            ("gap_bytes", 3),
            ("late_bytes", 3),
        ],
    )
}

#[test]
fn one_damaged_number_invents_nothing() -> Result<()> {
    let mut script = exchanged();
    script
        // A sequence number, an acknowledgement, and both beyond what TCP can express.
        .server(at(30), R + (500 << 20), A, "data")
        .client(at(31), A, R + (300 << 20), "")
        .server(at(32), R + (1 << 31), A, "data")
        .client(at(33), A, R + (1 << 31) - 100, "");
    and_again(&mut script, 1_000);
    check(
        &script,
        TWICE,
        &[
            ("absurd_seq", 2),
            ("absurd_bytes", 8),
            ("absurd_ack", 2),
            ("after_end", 1),
        ],
    )
}

#[test]
fn a_copy_on_another_interface_is_a_duplicate() -> Result<()> {
    let mut script = exchanged();
    and_again(&mut script, 100);
    let mut one = Capture::new(Link::RawIp);
    one.add_packets(&script.packets());
    let count = script.packets().len() as u64;
    let bytes = u64::from(2 * (A + R));
    let counters = [
        ("duplicate_segments", count),
        ("duplicate_bytes", bytes),
        ("after_end", 1),
    ];
    let file = to_pcapng(
        &[one.clone(), one.clone()],
        ByteOrder::Little,
        Resolution::Micro,
    );
    check_files(&[&file], TWICE, &counters)?;
    // Captured by two programs, and read together.
    let file = one.to_pcap(ByteOrder::Little, Resolution::Micro);
    check_files(&[&file, &file], TWICE, &counters)
}

#[test]
fn an_acknowledgement_on_one_interface_before_the_datas_copy_on_another() -> Result<()> {
    let script = exchanged();
    let packets = script.packets();
    let mut near = Capture::new(Link::RawIp);
    near.add_packets(&packets);
    let mut far = packets.clone();
    for packet in &mut far {
        // Behind the answer, but before what comes next.
        packet.micros += 15_000;
    }
    let mut behind = Capture::new(Link::RawIp);
    behind.add_packets(&far);
    let file = to_pcapng(&[near, behind], ByteOrder::Little, Resolution::Micro);
    check_files(
        &[&file],
        WHOLE,
        &[
            ("duplicate_segments", packets.len() as u64),
            ("duplicate_bytes", u64::from(A + R)),
        ],
    )
}

#[test]
fn a_copy_under_other_addresses_is_another_connection() -> Result<()> {
    let mut inner = Script::new(
        ([172, 17, 0, 1], 40_001).into(),
        ([172, 17, 0, 2], 8000).into(),
    );
    inner
        .handshake(at(0))
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    let (mut one, mut other) = (Capture::new(Link::RawIp), Capture::new(Link::RawIp));
    one.add_packets(&exchanged().packets());
    other.add_packets(&inner.packets());
    let file = to_pcapng(&[one, other], ByteOrder::Little, Resolution::Micro);
    check_files(&[&file], TWICE, &[])
}
