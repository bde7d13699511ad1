//! What packets can do to HTTP, one matter a test: the exchanges that must come out, written short.

use std::{fmt::Write as _, fs, io::Write as _, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{ByteOrder, Capture, Conversation, Packet, Resolution},
    process::{self, Done},
};

/// The time from which the tests count, in microseconds.
const T0: u64 = 1_754_000_000_000_000;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn at(millis: u64) -> u64 {
    T0 + millis * 1_000
}

fn talk() -> Conversation {
    Conversation::new(([10, 1, 0, 9], 40_001).into(), ([10, 0, 0, 1], 8000).into())
}

fn get(name: &str) -> String {
    format!("GET /{name} HTTP/1.1\r\nHost: llm\r\n\r\n")
}

fn post(name: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /{name} HTTP/1.1\r\nHost: llm\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn replay_files(files: &[&str]) -> Result<Done> {
    let options = ["--rows", "exchanges", "--format", "ndjson"];
    process::run_llmtap(&[&["replay"], files, &options].concat())
}

/// The exchanges of a capture file: target, status, ending, the lengths of both bodies, and where
/// bytes are missing, how many.
fn exchanges(file: &[u8]) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("wire.pcap");
    fs::write(&path, file)?;
    short(&replay_files(&[path
        .to_str()
        .context("a path in UTF-8")?])?)
}

fn short(done: &Done) -> Result<Vec<String>> {
    ensure!(matches!(done.code, Some(0 | 1)), "replay: {done:?}");
    let mut rows = Vec::new();
    for row in done.rows()? {
        let target = row.text("target").unwrap_or("-");
        let status = row
            .int("status")
            .map_or("-".into(), |status| status.to_string());
        let number = |column: &str| row.int(column).unwrap_or_default();
        let mut text = format!(
            "{target} {status} {} {}/{}",
            row.text("ending").unwrap_or("-"),
            number("request_decoded_len"),
            number("response_decoded_len"),
        );
        for place in [
            "request_head",
            "request_body",
            "response_head",
            "response_body",
        ] {
            let missing = number(&format!("missing_{place}"));
            if missing > 0 {
                let _ = write!(text, " {place}-{missing}");
            }
        }
        rows.push(text);
    }
    Ok(rows)
}

fn of(talk: &Conversation) -> Result<Vec<String>> {
    of_packets(talk.packets())
}

/// Packets in this order, whatever their times.
fn of_packets(packets: &[Packet]) -> Result<Vec<String>> {
    let mut capture = Capture::of(&talk());
    capture.add_packets(packets);
    exchanges(&capture.to_pcap(ByteOrder::Little, Resolution::Micro))
}

fn check(talk: &Conversation, expected: &[&str]) -> Result<()> {
    let rows = of(talk)?;
    ensure!(rows == expected, "{rows:#?}");
    Ok(())
}

#[test]
fn joined_after_any_part_of_the_handshake() -> Result<()> {
    let mut whole = talk();
    whole.handshake(at(0));
    for n in 0..3 {
        whole
            .client(at(100 * n + 10), post("a", "question"))
            .server(at(100 * n + 20), answer("reply"));
    }
    whole.close(at(400));
    let expected = ["/a 200 complete 8/5"; 3];
    for first in 0..=3 {
        let rows = of_packets(whole.packets().get(first..).unwrap_or_default())?;
        assert_eq!(rows, expected, "without the first {first} packets");
    }
    // Without the SYN-ACK, without the ACK.
    for missing in [1, 2] {
        let mut packets = whole.packets().to_vec();
        packets.remove(missing);
        assert_eq!(of_packets(&packets)?, expected, "without packet {missing}");
    }
    Ok(())
}

#[test]
fn joined_within_an_answer() -> Result<()> {
    let mut talk = talk();
    for n in 0..20 {
        talk.server(at(n), format!("8\r\ndata: {n}\n\r\n"))
            .client_ack(at(n));
    }
    talk.server(at(30), "0\r\n\r\n")
        .client(at(100), post("a", "question"))
        .server(at(110), OK)
        .close(at(200));
    check(&talk, &["/a 200 complete 8/2"])
}

#[test]
fn joined_within_a_request() -> Result<()> {
    let mut talk = talk();
    talk.client(at(0), "the end of a question\"}]}")
        .server(at(10), answer("reply"))
        .client(at(100), get("a"))
        .server(at(110), OK)
        .close(at(200));
    check(&talk, &["- 200 complete 0/5", "/a 200 complete 0/2"])
}

