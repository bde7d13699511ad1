//! Small captures whose every mark and duration was computed by hand, in microseconds.

use anyhow::{Result, ensure};
use llmtap_tests::{
    pcap::{ByteOrder, Capture, Conversation, Link, Resolution, to_pcapng},
    process,
    row::Row,
};

/// The time from which the tests count: marks below are microseconds after it.
const T0: u64 = 1_754_000_000_000_000;

const MARKS: [&str; 8] = [
    "request_start",
    "request_end",
    "response_head",
    "first_event",
    "first_token",
    "last_token",
    "response_end",
    "ended",
];

const STREAM_REQUEST: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                           transfer-encoding: chunked\r\n\r\n";

const DONE: &str = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

fn request(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: llm:8000\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chunk(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn delta(delta: &str) -> String {
    chunk(&format!(
        r#"{{"object":"chat.completion.chunk","model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    ))
}

fn role() -> String {
    delta(r#"{"role":"assistant","content":""}"#)
}

fn token(text: &str) -> String {
    delta(&format!(r#"{{"content":"{text}"}}"#))
}

fn finish() -> String {
    chunk(
        r#"{"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    )
}

fn usage(output: u64) -> String {
    chunk(&format!(
        r#"{{"object":"chat.completion.chunk","model":"m","choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":{output},"total_tokens":{}}}}}"#,
        9 + output
    ))
}

fn talk() -> Conversation {
    talk_from(40_001)
}

fn talk_from(port: u16) -> Conversation {
    Conversation::new(([10, 1, 0, 9], port).into(), ([10, 0, 0, 1], 8000).into())
}

fn at(micros: u64) -> u64 {
    T0 + micros
}

/// The rows of a replay of a capture file's bytes.
fn replay(bytes: &[u8]) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("clocks.pcap");
    std::fs::write(&file, bytes)?;
    let done = process::run_llmtap(&[
        "replay".as_ref(),
        file.as_os_str(),
        "--format".as_ref(),
        "ndjson".as_ref(),
    ])?;
    ensure!(done.code == Some(0), "replay: {done:?}");
    done.rows()
}

/// The one row of a replay of one conversation.
fn row_of(talk: &Conversation) -> Result<Row> {
    let capture = Capture::of(talk);
    let mut rows = replay(&capture.to_pcap(ByteOrder::Little, Resolution::Micro))?;
    ensure!(rows.len() == 1, "not one row: {rows:?}");
    Ok(rows.remove(0))
}

/// The marks after T0, in the order of [`MARKS`].
fn marks(row: &Row) -> [Option<i64>; 8] {
    MARKS.map(|mark| row.micros(mark).map(|micros| micros - T0 as i64))
}

/// A stream whose head leaves long before its first token, as uvicorn's does: role at 200 ms, three
/// tokens at 300, 350 and 450 ms, finish and usage in one segment at 451 ms, the end at 452 ms.
fn ordinary_stream() -> Conversation {
    let mut talk = talk();
    talk.handshake(at(0))
        .client_spaced(at(100), 50, request(STREAM_REQUEST))
        .server(at(1_000), STREAM_HEAD)
        .server(at(200_000), role())
        .client_ack(at(200_010))
        .server(at(300_000), token(" one"))
        .server(at(350_000), token(" two"))
        .server(at(450_000), token(" three"))
        .server(at(451_000), finish() + &usage(3))
        .server(at(452_000), DONE)
        .client_ack(at(452_010))
        .close(at(500_000));
    talk
}

#[test]
fn an_ordinary_stream() -> Result<()> {
    let row = row_of(&ordinary_stream())?;
    assert_eq!(
        marks(&row),
        [100, 100, 1_000, 200_000, 300_000, 450_000, 452_000, 452_000].map(Some)
    );
    assert_eq!(row.micros("elapsed"), Some(451_900));
    assert_eq!(row.micros("upload"), Some(0));
    assert_eq!(row.micros("ttft"), Some(299_900));
    // (450,000 − 300,000) / (3 − 1)
    assert_eq!(row.micros("tpot"), Some(75_000));
    // Gaps of 50 and 100 ms; by nearest rank the median is the first.
    assert_eq!(row.micros("gap_p50"), Some(50_000));
    assert_eq!(row.micros("gap_p95"), Some(100_000));
    assert_eq!(row.micros("gap_max"), Some(100_000));
    assert_eq!(row.int("stalls"), Some(0));
    assert_eq!(row.micros("wasted"), Some(0));
    assert_eq!(row.text("outcome"), Some("ok"));
    assert_eq!(row.int("output_tokens"), Some(3));
    assert_eq!(row.text("output_source"), Some("reported"));
    assert_eq!(row.int("total_tokens"), Some(12));
    // 12 tokens in 451.9 ms
    let rate = row.get("tokens_per_second").as_f64().unwrap_or_default();
    assert!((rate - 12.0 / 0.451_9).abs() < 1e-6, "{rate}");
    Ok(())
}

#[test]
fn every_link_family_and_file_format_gives_the_same_row() -> Result<()> {
    let talk = ordinary_stream();
    let usual = row_of(&talk)?;
    for link in Link::ALL {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for resolution in [Resolution::Micro, Resolution::Nano] {
                let mut capture = Capture::new(link);
                capture.add(&talk);
                let what = format!("{link:?} {order:?} {resolution:?}");
                let rows = replay(&capture.to_pcap(order, resolution))?;
                assert_eq!(rows, std::slice::from_ref(&usual), "pcap {what}");
                let rows = replay(&to_pcapng(&[capture], order, resolution))?;
                assert_eq!(rows, std::slice::from_ref(&usual), "pcapng {what}");
            }
        }
    }
    Ok(())
}

#[test]
fn one_connection_over_two_interfaces_of_different_links() -> Result<()> {
    let talk = ordinary_stream();
    let (even, odd): (Vec<_>, Vec<_>) = talk
        .packets()
        .iter()
        .cloned()
        .enumerate()
        .partition(|(index, _)| index % 2 == 0);
    let interface = |link, packets: Vec<(usize, _)>| {
        let mut capture = Capture::new(link);
        capture.add_packets(
            &packets
                .into_iter()
                .map(|(_, packet)| packet)
                .collect::<Vec<_>>(),
        );
        capture
    };
    let captures = [
        interface(Link::Ethernet, even),
        interface(Link::LinuxSll2, odd),
    ];
    let rows = replay(&to_pcapng(&captures, ByteOrder::Little, Resolution::Nano))?;
    assert_eq!(rows, [row_of(&talk)?]);
    Ok(())
}

#[test]
fn a_request_over_several_segments_has_an_upload() -> Result<()> {
    let mut talk = talk().with_mss(40);
    let request = request(STREAM_REQUEST);
    let segments = request.len().div_ceil(40) as i64;
    talk.handshake(at(0)).client_spaced(at(100), 50, &request);
    let mut talk = talk.with_mss(1448);
    talk.server(at(10_000), STREAM_HEAD)
        .server(at(20_000), token(" one") + &finish())
        .server(at(30_000), DONE)
        .close(at(40_000));
    let row = row_of(&talk)?;
    assert_eq!(row.micros("upload"), Some((segments - 1) * 50));
    assert_eq!(row.micros("ttft"), Some(19_900));
    // One token: no time per token.
    assert!(row.get("tpot").is_null(), "{row:?}");
    Ok(())
}

#[test]
fn reordered_segments_keep_their_own_times() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .server(at(1_000), STREAM_HEAD);
    let early = talk.reserve_server(token(" one"));
    // The second token is captured first: it can be read when the first is there.
    talk.server(at(50_000), token(" two"))
        .send(at(60_000), &early)
        .server(at(80_000), finish() + DONE)
        .client_ack(at(80_010))
        .close(at(90_000));
    let row = row_of(&talk)?;
    assert_eq!(
        marks(&row),
        [100, 100, 1_000, 60_000, 60_000, 60_000, 80_000, 80_000].map(Some)
    );
    // Two tokens at one time: no time per token.
    assert!(row.get("tpot").is_null(), "{row:?}");
    assert_eq!(row.int("output_tokens"), Some(2));
    assert_eq!(row.text("confidence"), Some("complete"));
    Ok(())
}

#[test]
fn a_retransmission_does_not_move_a_mark() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .server(at(1_000), STREAM_HEAD);
    let token_segment = talk.reserve_server(token(" one"));
    talk.send(at(50_000), &token_segment)
        .send(at(70_000), &token_segment)
        .repeat_last(at(70_001))
        .server(at(80_000), finish() + DONE)
        .close(at(90_000));
    let row = row_of(&talk)?;
    assert_eq!(
        marks(&row),
        [100, 100, 1_000, 50_000, 50_000, 50_000, 80_000, 80_000].map(Some)
    );
    assert_eq!(row.int("output_tokens"), Some(1));
    Ok(())
}

#[test]
fn events_that_share_a_segment_share_its_time() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .server(
            at(1_000),
            STREAM_HEAD.to_owned() + &role() + &token(" one") + &token(" two"),
        )
        .server(at(3_000), token(" three") + &finish() + DONE)
        .close(at(4_000));
    let row = row_of(&talk)?;
    assert_eq!(
        marks(&row),
        [100, 100, 1_000, 1_000, 1_000, 3_000, 3_000, 3_000].map(Some)
    );
    // (3,000 − 1,000) / (3 − 1)
    assert_eq!(row.micros("tpot"), Some(1_000));
    assert_eq!(row.micros("gap_max"), Some(2_000));
    Ok(())
}

#[test]
fn a_stall_is_a_gap_over_a_second() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .server(at(1_000), STREAM_HEAD)
        .server(at(2_000), token(" one"))
        .server(at(1_002_000), token(" two"))
        .server(at(2_002_001), token(" three"))
        .server(at(2_003_000), finish() + DONE)
        .close(at(2_004_000));
    let row = row_of(&talk)?;
    // Gaps of exactly 1 s, and of 1 s and 1 µs.
    assert_eq!(row.int("stalls"), Some(1));
    assert_eq!(row.micros("gap_p50"), Some(1_000_000));
    assert_eq!(row.micros("gap_max"), Some(1_000_001));
    Ok(())
}

#[test]
fn a_client_that_leaves_and_the_seconds_wasted_on_it() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .server(at(1_000), STREAM_HEAD)
        .server(at(50_000), token(" one"))
        .server(at(60_000), token(" two"))
        .client_fin(at(65_000))
        .server(at(70_000), token(" three"))
        .client_rst(at(70_010));
    let row = row_of(&talk)?;
    assert_eq!(row.text("outcome"), Some("client_abort"));
    assert_eq!(
        marks(&row)[..7],
        [
            Some(100),
            Some(100),
            Some(1_000),
            Some(50_000),
            Some(50_000),
            Some(70_000),
            None
        ]
    );
    assert_eq!(row.micros("wasted"), Some(5_000));
    assert_eq!(row.flag("output_partial"), Some(true));
    assert_eq!(row.text("output_source"), Some("counted"));
    assert_eq!(row.int("output_tokens"), Some(3));
    Ok(())
}

#[test]
fn a_client_that_gives_up_in_the_queue() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .server_ack(at(110))
        .client_fin(at(9_000_000))
        .server_fin(at(9_000_500))
        .client_ack(at(9_000_510));
    let row = row_of(&talk)?;
    assert_eq!(row.text("outcome"), Some("client_abort"));
    assert!(
        row.get("status").is_null() && row.get("ttft").is_null(),
        "{row:?}"
    );
    assert!(row.get("response_head").is_null(), "{row:?}");
    assert_eq!(row.micros("wasted"), Some(0));
    Ok(())
}

