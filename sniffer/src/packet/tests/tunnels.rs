//! Tunnels.

use proptest::{collection::vec, prelude::*};

use super::{at, raw, take, v4, v6};
use crate::{
    capture::LinkType,
    packet::{
        Decoded, Decoder, Reason, Tunnels,
        frame::{TcpPacket, ether_type, ethernet, is_v6, outer, ppp, udp, wireless},
    },
};

const UDP: u8 = 17;
const GRE: u8 = 47;

/// Every tunnel that an IP packet can be in: its name, its protocol, and what that carries.
#[expect(clippy::too_many_lines, reason = "a table")]
fn tunnels(ip: &[u8]) -> Vec<(&'static str, u8, Vec<u8>)> {
    let kind = ether_type(ip);
    let v6 = is_v6(ip);
    let frame = ethernet(kind, ip);
    let tagged = ethernet(0x8100, &[&[0, 42][..], &frame[12..]].concat());
    let labels = [0, 1, 0x00, 64, 0, 2, 0x01, 64];
    let vxlan = |flags: [u8; 4], content: &[u8]| [&flags[..], &[0, 0, 42, 0], content].concat();
    let geneve = |options: u8, kind: u16, content: &[u8]| {
        let options_bytes = vec![0; usize::from(options) * 4];
        [
            &[options, 0][..],
            &kind.to_be_bytes(),
            &[0, 0, 42, 0],
            &options_bytes,
            content,
        ]
        .concat()
    };
    let gre = |flags: u16, kind: u16, fields: &[u8], content: &[u8]| {
        [
            &flags.to_be_bytes()[..],
            &kind.to_be_bytes(),
            fields,
            content,
        ]
        .concat()
    };
    let gtp = |flags: u8, options: &[u8]| {
        let length = ((options.len() + ip.len()) as u16).to_be_bytes();
        [&[flags, 255][..], &length, &[0, 0, 0, 9], options, ip].concat()
    };
    let protocol = if v6 { 41 } else { 4 };
    let framed_ppp = [&[0xff, 3][..], &ppp(v6), ip].concat();
    let pptp = |fields: &[u8]| {
        let length = (framed_ppp.len() as u16).to_be_bytes();
        [&length[..], &[0, 7], fields, &framed_ppp].concat()
    };
    // Version, and in the third type the kind of the frame and whether a subheader follows.
    let erspan_3 = |kind: u8, more: u8| [0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, kind << 2, more];
    let mut all = vec![
        ("vxlan", UDP, udp(4789, &vxlan([8, 0, 0, 0], &frame))),
        (
            "vxlan with a vlan",
            UDP,
            udp(4789, &vxlan([8, 0, 0, 0], &tagged)),
        ),
        (
            "vxlan at flannel's port",
            UDP,
            udp(8472, &vxlan([8, 0, 0, 0], &frame)),
        ),
        (
            "vxlan with a group",
            UDP,
            udp(4789, &vxlan([0x88, 0x08, 1, 2], &frame)),
        ),
        (
            "vxlan with reserved bits",
            UDP,
            udp(4789, &vxlan([0xc8, 0x81, 1, 2], &frame)),
        ),
        (
            "vxlan-gpe frame",
            UDP,
            udp(4790, &vxlan([0x0c, 0, 0, 3], &frame)),
        ),
        (
            "vxlan-gpe ip",
            UDP,
            udp(4790, &vxlan([0x0c, 0, 0, if v6 { 2 } else { 1 }], ip)),
        ),
        (
            "vxlan-gpe mpls",
            UDP,
            udp(4790, &vxlan([0x0c, 0, 0, 5], &[&labels[..], ip].concat())),
        ),
        (
            "vxlan-gpe nsh",
            UDP,
            udp(
                4790,
                &vxlan(
                    [0x0c, 0, 0, 4],
                    &[
                        &[0x0f, 0xc2, 2, if v6 { 2 } else { 1 }, 0, 0, 7, 255][..],
                        ip,
                    ]
                    .concat(),
                ),
            ),
        ),
        ("mpls in udp", UDP, udp(6635, &[&labels[..], ip].concat())),
        (
            "vxlan at the generic port",
            UDP,
            udp(4790, &vxlan([8, 0, 0, 0], &frame)),
        ),
        ("geneve", UDP, udp(6081, &geneve(0, 0x6558, &frame))),
        (
            "geneve with options",
            UDP,
            udp(6081, &geneve(3, 0x6558, &frame)),
        ),
        ("geneve ip", UDP, udp(6081, &geneve(8, kind, ip))),
        ("gre", GRE, gre(0, kind, &[], ip)),
        ("gre checksum", GRE, gre(0x8000, kind, &[0; 4], ip)),
        ("gre key", GRE, gre(0x2000, kind, &[1; 4], ip)),
        ("gre sequence", GRE, gre(0x1000, kind, &[0; 4], ip)),
        ("gre all fields", GRE, gre(0xb000, kind, &[1; 12], ip)),
        ("gre frame", GRE, gre(0x2000, 0x6558, &[0; 4], &frame)),
        (
            "gre mpls",
            GRE,
            gre(0, 0x8847, &[], &[&labels[..], ip].concat()),
        ),
        ("gre ppp", GRE, gre(0, 0x880b, &[], &framed_ppp)),
        (
            "gre air",
            GRE,
            gre(0, 0x8200, &[], &[&wireless(kind)[..], ip].concat()),
        ),
        ("pptp", GRE, gre(0x3001, 0x880b, &pptp(&[0; 4]), &[])),
        (
            "pptp with an acknowledgement",
            GRE,
            gre(0x3081, 0x880b, &pptp(&[0; 8]), &[]),
        ),
        ("erspan 1", GRE, gre(0, 0x88be, &[], &frame)),
        (
            "erspan 2",
            GRE,
            gre(
                0x1000,
                0x88be,
                &[0; 4],
                &[&[0x10, 1, 0, 2, 0, 0, 0, 3][..], &frame].concat(),
            ),
        ),
        (
            "erspan 3",
            GRE,
            gre(
                0x1000,
                0x22eb,
                &[0; 4],
                &[&erspan_3(0, 0)[..], &frame].concat(),
            ),
        ),
        (
            "erspan 3 subheader",
            GRE,
            gre(
                0x1000,
                0x22eb,
                &[0; 4],
                &[&erspan_3(0, 1)[..], &[0; 8], &frame].concat(),
            ),
        ),
        (
            "erspan 3 ip",
            GRE,
            gre(0x1000, 0x22eb, &[0; 4], &[&erspan_3(2, 0)[..], ip].concat()),
        ),
        ("ip in ip", protocol, ip.to_vec()),
        ("etherip", 97, [&[0x30, 0][..], &frame].concat()),
        ("mpls in ip", 137, [&labels[..], ip].concat()),
        ("ethernet in ip", 143, frame.clone()),
        ("gtp", UDP, udp(2152, &gtp(0x30, &[]))),
        ("gtp sequence", UDP, udp(2152, &gtp(0x32, &[0, 1, 0, 0x85]))),
        (
            "gtp extension",
            UDP,
            udp(
                2152,
                &gtp(
                    0x34,
                    &[0, 0, 0, 0x85, 1, 0, 9, 0xc0, 2, 0, 0, 0, 0, 0, 0, 0],
                ),
            ),
        ),
        (
            "ayiya",
            UDP,
            udp(
                5072,
                &[&[0x44, 0x52, 0x11, protocol][..], &[0; 4 + 16 + 20], ip].concat(),
            ),
        ),
    ];
    if v6 {
        let origin = [0, 0, 1, 2, 3, 4, 5, 6];
        let secret = [&[0, 1, 2, 3][..], &[9; 5 + 9]].concat();
        all.extend([
            ("teredo", UDP, udp(3544, ip)),
            ("teredo origin", UDP, udp(3544, &[&origin[..], ip].concat())),
            (
                "teredo authentication",
                UDP,
                udp(3544, &[&secret[..], &origin, ip].concat()),
            ),
        ]);
    }
    all
}

