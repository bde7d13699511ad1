//! How connections end, and what comes after.

use anyhow::{Context as _, Result};
use llmtap_tests::pcap::From::{Client, Server};

use super::{
    A, ASK, R, REPLY, TWICE, WHOLE, and_again, at, check, connected, exchanged, part, replay, short,
};

#[test]
fn a_half_close_with_a_long_answer_after_it() -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n";
    let first = head.len() as u32;
    let mut script = connected();
    script
        .fin(Client, at(10), 0, 0, ASK)
        .server(at(11), 0, A + 1, head);
    for n in 0..100 {
        let time = at(10_000 * (u64::from(n) + 1));
        script.server(time, first + n * 4, A + 1, "four").client(
            time,
            A + 1,
            first + n * 4 + 4,
            "",
        );
    }
    script.fin(Server, at(1_100_000), first + 400, A + 1, "");
    check(&script, &["/a 200 complete 8/400"], &[])
}

#[test]
fn an_rst_of_either_side() -> Result<()> {
    for (from, text, ending) in [
        (Client, "", "client_reset"),
        (Server, "", "server_reset"),
        (Server, "go away", "server_reset"),
    ] {
        let mut script = connected();
        script
            .client(at(10), 0, 0, ASK)
            .server(at(20), 0, A, part(REPLY, 0, R - 3))
            .client(at(21), A, R - 3, "");
        let own = if from == Client { A } else { R - 3 };
        script.rst(from, at(30), own, 0, text);
        let (rows, report) = replay(&[&script.to_pcap()])?;
        let rows: Vec<String> = rows.iter().map(short).collect();
        assert_eq!(rows, [format!("/a 200 {ending} 8/2")]);
        assert_eq!(report.totals.tcp.rst_bytes, text.len() as u64);
    }
    Ok(())
}

#[test]
fn an_rst_out_of_the_window() -> Result<()> {
    let mut script = exchanged();
    script
        .rst(Client, at(30), A + (17 << 20), R, "")
        .rst(Server, at(31), R - 2, A, "")
        .rst(Server, at(32), 1 << 31, A, "");
    and_again(&mut script, 100);
    check(&script, TWICE, &[("rst_ignored", 3), ("after_end", 1)])
}

#[test]
fn an_rst_after_the_fins() -> Result<()> {
    let mut script = exchanged();
    and_again(&mut script, 100);
    script
        .rst(Client, at(200), 2 * A + 1, 0, "")
        .rst(Server, at(201), 2 * R + 1, 0, "");
    check(&script, TWICE, &[("after_end", 3)])
}

#[test]
fn both_ends_close_at_once() -> Result<()> {
    let mut script = exchanged();
    script
        .fin(Client, at(30), A, R, "")
        .fin(Server, at(30), R, A, "")
        .client(at(31), A + 1, R + 1, "")
        .server(at(31), R + 1, A + 1, "");
    check(&script, WHOLE, &[("after_end", 2)])
}

#[test]
fn a_fin_with_data_and_repeated_and_data_after_it() -> Result<()> {
    let mut script = connected();
    script
        .client(at(10), 0, 0, ASK)
        .fin(Server, at(20), 0, A, REPLY)
        .fin(Server, at(21), 0, A, REPLY)
        .fin(Server, at(22), R, A, "")
        .server(at(23), R + 1, A, "HTTP/1.1 200 OK\r\n")
        .fin(Client, at(30), A, R + 1, "");
    check(
        &script,
        WHOLE,
        &[
            ("retransmitted_segments", 1),
            ("retransmitted_bytes", R.into()),
            ("after_end", 1),
            ("after_end_bytes", 17),
        ],
    )
}

#[test]
fn a_port_used_again_in_time_wait() -> Result<()> {
    for (client, server) in [
        // Higher, lower, and higher by so little that only the FINs tell.
        (3_000_000_000, 2_000_000_000),
        (500, 400_000),
        (101_001, 600_001),
    ] {
        for syn_is_lost in [false, true] {
            if syn_is_lost && client == 500 {
                // Nothing would tell it from a straggler.
                continue;
            }
            let mut script = exchanged();
            and_again(&mut script, 100);
            script.numbered(client, server);
            if !syn_is_lost {
                script.handshake(at(1_000));
            }
            script
                .client(at(1_010), 0, 0, ASK)
                .server(at(1_020), 0, A, REPLY);
            check(
                &script,
                &[WHOLE, TWICE].concat(),
                &[
                    ("joined_late", syn_is_lost.into()),
                    ("held", syn_is_lost.into()),
                    ("after_end", 1),
                ],
            )
            .with_context(|| format!("{client} {syn_is_lost}"))?;
        }
    }
    Ok(())
}
