//! Which response belongs to which request, undamaged and damaged.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(super) fn get(name: &str) -> String {
    format!("GET /{name} HTTP/1.1\r\nHost: llm.example\r\n\r\n")
}

pub(super) fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} Fine\r\nContent-Length: 2\r\n\r\nok")
}

/// Each exchange as `target status ending`.
#[track_caller]
fn pairs(ops: &[Op]) -> (Vec<String>, HttpCounters) {
    let seen = Setup::new().run(ops);
    let mut rows: Vec<(String, String, String)> = Vec::new();
    for line in &seen.lines {
        let (number, rest) = line.split_once(' ').unwrap();
        let Ok(number) = number.parse::<usize>() else {
            continue;
        };
        if rest == "begin" {
            rows.push(("-".into(), "-".into(), String::new()));
        }
        let row = &mut rows[number];
        match rest.split(' ').collect::<Vec<_>>().as_slice() {
            ["GET" | "POST" | "HEAD", target, _] => row.0 = (*target).to_owned(),
            [status, "1.1"] => row.1 = (*status).to_owned(),
            [ending, ..] if !matches!(*ending, "begin" | "sent" | "gap") => {
                row.2 = (*ending).to_owned();
            }
            _ => {}
        }
    }
    let rows = rows
        .iter()
        .map(|(target, status, end)| format!("{target} {status} {end}"));
    (rows.collect(), seen.counters)
}

#[track_caller]
pub(super) fn check_pairs(ops: &[Op], expected: &[&str]) -> HttpCounters {
    let (rows, counters) = pairs(ops);
    assert_eq!(rows, expected);
    counters
}

#[test]
fn a_body_whose_length_cannot_be_read_is_part_of_no_method() {
    // The server took it for 5 and went on.
    for body in ["hello", "HELLO", "POST ", "{\"a\":"] {
        let head = "POST /a HTTP/1.1\r\nContent-Length: +5\r\n\r\n";
        let rest = [s(OK), c(get("b")), s(answer(201))];
        for sent in [vec![c(format!("{head}{body}"))], vec![c(head), c(body)]] {
            let counters = check_pairs(
                &[&sent, &rest[..]].concat(),
                &["/a 200 complete", "/b 201 complete"],
            );
            assert_eq!(counters.framings_invalid, 1, "{body}");
            assert_eq!(counters.skipped_bytes, body.len() as u64, "{body}");
        }
    }
}

#[test]
fn expect_continue_answered_or_not_waited_for_or_not() {
    let head = "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let after = [c(get("b")), s(OK)];
    for before in [
        vec![c(head), s(go_on), c("hi"), s(OK)],
        vec![c(head), c("hi"), s(go_on), s(OK)],
        vec![c(head), c("hi"), s(format!("{go_on}{OK}"))],
        vec![c(head), c("hi"), s(OK)],
        vec![c(head), c("h"), s(go_on), c("i"), s(OK)],
        // Answered without its body, which the client sends all the same.
        vec![c(head), s(OK), c("hi")],
        // And which it leaves out.
        vec![c(head), s(OK)],
    ] {
        let ops = [before.as_slice(), &after].concat();
        check_pairs(&ops, &["/a 200 complete", "/b 200 complete"]);
    }
}

#[test]
fn interim_answers_among_pipelined_ones() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let wait = "HTTP/1.1 102 Processing\r\n\r\n";
    let said = format!(
        "{wait}{hints}{}{hints}{}{wait}{wait}{}",
        answer(201),
        answer(202),
        answer(203)
    );
    for ops in [
        vec![c(get("a") + &get("b") + &get("c")), s(&said)],
        vec![
            c(get("a")),
            c(get("b")),
            s(&said[..90]),
            c(get("c")),
            s(&said[90..]),
        ],
    ] {
        let counters = check_pairs(
            &ops,
            &["/a 201 complete", "/b 202 complete", "/c 203 complete"],
        );
        assert_eq!(counters.interim_responses, 5);
    }
}

#[test]
fn an_interim_answer_that_was_lost_unpairs_nothing() {
    let ops = [
        c(get("a")),
        gap_s(40),
        s(answer(201)),
        c(get("b")),
        s(answer(202)),
    ];
    check_pairs(&ops, &["/a 201 complete", "/b 202 complete"]);
}