/// The same inside an IP packet of this version.
pub(super) fn wrappings(version: u8, ip: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    tunnels(ip)
        .into_iter()
        .map(|(name, protocol, body)| (name, outer(version, protocol, &body)))
        .collect()
}

fn closed(ip: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Reason> {
    let mut decoder = Decoder::default().with_tunnels(Tunnels::Closed);
    take(decoder.decode(&at(0, LinkType::RawIp, ip)))
}

#[test]
fn every_tunnel_is_opened_in_files_and_left_alone_live() {
    for packet in [v4(b"hello"), v6(b"hello")] {
        for version in [4, 6] {
            for (name, bytes) in wrappings(version, &packet.ip()) {
                let mut decoder = Decoder::default();
                let Decoded::Segment(segment) = decoder.decode(&at(0, LinkType::RawIp, &bytes))
                else {
                    panic!("{name}");
                };
                assert_eq!(
                    (segment.payload, segment.wire_len),
                    (&b"hello"[..], 5),
                    "{name}"
                );
                assert_eq!(
                    (segment.source, segment.destination),
                    (packet.source, packet.destination)
                );
                assert_eq!(
                    segment.ip_id,
                    packet.source.is_ipv4().then_some(0),
                    "{name}"
                );
                assert_eq!(closed(&bytes), Err(Reason::Tunnelled), "{name}");
            }
        }
    }
}

#[test]
fn tunnels_in_tunnels_to_a_depth() {
    let mut ip = v4(b"x").ip();
    for n in 0..15 {
        ip = outer(
            if n % 2 == 0 { 6 } else { 4 },
            if ip[0] == 0x45 { 4 } else { 41 },
            &ip,
        );
    }
    assert_eq!(raw(&ip), Ok(Some((b"x".to_vec(), 1))));
    for _ in 0..20 {
        ip = outer(4, if ip[0] == 0x45 { 4 } else { 41 }, &ip);
    }
    let mut decoder = Decoder::default();
    let came = decoder.decode(&at(0, LinkType::RawIp, &ip));
    assert_eq!(came, Decoded::Ignored(Reason::TooDeep));
    assert_eq!(decoder.counters().too_deep, 1);
}

#[test]
fn a_port_alone_is_no_tunnel() {
    let ip = v4(b"x").ip();
    let frame = ethernet(0x0800, &ip);
    // A frame of 802.3, whose length proves little.
    let spanning = ethernet(3, &[0x42, 0x42, 3]);
    let mut broken = frame.clone();
    broken[14] = 0x44;
    let mut long = frame.clone();
    long[17] += 1;
    let vxlan = |flags: [u8; 4], content: &[u8]| [&flags[..], &[0, 0, 42, 0], content].concat();
    let geneve = |first: [u8; 4], content: &[u8]| [&first[..], &[0, 0, 42, 0], content].concat();
    for (port, content) in [
        // Not the flag, others with it, a group without its flag; an inner header that is none, one
        // longer than its frame, a type that says nothing; nothing at all.
        (4789, vxlan([0, 0, 0, 0], &frame)),
        (4789, vxlan([0x18, 0, 0, 0], &spanning)),
        (4789, vxlan([8, 1, 0, 0], &spanning)),
        (4789, vxlan([8, 0, 1, 0], &spanning)),
        (4789, vxlan([8, 0, 0, 0], &broken)),
        (4789, vxlan([8, 0, 0, 0], &long)),
        (4789, vxlan([8, 0, 0, 0], &ethernet(0x1234, &ip))),
        (4789, vxlan([8, 0, 0, 0], &ethernet(100, &ip))),
        (4789, vxlan([8, 0, 0, 0], &[])),
        (4789, vec![8, 0, 0, 0]),
        (8472, b"some datagram".to_vec()),
        (4790, vxlan([0x0c, 0, 0, 9], &ip)),
        // Of operation and maintenance, too short, another version.
        (
            4790,
            vxlan(
                [0x0c, 0, 0, 4],
                &[&[0x2f, 0xc2, 2, 1, 0, 0, 7, 255][..], &ip].concat(),
            ),
        ),
        (
            4790,
            vxlan(
                [0x0c, 0, 0, 4],
                &[&[0x0f, 0xc1, 2, 1, 0, 0, 7, 255][..], &ip].concat(),
            ),
        ),
        (
            4790,
            vxlan(
                [0x0c, 0, 0, 4],
                &[&[0x4f, 0xc2, 2, 1, 0, 0, 7, 255][..], &ip].concat(),
            ),
        ),
        // No labels to the end, or not IP below them.
        (6635, b"some datagram".to_vec()),
        (6635, [&[0, 1, 1, 64][..], &ip[..ip.len() - 1]].concat()),
        (6635, [&[0, 1, 1, 64][..], &[0x9f; 30]].concat()),
        (4790, vxlan([0x0c, 0, 0, 1], &ip[1..])),
        (4790, vxlan([0x0d, 0, 0, 1], &ip)),
        (4790, vxlan([0x0c, 1, 0, 1], &ip)),
        (6081, geneve([0x40, 0, 8, 0], &ip)),
        (6081, geneve([0, 0x80, 8, 0], &ip)),
        (6081, geneve([0, 0, 0x12, 0x34], &ip)),
        (6081, geneve([0x3f, 0, 8, 0], &ip)),
        (6081, geneve([0, 0, 0x65, 0x58], &broken)),
        // A message, another version, a length beyond the datagram, extensions without end or length.
        (2152, [&[0x30, 1, 0, 41, 0, 0, 0, 9][..], &ip].concat()),
        (2152, [&[0x50, 255, 0, 41, 0, 0, 0, 9][..], &ip].concat()),
        (2152, [&[0x30, 255, 0, 42, 0, 0, 0, 9][..], &ip].concat()),
        (
            2152,
            [
                &[0x34, 255, 0, 8, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0][..],
                &ip,
            ]
            .concat(),
        ),
        (
            2152,
            [
                &[0x34, 255, 0, 44, 0, 0, 0, 9, 0, 0, 0, 1][..],
                &[1, 0, 0, 1].repeat(10),
            ]
            .concat(),
        ),
        (3544, ip.clone()),
        (3544, [&[0, 1, 255, 255][..], &ip].concat()),
        (3544, vec![]),
        (5072, [&[0x44, 0x52, 0x12, 4][..], &[0; 40], &ip].concat()),
        (5072, [&[0x44, 0x52, 0x11, 59][..], &[0; 40], &ip].concat()),
        (5072, [&[0xf4, 0x52, 0x11, 4][..], &[0; 40], &ip].concat()),
        // Any other port.
        (53, vxlan([8, 0, 0, 0], &frame)),
    ] {
        let bytes = outer(4, UDP, &udp(port, &content));
        for tunnels in [Tunnels::Open, Tunnels::Closed] {
            let mut decoder = Decoder::default().with_tunnels(tunnels);
            let came = decoder.decode(&at(0, LinkType::RawIp, &bytes));
            assert_eq!(
                came,
                Decoded::Ignored(Reason::NotTcp),
                "{port} {content:x?}"
            );
            assert_eq!(decoder.counters().udp, 1);
        }
    }
}

#[test]
fn teredo_between_clients_and_relays() {
    let client = TcpPacket::new("[2001:0:4137:9e50::1]:40000", "[2001:db8::2]:8000", b"x");
    let relay = TcpPacket::new("[2001:db8::2]:8000", "[2001:0:4137:9e50::1]:40000", b"x");
    for ip in [client.ip(), relay.ip()] {
        let bytes = outer(4, UDP, &udp(32_900, &ip));
        assert_eq!(raw(&bytes), Ok(Some((b"x".to_vec(), 1))));
        // It must fill the datagram, and be of an address that is a client's.
        let bytes = outer(4, UDP, &udp(32_900, &[&ip[..], &[0]].concat()));
        assert_eq!(raw(&bytes), Err(Reason::NotTcp));
    }
    for bytes in [v6(b"x").ip(), vec![0x60; 3], vec![]] {
        let bytes = outer(4, UDP, &udp(32_900, &bytes));
        assert_eq!(raw(&bytes), Err(Reason::NotTcp));
    }
}

#[test]
fn udp_ends_where_its_length_says() {
    let mut inner = v4(&[7; 60]).ip();
    inner[2..4].fill(0);
    let content = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &ethernet(0x0800, &inner)].concat();
    let datagram = [udp(4789, &content), vec![0xee; 4]].concat();
    assert_eq!(raw(&outer(4, UDP, &datagram)), Ok(Some((vec![7; 60], 60))));
    // Zero where segments were joined, and an end beyond the packet: the packet's own.
    for length in [0, 0xffffu16] {
        let mut datagram = udp(4789, &content);
        datagram[4..6].copy_from_slice(&length.to_be_bytes());
        assert_eq!(raw(&outer(4, UDP, &datagram)), Ok(Some((vec![7; 60], 60))));
    }
    let mut datagram = udp(4789, &content);
    datagram[4..6].copy_from_slice(&[0, 7]);
    assert_eq!(raw(&outer(4, UDP, &datagram)), Err(Reason::NotTcp));
}

