//! Ordinary traffic, at every split.

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn one_exchange() {
    check_splits(
        &[c(GET), s(OK), FIN_C, FIN_S, CLOSED],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< hello",
            "0 complete down 5",
        ],
    );
}

#[test]
fn keep_alive_with_bodies() {
    check_splits(
        &[
            c("POST /v1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
            s(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            ),
            c(
                "\r\nPOST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
            ),
            s("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n"),
        ],
        &[
            "0 begin",
            "0 POST /v1 1.1",
            "0> abc",
            "0 sent",
            "0 200 1.1",
            "0< hello world",
            "0 complete up 3 down 11",
            "1 begin",
            "1 POST /v2 1.1",
            "1> hi",
            "1 sent",
            "1 404 1.1",
            "1 complete up 2",
        ],
    );
}

#[test]
fn pipelining() {
    let head = "HEAD /h HTTP/1.1\r\n\r\n";
    let requests = format!("{GET}{head}GET /b HTTP/1.1\r\n\r\n");
    let head_answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let answers =
        format!("{OK}{head_answer}HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
    check_splits(
        &[c(requests), s(answers)],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "1 begin",
            "1 HEAD /h 1.1",
            "1 sent",
            "2 begin",
            "2 GET /b 1.1",
            "2 sent",
            "0 200 1.1",
            "0< hello",
            "0 complete down 5",
            "1 200 1.1",
            "1 complete",
            "2 304 1.1",
            "2 complete",
        ],
    );
}

#[test]
fn interim_responses() {
    let counters = check_splits(
        &[
            c("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
            s("HTTP/1.1 100 Continue\r\n\r\n"),
            c("ab"),
            s("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
        ],
        &[
            "0 begin",
            "0 POST / 1.1",
            "0> ab",
            "0 sent",
            "0 204 1.1",
            "0 complete up 2",
        ],
    );
    assert_eq!(counters.interim_responses, 2);
}

#[test]
fn until_close() {
    check_splits(
        &[
            c(GET),
            s("HTTP/1.0 200 OK\r\n\r\nall of it"),
            FIN_S,
            FIN_C,
            CLOSED,
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.0",
            "0< all of it",
            "0 complete down 9",
        ],
    );
}

#[test]
fn an_answer_before_the_requests_end() {
    check_splits(
        &[
            c("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"),
            s("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
            c("cd"),
        ],
        &[
            "0 begin",
            "0 POST / 1.1",
            "0> ab",
            "0 413 1.1",
            "0< no",
            "0> cd",
            "0 sent",
            "0 complete up 4 down 2",
        ],
    );
    // The client gives up the upload.
    check(
        &[
            c("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"),
            s("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
            FIN_S,
            RST_C,
            CLOSED,
        ],
        &[
            "0 begin",
            "0 POST / 1.1",
            "0> ab",
            "0 413 1.1",
            "0< no",
            "0 complete up 2 down 2",
        ],
    );
    // Even before the end of its head.
    check(
        &[
            c("GET /long HTTP/1.1\r\nA: b\r\n"),
            s("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n"),
            c("C: d\r\n\r\n"),
        ],
        &[
            "0 begin",
            "0 431 1.1",
            "0 GET /long 1.1",
            "0 sent",
            "0 complete",
        ],
    );
}

#[test]
fn gzip_in_chunks() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"hello hello hello hello").unwrap();
    let coded = encoder.finish().unwrap();
    let mut answer =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in coded.chunks(7) {
        write!(answer, "{:x}\r\n", chunk.len()).unwrap();
        answer.extend_from_slice(chunk);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    let end = format!("0 complete down {}:23", coded.len());
    check_splits(
        &[c(GET), s(answer)],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< hello hello hello hello",
            &end,
        ],
    );
}

#[test]
fn a_short_body_labelled_br_that_is_plain() {
    check_splits(
        &[
            c(GET),
            s("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< {}",
            "0 complete down 2",
        ],
    );
    check(
        &[
            c(GET),
            s("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 9\r\n\r\n{}"),
            FIN_S,
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< {}",
            "0 server_fin down 2",
        ],
    );
}

#[test]
fn more_fields_than_any_array() {
    let mut request = "GET / HTTP/1.1\r\n".to_owned();
    for number in 0..500 {
        write!(request, "X-{number}: {number}\r\n").unwrap();
    }
    request.push_str("Content-Length: 1\r\n\r\nx");
    check(
        &[c(request), s(OK)],
        &[
            "0 begin",
            "0 GET / 1.1",
            "0> x",
            "0 sent",
            "0 200 1.1",
            "0< hello",
            "0 complete up 1 down 5",
        ],
    );
}

#[test]
fn methods_that_are_not_registered() {
    check_splits(
        &[c("BREW-it /pot HTTP/1.1\r\n\r\n"), s(OK)],
        &[
            "0 begin",
            "0 BREW-it /pot 1.1",
            "0 sent",
            "0 200 1.1",
            "0< hello",
            "0 complete down 5",
        ],
    );
}