#[test]
fn a_half_closed_client_that_gets_its_answer_did_not_abort() -> Result<()> {
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .client_fin(at(200))
        .server(at(1_000), STREAM_HEAD)
        .server(at(50_000), token(" one"))
        .server(at(60_000), finish() + DONE)
        .server_fin(at(60_100))
        .client_ack(at(60_200));
    let row = row_of(&talk)?;
    assert_eq!(row.text("outcome"), Some("ok"));
    assert_eq!(row.micros("response_end"), Some(T0 as i64 + 60_000));
    // The client still read: nothing was in vain.
    assert_eq!(row.micros("wasted"), Some(0));
    Ok(())
}

#[test]
fn a_server_that_breaks_off() -> Result<()> {
    for end in [Conversation::server_fin, Conversation::server_rst] {
        let mut talk = talk();
        talk.handshake(at(0))
            .client(at(100), request(STREAM_REQUEST))
            .server(at(1_000), STREAM_HEAD)
            .server(at(50_000), token(" one"));
        end(&mut talk, at(80_000));
        talk.client_ack(at(80_010));
        let row = row_of(&talk)?;
        assert_eq!(row.text("outcome"), Some("server_abort"), "{row:?}");
        assert!(row.get("response_end").is_null(), "{row:?}");
        assert_eq!(row.flag("output_partial"), Some(true));
        assert_eq!(row.int("output_tokens"), Some(1));
    }
    Ok(())
}

