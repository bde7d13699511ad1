//! Times and numbers that are false, and packets seen twice.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{ByteOrder, Capture, Link, Resolution, Script, to_pcapng},
    process,
};

use super::{
    A, ASK, R, REPLY, SECOND, T0, TWICE, WHOLE, and_again, at, check, check_files, connected,
    exchanged, part, replay, short,
};

#[test]
fn times_that_go_backwards() -> Result<()> {
    let mut script = connected();
    script
        .client(at(50), 0, 0, ASK)
        .server(at(20), 0, A, REPLY)
        .client(at(10), A, R, "");
    and_again(&mut script, 100);
    check(&script, TWICE, &[("after_end", 1)])
}

#[test]
fn one_time_years_ahead_ends_nothing() -> Result<()> {
    let years = 5 * 365 * 86_400 * SECOND;
    let mut script = connected();
    script
        .client(at(10), 0, 0, ASK)
        .server(T0 + years, 0, A, part(REPLY, 0, 10))
        .server(at(20), 10, A, part(REPLY, 10, R))
        .client(at(21), A, R, "");
    and_again(&mut script, 100);
    let file = script.to_pcap();
    check_files(&[&file], TWICE, &[("after_end", 1)])?;
    let (rows, report) = replay(&[&file])?;
    let head = rows.first().and_then(|row| row.response_head);
    let head = head.context("no response head")?.as_micros();
    assert_eq!(head, at(20) as i64);
    assert_eq!(report.capture.warnings.len(), 1, "{report:?}");

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("years.pcap");
    fs::write(&path, &file)?;
    let path = path.to_str().context("a path in UTF-8")?;
    let done = process::run_llmtap(&["replay", path, "--rows", "exchanges"])?;
    ensure!(done.stderr.contains("1 packet"), "{done:?}");
    Ok(())
}

#[test]
fn a_real_pause_ends_what_is_silent() -> Result<()> {
    let hours = 5 * 3_600_000;
    let mut script = exchanged();
    and_again(&mut script, hours);
    let (rows, report) = replay(&[&script.to_pcap()])?;
    let rows: Vec<String> = rows.iter().map(short).collect();
    assert_eq!(rows, TWICE);
    let tcp = report.totals.tcp;
    assert_eq!((tcp.connections, tcp.timed_out, tcp.joined_late), (2, 1, 1));
    assert_eq!(report.capture.warnings, [""; 0]);
    Ok(())
}

#[test]
fn one_damaged_number_invents_nothing() -> Result<()> {
    let mut script = exchanged();
    script
        // A sequence number, an acknowledgement, and both beyond what TCP can express.
        .server(at(30), R + (500 << 20), A, "data")
        .client(at(31), A, R + (300 << 20), "")
        .server(at(32), R + (1 << 31), A, "data")
        .client(at(33), A, R + (1 << 31) - 100, "");
    and_again(&mut script, 1_000);
    check(
        &script,
        TWICE,
        &[
            ("absurd_seq", 2),
            ("absurd_bytes", 8),
            ("absurd_ack", 2),
            ("after_end", 1),
        ],
    )
}

#[test]
fn a_copy_on_another_interface_is_a_duplicate() -> Result<()> {
    let mut script = exchanged();
    and_again(&mut script, 100);
    let mut one = Capture::new(Link::RawIp);
    one.add_packets(&script.packets());
    let count = script.packets().len() as u64;
    let bytes = u64::from(2 * (A + R));
    let counters = [
        ("duplicate_segments", count),
        ("duplicate_bytes", bytes),
        ("after_end", 1),
    ];
    let file = to_pcapng(
        &[one.clone(), one.clone()],
        ByteOrder::Little,
        Resolution::Micro,
    );
    check_files(&[&file], TWICE, &counters)?;
    // Captured by two programs, and read together.
    let file = one.to_pcap(ByteOrder::Little, Resolution::Micro);
    check_files(&[&file, &file], TWICE, &counters)
}

#[test]
fn an_acknowledgement_on_one_interface_before_the_datas_copy_on_another() -> Result<()> {
    let script = exchanged();
    let packets = script.packets();
    let mut near = Capture::new(Link::RawIp);
    near.add_packets(&packets);
    let mut far = packets.clone();
    for packet in &mut far {
        // Behind the answer, but before what comes next.
        packet.micros += 15_000;
    }
    let mut behind = Capture::new(Link::RawIp);
    behind.add_packets(&far);
    let file = to_pcapng(&[near, behind], ByteOrder::Little, Resolution::Micro);
    check_files(
        &[&file],
        WHOLE,
        &[
            ("duplicate_segments", packets.len() as u64),
            ("duplicate_bytes", u64::from(A + R)),
        ],
    )
}

#[test]
fn a_copy_under_other_addresses_is_another_connection() -> Result<()> {
    let mut inner = Script::new(
        ([172, 17, 0, 1], 40_001).into(),
        ([172, 17, 0, 2], 8000).into(),
    );
    inner
        .handshake(at(0))
        .client(at(10), 0, 0, ASK)
        .server(at(20), 0, A, REPLY);
    let (mut one, mut other) = (Capture::new(Link::RawIp), Capture::new(Link::RawIp));
    one.add_packets(&exchanged().packets());
    other.add_packets(&inner.packets());
    let file = to_pcapng(&[one, other], ByteOrder::Little, Resolution::Micro);
    check_files(&[&file], TWICE, &[])
}
