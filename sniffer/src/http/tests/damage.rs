//! Holes, each at its place: the exchanges after the damage come out right, and only the damaged one
//! is marked.

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What comes after the damage must read like this.
const AFTER: [&str; 6] = [
    "1 begin",
    "1 GET /next 1.1",
    "1 sent",
    "1 200 1.1",
    "1< ok",
    "1 complete down 2",
];

#[track_caller]
fn check_damage(ops: &[Op], damaged: &[&str]) -> HttpCounters {
    let mut all = ops.to_vec();
    all.extend([c(NEXT), s(OK)]);
    let mut lines = damaged.to_vec();
    // The next request is what ends an exchange in doubt.
    lines.extend(AFTER);
    check(&all, &lines)
}

#[test]
fn in_a_body_of_known_length() {
    let counters = check_damage(
        &[
            c("POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"),
            gap_c(4),
            c("hij"),
            s("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
            gap_s(5),
            s("ij"),
        ],
        &[
            "0 begin",
            "0 POST /a 1.1",
            "0> abc",
            "0 gap RequestBody 4",
            "0> hij",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 5",
            "0< ij",
            "0 complete up 6 -body 4 down 5 -body 5",
        ],
    );
    assert_eq!(
        (
            counters.missing_request_body,
            counters.missing_response_body
        ),
        (4, 5)
    );
}

#[test]
fn at_the_end_of_a_body_of_known_length() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    // The end was not seen, so that it has no time.
    check_damage(
        &[c(GET), s(head), gap_s(7)],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 7",
            "0 lost down 3 -body 7",
        ],
    );
    // Past its end: what else was lost there is not known.
    let counters = check_damage(
        &[c(GET), s(head), gap_s(100), s("tail of something")],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 7",
            "0 lost down 3 -body 7",
        ],
    );
    assert_eq!(
        (counters.missing_response_body, counters.missing_between),
        (7, 93)
    );
    check_damage(
        &[
            c("POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"),
            gap_c(7),
            s(OK),
        ],
        &[
            "0 begin",
            "0 POST /a 1.1",
            "0> abc",
            "0 gap RequestBody 7",
            "0 200 1.1",
            "0< ok",
            "0 complete up 3 -body 7 down 2",
        ],
    );
}

#[test]
fn in_chunks() {
    // Within one chunk.
    check_damage(
        &[
            c(GET),
            s(format!("{STREAM}a\r\nabc")),
            gap_s(7),
            s("\r\n1\r\nx\r\n0\r\n\r\n"),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 7",
            "0< x",
            "0 complete down 4 -body 7",
        ],
    );
    // A whole chunk, or several; the next segment begins one.
    check_damage(
        &[
            c(GET),
            s(format!("{STREAM}3\r\nabc\r\n")),
            gap_s(16),
            s("3\r\nxyz\r\n"),
            s("0\r\n\r\n"),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 16",
            "0< xyz",
            "0 complete down 6 -body 16",
        ],
    );
    // The end of one chunk and the beginning of the next; the chunk after that is found.
    check_damage(
        &[
            c(GET),
            s(format!("{STREAM}8\r\nabc")),
            gap_s(12),
            s("tail of a chunk"),
            s(" and more\r\n3\r\nxyz\r\n"),
            s("0\r\n\r\n"),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 12",
            "0< xyz",
            "0 complete down 6 -body 12 unread 26",
        ],
    );
}

#[test]
fn in_the_last_chunk() {
    // Nothing tells the end, until the next request does.
    check(
        &[
            c(GET),
            s(format!("{STREAM}3\r\nabc\r\n")),
            gap_s(13),
            c(NEXT),
            s(OK),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 13",
            "0 lost down 3 -body 13",
            "1 begin",
            "1 GET /next 1.1",
            "1 sent",
            "1 200 1.1",
            "1< ok",
            "1 complete down 2",
        ],
    );
    // The same with the next request lost as well.
    check(
        &[
            c(GET),
            s(format!("{STREAM}3\r\nabc\r\n")),
            gap_s(13),
            gap_c(22),
            s(OK),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 13",
            "0 lost down 3 -body 13",
            "1 begin",
            "1 gap RequestHead 22",
            "1 200 1.1",
            "1< ok",
            "1 complete up 0 -head 22 down 2",
        ],
    );
}

