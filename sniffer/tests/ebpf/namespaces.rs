//! Attached for real: what was said on the wire is what comes out.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sniffer::{
    capture::{
        MIN_RING_BYTES, Next, PacketSource as _,
        ebpf::{EbpfSettings, EbpfSource, Hook, InterfacePattern, Link, NetworkNamespace},
    },
    check::CheckReport,
};
use sniffer_ebpf::record::LARGEST_CLASS;

#[cfg(feature = "pcap")]
use crate::frames::{PORT, ethernet, ipv4, to_port};
use crate::support::{Namespace, PATIENCE, Seen, bytes, cabled, object, privileged, talk};

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
        for namespace in [&server, &client] {
            namespace.run(&["ip", "link", "set", "veth0", "gso_max_segs", "1"]);
        }
        let seen = every_byte_arrives(&server, &client, "any", "10.9.0.1", None);
        let mtu: usize = mtu.parse().expect("a number");
        assert!(seen.largest <= mtu + 14, "{mtu}: {}", seen.largest);
    }
}

/// Packets larger than any record: each goes out as several, and comes out as one.
#[test]
fn big_tcp_packets_come_whole() {
    if !privileged("big_tcp_packets_come_whole") {
        return;
    }
    let (server, client) = cabled("65535");
    for namespace in [&server, &client] {
        namespace.run(&[
            "ip",
            "link",
            "set",
            "veth0",
            "gso_max_size",
            "262144",
            "gro_max_size",
            "262144",
        ]);
    }
    let seen = every_byte_arrives(&server, &client, "veth0", "fd09::1", None);
    assert!(seen.largest > LARGEST_CLASS, "{}", seen.largest);
}

#[test]
fn clsact_serves_as_well_and_leaves_nothing_but_the_qdisc() {
    if !privileged("clsact_serves_as_well_and_leaves_nothing_but_the_qdisc") {
        return;
    }
    let (server, client) = cabled("1500");
    every_byte_arrives(&server, &client, "veth0", "10.9.0.1", Some(Hook::Clsact));
    for hook in ["ingress", "egress"] {
        assert_eq!(
            server.run(&["tc", "filter", "show", "dev", "veth0", hook]),
            ""
        );
    }
    assert!(
        server
            .run(&["tc", "qdisc", "show", "dev", "veth0"])
            .contains("clsact")
    );
}

/// Several llmtaps on one hook, by both ways: each sees everything.
#[test]
fn several_at_once_see_everything() {
    if !privileged("several_at_once_see_everything") {
        return;
    }
    let (server, client) = cabled("1500");
    let (listener, address) = server.listen("10.9.0.1");
    let port = address.port();
    let mut taps: Vec<_> = [
        None,
        Some(Hook::Clsact),
        Some(Hook::Clsact),
        Some(Hook::Tcx),
    ]
    .into_iter()
    .map(|hook| {
        let mut settings = server.settings("veth0", port);
        settings.hook = hook;
        EbpfSource::open(settings).expect("a tap")
    })
    .collect();
    let (request, answer) = (bytes(5_000, 1), bytes(70_000, 2));
    talk(
        (listener, address),
        &client,
        request.clone(),
        answer.clone(),
    );
    let mut packets = Vec::new();
    for source in &mut taps {
        let mut seen = Seen::default();
        seen.read_until(source, port, |seen| {
            seen.request.is(&request) && seen.answer.is(&answer)
        });
        seen.read_rest(source, port);
        assert!(seen.answer.is(&answer), "{:?}", source.tapped());
        packets.push(seen.packets);
    }
    assert!(
        packets.iter().all(|count| *count == packets[0]),
        "{packets:?}"
    );
}

/// Another program's filter, one that drops every packet: the tap stands before it, by either
/// hook, and so sees what is dropped; and the filter drops it all the same, and stays.
#[test]
fn anothers_filter_goes_on() {
    if !privileged("anothers_filter_goes_on") {
        return;
    }
    for hook in [Hook::Tcx, Hook::Clsact] {
        let (server, client) = cabled("1500");
        server.run(&["tc", "qdisc", "add", "dev", "veth0", "clsact"]);
        // Classic BPF that returns TC_ACT_SHOT; it leaves ARP alone.
        let command = "tc filter add dev veth0 ingress protocol ip bpf da bytecode";
        let command: Vec<_> = command.split(' ').chain(["1,6 0 0 2"]).collect();
        server.run(&command);
        let (_listener, address) = server.listen("10.9.0.1");
        let mut settings = server.settings("veth0", address.port());
        settings.hook = Some(hook);
        let mut source = EbpfSource::open(settings).expect("a tap");
        let refused = client.spawn(move || {
            std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_err()
        });
        assert!(
            refused.join().expect("a client"),
            "{hook:?}: the filter let a packet through"
        );
        let mut seen = Seen::default();
        seen.read_until(&mut source, address.port(), |seen| seen.packets > 0);
        assert!(seen.packets > 0, "{hook:?}: the tap saw nothing");
        drop(source);
        let shown = server.run(&["tc", "filter", "show", "dev", "veth0", "ingress"]);
        assert!(
            shown.contains("1,6 0 0 2") && !shown.contains("llmtap"),
            "{shown}"
        );
    }
}