#[test]
fn gre_that_is_refused() {
    let ip = v4(b"x").ip();
    for (header, reason) in [
        // A source route; version 1 without a key, or of something else than PPP; a version that is none.
        (&[0x40, 0, 8, 0][..], Reason::BadHeader),
        (&[0x10, 1, 0x88, 0x0b], Reason::BadHeader),
        (&[0x20, 1, 8, 0], Reason::BadHeader),
        (&[0, 2, 8, 0], Reason::BadHeader),
        // A bare acknowledgement; keep-alives and what is not known; mirrored frames of no version.
        (
            &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 7, 0, 0, 0, 1],
            Reason::NotIp,
        ),
        (&[0, 0, 0, 0], Reason::NotIp),
        (&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 0], Reason::BadHeader),
        (
            &[
                0x10, 0, 0x22, 0xeb, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0,
            ],
            Reason::NotIp,
        ),
    ] {
        let bytes = outer(4, GRE, &[header, &ip].concat());
        assert_eq!(raw(&bytes), Err(reason), "{header:x?}");
    }
}

#[test]
fn fragments_of_a_tunnel_and_of_what_it_carries() {
    // A datagram in fragments, each in a tunnel whose packets are in fragments too.
    let packet = v4(&[9; 200]);
    let mut decoder = Decoder::default();
    let mut came = Vec::new();
    for (n, inner) in packet.fragments(7, &[104]).into_iter().enumerate() {
        let content = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &ethernet(0x0800, &inner)].concat();
        let mut tunnel = TcpPacket::new("203.0.113.1:1", "203.0.113.2:2", b"");
        tunnel.payload = udp(4789, &content);
        for piece in tunnel.fragments_of(UDP, 100 + n as u32, &[40, 80]) {
            came.push(take(decoder.decode(&at(
                came.len() as i64,
                LinkType::RawIp,
                &piece,
            ))));
        }
    }
    let (last, kept) = came.split_last().unwrap();
    assert!(kept.iter().all(|came| *came == Ok(None)), "{kept:?}");
    assert_eq!(*last, Ok(Some((vec![9; 200], 200))));
    let counters = decoder.counters();
    assert_eq!(
        (counters.datagrams_begun, counters.datagrams_reassembled),
        (3, 3)
    );
    // Live, those of other protocols than TCP are not kept.
    let mut decoder = Decoder::default().with_tunnels(Tunnels::Closed);
    let mut tunnel = TcpPacket::new("203.0.113.1:1", "203.0.113.2:2", b"");
    tunnel.payload = udp(4789, &[0; 100]);
    for piece in tunnel.fragments_of(UDP, 1, &[40]) {
        let came = decoder.decode(&at(0, LinkType::RawIp, &piece));
        assert_eq!(came, Decoded::Ignored(Reason::NotTcp));
    }
}

