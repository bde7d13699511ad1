//! Order, repetition, the circle of sequence numbers, probes, and what the tap cut or brought late.

use anyhow::{Context as _, Result};

use super::{
    A, ASK, R, REPLY, TWICE, WHOLE, and_again, at, check, connected, exchanged, part, script,
};

#[test]
fn out_of_order_within_a_window() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 20, 0, part(ASK, 20, A))
        .client(at(11), 0, 0, part(ASK, 0, 20))
        .server(at(20), 10, A, part(REPLY, 10, 20))
        .server(at(21), 20, A, part(REPLY, 20, R))
        .server(at(22), 0, A, part(REPLY, 0, 10));
    and_again(&mut script, 100);
    check(&script, TWICE, &[("out_of_order", 3), ("after_end", 1)])
}

#[test]
fn out_of_order_across_windows() -> Result<()> {
    // An answer of 60 KB, whose first segment is captured after three windows were acknowledged.
    let body = "x".repeat(60_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{body}");
    let mut script = connected();
    script.client(at(10), 0, 0, ASK);
    let end = answer.len() as u32;
    for from in (1_400..end).step_by(1_400) {
        script.server(at(20), from, A, part(&answer, from, end.min(from + 1_400)));
        if from % 14_000 == 0 {
            script.client(at(20), A, from, "");
        }
    }
    script.server(at(21), 0, A, part(&answer, 0, 1_400));
    check(
        &script,
        &["/a 200 complete 8/60000"],
        &[("out_of_order", 42)],
    )
}

#[test]
fn a_retransmission() -> Result<()> {
    let mut script = exchanged();
    script.server(at(40), 0, A, REPLY).client(at(50), 0, R, ASK);
    and_again(&mut script, 100);
    let again = u64::from(A + R);
    check(
        &script,
        TWICE,
        &[
            ("retransmitted_segments", 2),
            ("retransmitted_bytes", again),
            ("after_end", 1),
        ],
    )
}

#[test]
fn a_partial_overlap() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 0, 0, part(ASK, 0, 30))
        .client(at(11), 10, 0, part(ASK, 10, 50))
        .client(at(12), 40, 0, part(ASK, 40, A))
        .server(at(20), 0, A, REPLY);
    check(&script, WHOLE, &[("retransmitted_bytes", 30)])
}

#[test]
fn an_overlap_with_other_bytes() -> Result<()> {
    let lie = ASK.replace("/a", "/b");
    let mut script = connected();
    script
        .client(at(10), 1, 0, part(ASK, 1, A))
        .client(at(11), 0, 0, part(&lie, 0, 30))
        .server(at(20), 0, A, REPLY);
    check(
        &script,
        WHOLE,
        &[
            ("out_of_order", 1),
            ("conflicts", 1),
            ("conflict_bytes", 1),
            ("retransmitted_bytes", 29),
        ],
    )
}

#[test]
fn sequence_numbers_wrap_anywhere() -> Result<()> {
    // At the SYN, in both heads and both bodies, and behind.
    for before in 0..=A + 4 {
        let mut script = script();
        script
            .numbered(0u32.wrapping_sub(before), 0u32.wrapping_sub(before))
            .handshake(at(0))
            .client(at(10), 0, 0, part(ASK, 0, 10))
            .client(at(11), 20, 0, part(ASK, 20, A))
            .client(at(12), 5, 0, part(ASK, 5, 25))
            .server(at(20), 0, A, part(REPLY, 0, R - 3))
            // Two octets of the body are lost.
            .server(at(21), R - 1, A, part(REPLY, R - 1, R))
            .client(at(22), A, R, "");
        and_again(&mut script, 400);
        check(
            &script,
            &["/a 200 complete 8/3 response_body-2", "/a 200 complete 8/5"],
            &[
                ("out_of_order", 2),
                ("retransmitted_bytes", 10),
                ("gaps", 1),
                ("gap_bytes", 2),
                ("after_end", 1),
            ],
        )
        .with_context(|| format!("{before} octets before 0"))?;
    }
    Ok(())
}