#[test]
fn in_a_chunked_request() {
    let head = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_damage(
        &[
            c(format!("{head}3\r\nabc\r\n")),
            gap_c(8),
            c("1\r\nx\r\n0\r\n\r\n"),
            s(OK),
        ],
        &[
            "0 begin",
            "0 POST /a 1.1",
            "0> abc",
            "0 gap RequestBody 8",
            "0> x",
            "0 sent",
            "0 200 1.1",
            "0< ok",
            "0 complete up 4 -body 8 down 2",
        ],
    );
    check_damage(
        &[c(format!("{head}3\r\nabc\r\n")), gap_c(13), s(OK)],
        &[
            "0 begin",
            "0 POST /a 1.1",
            "0> abc",
            "0 gap RequestBody 13",
            "0 200 1.1",
            "0< ok",
            "0 complete up 3 -body 13 down 2",
        ],
    );
}

#[test]
fn in_an_until_close_body() {
    check(
        &[
            c(GET),
            s("HTTP/1.1 200 OK\r\n\r\nabc"),
            gap_s(4),
            s("hij"),
            FIN_S,
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< abc",
            "0 gap ResponseBody 4",
            "0< hij",
            "0 complete down 6 -body 4",
        ],
    );
}

#[test]
fn in_a_coded_body_the_rest_cannot_be_decoded() {
    check_damage(
        &[
            c(GET),
            s("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n\x1f"),
            gap_s(10),
            s("123456789"),
        ],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0 gap ResponseBody 10",
            "0 gap ResponseBody 9",
            "0 complete down 10:0 -body 10 unread 9",
        ],
    );
}

#[test]
fn in_a_request_head() {
    let counters = check_damage(
        &[
            c("POST /a HTTP/1.1\r\nContent-"),
            gap_c(30),
            c("tail of the body"),
            s(OK),
        ],
        &[
            "0 begin",
            // What was read of it stays; the line that broke off does not.
            "0 POST /a 1.1",
            "0 gap RequestHead 30",
            "0 200 1.1",
            "0< ok",
            "0 complete up 0 -head 30 unread 24 down 2",
        ],
    );
    assert_eq!(counters.missing_request_head, 30);
}

#[test]
fn a_whole_request() {
    check_damage(
        &[gap_c(30), c("tail of the body"), s(OK)],
        &[
            "0 begin",
            "0 gap RequestHead 30",
            "0 200 1.1",
            "0< ok",
            "0 complete up 0 -head 30 unread 16 down 2",
        ],
    );
}

#[test]
fn in_a_response_head() {
    // The status line has 17 bytes: where they were seen, the status is known.
    for (cut, line) in [(0, 0), (4, 0), (12, 0), (20, 17)] {
        let damaged = [c(GET), s(&OK[..cut]), gap_s(30), s("tail of the body")];
        let mut ops = damaged.to_vec();
        ops.extend([c(NEXT), s(OK)]);
        let unread = 16 + cut - line;
        let end = format!("0 lost down 0 -head 30 unread {unread}");
        let mut lines = vec!["0 begin", "0 GET /a 1.1", "0 sent"];
        lines.extend((line > 0).then_some("0 200 1.1"));
        lines.extend(["0 gap ResponseHead 30", end.as_str()]);
        let damaged_lines = lines.len();
        lines.extend(AFTER);
        check(&ops, &lines);
        // Nor can a FIN tell whether the answer was whole.
        let mut ops = damaged.to_vec();
        ops.extend([FIN_S, FIN_C, CLOSED]);
        check(&ops, &lines[..damaged_lines]);
    }
}

#[test]
fn a_whole_response() {
    check(
        &[c(GET), gap_s(40), c(NEXT), s(OK)],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 gap ResponseHead 40",
            "0 lost down 0 -head 40",
            AFTER[0],
            AFTER[1],
            AFTER[2],
            AFTER[3],
            AFTER[4],
            AFTER[5],
        ],
    );
}

#[test]
fn an_interim_response() {
    check_damage(
        &[c(GET), gap_s(25), s(OK)],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 gap ResponseHead 25",
            "0 200 1.1",
            "0< ok",
            "0 complete down 2 -head 25",
        ],
    );
}

#[test]
fn a_response_and_the_next_request() {
    // A burst of losses takes both: the answer that comes is not the first request's.
    check(
        &[c(GET), gap_s(40), gap_c(22), s(OK)],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 gap ResponseHead 40",
            "0 lost down 0 -head 40",
            "1 begin",
            "1 gap RequestHead 22",
            "1 200 1.1",
            "1< ok",
            "1 complete up 0 -head 22 down 2",
        ],
    );
}

#[test]
fn a_request_and_its_response() {
    let counters = check_damage(
        &[c(GET), s(OK), gap_c(22), gap_s(40)],
        &[
            "0 begin",
            "0 GET /a 1.1",
            "0 sent",
            "0 200 1.1",
            "0< ok",
            "0 complete down 2",
        ],
    );
    assert_eq!(counters.missing_between, 62);
}