/// The name of the environment variable that makes a process of this test hold a tap.
const HOLD: &str = "LLMTAP_TEST_HOLD";

/// Not a test of its own: the process that the next one kills.
#[test]
fn holds_a_tap_until_it_is_killed() {
    let Ok(namespace) = std::env::var(HOLD) else {
        return;
    };
    let mut settings = EbpfSettings::new(vec![InterfacePattern::Name("veth0".into())], vec![8_000]);
    settings.namespace = NetworkNamespace::Name(namespace);
    settings.hook = Some(Hook::Clsact);
    settings.object = object();
    let source = EbpfSource::open(settings).expect("a tap");
    println!("\nholding {:?}", source.tapped());
    loop {
        std::thread::park();
    }
}

#[test]
fn the_filters_of_a_killed_llmtap_are_taken_off_by_the_next_and_a_living_ones_are_not() {
    if !privileged("the_filters_of_a_killed_llmtap") {
        return;
    }
    let (server, client) = cabled("1500");
    let filters = || {
        let shown = server.run(&["tc", "filter", "show", "dev", "veth0", "ingress"]);
        shown
            .lines()
            .filter(|line| line.contains("llmtap_eth_in"))
            .count()
    };
    let mut holder = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "namespaces::holds_a_tap_until_it_is_killed",
            "--nocapture",
        ])
        .env(HOLD, &server.name)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test again");
    let output = BufReader::new(holder.stdout.take().expect("a pipe"));
    let held = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.starts_with("holding"));
    assert!(held, "the other process has no tap");
    assert_eq!(filters(), 1);

    every_byte_arrives(&server, &client, "veth0", "10.9.0.1", Some(Hook::Clsact));
    assert_eq!(filters(), 1, "the living one's filter stays");

    holder.kill().expect("ours");
    holder.wait().expect("ours");
    assert_eq!(filters(), 1, "a filter outlives its process");
    every_byte_arrives(&server, &client, "veth0", "10.9.0.1", None);
    assert_eq!(filters(), 0);
}

/// A ring far too small: what is lost is counted to the packet, and nothing half comes out.
#[test]
fn forced_drops_are_counted_exactly() {
    if !privileged("forced_drops_are_counted_exactly") {
        return;
    }
    let (server, client) = cabled("65535");
    for namespace in [&server, &client] {
        namespace.run(&["ip", "link", "set", "veth0", "gso_max_size", "262144"]);
    }
    let (listener, address) = server.listen("fd09::1");
    let port = address.port();
    let mut settings = server.settings("veth0", port);
    settings.ring_bytes = MIN_RING_BYTES;
    let mut source = EbpfSource::open(settings).expect("a tap");
    // Nobody reads meanwhile.
    talk(
        (listener, address),
        &client,
        bytes(700_000, 1),
        bytes(700_000, 2),
    );
    let mut seen = Seen::default();
    seen.read_rest(&mut source, port);

    let counters = source.counters();
    assert!(
        counters.reserve_failed > 10 && counters.captured > 0,
        "{counters:?}"
    );
    assert_eq!(
        counters.seen,
        counters.captured + counters.reserve_failed + counters.load_failed
    );
    assert_eq!(seen.packets, counters.captured, "{counters:?}");
    assert!(counters.wakeups > 0, "a full ring wakes the reader");
    let stats = source.stats();
    assert_eq!(
        (stats.packets, stats.bytes),
        (counters.captured, counters.captured_bytes)
    );
    assert_eq!(
        (stats.dropped_ring, stats.dropped_copy),
        (counters.reserve_failed, 0)
    );
}