#[test]
fn the_answer_is_captured_before_its_request() -> Result<()> {
    for millis in [1, 200] {
        let mut talk = talk();
        talk.handshake(at(0));
        let request = talk.reserve_client(post("a", "question"));
        talk.server(at(10), answer("reply"))
            .client_ack(at(10))
            .send(at(10 + millis), &request)
            .client(at(300), get("b"))
            .server(at(310), OK)
            .close(at(400));
        check(&talk, &["/a 200 complete 8/5", "/b 200 complete 0/2"])?;
    }
    Ok(())
}

#[test]
fn pipelined_requests() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(10), get("a") + &post("b", "xyz") + &get("c"))
        .server(at(20), OK)
        .client(at(21), get("d"))
        .server(at(22), answer("four") + OK)
        .server(at(23), answer("seven!!"))
        .close(at(30));
    check(
        &talk,
        &[
            "/a 200 complete 0/2",
            "/b 200 complete 3/4",
            "/c 200 complete 0/2",
            "/d 200 complete 0/7",
        ],
    )
}

#[test]
fn a_lost_answer_among_pipelined_ones() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(10), get("a") + &get("b") + &get("c"))
        .server(at(20), answer("one"));
    let lost = answer("two");
    let _ = talk.reserve_server(&lost);
    talk.server(at(22), answer("three"))
        .client_ack(at(23))
        .client(at(400), get("d"))
        .server(at(410), OK)
        .close(at(500));
    // The hole may as well have held an interim answer: whether the next one is to /b or to /c is not certain,
    // so that it is paired with neither.
    let row = format!("/b - lost 0/0 response_head-{}", lost.len());
    check(
        &talk,
        &[
            "/a 200 complete 0/3",
            &row,
            "- 200 complete 0/5",
            "/c - lost 0/0",
            "/d 200 complete 0/2",
        ],
    )
}

#[test]
fn the_status_of_an_answer_that_was_cut_off_in_its_head() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(10), post("a", "question"))
        .server(at(20), "HTTP/1.1 429 Too Many Requests\r\nRetry-");
    let _ = talk.reserve_server("After: 1\r\nContent-Length: 4\r\n\r\n");
    talk.server(at(21), "wait")
        .client_ack(at(22))
        .client(at(400), get("b"))
        .server(at(410), OK)
        .close(at(500));
    check(
        &talk,
        &["/a 429 lost 8/0 response_head-31", "/b 200 complete 0/2"],
    )
}

/// How a connection ends, or does not.
type Ends = fn(&mut Conversation);

#[test]
fn ports_are_used_again() -> Result<()> {
    let reuse = |end: Ends, pause: u64| {
        let mut first = talk();
        first
            .handshake(at(0))
            .client(at(10), get("a"))
            .server(at(20), OK);
        end(&mut first);
        let mut second = talk().with_initial_sequence(3_000_000_000, 2_000_000_000);
        second
            .handshake(at(100 + pause))
            .client(at(110 + pause), get("b"))
            .server(at(120 + pause), OK)
            .close(at(130 + pause));
        let packets = [first.packets(), second.packets()].concat();
        let without_syn = [
            first.packets(),
            second.packets().get(3..).unwrap_or_default(),
        ]
        .concat();
        (packets, without_syn)
    };
    let expected = ["/a 200 complete 0/2", "/b 200 complete 0/2"];
    let endings: [(&str, Ends); 4] = [
        ("both FINs", |talk| {
            talk.close(at(30));
        }),
        ("an RST", |talk| {
            talk.client_rst(at(30));
        }),
        ("one FIN", |talk| {
            talk.server_fin(at(30));
        }),
        ("nothing", |_| {}),
    ];
    for (name, end) in endings {
        for pause in [0, 5_000, 120_000] {
            let (packets, without_syn) = reuse(end, pause);
            assert_eq!(of_packets(&packets)?, expected, "{name}, {pause} ms");
            assert_eq!(
                of_packets(&without_syn)?,
                expected,
                "{name}, {pause} ms, no SYN"
            );
        }
    }
    Ok(())
}

