//! How connections begin, or are joined.

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::pcap::From::{Client, Server};

use super::{A, ASK, R, REPLY, TWICE, WHOLE, and_again, at, check, part, replay, script, short};

#[test]
fn joined_without_the_handshake_or_parts_of_it() -> Result<()> {
    for (parts, late) in [
        ("syn", 0),
        ("syn_ack", 0),
        ("syn syn_ack", 0),
        ("ack", 1),
        ("", 1),
    ] {
        let mut script = script();
        for part in parts.split(' ') {
            match part {
                "syn" => script.syn(at(0), ""),
                "syn_ack" => script.syn_ack(at(1), 0, ""),
                "ack" => script.client(at(2), 0, 0, ""),
                _ => &mut script,
            };
        }
        script.client(at(10), 0, 0, ASK).server(at(20), 0, A, REPLY);
        and_again(&mut script, 100);
        // Joined late, the answer waits with its request for the beginning.
        let counters = [
            ("joined_late", late),
            ("held", late),
            ("after_end", 1 - late),
        ];
        check(&script, TWICE, &counters).with_context(|| parts.to_owned())?;
    }
    Ok(())
}

#[test]
fn joined_in_the_middle_of_a_response_body() -> Result<()> {
    let mut script = script();
    script
        .server(at(20), R - 3, A, part(REPLY, R - 3, R))
        .client(at(21), A, R, "");
    and_again(&mut script, 400);
    check(
        &script,
        WHOLE,
        &[("joined_late", 1), ("roles_guessed", 1), ("after_end", 1)],
    )
}

#[test]
fn one_direction_only() -> Result<()> {
    for captured in [Client, Server] {
        let mut script = script();
        if captured == Client {
            script
                .syn(at(0), "")
                .client(at(10), 0, 0, ASK)
                .client(at(30), A, R, ASK)
                .fin(Client, at(50), 2 * A, 2 * R, "");
        } else {
            script
                .syn_ack(at(0), 0, "")
                .server(at(20), 0, A, REPLY)
                .server(at(40), R, 2 * A, REPLY)
                .fin(Server, at(50), 2 * R, 2 * A, "");
        }
        let (rows, report) = replay(&[&script.to_pcap()])?;
        let rows: Vec<String> = rows.iter().map(short).collect();
        assert_eq!(rows.len(), 2, "{captured:?}: {rows:?}");
        let whole = if captured == Client {
            "/a - "
        } else {
            "- 200 "
        };
        ensure!(rows.iter().all(|row| row.starts_with(whole)), "{rows:?}");
        assert_eq!(report.totals.tcp.connections, 1);
    }
    Ok(())
}

#[test]
fn a_handshake_reordered_and_repeated() -> Result<()> {
    let mut reordered = script();
    reordered
        .syn_ack(at(0), 0, "")
        .client(at(1), 0, 0, "")
        .syn(at(2), "");
    let mut repeated = script();
    repeated
        .syn(at(0), "")
        .syn(at(1), "")
        .syn_ack(at(2), 0, "")
        .syn_ack(at(3), 0, "")
        .client(at(4), 0, 0, "");
    for mut script in [reordered, repeated] {
        script.client(at(10), 0, 0, ASK).server(at(20), 0, A, REPLY);
        and_again(&mut script, 100);
        check(&script, TWICE, &[("after_end", 1)])?;
    }
    Ok(())
}

#[test]
fn a_syn_sent_again_with_another_number() -> Result<()> {
    let mut script = script();
    script
        .numbered(77_777, 500_001)
        .syn(at(0), "")
        .numbered(99_999_999, 500_001)
        .handshake(at(5))
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    and_again(&mut script, 100);
    check(&script, TWICE, &[("replaced", 1), ("after_end", 1)])
}

#[test]
fn both_ends_open_at_once() -> Result<()> {
    let mut script = script();
    script
        .server_syn(at(0))
        .syn(at(0), "")
        .syn_ack(at(1), 0, "")
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    and_again(&mut script, 100);
    check(&script, TWICE, &[("after_end", 1)])
}

#[test]
fn data_in_the_syn() -> Result<()> {
    let mut accepted = script();
    accepted
        .syn(at(0), ASK)
        .syn_ack(at(1), A, "")
        .client(at(2), A, 0, "")
        .server(at(20), 0, A, REPLY);
    and_again(&mut accepted, 100);
    check(&accepted, TWICE, &[("after_end", 1)])?;

    let mut refused = script();
    refused
        .syn(at(0), ASK)
        .syn_ack(at(1), 0, "")
        .client(at(2), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    and_again(&mut refused, 100);
    check(
        &refused,
        TWICE,
        &[
            ("retransmitted_segments", 1),
            ("retransmitted_bytes", A.into()),
            ("after_end", 1),
        ],
    )
}

#[test]
fn data_in_the_syn_ack() -> Result<()> {
    let mut script = script();
    script
        .syn(at(0), ASK)
        .syn_ack(at(1), A, REPLY)
        .client(at(2), A, R, "");
    and_again(&mut script, 100);
    check(&script, TWICE, &[("after_end", 1)])
}
