//! What is done with framing that RFC 9112 forbids, leaves open, or that somebody reads otherwise: one
//! table, each row of which is run. A tap must not refuse what a server may have taken, and must find the
//! next message where the server found it. "llhttp" is what uvicorn (httptools) and Node read with.

use super::*;

/// One decision.
struct Case {
    /// What is odd.
    what: &'static str,
    /// What servers and clients make of it.
    others: &'static str,
    /// What we do.
    ours: &'static str,
    ask: &'static str,
    say: &'static str,
    /// What comes out, without the `begin` lines.
    lines: &'static [&'static str],
    /// Whether it comes out the same however it is cut into segments. Where bytes are passed over in
    /// search of a head, the head is believed at the start of a segment only.
    cuts: Cuts,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cuts {
    Any,
    AsSent,
}

/// A whole answer.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

macro_rules! cases {
    ($($what:literal: $others:literal => $ours:literal; $ask:expr, $say:expr, $cuts:ident [$($line:literal),* $(,)?])*) => {
        &[$(Case { what: $what, others: $others, ours: $ours, ask: $ask, say: $say, lines: &[$($line),*], cuts: Cuts::$cuts }),*]
    };
}

#[rustfmt::skip]
const DECISIONS: &[Case] = cases! {
    // Lengths of requests.
    "Content-Length with Transfer-Encoding": "Go: chunked; llhttp: 400" => "chunked (RFC 9112 §6.3)";
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "Content-Length twice, equal": "Go: once; llhttp: 400" => "once";
        "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "Content-Length twice, different": "both: 400" => "no body; what follows is searched for a head, and counted";
        "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "Content-Length as a list of equal values": "both: 400; RFC 9112 §6.3 allows it" => "once";
        "POST / HTTP/1.1\r\nContent-Length: 2, 2\r\n\r\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "Content-Length negative": "both: 400" => "no body, counted";
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "Content-Length with a plus sign": "both: 400" => "no body, counted";
        "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "Content-Length in hex": "both: 400" => "no body, counted";
        "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "Content-Length empty": "both: 400" => "no body, counted";
        "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "Content-Length of 2^64": "both: 400" => "no body, counted";
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "Content-Length of 2^64 - 1": "Go: 400, as past 2^63; llhttp: takes it; Zeek: no body" => "no body, counted: nobody sends so much";
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nGET /b HTTP/1.1\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "1 GET /b 1.1", "1 sent", "0 200 1.1", "0< ok", "0 complete down 2", "1 capture_end"]
    "Content-Length with leading zeros": "both: take it" => "takes it";
        "POST / HTTP/1.1\r\nContent-Length: 0000000000000000000000002\r\n\r\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "Transfer-Encoding: identity": "Go: 501; llhttp: 400; obsolete since RFC 7230" => "says nothing: Content-Length holds";
        "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "Transfer-Encoding: chunked twice": "Go: 501; llhttp: chunked" => "chunked, once";
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "chunked that is not the last coding": "both: refuse; Zeek: chunked" => "a request is chunked, and counted: only so can the next one be found";
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, x\r\n\r\n2\r\n\u{1}\u{2}\r\n0\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 gap RequestBody 2", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2:0 unread 2 down 2"]
    "a transfer coding without chunked": "Go: 501; llhttp: 400" => "no body, counted";
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "Transfer-Encoding in HTTP/1.0": "Go: ignores it; llhttp: chunked" => "chunked, as the servers that we tap read it";
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", OK, Any
        ["0 POST / 1.0", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "Transfer-Encoding in a folded line": "Go: joins it; llhttp: by version" => "joins it";
        "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "white space before the colon": "both: 400" => "takes the field";
        "POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "a first field line that is folded": "both: 400" => "drops the line, and counts it";
        "POST / HTTP/1.1\r\n x: y\r\nContent-Length: 2\r\n\r\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "NUL in a field": "both: 400" => "takes the field";
        "POST / HTTP/1.1\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "lines that end in LF alone": "Go: takes them; llhttp: only where told to be lenient" => "takes them (RFC 9112 §2.2)";
        "POST / HTTP/1.1\nContent-Length: 2\n\nhi", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "CR alone within a request line": "both: 400" => "no request; its answer is an exchange without one";
        "GET / HTTP/1.1\rHost: a\r\n\r\n", "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", AsSent
        ["0 400 1.1", "0 complete up 0 unread 26"]
    // Chunks.
    "chunk extensions, quoted": "both: pass over them" => "passes over them";
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b;c\" ; d\r\nhi\r\n0;e\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "trailers": "both: read them" => "passes over them";
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\nContent-Length: 9\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "a chunk size past 2^64": "both: close" => "the body is broken; the next head is looked for behind that line";
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\nGET /b HTTP/1.1\r\n\r\n", OK, AsSent
        ["0 POST / 1.1", "1 GET /b 1.1", "1 sent", "0 200 1.1", "0< ok", "0 complete down 2", "1 capture_end"]
    "white space around a chunk size": "Go: takes it behind; llhttp: by version" => "takes it behind";
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2 \t\r\nhi\r\n0\r\n\r\n", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    "chunk lines that end in LF alone": "Go: takes them; llhttp: by version" => "takes them";
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\nhi\n0\n\n", OK, Any
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2"]
    // Request lines.
    "no Host": "Go: 400 in HTTP/1.1; llhttp: takes it" => "takes it";
        "GET / HTTP/1.1\r\n\r\n", OK, Any ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "absolute-form": "both: take it" => "the target as sent";
        "GET http://a/b HTTP/1.1\r\n\r\n", OK, Any ["0 GET http://a/b 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "asterisk-form": "both: take it" => "the target as sent";
        "OPTIONS * HTTP/1.1\r\n\r\n", OK, Any ["0 OPTIONS * 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "authority-form, refused": "both: go on as HTTP" => "goes on as HTTP";
        "CONNECT a:1 HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Any
        ["0 CONNECT a:1 1.1", "0 sent", "1 GET /b 1.1", "1 sent", "0 405 1.1", "0 complete", "1 200 1.1", "1< ok", "1 complete down 2"]
    "no target": "both: 400; Zeek: an empty one" => "an empty one";
        "GET  HTTP/1.1\r\n\r\n", OK, Any ["0 GET  1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "spaces in a target": "both: 400" => "taken: proxies send them";
        "GET /a b HTTP/1.1\r\n\r\n", OK, Any ["0 GET /a b 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "more spaces than one": "both: 400" => "takes them";
        "GET   /a   HTTP/1.1\r\n\r\n", OK, Any ["0 GET /a 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "empty lines before a request": "llhttp: passes over them (RFC 9112 §2.2)" => "passes over them";
        "\r\n\n\r\nGET / HTTP/1.1\r\n\r\n", OK, Any ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "HTTP/0.9": "both: refuse it" => "a request line and, till the end, its answer";
        "GET /old\r\n", "<html>", Any ["0 GET /old 0.9", "0 sent", "0< <html>", "0 capture_end down 6"]
    "a version that is there and says 0.9": "Go: 505" => "read as 1.0";
        "GET / HTTP/0.9\r\n\r\n", OK, Any ["0 GET / 1.0", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "HTTP/1.2": "Go: takes it; llhttp: 400" => "read as 1.1 (RFC 9110 §2.5)";
        "GET / HTTP/1.2\r\n\r\n", "HTTP/1.3 200 OK\r\nContent-Length: 2\r\n\r\nok", Any
        ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "HTTP/2.0 in the form of HTTP/1": "Go: 505" => "read as 1.1";
        "GET / HTTP/2.0\r\n\r\n", OK, Any ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "http in lower case": "both: refuse it; Zeek: takes it" => "takes it";
        "GET / http/1.1\r\n\r\n", "http/1.1 200 ok\r\ncontent-length: 2\r\n\r\nok", Any
        ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "bytes after a request's body": "both: 400 to them" => "no request; an answer to them is an exchange without one";
        "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi and more", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", AsSent
        ["0 POST / 1.1", "0> hi", "0 sent", "0 200 1.1", "0< ok", "0 complete up 2 down 2", "1 400 1.1", "1 complete up 0 unread 9"]
    // Responses.
    "a response to HEAD with a length": "no body (RFC 9112 §6.3)" => "no body";
        "HEAD / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Any
        ["0 HEAD / 1.1", "0 sent", "1 GET /b 1.1", "1 sent", "0 200 1.1", "0 complete", "1 200 1.1", "1< ok", "1 complete down 2"]
    "204 with a length": "no body" => "no body";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", Any ["0 GET / 1.1", "0 sent", "0 204 1.1", "0 complete"]
    "304 with a length": "no body" => "no body";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n", Any ["0 GET / 1.1", "0 sent", "0 304 1.1", "0 complete"]
    "1xx with a length": "no body" => "no body; the final answer is awaited";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 102 Wait\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No\r\n\r\n", Any ["0 GET / 1.1", "0 sent", "0 204 1.1", "0 complete"]
    "a response with lengths that differ": "clients: refuse it" => "until the connection's end, or the next head at a segment's start; counted";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab", Any ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ab", "0 capture_end down 2"]
    "a response whose last coding is not chunked": "until the end (RFC 9112 §6.3)" => "until the end";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nab", Any ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ab", "0 capture_end down 2"]
    "a status line without a reason": "both: take it" => "takes it";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Any ["0 GET / 1.1", "0 sent", "0 200 1.1", "0< ok", "0 complete down 2"]
    "a status of other than three digits": "Go, llhttp: refuse it" => "no response; the exchange is lost";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", AsSent ["0 GET / 1.1", "0 sent", "0 lost down 0 unread 18"]
    "a status that is not registered": "both: take it" => "takes it";
        "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", Any ["0 GET / 1.1", "0 sent", "0 999 1.1", "0 complete"]
};

#[test]
fn every_decision_holds() {
    let mut wrong = Vec::new();
    for case in DECISIONS {
        assert!(!case.others.is_empty() && !case.ours.is_empty());
        let ops = [c(case.ask), s(case.say)];
        let mut runs = vec![ops.to_vec()];
        if case.cuts == Cuts::Any {
            for cut in 1..case.ask.len() {
                let (left, right) = case.ask.as_bytes().split_at(cut);
                runs.push(vec![c(left), c(right), s(case.say)]);
            }
            for cut in 1..case.say.len() {
                let (left, right) = case.say.as_bytes().split_at(cut);
                runs.push(vec![c(case.ask), s(left), s(right)]);
            }
            let single = |text: &str, side| -> Vec<Op> {
                text.bytes()
                    .map(|byte| Op::Data(side, vec![byte]))
                    .collect()
            };
            let bytes = [
                single(case.ask, Side::Client),
                single(case.say, Side::Server),
            ];
            runs.push(bytes.concat());
        }
        for ops in runs {
            let mut lines = Setup::new().run(&ops).lines;
            lines.retain(|line| !line.ends_with(" begin"));
            if lines != case.lines {
                wrong.push(format!("{}: {lines:?}\n   not {:?}", case.what, case.lines));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is no HTTP/1 is named.
#[test]
fn other_protocols_are_named() {
    for (ask, say, protocol) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", Protocol::Http2),
        ("\x16\x03\x01\0\x05\x01", "", Protocol::Tls),
        (
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
            Protocol::WebSocket,
        ),
        (
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
            Protocol::Http2,
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            Protocol::Tunnel,
        ),
    ] {
        let seen = Setup::new().run(&[c(ask), s(say), c("12345"), s("123")]);
        assert_eq!(seen.protocols.last(), Some(&protocol), "{ask:?}");
        let alone = (
            seen.counters.left_alone_client_bytes,
            seen.counters.left_alone_server_bytes,
        );
        let of_http = !say.is_empty();
        let client = if of_http { 5 } else { 5 + ask.len() as u64 };
        assert_eq!(alone, (client, 3), "{ask:?}");
    }
}