#[test]
fn one_of_several_answers_lost_whole() {
    let lost = gap_s(answer(202).len() as u64);
    // What was in the hole may have been an interim answer.
    let counters = check_pairs(
        &[
            c(get("a") + &get("b") + &get("c")),
            s(answer(201)),
            lost.clone(),
            s(answer(203)),
        ],
        &[
            "/a 201 complete",
            "/b - lost",
            "/c - lost",
            "- 203 complete",
        ],
    );
    assert_eq!(counters.responses_unpaired, 1);
    // The same with one more.
    let counters = check_pairs(
        &[
            c(get("a") + &get("b") + &get("c") + &get("d")),
            s(answer(201)),
            lost.clone(),
            s(answer(203)),
            s(answer(205)),
        ],
        &[
            "/a 201 complete",
            "/b - lost",
            "/c - lost",
            "/d - lost",
            "- 203 complete",
            "- 205 complete",
        ],
    );
    assert_eq!(counters.responses_unpaired, 2);
    // What was lost may have been the interim answer that was asked for.
    let expecting =
        "POST /b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx".to_owned();
    check_pairs(
        &[
            c(get("a") + &expecting + &get("c")),
            s(answer(201)),
            lost,
            s(answer(203)),
        ],
        &[
            "/a 201 complete",
            "/b - lost",
            "/c - lost",
            "- 203 complete",
        ],
    );
}

#[test]
fn a_hole_too_small_for_an_answer_unpairs_nothing() {
    check_pairs(
        &[
            c(get("a") + &get("b") + &get("c")),
            s(answer(201)),
            gap_s(3),
            s(answer(202)),
            s(answer(203)),
        ],
        &["/a 201 complete", "/b 202 complete", "/c 203 complete"],
    );
}

#[test]
fn one_of_several_requests_lost() {
    let lost = gap_c(get("b").len() as u64);
    // It holds one request at least and room for two.
    check_pairs(
        &[
            c(get("a")),
            lost,
            c(get("c")),
            s(answer(201)),
            s(answer(202)),
            s(answer(203)),
        ],
        &[
            "/a 201 complete",
            "/c - lost",
            "- 202 complete",
            "- 203 complete",
        ],
    );
}

#[test]
fn a_client_that_waits_is_believed_to_wait() {
    let turn = |name: &str, status| [c(get(name)), s(answer(status))];
    let mut ops: Vec<Op> = (0..9).flat_map(|_| turn("x", 200)).collect();
    // Both lost, in either order of their holes.
    ops.extend([gap_c(40), gap_s(40)]);
    ops.extend(turn("a", 201));
    ops.extend([gap_s(40), gap_c(40)]);
    ops.extend(turn("b", 202));
    // A request and the beginning of its answer.
    ops.extend([gap_c(40), gap_s(40), s("rest of it")]);
    ops.extend(turn("c", 203));
    let (rows, counters) = pairs(&ops);
    assert_eq!(
        rows[9..],
        ["/a 201 complete", "/b 202 complete", "/c 203 complete"]
    );
    assert_eq!(counters.responses_unpaired, 0);
}

#[test]
fn the_status_of_an_answer_whose_head_was_cut_off() {
    check_pairs(
        &[
            c(get("a")),
            s("HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nX-"),
            gap_s(100),
            s("rest of the body"),
            c(get("b")),
            s(answer(201)),
        ],
        &["/a 429 lost", "/b 201 complete"],
    );
    // An interim answer is not the answer.
    check_pairs(
        &[
            c(get("a")),
            s("HTTP/1.1 103 Early\r\nLi"),
            gap_s(30),
            s(answer(201)),
        ],
        &["/a 201 complete"],
    );
}