/// Two containers on a bridge: their traffic never passes the bridge's own hook, and passes those
/// of both its ports.
#[test]
fn a_packet_seen_at_two_ports_of_a_bridge_counts_once() {
    if !privileged("a_packet_seen_at_two_ports_of_a_bridge_counts_once") {
        return;
    }
    let (host, one, two) = (Namespace::new(), Namespace::new(), Namespace::new());
    host.run(&["ip", "link", "add", "br0", "type", "bridge"]);
    host.run(&["ip", "link", "set", "br0", "up"]);
    for (namespace, name, address) in [
        (&one, "vethA", "10.9.1.1/24"),
        (&two, "vethB", "10.9.1.2/24"),
    ] {
        host.run(&[
            "ip",
            "link",
            "add",
            name,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &namespace.name,
        ]);
        host.run(&["ip", "link", "set", name, "master", "br0", "up"]);
        namespace.run(&["ip", "addr", "add", address, "dev", "eth0"]);
        namespace.run(&["ip", "link", "set", "eth0", "up"]);
    }
    let (listener, address) = one.listen("10.9.1.1");
    let port = address.port();
    let mut source = EbpfSource::open(host.settings("veth?", port)).expect("a tap");
    assert_eq!(source.tapped().len(), 2);
    let (request, answer) = (bytes(100_000, 1), bytes(400_000, 2));
    talk((listener, address), &two, request.clone(), answer.clone());
    let mut seen = Seen::default();
    seen.read_until(&mut source, port, |seen| {
        seen.request.is(&request) && seen.answer.is(&answer)
    });
    seen.read_rest(&mut source, port);

    assert!(seen.request.is(&request) && seen.answer.is(&answer));
    let counters = source.counters();
    assert_eq!(
        counters.captured,
        seen.packets + counters.duplicates,
        "{counters:?}"
    );
    assert_eq!(
        counters.duplicates, seen.packets,
        "each packet has one copy"
    );
    assert_eq!(source.stats().duplicates, counters.duplicates);
}

/// Interfaces come, change their names, and go; the tap follows by itself.
#[test]
fn interfaces_come_and_go() {
    if !privileged("interfaces_come_and_go") {
        return;
    }
    let (server, client) = (Namespace::new(), Namespace::new());
    let (listener, address) = server.listen("::");
    let port = address.port();
    let mut source = EbpfSource::open(server.settings("tap*", port)).expect("a tap in waiting");
    assert!(source.tapped().is_empty());

    server.run(&[
        "ip",
        "link",
        "add",
        "new0",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        &client.name,
    ]);
    server.run(&["ip", "link", "set", "new0", "name", "tap0"]);
    for (namespace, name, number) in [(&server, "tap0", 1), (&client, "eth0", 2)] {
        let address = format!("fd09::{number}/64");
        namespace.run(&["ip", "addr", "add", &address, "dev", name, "nodad"]);
        namespace.run(&["ip", "link", "set", name, "up"]);
    }
    let mut seen = Seen::default();
    seen.read_rest(&mut source, port);
    assert_eq!(
        source.tapped().len(),
        1,
        "{source:?} {:?}",
        source.stats().warnings
    );

    let to = std::net::SocketAddr::new("fd09::1".parse().expect("an address"), port);
    talk((listener, to), &client, bytes(3_000, 1), bytes(3_000, 2));
    seen.read_until(&mut source, port, |seen| seen.answer.is(&bytes(3_000, 2)));
    assert!(seen.request.is(&bytes(3_000, 1)) && seen.answer.is(&bytes(3_000, 2)));

    server.run(&["ip", "link", "del", "tap0"]);
    seen.read_rest(&mut source, port);
    assert!(source.tapped().is_empty(), "{source:?}");
    assert_eq!(source.stats().warnings, [""; 0], "a pattern's come and go");
}

/// An interface that was named is missed, and taken again when there is one of its name.
#[test]
fn a_named_interface_is_missed_and_found_again() {
    if !privileged("a_named_interface_is_missed_and_found_again") {
        return;
    }
    let namespace = Namespace::new();
    let add = || namespace.run(&["ip", "link", "add", "eth5", "type", "veth", "peer", "eth6"]);
    add();
    let mut source = EbpfSource::open(namespace.settings("eth5", 8_000)).expect("a tap");
    let first = source.tapped();
    namespace.run(&["ip", "link", "del", "eth5"]);
    Seen::default().read_rest(&mut source, 8_000);
    assert!(source.tapped().is_empty(), "{source:?}");
    assert_eq!(source.stats().warnings, ["eth5 is gone"]);
    add();
    Seen::default().read_rest(&mut source, 8_000);
    let second = source.tapped();
    assert_eq!(second.len(), 1, "{source:?}");
    assert_ne!(first[0].interface.index, second[0].interface.index);
}

