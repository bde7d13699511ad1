//! Framing that is wrong, odd or hostile.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NEXT: &str = "GET /next HTTP/1.1\r\n\r\n";

#[test]
fn a_chunk_size_past_64_bits() {
    let counters = check(
        &[
            c(format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n{NEXT}"
            )),
            FIN_C,
            FIN_S,
            CLOSED,
        ],
        &[
            "0 begin",
            "0 POST / 1.1",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "0 client_fin",
            "1 client_fin",
        ],
    );
    assert_eq!(counters.chunks_invalid, 1);
}

#[test]
fn a_negative_length() {
    let counters = check_splits(
        &[c(format!(
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n{NEXT}"
        ))],
        &[
            "0 begin",
            "0 POST / 1.1",
            "0 sent",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "0 capture_end",
            "1 capture_end",
        ],
    );
    assert_eq!(counters.framings_invalid, 1);
}

#[test]
fn expect_with_nothing_to_come_and_obs_fold() {
    check_splits(
        &[c(format!(
            "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n{NEXT}"
        ))],
        &[
            "0 begin",
            "0 POST / 1.1",
            "0 sent",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "0 capture_end",
            "1 capture_end",
        ],
    );
    check_splits(
        &[c(format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{NEXT}"
        ))],
        &[
            "0 begin",
            "0 POST / 1.1",
            "0 sent",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "0 capture_end",
            "1 capture_end",
        ],
    );
}

#[test]
fn a_response_with_two_lengths_ends_at_the_next_one() {
    check(
        &[
            c("GET /a HTTP/1.1\r\n\r\n"),
            s("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            c(NEXT),
            s(OK),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< ab",
            "0 lost down 2",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ],
    );
}

#[test]
fn bytes_after_a_response_are_passed_over() {
    let counters = check(
        &[
            c("GET /a HTTP/1.1\r\n\r\n"),
            s(format!("{OK} and more that nobody announced")),
            c(NEXT),
            s(OK),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< ok",
            "0 complete down 2",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ],
    );
    assert_eq!(counters.skipped_bytes, 31);
}

#[test]
fn a_response_whose_chunks_break() {
    check(
        &[
            c("GET /a HTTP/1.1\r\n\r\n"),
            s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\nrest"),
            s("more rest"),
            c(NEXT),
            s(OK),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< ok",
            "0 lost down 2",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ],
    );
}

#[test]
fn heads_that_are_too_large() {
    let setup = Setup {
        limits: HttpLimits {
            head_bytes: 100,
            ..HttpLimits::default()
        },
        ..Setup::new()
    };
    let long = format!("GET /a HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200));
    let expected = [
        "0 begin",
        "0 200 1.1",
        "0< ok",
        "0 complete up 0 unread 224 down 2",
        "1 begin",
        "1 GET /next 1.1",
        "1 sent",
        "1 200 1.1",
        "1< ok",
        "1 complete down 2",
    ];
    let seen = setup.run(&[c(&long), s(OK), c(NEXT), s(OK)]);
    assert_eq!(seen.lines, expected);
    assert_eq!(seen.counters.heads_too_large, 1);
    let (left, right) = long.split_at(50);
    let seen = setup.run(&[c(left), c(right), s(OK), c(NEXT), s(OK)]);
    assert_eq!(seen.lines, expected);
}

#[test]
fn a_body_past_the_read_cap_is_framed_on() {
    let setup = Setup {
        limits: HttpLimits {
            body_read: 3,
            ..HttpLimits::default()
        },
        ..Setup::new()
    };
    let seen = setup.run(&[
        c("GET /a HTTP/1.1\r\n\r\n"),
        s("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        c(NEXT),
        s(OK),
    ]);
    assert_eq!(
        seen.lines,
        [
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< hel",
            "0 complete down 5:3 unread 2",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ]
    );
    assert_eq!(
        (seen.counters.bodies_capped, seen.counters.unread_bytes),
        (1, 2)
    );
}

#[test]
fn a_body_that_cannot_be_decoded() {
    check(
        &[
            c("GET /a HTTP/1.1\r\n\r\n"),
            s(
                "HTTP/1.1 200 OK\r\nContent-Encoding: compress\r\nContent-Length: 4\r\n\r\n\0\x01\x02\x03",
            ),
            c(NEXT),
            s(OK),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0 gap ResponseBody 4",
            "0 complete down 4:0 unread 4",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ],
    );
}

#[test]
fn too_many_open_exchanges_give_the_connection_up() {
    let setup = Setup {
        limits: HttpLimits {
            open_exchanges: 2,
            ..HttpLimits::default()
        },
        ..Setup::new()
    };
    let seen = setup.run(&[c(NEXT.repeat(4)), s(OK)]);
    assert_eq!(
        seen.lines,
        [
            "0 begin",
            "0 GET /next 1.1",
            "0 sent",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "0 evicted",
            "1 evicted",
        ]
    );
    assert_eq!(seen.counters.exchanges_evicted, 2);
}

#[test]
fn a_request_line_without_a_version() {
    // A simple request and its bare answer, as RFC 1945 §4.1 has them; only registered methods are
    // believed, so that a line of another protocol is not taken for one.
    check_splits(
        &[
            c("GET /old\r\n"),
            s("<html>old</html>\n"),
            FIN_S,
            FIN_C,
            CLOSED,
        ],
        &[
            "0 begin",
            "0 GET /old 0.9",
            "0 sent",
            "0< <html>old</html>\\n",
            "0 complete down 17",
        ],
    );
    check_splits(
        &[c("GET /old\r\n"), s(OK)],
        &[
            "0 begin",
            "0 GET /old 0.9",
            "0 sent",
            "0 200 1.1",
            "0< ok",
            "0 complete down 2",
        ],
    );
    check_splits(
        &[c("GET /old\n"), s("H"), FIN_S],
        &[
            "0 begin",
            "0 GET /old 0.9",
            "0 sent",
            "0< H",
            "0 complete down 1",
        ],
    );
}

#[test]
fn a_request_that_is_none_has_an_answer_all_the_same() {
    for request in [
        "T / HTTP\n\n",
        "GET \n",
        "\u{dd}\0\0\0 GET /txt HTTP/1.1\r\n\r\n",
    ] {
        check(
            &[c(request), s(OK)],
            &[
                "0 begin",
                "0 200 1.1",
                "0< ok",
                &format!("0 complete up 0 unread {} down 2", request.len()),
            ],
        );
    }
}