#[test]
fn acknowledgements_captured_before_their_data() -> Result<()> {
    let mut script = connected();
    script
        .server(at(9), 0, A, "")
        .server(at(10), 0, A, REPLY)
        .client(at(11), 0, 0, ASK)
        .client(at(12), A, R, "")
        .server(at(13), R, 2 * A, "")
        .client(at(14), A, R, ASK)
        .server(at(15), R, 2 * A, REPLY);
    check(&script, TWICE, &[("held", 1)])
}

#[test]
fn packets_cut_by_a_snap_length() -> Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}",
        "x".repeat(3_000)
    );
    let mut script = connected();
    script.client(at(10), 0, 0, ASK);
    let end = answer.len() as u32;
    for from in (0..end).step_by(1_000) {
        let to = end.min(from + 1_000);
        script.server(at(20), from, A, part(&answer, from, to));
        if to - from == 1_000 {
            script.cut(900);
        }
    }
    script
        .client(at(21), A, end, "")
        .client(at(30), A, end, ASK);
    script.server(at(40), end, 2 * A, REPLY);
    check(
        &script,
        &[
            "/a 200 complete 8/300 response_body-2700",
            "/a 200 complete 8/5",
        ],
        &[
            ("out_of_order", 3),
            ("cut_bytes", 2_700),
            ("gaps", 3),
            ("gap_bytes", 2_700),
        ],
    )
}

#[test]
fn what_is_captured_too_late_is_counted() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, part(REPLY, 0, R - 4))
        .server(at(20), R - 1, A, part(REPLY, R - 1, R))
        .client(at(21), A, R, "")
        .client(at(300), A, R, ASK)
        .server(at(310), R - 4, A, part(REPLY, R - 4, R - 1))
        .server(at(320), R, 2 * A, REPLY);
    check(
        &script,
        &["/a 200 complete 8/2 response_body-3", "/a 200 complete 8/5"],
        &[
            ("out_of_order", 1),
            ("gaps", 1),
            ("gap_bytes", 3),
            ("late_bytes", 3),
        ],
    )
}

#[test]
fn keep_alive_probes() -> Result<()> {
    let mut script = exchanged();
    for n in 0..3 {
        let time = at(75_000 * (n + 1));
        script
            .server(time, R - 1, A, "")
            .client(time, A, R, "")
            .client(time, A - 1, R, "\0")
            .server(time, R, A, "");
    }
    and_again(&mut script, 300_000);
    check(
        &script,
        TWICE,
        &[
            ("keep_alives", 6),
            ("keep_alive_bytes", 3),
            ("after_end", 1),
        ],
    )
}

#[test]
fn zero_window_probes_and_their_octet() -> Result<()> {
    for accepted in [0, 1] {
        let mut script = connected();
        script
            .client(at(10), 0, 0, ASK)
            .server(at(20), 0, A, part(REPLY, 0, 10))
            // The window is shut: a probe without an octet, and two with the next one.
            .server(at(200), 9, A, "")
            .client(at(200), A, 10, "")
            .server(at(400), 10, A, part(REPLY, 10, 11))
            .client(at(400), A, 10, "")
            .server(at(800), 10, A, part(REPLY, 10, 11))
            .client(at(800), A, 10 + accepted, "")
            .server(at(900), 10 + accepted, A, part(REPLY, 10 + accepted, R));
        and_again(&mut script, 1_000);
        let again = u64::from(1 - accepted);
        check(
            &script,
            TWICE,
            &[
                // The second octet looks like a keep-alive's.
                ("keep_alives", 2),
                ("keep_alive_bytes", 1),
                ("retransmitted_bytes", again),
                ("after_end", 1),
            ],
        )?;
    }
    Ok(())
}