/// A device without a link header: nobody answers there, but the call goes out.
#[test]
fn raw_ip_devices_are_tapped() {
    if !privileged("raw_ip_devices_are_tapped") {
        return;
    }
    let namespace = Namespace::new();
    namespace.run(&["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"]);
    namespace.run(&["ip", "addr", "add", "10.9.2.1/24", "dev", "tun0"]);
    namespace.run(&["ip", "link", "set", "tun0", "up"]);
    let mut source = EbpfSource::open(namespace.settings("tun0", 8_000)).expect("a tap");
    assert_eq!(source.tapped()[0].link, Link::RawIp);
    let caller = namespace.spawn(|| {
        let to = "10.9.2.2:8000".parse().expect("an address");
        let _ = std::net::TcpStream::connect_timeout(&to, Duration::from_millis(50));
    });
    let mut seen = Seen::default();
    seen.read_until(&mut source, 8_000, |seen| seen.packets > 0);
    caller.join().expect("a caller");
    assert!(seen.packets > 0);
}

#[test]
fn what_cannot_be_tapped_is_said() {
    if !privileged("what_cannot_be_tapped_is_said") {
        return;
    }
    let namespace = Namespace::new();
    let error = EbpfSource::open(namespace.settings("eth7", 8_000)).expect_err("no such interface");
    assert_eq!(
        error.to_string(),
        "there is no interface eth7; there are: lo"
    );
    let mut settings = namespace.settings("lo", 8_000);
    settings.ports.clear();
    let error = EbpfSource::open(settings).expect_err("no port");
    assert!(error.to_string().contains("-p PORT"), "{error}");
    let mut settings = namespace.settings("lo", 8_000);
    settings.namespace = NetworkNamespace::Name("llmtap-none".into());
    let error = EbpfSource::open(settings).expect_err("no such namespace");
    assert!(
        error.to_string().contains("/run/netns/llmtap-none"),
        "{error}"
    );
}

/// `check` names who is on the hooks, llmtap itself among them, and attaches nothing.
#[test]
fn the_report_names_the_programs_on_the_hooks() {
    if !privileged("the_report_names_the_programs_on_the_hooks") {
        return;
    }
    let (server, _client) = cabled("1500");
    let taps: Vec<_> = [Hook::Tcx, Hook::Clsact]
        .into_iter()
        .map(|hook| {
            let mut settings = server.settings("veth0", 8_000);
            settings.hook = Some(hook);
            EbpfSource::open(settings).expect("a tap")
        })
        .collect();
    let report = || {
        server
            .spawn(|| CheckReport::of_this_machine(Vec::new()))
            .join()
            .expect("one")
    };
    let on_veth0 = |report: &CheckReport| {
        let mut interfaces = report.interfaces.iter();
        let veth0 = interfaces
            .find(|interface| interface.name == "veth0")
            .expect("the cable");
        (veth0.tcx.clone(), veth0.clsact.clone())
    };
    let during = report();
    assert!(during.ebpf.is_usable(), "{during}");
    let both = ["llmtap_eth_in", "llmtap_eth_out"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(on_veth0(&during), (both.clone(), both));
    drop(taps);
    assert_eq!(on_veth0(&report()), (Vec::new(), Vec::new()));
}

/// The kernel takes the outer VLAN tag off before the hook, and keeps it beside the packet.
#[cfg(feature = "pcap")]
#[test]
fn tagged_frames_come_without_their_outer_tag() {
    if !privileged("tagged_frames_come_without_their_outer_tag") {
        return;
    }
    let (server, client) = cabled("1500");
    let mut source = EbpfSource::open(server.settings("veth0", PORT)).expect("a tap");
    let packet = ipv4(6, &[], 0, &to_port(b"data"));
    let tagged = [
        ethernet(&[0x8100], &packet),
        ethernet(&[0x88a8, 0x8100], &packet),
    ];
    let frames = tagged.clone();
    let sender = client.spawn(move || {
        let capture = pcap::Capture::from_device("veth0").expect("the cable");
        let mut capture = capture.open().expect("root may");
        for frame in frames {
            capture.sendpacket(frame).expect("a cable");
        }
    });
    sender.join().expect("a sender");
    let mut got = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while got.len() < tagged.len() && Instant::now() < deadline {
        if let Next::Packet(packet) = source.next().expect("a source that works") {
            got.push(packet.data.to_vec());
        }
    }
    // The addresses, then what stood behind the outer tag.
    let untagged = tagged.map(|frame| [&frame[..12], &frame[16..]].concat());
    assert_eq!(got, untagged);
}