#[test]
fn fragments_in_fragments_to_a_depth() {
    for (layers, expected) in [(3, Ok(Some((vec![9; 40], 40)))), (4, Err(Reason::TooDeep))] {
        let mut decoder = Decoder::default();
        let mut give = |ip: &[u8]| take(decoder.decode(&at(0, LinkType::RawIp, ip)));
        // Each layer's first fragment comes alone; its last one lies in the layer around it.
        let mut inner = v4(&[9; 40]).ip();
        for layer in 0..layers {
            let mut tunnel = TcpPacket::new("203.0.113.1:1", "203.0.113.2:2", b"");
            tunnel.payload = inner;
            let [first, last] = tunnel.fragments_of(4, layer, &[8]).try_into().unwrap();
            assert_eq!(give(&first), Ok(None));
            inner = last;
        }
        assert_eq!(give(&inner), expected);
    }
}

proptest! {
    #[test]
    fn damaged_tunnels_never_panic(
        index in 0usize..200,
        flips in vec((0usize..200, any::<u8>()), 1..6),
        cut in 0usize..300,
    ) {
        let all = [wrappings(4, &v6(&[1; 40]).ip()), wrappings(6, &v4(&[1; 40]).ip())].concat();
        let mut bytes = all[index % all.len()].1.clone();
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        bytes.truncate(cut);
        if let Ok(Some((payload, wire_len))) = raw(&bytes) {
            prop_assert!(payload.len() + 40 <= bytes.len());
            prop_assert!(payload.len() <= wire_len as usize);
        }
    }
}