#[test]
fn what_a_request_whose_head_was_cut_off_says() {
    // That it was HEAD tells how long its answer is.
    check_pairs(
        &[
            c("HEAD /a HTTP/1.1\r\nHost: x\r\nX-"),
            gap_c(30),
            s("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
            c(get("b")),
            s(answer(201)),
        ],
        &["/a 200 complete", "/b 201 complete"],
    );
}

#[test]
fn text_that_quotes_http_is_no_head() {
    let lost = "POST /a HTTP/1.1\r\nContent-Le";
    for quoted in [
        "POST /v1/chat/completions HTTP/1.1 is what you send",
        "POST /v1/chat\\r\\nHost: a\\r\\n\\r\\n",
        "GET /x HTTP/1.1\nand then the server answers\n\n",
        "GET /x",
    ] {
        check_pairs(
            &[
                c(lost),
                gap_c(900),
                c(quoted),
                c("and more"),
                s(answer(201)),
                c(get("b")),
                s(answer(202)),
            ],
            &["/a 201 complete", "/b 202 complete"],
        );
        // The text ends where the next request begins, and looks like the beginning of its line.
        check_pairs(
            &[
                c(lost),
                gap_c(900),
                c(quoted),
                c(get("b")),
                s(answer(201)),
                s(answer(202)),
            ],
            &["/a 201 complete", "/b - lost", "- 202 complete"],
        );
    }
    for quoted in [
        "HTTP/1.1 200 OK\\r\\n\\r\\nno",
        "HTTP/1.1 200 means well\nand 404 does not\n",
    ] {
        check_pairs(
            &[
                c(get("a")),
                s("HTTP/1.1 20"),
                gap_s(900),
                s(quoted),
                s("rest"),
                c(get("b")),
                s(answer(202)),
            ],
            &["/a - lost", "/b 202 complete"],
        );
    }
}

#[test]
fn a_chunk_is_believed_when_its_end_is_seen() {
    let stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    // The text holds a size line, but no chunk.
    for (pieces, body) in [
        (
            vec!["x\r\n3\r\ndef\r\n", "3\r\nghi\r\n0\r\n\r\n"],
            "abcdefghi",
        ),
        (
            vec!["x\r\n3\r\nd", "e", "f\r", "\n3\r\nghi\r\n0\r\n\r\n"],
            "abcdefghi",
        ),
        (
            vec!["x\r\n3\r\nno chunk", "\r\n3\r\nghi\r\n0\r\n\r\n"],
            "abcghi",
        ),
        (
            vec!["x\r\n20\r\nno chunk", "\r\n3\r\nghi\r\n0\r\n\r\n"],
            "abcghi",
        ),
    ] {
        let mut ops = vec![c(get("a")), s(stream), gap_s(9)];
        ops.extend(pieces.iter().map(s));
        let lines = Setup::new().run(&ops).lines;
        let bodies: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("0< "))
            .collect();
        assert_eq!(bodies.concat(), body, "{pieces:?}");
        assert!(lines.last().unwrap().starts_with("0 complete"), "{lines:?}");
    }
}

#[test]
fn heads_of_200_kilobytes_and_2000_fields() {
    let mut head = "GET /a HTTP/1.1\r\n".to_owned();
    for number in 0..2_000 {
        write!(head, "X-{number}: {}\r\n", "y".repeat(90)).unwrap();
    }
    head.push_str("\r\n");
    assert!(head.len() > 190_000);
    let mut pieces: Vec<Op> = head.as_bytes().chunks(1_448).map(c).collect();
    pieces.push(s(answer(201)));
    let counters = check_pairs(&pieces, &["/a 201 complete"]);
    assert_eq!((counters.heads_too_large, counters.fields_dropped), (0, 0));
}

#[test]
fn answers_that_nobody_asked_for() {
    // A server that answers once too often, and one that speaks first.
    let (rows, counters) = pairs(&[
        c(get("a")),
        s(answer(201) + &answer(202)),
        s(answer(203)),
        c(get("b")),
        s(answer(205)),
    ]);
    assert_eq!(
        rows,
        [
            "/a 201 complete",
            "- 202 complete",
            "- 203 complete",
            "/b 205 complete"
        ]
    );
    assert_eq!(counters.responses_without_request, 2);
    check_pairs(
        &[s(answer(201)), c(get("a")), s(answer(202))],
        &["- 201 complete", "/a 202 complete"],
    );
    // The second is HTTP/0.9.
    let seen = Setup::new().run(&[s(answer(201)), c("GET /\r\n"), s("no head, and no end")]);
    assert_eq!(seen.lines.last().unwrap(), "1 capture_end down 19");
}

#[test]
fn a_request_without_an_answer_at_the_connections_end() {
    check_pairs(
        &[
            c(get("a") + &get("b")),
            s(answer(201)),
            FIN_S,
            FIN_C,
            CLOSED,
        ],
        &["/a 201 complete", "/b - server_fin"],
    );
}

#[test]
fn an_upgrade_that_is_granted_leaves_the_rest_alone() {
    let upgrade = "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    let granted = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    let counters = check_pairs(
        &[
            c(get("a")),
            s(answer(201)),
            c(upgrade),
            s(granted),
            c("GET /not HTTP/1.1\r\n\r\n"),
            s(answer(202)),
            gap_s(10),
        ],
        &["/a 201 complete", "/ws 101 upgraded"],
    );
    let alone = (
        counters.left_alone_client_bytes,
        counters.left_alone_server_bytes,
    );
    assert_eq!(alone, (21, answer(202).len() as u64));
    assert_eq!(counters.missing_between, 10);
}
