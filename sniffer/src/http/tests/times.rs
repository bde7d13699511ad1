//! The clocks: a mark is the latest packet time over all bytes of its message up to there.

use super::*;

fn run(ops: &[(i64, Op)]) -> Vec<String> {
    Setup::timed().run_at(ops).lines
}

#[test]
fn marks_of_a_stream() {
    assert_eq!(
        run(&[
            (10, c("POST / HTTP/1.1\r\nContent-")),
            (20, c("Length: 4\r\n\r\nab")),
            (30, c("cd")),
            (40, s("HTTP/1.1 200 OK\r\nTransfer-")),
            (50, s("Encoding: chunked\r\n\r\n")),
            (60, s("2\r\nhi\r\n")),
            (70, s("3\r\nyou\r\n3\r\nall\r\n")),
            (80, s("0\r\n")),
            (90, s("\r\n")),
        ]),
        [
            "0 begin",
            "0@10@20 POST / 1.1",
            "0>@20 ab",
            "0>@30 cd",
            "0@30 sent",
            "0@40@50 200 1.1",
            "0<@60 hi",
            "0<@70 you",
            "0<@70 all",
            "0 complete@90 server@90 up 4 down 8",
        ]
    );
}

#[test]
fn a_late_segment_makes_what_follows_it_late() {
    // The second segment was seen after the third: its bytes came at 50, those behind them not before.
    assert_eq!(
        run(&[
            (10, c("GET / HTTP/1.1\r\n\r\n")),
            (20, s("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")),
            (50, s("cd")),
            (30, s("ef")),
            (15, c("GET /b HTTP/1.1\r\n\r\n")),
            (12, s("HTTP/1.1 204 No\r\n\r\n")),
        ]),
        [
            "0 begin",
            "0@10@10 GET / 1.1",
            "0@10 sent",
            "0@20@20 200 1.1",
            "0<@20 ab",
            "0<@50 cd",
            "0<@50 ef",
            "0 complete@50 server@50 down 6",
            // Each message starts anew.
            "1 begin",
            "1@15@15 GET /b 1.1",
            "1@15 sent",
            "1@12@12 204 1.1",
            "1 complete@12 server@50",
        ]
    );
}

#[test]
fn messages_that_share_a_segment() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (left, right) = ok.split_at(10);
    assert_eq!(
        run(&[
            (10, c("GET /a HTTP/1.1\r\n\r\nGET /b HT")),
            (20, c("TP/1.1\r\n\r\n")),
            (30, s(format!("{ok}{left}"))),
            (40, s(right)),
        ]),
        [
            "0 begin",
            "0@10@10 GET /a 1.1",
            "0@10 sent",
            "1 begin",
            "1@10@20 GET /b 1.1",
            "1@20 sent",
            "0@30@30 200 1.1",
            "0<@30 ok",
            "0 complete@30 server@30 down 2",
            "1@30@40 200 1.1",
            "1<@40 ok",
            "1 complete@40 server@40 down 2",
        ]
    );
}

#[test]
fn interim_heads_have_their_own_times() {
    assert_eq!(
        run(&[
            (10, c("GET / HTTP/1.1\r\n\r\n")),
            (20, s("HTTP/1.1 100 Continue\r\n\r\n")),
            (30, s("HTTP/1.1 204 No Content\r\n\r\n")),
        ]),
        [
            "0 begin",
            "0@10@10 GET / 1.1",
            "0@10 sent",
            "0@30@30 204 1.1",
            "0 complete@30 server@30"
        ]
    );
}

#[test]
fn a_flushed_coding_keeps_its_clocks() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut ops = vec![
        (10, c("GET / HTTP/1.1\r\n\r\n")),
        (20, s("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")),
    ];
    for (time, event) in [(30, "data: one\n\n"), (40, "data: two\n\n")] {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        ops.push((time, s(std::mem::take(encoder.get_mut()))));
    }
    ops.push((50, s(encoder.finish().unwrap())));
    ops.push((60, FIN_S));
    let lines = run(&ops);
    assert_eq!(
        lines[4..6],
        ["0<@30 data: one\\n\\n", "0<@40 data: two\\n\\n"]
    );
    assert!(lines[6].starts_with("0 complete@50 server@50"), "{lines:?}");
}
