//! tcpdump is the judge of what the builder writes.

use std::{net::SocketAddr, path::Path, process::Command};

use super::*;
use crate::process;

fn addresses(family: u8) -> (SocketAddr, SocketAddr) {
    let (client, server) = match family {
        4 => ("10.1.0.9:40001", "10.0.0.1:8000"),
        _ => ("[fd00::9]:40001", "[fd00::1]:8000"),
    };
    (client.parse().unwrap(), server.parse().unwrap())
}

/// Ten packets: a handshake, a request in two segments, an answer, and a close with RST.
fn conversation(family: u8) -> Conversation {
    let (client, server) = addresses(family);
    let mut talk = Conversation::new(client, server).with_mss(4);
    talk.handshake(1_754_000_000_000_001)
        .client_spaced(1_754_000_000_000_010, 5, b"request")
        .server_ack(1_754_000_000_000_020)
        .server(1_754_000_000_500_000, b"done")
        .client_ack(1_754_000_000_500_001)
        .server_fin(1_754_000_001_000_000)
        .client_rst(1_754_000_001_999_999);
    talk
}

/// What tcpdump prints of a file, a packet a line and checksums checked.
fn tcpdump(path: &Path) -> Vec<String> {
    let mut command = Command::new("tcpdump");
    command
        .args(["-nn", "-tt", "-vv", "-S", "-e", "-r"])
        .arg(path);
    let done = process::run(&mut command).unwrap();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    // -vv breaks an IPv4 packet's text over two lines.
    let text = done.stdout.replace("\n    ", " ");
    text.lines().map(str::to_owned).collect()
}

fn judge(bytes: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcap");
    std::fs::write(&path, bytes).unwrap();
    tcpdump(&path)
}

#[test]
fn every_link_type_and_family_is_read_with_right_checksums() {
    for link in Link::ALL {
        for family in [4, 6] {
            let mut capture = Capture::new(link);
            capture.add(&conversation(family));
            let lines = judge(&capture.to_pcap(ByteOrder::Little, Resolution::Micro));
            assert_eq!(lines.len(), 10, "{link:?} IPv{family}");
            for line in &lines {
                assert!(line.contains("(correct)"), "{link:?} IPv{family}: {line}");
            }
            assert!(lines[0].starts_with("1754000000.000001 "), "{}", lines[0]);
            assert!(lines[9].starts_with("1754000001.999999 "), "{}", lines[9]);
            assert!(lines[9].contains("Flags [R.]"), "{}", lines[9]);
        }
    }
}

#[test]
fn tags_are_there() {
    let mut capture = Capture::new(Link::QinQ(7, 42));
    capture.add(&conversation(4));
    let lines = judge(&capture.to_pcap(ByteOrder::Little, Resolution::Micro));
    assert!(
        lines[0].contains("vlan 7") && lines[0].contains("vlan 42"),
        "{}",
        lines[0]
    );
}

#[test]
fn sequence_numbers_go_on_through_split_reserved_and_repeated_segments() {
    let (client, server) = addresses(4);
    let mut talk = Conversation::new(client, server).with_initial_sequence(u32::MAX - 1, 77);
    talk.handshake(0);
    let late = talk.reserve_client(b"ab");
    talk.client(10, b"cde")
        .send(20, &late)
        .repeat_last(30)
        .server_ack(40);
    let lines = judge(&Capture::of(&talk).to_pcap(ByteOrder::Little, Resolution::Micro));
    assert!(
        lines[3].contains("seq 1:4,"),
        "after the wrap: {}",
        lines[3]
    );
    assert!(
        lines[4].contains(&format!("seq {}:1,", u32::MAX)),
        "{}",
        lines[4]
    );
    assert_eq!(
        lines[4].split(" IPv4").nth(1),
        lines[5].split(" IPv4").nth(1)
    );
    assert!(lines[6].contains("ack 4,"), "{}", lines[6]);
}

#[test]
fn byte_orders_and_resolutions_say_the_same() {
    let capture = Capture::of(&conversation(4));
    let usual = judge(&capture.to_pcap(ByteOrder::Little, Resolution::Micro));
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for resolution in [Resolution::Micro, Resolution::Nano] {
            assert_eq!(judge(&capture.to_pcap(order, resolution)), usual);
            let pcapng = to_pcapng(std::slice::from_ref(&capture), order, resolution);
            assert_eq!(judge(&pcapng), usual, "{order:?} {resolution:?}");
        }
    }
}

#[test]
fn interfaces_of_pcapng_are_merged_in_time() {
    let (client, server) = addresses(4);
    let mut first = Conversation::new(client, server);
    first.client(10, b"a").client(30, b"c");
    let mut second = Conversation::new(client, server);
    second.client(20, b"b");
    let captures = [Capture::of(&first), Capture::of(&second)];
    let lines = judge(&to_pcapng(&captures, ByteOrder::Big, Resolution::Nano));
    let times: Vec<&str> = lines.iter().map(|line| &line[..8]).collect();
    assert_eq!(times, ["0.000010", "0.000020", "0.000030"]);
}