#[test]
fn a_lost_request() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(10), get("a"))
        .server(at(20), OK);
    let lost = post("lost", "question");
    let _ = talk.reserve_client(&lost);
    talk.server(at(30), answer("reply"))
        .client_ack(at(31))
        .client(at(400), get("b"))
        .server(at(410), OK)
        .close(at(500));
    let row = format!("- 200 complete 0/5 request_head-{}", lost.len());
    check(&talk, &["/a 200 complete 0/2", &row, "/b 200 complete 0/2"])
}

#[test]
fn a_lost_answer() -> Result<()> {
    for finish in ["request", "fin", "capture end"] {
        let mut talk = talk();
        talk.handshake(at(0))
            .client(at(10), get("a"))
            .server(at(20), OK);
        talk.client(at(30), post("lost", "question"));
        let lost = answer("reply");
        let _ = talk.reserve_server(&lost);
        talk.client_ack(at(40));
        let mut expected = vec!["/a 200 complete 0/2".to_owned()];
        let ending = match finish {
            "request" => {
                talk.client(at(400), get("b"))
                    .server(at(410), OK)
                    .close(at(500));
                "lost"
            }
            "fin" => {
                talk.close(at(500));
                "lost"
            }
            _ => "lost",
        };
        expected.push(format!("/lost - {ending} 8/0 response_head-{}", lost.len()));
        if finish == "request" {
            expected.push("/b 200 complete 0/2".into());
        }
        assert_eq!(of(&talk)?, expected, "{finish}");
    }
    Ok(())
}

#[test]
fn a_lost_head_and_a_lost_tail() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0)).client(at(10), get("a"));
    let _ = talk.reserve_server("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
    talk.server(at(20), "answer")
        .client_ack(at(21))
        .client(at(400), get("b"))
        .server(at(410), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nansw");
    let _ = talk.reserve_server("er me");
    talk.client_ack(at(420))
        .client(at(800), get("c"))
        .server(at(810), OK)
        .close(at(900));
    check(
        &talk,
        &[
            "/a - lost 0/0 response_head-38",
            "/b 200 lost 0/4 response_body-5",
            "/c 200 complete 0/2",
        ],
    )
}

#[test]
fn answers_without_a_body_and_interim_ones() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(10), "HEAD /head HTTP/1.1\r\n\r\n")
        .server(at(20), "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        .client(at(30), get("none"))
        .server(at(40), "HTTP/1.1 204 No Content\r\n\r\n")
        .client(at(50), get("same"))
        .server(
            at(60),
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
        )
        .client(
            at(70),
            "POST /wait HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        )
        .server(at(80), "HTTP/1.1 100 Continue\r\n\r\n")
        .client(at(90), "body")
        .server(
            at(91),
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        )
        .server(at(92), OK)
        .client(at(95), get("end"))
        .server(at(96), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil ")
        .server(at(97), "the end")
        .server_fin(at(98))
        .client_fin(at(99));
    check(
        &talk,
        &[
            "/head 200 complete 0/0",
            "/none 204 complete 0/0",
            "/same 304 complete 0/0",
            "/wait 200 complete 4/2",
            "/end 200 complete 0/13",
        ],
    )
}

#[test]
fn chunks_with_extensions_and_trailers_one_byte_a_segment() -> Result<()> {
    let mut talk = talk()
        .with_mss(1)
        .with_initial_sequence(u32::MAX - 20, u32::MAX - 5);
    talk.handshake(at(0))
        .client(
            at(10),
            "POST /up HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nT: v\r\n\r\n",
        )
        .server(
            at(20),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n\
             5\r\nhello\r\n00A ; ext\r\n, world !!\r\n0\r\nT: v\r\nU: w\r\n\r\n",
        )
        .client(at(30), get("b"))
        .server(at(40), OK)
        .close(at(50));
    check(&talk, &["/up 200 complete 3/15", "/b 200 complete 0/2"])
}

#[test]
fn repeated_and_overlapping_segments() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0));
    let request = talk.reserve_client(get("a"));
    talk.send(at(10), &request)
        .send(at(11), &request)
        .repeat_last(at(12));
    let first = talk.reserve_server("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab");
    let second = talk.reserve_server("cd");
    let third = talk.reserve_server("ef");
    talk.send(at(20), &third)
        .send(at(21), &third)
        .send(at(22), &first)
        .client_ack(at(23))
        .send(at(24), &second)
        .send(at(300), &first)
        .send(at(301), &second)
        .close(at(400));
    check(&talk, &["/a 200 complete 0/6"])
}

