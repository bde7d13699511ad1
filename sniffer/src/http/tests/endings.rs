//! How exchanges end, and when.

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab";
const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNK: &str = "2\r\nhi\r\n";

/// The last line of a connection with a request at 10, a head at 20 and a chunk at 30, then `ops`.
fn ending(ops: &[Op]) -> String {
    let mut all = vec![c(POST), s(STREAM), s(CHUNK)];
    all.extend_from_slice(ops);
    Setup::timed().run(&all).lines.pop().unwrap()
}

#[test]
fn broken_off_in_a_stream() {
    for (ops, line) in [
        (vec![s("0\r\n\r\n")], "0 complete@40 server@40 up 2 down 2"),
        // A half-closed client that gets its whole answer did not abort.
        (
            vec![FIN_C, s("0\r\n\r\n"), FIN_S, CLOSED],
            "0 complete@50 left@40 server@50 up 2 down 2",
        ),
        (
            vec![FIN_C, s(CHUNK), s(CHUNK), FIN_S, CLOSED],
            "0 client_fin@60 left@40 server@60 up 2 down 6",
        ),
        (
            vec![FIN_C, FIN_S, CLOSED],
            "0 client_fin@40 left@40 server@30 up 2 down 2",
        ),
        (
            vec![RST_C, s(CHUNK), CLOSED],
            "0 client_reset@50 left@40 server@50 up 2 down 4",
        ),
        (
            vec![FIN_C, RST_C, CLOSED],
            "0 client_fin@40 left@40 server@30 up 2 down 2",
        ),
        (
            vec![FIN_C, s(CHUNK), RST_C, CLOSED],
            "0 client_fin@50 left@40 server@50 up 2 down 4",
        ),
        (
            vec![FIN_S, FIN_C, CLOSED],
            "0 server_fin@40 server@30 up 2 down 2",
        ),
        (
            vec![RST_S, CLOSED],
            "0 server_reset@40 server@30 up 2 down 2",
        ),
        (
            vec![FIN_C, RST_S, CLOSED],
            "0 client_fin@40 left@40 server@30 up 2 down 2",
        ),
        (
            vec![Op::Close(CloseReason::TimedOut)],
            "0 timed_out@30 server@30 up 2 down 2",
        ),
        (
            vec![Op::Close(CloseReason::Evicted)],
            "0 evicted@30 server@30 up 2 down 2",
        ),
        (
            vec![Op::Close(CloseReason::Replaced)],
            "0 lost@30 server@30 up 2 down 2",
        ),
        (vec![], "0 capture_end@30 server@30 up 2 down 2"),
    ] {
        assert_eq!(ending(&ops), line, "{ops:?}");
    }
}

#[test]
fn broken_off_before_an_answer() {
    for (ops, lines) in [
        (
            vec![c(POST), FIN_C, CLOSED],
            vec!["0 client_fin@20 left@20 up 2"],
        ),
        (
            vec![c(POST), RST_C, CLOSED],
            vec!["0 client_reset@20 left@20 up 2"],
        ),
        (
            vec![c(POST), FIN_S, FIN_C, CLOSED],
            vec!["0 server_fin@20 up 2"],
        ),
        (vec![c(POST), RST_S, CLOSED], vec!["0 server_reset@20 up 2"]),
        (vec![c(POST)], vec!["0 capture_end@10 up 2"]),
        // The request's own end is still read after the server's.
        (
            vec![c(&POST[..POST.len() - 1]), FIN_S, c("b"), CLOSED],
            vec!["0>@30 b", "0@30 sent", "0 server_fin@20 up 2"],
        ),
        // A request into a connection that the server has closed.
        (
            vec![FIN_S, c("GET / HTTP/1.1\r\n\r\n"), RST_S, CLOSED],
            vec!["0@20@20 GET / 1.1", "0@20 sent", "0 server_fin@20"],
        ),
    ] {
        let seen = Setup::timed().run(&ops).lines;
        assert!(
            seen.ends_with(&lines.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "{seen:?}"
        );
    }
}

#[test]
fn until_close_bodies() {
    let head = "HTTP/1.1 200 OK\r\n\r\nall";
    for (ops, line) in [
        // The end of the body is its last byte, not the FIN.
        (vec![FIN_S], "0 complete@20 server@20 up 2 down 3"),
        (
            vec![s(" of it"), FIN_C, FIN_S],
            "0 complete@30 left@40 server@30 up 2 down 9",
        ),
        (
            vec![RST_S, CLOSED],
            "0 server_reset@30 server@20 up 2 down 3",
        ),
        (
            vec![RST_C, CLOSED],
            "0 client_reset@30 left@30 server@20 up 2 down 3",
        ),
    ] {
        let mut all = vec![c(POST), s(head)];
        all.extend_from_slice(&ops);
        assert_eq!(
            Setup::timed().run(&all).lines.pop().unwrap(),
            line,
            "{ops:?}"
        );
    }
}

#[test]
fn a_fin_after_the_answer_changes_nothing() {
    let seen = Setup::timed().run(&[
        c(POST),
        s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        RST_C,
        CLOSED,
    ]);
    assert_eq!(
        seen.lines.last().unwrap(),
        "0 complete@20 server@20 up 2 down 2"
    );
}

#[test]
fn pipelined_requests_that_stay_unanswered() {
    let get = "GET / HTTP/1.1\r\n\r\n";
    check(
        &[
            c(get.repeat(3)),
            s("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx"),
            FIN_S,
            FIN_C,
            CLOSED,
        ],
        &[
            "0 begin",
            "0 GET / 1.1",
            "0 sent",
            "1 begin",
            "1 GET / 1.1",
            "1 sent",
            "2 begin",
            "2 GET / 1.1",
            "2 sent",
            "0 200 1.1",
            "0< x",
            "0 complete down 1",
            "1 server_fin",
            "2 server_fin",
        ],
    );
}

#[test]
fn a_request_broken_off_in_its_body() {
    check(
        &[
            c("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"),
            FIN_C,
            FIN_S,
            CLOSED,
        ],
        &["0 begin", "0 POST / 1.1", "0> ab", "0 client_fin up 2"],
    );
}