#[test]
fn one_of_many_responses() {
    let ops: Vec<Op> = (0..50)
        .flat_map(|n| {
            [
                c(GET),
                if n == 20 {
                    gap_s(OK.len() as u64)
                } else {
                    s(OK)
                },
            ]
        })
        .collect();
    let lines = Setup::new().run(&ops).lines;
    let complete = lines
        .iter()
        .filter(|line| line.contains("complete"))
        .count();
    assert_eq!(complete, 49);
    assert!(lines.contains(&"20 lost down 0 -head 40".to_owned()));
}

#[test]
fn an_answer_that_was_lost_whole_shifts_no_other() {
    // Before it, the answer to HEAD, whose request was lost: no sign of pipelining.
    check(
        &[
            gap_c(40),
            s("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
            c("GET /lost HTTP/1.1\r\n\r\n"),
            gap_s(60),
            c("GET /a HTTP/1.1\r\n\r\n"),
            s(OK),
            c("GET /b HTTP/1.1\r\n\r\n"),
            s(OK),
        ],
        &[
            "0 begin",
            "0 gap RequestHead 40",
            "0 200 1.1",
            "0 complete up 0 -head 40",
            "1 begin",
            "1 GET /lost 1.1",
            "1 sent",
            "1 gap ResponseHead 60",
            "1 lost down 0 -head 60",
            "2 begin",
            "2 GET /a 1.1",
            "2 sent",
            "2 200 1.1",
            "2< ok",
            "2 complete down 2",
            "3 begin",
            "3 GET /b 1.1",
            "3 sent",
            "3 200 1.1",
            "3< ok",
            "3 complete down 2",
        ],
    );
}

#[test]
fn pipelined_answers_are_in_step_again_after_a_pause() {
    let three = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n";
    let seen = Setup::new().run(&[
        c(three),
        knowing(three.len() as u64),
        s(OK),
        gap_s(OK.len() as u64),
        knowing(three.len() as u64),
        s(OK),
        knowing(3 * OK.len() as u64),
        c("GET /next HTTP/1.1\r\n\r\n"),
        s(OK),
    ]);
    let last = seen.lines.iter().filter(|line| line.starts_with("4 "));
    assert_eq!(
        last.collect::<Vec<_>>(),
        [
            "4 begin",
            "4 GET /next 1.1",
            "4 sent",
            "4 200 1.1",
            "4 complete down 2"
        ]
    );
}

#[test]
fn an_interim_answer_is_not_the_lost_one() {
    let seen = Setup::new().run(&[
        c("POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\n"),
        s("HTTP/1.1 100 Continue\r\n\r\n"),
        c("x"),
        c("GET /b HTTP/1.1\r\n\r\n"),
        s(OK),
        s(OK),
    ]);
    assert!(
        seen.lines.contains(&"0 complete up 1 down 2".to_owned()),
        "{:?}",
        seen.lines
    );
    assert!(
        seen.lines.contains(&"1 complete down 2".to_owned()),
        "{:?}",
        seen.lines
    );
}

#[test]
fn an_answer_given_up_before_its_request_came_shifts_no_other() {
    let seen = Setup::new().run(&[
        c("GET /a HTTP/1.1\r\n\r\n"),
        s(OK),
        gap_s(60),
        c("GET /late HTTP/1.1\r\n\r\n"),
        c("GET /b HTTP/1.1\r\n\r\n"),
        s(OK),
        c("GET /c HTTP/1.1\r\n\r\n"),
        s(OK),
    ]);
    let ends = seen
        .lines
        .iter()
        .filter(|line| line.contains("complete") || line.contains("lost"));
    assert_eq!(
        ends.collect::<Vec<_>>(),
        [
            "0 complete down 2",
            "1 lost",
            "2 complete down 2",
            "3 complete down 2"
        ]
    );
}

#[test]
fn a_first_byte_alone_behind_a_hole() {
    let head = "POST /next HTTP/1.1\r\nContent-Length: 2\r\n\r\nab";
    for cut in 1..head.len() {
        let (first, rest) = head.split_at(cut);
        check(
            &[c(GET), s(OK), gap_c(56), s(OK), c(first), c(rest), s(OK)],
            &[
                "0 begin",
                "0 GET /a 1.1",
                "0 sent",
                "0 200 1.1",
                "0< ok",
                "0 complete down 2",
                "1 begin",
                "1 gap RequestHead 56",
                "1 200 1.1",
                "1< ok",
                "1 complete up 0 -head 56 down 2",
                "2 begin",
                "2 POST /next 1.1",
                "2> ab",
                "2 sent",
                "2 200 1.1",
                "2< ok",
                "2 complete up 2 down 2",
            ],
        );
    }
}