#[test]
fn files_are_merged_in_time_and_read_compressed() -> Result<()> {
    let mut whole = talk();
    whole.handshake(at(0));
    for n in 0..8 {
        whole
            .client(at(20 * n + 10), post("a", "question"))
            .server(at(20 * n + 20), answer("reply"));
    }
    whole.close(at(400));
    let folder = tempfile::tempdir()?;
    let expected = vec!["/a 200 complete 8/5"; 8];
    // The packets are dealt to three files, one of each kind.
    let mut parts: [Vec<Packet>; 3] = Default::default();
    for (index, packet) in whole.packets().iter().enumerate() {
        if let Some(part) = parts.get_mut(index % 3) {
            part.push(packet.clone());
        }
    }
    let mut files = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let mut capture = Capture::new(llmtap_tests::pcap::Link::RawIp);
        capture.add_packets(part);
        let bytes = capture.to_pcap(ByteOrder::Big, Resolution::Nano);
        let path = folder.path().join(index.to_string());
        let bytes = match index {
            0 => bytes,
            1 => {
                let level = flate2::Compression::fast();
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
                gzip.write_all(&bytes)?;
                gzip.finish()?
            }
            _ => zstd::stream::encode_all(bytes.as_slice(), 1)?,
        };
        fs::write(&path, bytes)?;
        files.push(path.to_str().context("a path in UTF-8")?.to_owned());
    }
    for order in [[0, 1, 2], [2, 0, 1]] {
        let files: Vec<&str> = order
            .iter()
            .filter_map(|n| files.get(*n))
            .map(String::as_str)
            .collect();
        assert_eq!(short(&replay_files(&files)?)?, expected);
    }
    // One of them on standard input.
    let mut command =
        process::llmtap(&["replay", "-", "--rows", "exchanges", "--format", "ndjson"])?;
    command.args(files.get(..2).unwrap_or_default());
    command.stdin(Stdio::from(fs::File::open(
        files.last().context("three files")?,
    )?));
    assert_eq!(short(&process::run(&mut command)?)?, expected);
    Ok(())
}

#[test]
fn a_file_cut_anywhere_gives_what_came_before() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0));
    for n in 0..3 {
        talk.client(at(20 * n + 10), get("a"))
            .server(at(20 * n + 20), OK);
    }
    let whole = Capture::of(&talk).to_pcap(ByteOrder::Little, Resolution::Micro);
    let mut last = 0;
    for length in (24..whole.len()).step_by(37) {
        let rows = exchanges(whole.get(..length).unwrap_or_default())?;
        let done = rows
            .iter()
            .filter(|row| *row == "/a 200 complete 0/2")
            .count();
        ensure!(done >= last && rows.len() <= done + 1, "{length}: {rows:?}");
        last = done;
    }
    ensure!(last >= 2, "{last}");
    Ok(())
}

#[test]
fn what_is_not_http_1_is_named() -> Result<()> {
    let upgrade =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let cases: [(&str, &[u8], &[u8]); 4] = [
        (
            "tls",
            b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
            b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03",
        ),
        (
            "http2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            b"\0\0\0\x04\0\0\0\0\0",
        ),
        (
            "websocket",
            b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            upgrade.as_bytes(),
        ),
        ("unknown", b"\x01\x02\x03 hello", b"\x04\x05\x06 world"),
    ];
    let folder = tempfile::tempdir()?;
    for (kind, asked, answered) in cases {
        let mut talk = talk();
        talk.handshake(at(0))
            .client(at(10), asked)
            .server(at(20), answered)
            .client(at(30), b"\x81\x05hello")
            .server(at(40), b"\x81\x05hello")
            .close(at(50));
        let file = folder.path().join(kind);
        Capture::of(&talk).write(&file)?;
        let done = process::run_llmtap(&["replay".as_ref(), file.as_os_str()])?;
        assert_eq!(done.code, Some(1), "{kind}: {done:?}");
        let named = done.stderr.contains(&format!("not HTTP/1: 1 {kind}\n"));
        ensure!(
            named && done.stderr.contains(&format!("\n{kind}: ")),
            "{kind}: {}",
            done.stderr
        );
    }
    Ok(())
}