#[test]
fn a_lost_event_marks_its_call_alone() -> Result<()> {
    let mut talk = talk();
    let lost_token = token(" two");
    talk.handshake(at(0))
        .client(at(100), request(STREAM_REQUEST))
        .server(at(1_000), STREAM_HEAD)
        .server(at(50_000), token(" one"));
    let _never_captured = talk.reserve_server(&lost_token);
    talk.server(at(70_000), token(" three"))
        .server(at(80_000), finish() + DONE)
        .client_ack(at(80_010))
        .client(at(100_000), request(STREAM_REQUEST))
        .server(at(101_000), STREAM_HEAD)
        .server(at(150_000), token(" one"))
        .server(at(180_000), finish() + DONE)
        .close(at(190_000));
    let capture = Capture::of(&talk);
    let rows = replay(&capture.to_pcap(ByteOrder::Little, Resolution::Micro))?;
    assert_eq!(rows.len(), 2, "{rows:?}");
    let of = |start: i64| rows.iter().find(|row| marks(row)[0] == Some(start));
    let (damaged, whole) = (of(100), of(100_000));
    let damaged = damaged.unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(damaged.text("confidence"), Some("partial"));
    assert_eq!(
        damaged.int("missing_response_bytes"),
        Some(lost_token.len() as i64)
    );
    // Lost response bytes: no time per token.
    assert!(damaged.get("tpot").is_null(), "{damaged:?}");
    let whole = whole.unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(whole.text("confidence"), Some("complete"));
    assert_eq!(whole.micros("ttft"), Some(50_000));
    assert_eq!(whole.text("outcome"), Some("ok"));
    Ok(())
}

