//! Attached for real: what was said on the wire is what comes out.

use sniffer::capture::{
    PacketSource as _,
    ebpf::{EbpfSource, Hook, Link},
};

use crate::support::{Namespace, Seen, bytes, cabled, privileged, talk};

/// Sends through, and asks for every byte of both directions and for counters that add up.
fn every_byte_arrives(
    tapped: &Namespace,
    client: &Namespace,
    interface: &str,
    address: &str,
    hook: Option<Hook>,
) -> Seen {
    let server = tapped.listen(address);
    let port = server.1.port();
    let mut settings = tapped.settings(interface, port);
    settings.hook = hook;
    let mut source = EbpfSource::open(settings).expect("a tap");
    let (request, answer) = (bytes(300_001, 1), bytes(2_000_003, 2));
    talk(server, client, request.clone(), answer.clone());

    let mut seen = Seen::default();
    seen.read_until(&mut source, port, |seen| {
        seen.request.is(&request) && seen.answer.is(&answer)
    });
    seen.read_rest(&mut source, port);
    assert!(
        seen.request.is(&request),
        "{} of {} bytes",
        seen.request.known(),
        request.len()
    );
    assert!(
        seen.answer.is(&answer),
        "{} of {} bytes",
        seen.answer.known(),
        answer.len()
    );

    let counters = source.counters();
    assert_eq!(counters.seen, seen.packets, "{counters:?}");
    assert_eq!(counters.seen, counters.captured);
    assert_eq!(
        (
            counters.reserve_failed,
            counters.load_failed,
            counters.broken
        ),
        (0, 0, 0)
    );
    assert_eq!(source.stats().bytes, counters.captured_bytes);
    seen
}

#[test]
fn loopback_over_ipv4_and_ipv6() {
    if !privileged("loopback_over_ipv4_and_ipv6") {
        return;
    }
    let namespace = Namespace::new();
    let seen = every_byte_arrives(&namespace, &namespace, "lo", "127.0.0.1", None);
    assert!(
        seen.largest > 60_000,
        "GSO packets come whole: {}",
        seen.largest
    );
    every_byte_arrives(&namespace, &namespace, "lo", "::1", None);
}

#[test]
fn a_cable_with_and_without_offload() {
    if !privileged("a_cable_with_and_without_offload") {
        return;
    }
    for mtu in ["1500", "65535"] {
        let (server, client) = cabled(mtu);
        let seen = every_byte_arrives(&server, &client, "veth0", "10.9.0.1", None);
        assert!(seen.largest > 2_048, "{mtu}: {}", seen.largest);
        every_byte_arrives(&server, &client, "veth*", "fd09::1", None);
    }
}
