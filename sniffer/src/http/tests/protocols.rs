//! What is no HTTP/1 is named and left alone.

use super::*;

fn named(ops: &[Op]) -> (Vec<Protocol>, HttpCounters) {
    let seen = Setup::new().run(ops);
    let whole = seen.protocols.clone();
    let single: Vec<Op> = ops
        .iter()
        .flat_map(|op| match op {
            Op::Data(side, bytes) => bytes.iter().map(|&b| Op::Data(*side, vec![b])).collect(),
            op => vec![op.clone()],
        })
        .collect();
    assert_eq!(Setup::new().run(&single).protocols, whole, "byte by byte");
    (whole, seen.counters)
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn tls_by_either_side() {
    let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
    let (protocols, counters) = named(&[c(hello), s(b"\x16\x03\x03\x00\x05\x02\x00"), c("more")]);
    assert_eq!(protocols, [Protocol::Tls]);
    assert_eq!(
        (
            counters.left_alone_client_bytes,
            counters.left_alone_server_bytes
        ),
        (14, 7)
    );
    assert_eq!(counters.exchanges, 0);
    assert_eq!(
        named(&[s(b"\x15\x03\x01\x00\x02\x02\x28")]).0,
        [Protocol::Tls]
    );
    let late = Setup::late().run(&[s(b"\x17\x03\x03\x01\x00abc")]);
    assert_eq!(late.protocols, [Protocol::Tls]);
}

#[test]
fn http2_by_prior_knowledge() {
    let (protocols, _) = named(&[c("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0"), s("\0\0\0\x04")]);
    assert_eq!(protocols, [Protocol::Http2]);
}

#[test]
fn upgrades() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n\u{1}\u{2}";
    check_splits(
        &[
            c(UPGRADE),
            s(answer),
            c("frames"),
            s("frames"),
            FIN_C,
            FIN_S,
            CLOSED,
        ],
        &[
            "0 begin",
            "0 GET /ws 1.1",
            "0 sent",
            "0 101 1.1",
            "0 upgraded",
        ],
    );
    let (protocols, counters) = named(&[c(UPGRADE), s(answer), c("frames")]);
    assert_eq!(protocols, [Protocol::Http1, Protocol::WebSocket]);
    assert_eq!(
        (counters.connections_http1, counters.connections_websocket),
        (1, 1)
    );
    let h2c = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(
        named(&[c(UPGRADE), s(h2c)]).0,
        [Protocol::Http1, Protocol::Http2]
    );
}

#[test]
fn an_upgrade_that_is_refused_stays_http() {
    check_splits(
        &[
            c(UPGRADE),
            s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
        ],
        &[
            "0 begin",
            "0 GET /ws 1.1",
            "0 sent",
            "0 200 1.1",
            "0< no",
            "0 complete down 2",
        ],
    );
}

#[test]
fn tunnels() {
    // Spaces in the target and a field line that is none: a trace of 2004 has them.
    let connect = "CONNECT mail.example:25 / HTTP/1.0\r\nMozilla 4.0 (x)\r\n\r\n";
    let ops = [
        c(connect),
        s("HTTP/1.0 200 Connection established\r\n\r\n220 mail.example ESMTP\r\n"),
        c("HELO x\r\n"),
    ];
    check_splits(
        &ops,
        &[
            "0 begin",
            "0 CONNECT mail.example:25 / 1.0",
            "0 sent",
            "0 200 1.0",
            "0 upgraded",
        ],
    );
    let (protocols, counters) = named(&ops);
    assert_eq!(protocols, [Protocol::Http1, Protocol::Tunnel]);
    assert_eq!(
        (
            counters.left_alone_client_bytes,
            counters.left_alone_server_bytes,
            counters.fields_invalid
        ),
        (8, 24, 1)
    );
    check_splits(
        &[
            c(connect),
            s("HTTP/1.0 403 No\r\nContent-Length: 2\r\n\r\nno"),
        ],
        &[
            "0 begin",
            "0 CONNECT mail.example:25 / 1.0",
            "0 sent",
            "0 403 1.0",
            "0< no",
            "0 complete down 2",
        ],
    );
}

#[test]
fn a_server_that_speaks_first() {
    let seen = Setup::new().run(&[
        s("220 mail.example ESMTP\r\n"),
        c("EHLO x\r\n"),
        s("250 hello\r\n"),
    ]);
    assert_eq!(seen.protocols, [Protocol::Unknown]);
    assert_eq!(
        (
            seen.counters.skipped_bytes,
            seen.counters.left_alone_server_bytes
        ),
        (32, 11)
    );
}

#[test]
fn unknown_at_the_end_at_the_latest() {
    assert_eq!(
        Setup::new().run(&[c("\0\x01\x02"), CLOSED]).protocols,
        [Protocol::Unknown]
    );
    assert_eq!(
        Setup::new().run(&[c("GE"), CLOSED]).protocols,
        [Protocol::Unknown]
    );
    assert_eq!(Setup::new().run(&[CLOSED]).protocols, []);
    let unfinished = Setup::new().run(&[c("GET / HTTP/1.1\r\nHost"), CLOSED]);
    assert_eq!(unfinished.protocols, [Protocol::Http1]);
    assert_eq!(unfinished.counters.heads_unfinished, 1);
}

#[test]
fn joined_late() {
    let late = Setup::late().run(&[
        s("tail of an answer"),
        c("tail of a request"),
        s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        c("GET /next HTTP/1.1\r\n\r\n"),
        s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ]);
    assert_eq!(
        late.lines,
        [
            "0 begin",
            "0 200 1.1",
            "0< ok",
            "0 complete up 0 unread 17 down 2",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ]
    );
    assert_eq!(late.counters.skipped_bytes, 34);
    assert_eq!(late.counters.responses_without_request, 1);
}

#[test]
fn joined_late_and_never_recognised() {
    let noise = vec![b'~'; 200_000];
    let mut ops: Vec<Op> = (0..6).map(|_| s(&noise)).collect();
    assert_eq!(Setup::late().run(&ops).protocols, [Protocol::Unknown]);
    ops.push(s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let seen = Setup::late().run(&ops);
    assert_eq!(seen.protocols, [Protocol::Unknown, Protocol::Http1]);
    assert_eq!(seen.lines.len(), 4);
}

#[test]
fn the_answer_to_a_head_request_that_was_not_seen() {
    let late = Setup::late().run(&[
        s("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        c("GET /next HTTP/1.1\r\n\r\n"),
        s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ]);
    assert_eq!(
        late.lines,
        [
            "0 begin",
            "0 200 1.1",
            "0 complete",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ]
    );
}