#[test]
fn a_plain_answer_has_no_stream_marks() -> Result<()> {
    let answer = r#"{"object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    let mut talk = talk();
    talk.handshake(at(0))
        .client(at(100), request(r#"{"model":"m","messages":[]}"#))
        .server(at(40_000), head)
        .server(at(40_100), answer)
        .close(at(50_000));
    let row = row_of(&talk)?;
    assert_eq!(
        marks(&row),
        [
            Some(100),
            Some(100),
            Some(40_000),
            None,
            None,
            None,
            Some(40_100),
            Some(40_100)
        ]
    );
    assert!(
        row.get("ttft").is_null() && row.get("stalls").is_null(),
        "{row:?}"
    );
    assert_eq!(row.micros("elapsed"), Some(40_000));
    Ok(())
}

#[test]
fn replaying_twice_prints_the_same() -> Result<()> {
    let mut capture = Capture::new(Link::Ethernet);
    for port in 40_001..40_040 {
        let mut talk = talk_from(port);
        talk.handshake(at(u64::from(port)))
            .client(at(100_000), request(STREAM_REQUEST))
            .server(at(200_000), STREAM_HEAD.to_owned() + &token(" one"))
            .server(at(300_000), finish() + DONE)
            .close(at(400_000));
        capture.add(&talk);
    }
    let bytes = capture.to_pcap(ByteOrder::Little, Resolution::Micro);
    let first = replay(&bytes)?;
    assert_eq!(first.len(), 39);
    assert_eq!(replay(&bytes)?, first);
    Ok(())
}
