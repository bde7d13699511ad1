//! Link layers.

use super::{at, one, v4, v6};
use crate::{
    capture::LinkType,
    packet::{
        Decoded, Decoder, Reason,
        frame::{ether_type, ethernet, frame, is_v6, ppp, pppoe, wireless},
    },
};

/// Ethernet and cooked frames in which an IP packet can be: name, link type, frame.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn wrappings(ip: &[u8]) -> Vec<(&'static str, LinkType, Vec<u8>)> {
    let kind = ether_type(ip);
    let next = kind.to_be_bytes();
    let v6 = is_v6(ip);
    let plain = ethernet(kind, ip);
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &next, ip].concat();
    let labels = [0, 1, 0x00, 64, 0, 2, 0x01, 64];
    let session = [&pppoe(ip.len(), v6)[..], ip].concat();
    let tag = |content: &[u8]| [&[0, 42][..], content].concat();
    let mut all = vec![
        ("vlan", ethernet(0x8100, &tag(&plain[12..]))),
        (
            "priority tag",
            ethernet(0x8100, &[&[0xe0, 0][..], &plain[12..]].concat()),
        ),
        ("802.3", ethernet(snap.len() as u16, &snap)),
        (
            "802.3 in a vlan",
            ethernet(
                0x8100,
                &tag(&[&(snap.len() as u16).to_be_bytes()[..], &snap].concat()),
            ),
        ),
        (
            "llc",
            ethernet(3 + ip.len() as u16, &[&[6, 6, 3][..], ip].concat()),
        ),
        ("mpls", ethernet(0x8847, &[&labels[..], ip].concat())),
        (
            "mpls multicast",
            ethernet(0x8848, &[&labels[..], ip].concat()),
        ),
        (
            "mpls in a vlan",
            ethernet(0x8100, &tag(&[&[0x88, 0x47][..], &labels, ip].concat())),
        ),
        (
            "pseudo-wire",
            ethernet(0x8847, &[&labels[..], &plain].concat()),
        ),
        (
            "pseudo-wire with a control word",
            ethernet(0x8847, &[&labels[..], &[0, 0, 0, 9], &plain].concat()),
        ),
        ("pppoe", ethernet(0x8864, &session)),
        (
            "pppoe in a vlan",
            ethernet(0x8100, &tag(&[&[0x88, 0x64][..], &session].concat())),
        ),
        (
            "ppp",
            ethernet(0x880b, &[&[0xff, 3][..], &ppp(v6), ip].concat()),
        ),
        (
            "pbb",
            ethernet(0x88e7, &[&[0, 1, 2, 3][..], &plain].concat()),
        ),
        (
            "pbb in a vlan",
            ethernet(
                0x88a8,
                &tag(&[&[0x88, 0xe7, 0, 1, 2, 3][..], &plain].concat()),
            ),
        ),
        (
            "fabric path",
            ethernet(0x8903, &[&[0, 9][..], &plain].concat()),
        ),
        (
            "vn-tag",
            ethernet(0x8926, &[&[0, 1, 2, 3][..], &plain[12..]].concat()),
        ),
        (
            "e-tag",
            ethernet(0x893f, &[&[0, 1, 2, 3, 4, 5][..], &plain[12..]].concat()),
        ),
        ("bridged", ethernet(0x6558, &plain)),
        (
            "nsh",
            ethernet(
                0x894f,
                // One of fixed contexts, then one without around a frame.
                &[
                    &[0x0f, 0xc6, 1, 4, 0, 0, 7, 255][..],
                    &[9; 16],
                    &[0x0f, 0xc2, 2, 3, 0, 0, 7, 254],
                    &plain,
                ]
                .concat(),
            ),
        ),
    ];
    for (name, outer) in [
        ("q-in-q", 0x88a8),
        ("q-in-q 9100", 0x9100),
        ("q-in-q 9200", 0x9200),
    ] {
        all.push((
            name,
            ethernet(outer, &tag(&[&[0x81, 0][..], &tag(&plain[12..])].concat())),
        ));
    }
    let mut all: Vec<_> = all
        .into_iter()
        .map(|(name, bytes)| (name, LinkType::Ethernet, bytes))
        .collect();

    let qos = |control: [u8; 2], extra: &[u8]| {
        let plain = wireless(kind);
        [&control[..], &plain[2..24], extra, &plain[24..], ip].concat()
    };
    // Length, the clock, the flags; two words of presence.
    let radiotap = |flags: u8, frame: Vec<u8>| {
        let mut header = vec![0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend([9; 8]);
        header.push(flags);
        [header, frame].concat()
    };
    all.extend([
        (
            "ppp with its control",
            LinkType::Ppp,
            [&[0xff, 3][..], &ppp(v6), ip].concat(),
        ),
        (
            "ppp compressed",
            LinkType::Ppp,
            [&ppp(v6)[1..], ip].concat(),
        ),
        (
            "ppp mpls",
            LinkType::Ppp,
            [&[2, 0x81][..], &labels, ip].concat(),
        ),
        (
            "hdlc on a ppp line",
            LinkType::Ppp,
            [&[0x0f, 0][..], &next, ip].concat(),
        ),
        ("qos", LinkType::Wireless, qos([0x88, 0x02], &[0, 0])),
        (
            "qos with control",
            LinkType::Wireless,
            qos([0x88, 0x82], &[0; 6]),
        ),
        (
            "four addresses",
            LinkType::Wireless,
            qos([0x08, 0x03], &[0; 6]),
        ),
        (
            "four addresses and qos",
            LinkType::Wireless,
            qos([0x88, 0x03], &[0; 8]),
        ),
        (
            "radiotap",
            LinkType::Radiotap,
            radiotap(0, qos([0x88, 0x02], &[0, 0])),
        ),
        (
            "radiotap padded",
            LinkType::Radiotap,
            radiotap(0x20, qos([0x88, 0x02], &[0; 4])),
        ),
    ]);

    let cooked = |device: u16, kind: u16, content: &[u8]| {
        let device = device.to_be_bytes();
        [&[0, 4][..], &device, &[0; 10], &kind.to_be_bytes(), content].concat()
    };
    let cooked_2 = |device: u16, kind: u16, content: &[u8]| {
        let device = device.to_be_bytes();
        [
            &kind.to_be_bytes()[..],
            &[0, 0, 0, 0, 0, 7],
            &device,
            &[4, 0],
            &[0; 8],
            content,
        ]
        .concat()
    };
    for (name, device, kind, content) in [
        ("cooked loopback", 772, kind, ip.to_vec()),
        ("cooked tunnel", 768, kind, ip.to_vec()),
        ("cooked gre", 778, kind, ip.to_vec()),
        ("cooked gre of frames", 778, 0x6558, plain.clone()),
        ("cooked llc", 1, 4, snap.clone()),
        (
            "cooked air",
            803,
            0x0019,
            radiotap(0, [wireless(kind), ip.to_vec()].concat()),
        ),
        ("cooked vlan", 1, 0x8100, tag(&plain[12..])),
    ] {
        all.push((name, LinkType::LinuxSll, cooked(device, kind, &content)));
        all.push((name, LinkType::LinuxSll2, cooked_2(device, kind, &content)));
    }

    let family = if v6 { 10 } else { 2 };
    let payload = |order: fn(u16) -> [u8; 2]| {
        let length = order(4 + ip.len() as u16);
        [
            &order(5)[..],
            &order(10),
            &[b'x', 0, 0, 0],
            &length,
            &order(9),
            ip,
        ]
        .concat()
    };
    // A prefix of one octet and its padding, then the packet; of a bridge, the EtherType first.
    let bridge = [&[8, 0, 1, 0][..], &next, &[0, 0]].concat();
    all.extend(
        [
            (
                "nflog little",
                [&[family, 0, 0, 1][..], &payload(u16::to_le_bytes)].concat(),
            ),
            (
                "nflog big",
                [&[family, 0, 0, 1][..], &payload(u16::to_be_bytes)].concat(),
            ),
            (
                "nflog bridge",
                [&[7, 0, 0, 1][..], &bridge, &payload(u16::to_le_bytes)].concat(),
            ),
        ]
        .map(|(name, bytes)| (name, LinkType::Nflog, bytes)),
    );
    all
}

#[test]
fn every_wrapping_is_taken_off() {
    for packet in [v4(b"hello"), v6(b"hello")] {
        for (name, link, bytes) in wrappings(&packet.ip()) {
            assert_eq!(
                one(link, &bytes),
                Ok(Some((b"hello".to_vec(), 5))),
                "{name}"
            );
        }
    }
}

#[test]
fn vlan_tags_are_taken_off_to_a_depth() {
    for link in [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2] {
        for tags in [
            &[0x8100][..],
            &[0x88a8, 0x8100],
            &[0x9100, 0x8100],
            &[0x8100; 20],
        ] {
            let bytes = frame(link, tags, &v6(b"x").ip());
            assert_eq!(
                one(link, &bytes),
                Ok(Some((b"x".to_vec(), 1))),
                "{link:?} {tags:x?}"
            );
        }
        let bytes = frame(link, &[0x8100; 40], &v4(b"x").ip());
        assert_eq!(one(link, &bytes), Err(Reason::TooDeep));
    }
}

#[test]
fn what_has_no_ip_is_named() {
    let ip = v4(b"x").ip();
    let air = |control: [u8; 2], sequence: u8| {
        let mut bytes = [wireless(0x0800), ip.clone()].concat();
        bytes[..2].copy_from_slice(&control);
        bytes[22] = sequence;
        bytes
    };
    let mut aggregate = air([0x88, 2], 0);
    aggregate.splice(24..24, [0x80, 0]);
    for (link, bytes, reason) in [
        // Beacons, null data, and another version.
        (LinkType::Wireless, air([0x80, 0], 0), Reason::NotIp),
        (LinkType::Wireless, air([0x48, 0], 0), Reason::NotIp),
        (LinkType::Wireless, air([0x09, 0], 0), Reason::NotIp),
        // Encrypted, with more fragments, a later fragment, an aggregate.
        (LinkType::Wireless, air([0x08, 0x42], 0), Reason::Opaque),
        (LinkType::Wireless, air([0x08, 0x06], 0), Reason::Opaque),
        (LinkType::Wireless, air([0x08, 0x02], 1), Reason::Opaque),
        (LinkType::Wireless, aggregate, Reason::Opaque),
        (LinkType::Ethernet, ethernet(0x88e5, &ip), Reason::Opaque),
        // A type that is no length either; discovery; a frame of another organisation; OSI.
        (LinkType::Ethernet, ethernet(0x05ff, &ip), Reason::NotIp),
        (
            LinkType::Ethernet,
            ethernet(0x8864, &[0x11, 9, 0, 0, 0, 0]),
            Reason::NotIp,
        ),
        (
            LinkType::Ethernet,
            ethernet(8, &[0xaa, 0xaa, 3, 0, 0, 12, 1, 0]),
            Reason::NotIp,
        ),
        (
            LinkType::Ethernet,
            ethernet(3, &[0xfe, 0xfe, 3]),
            Reason::NotIp,
        ),
        // A pseudo-wire's own messages; labels without a last one.
        (
            LinkType::Ethernet,
            ethernet(0x8847, &[0, 0, 1, 1, 0x10, 0, 0, 0x21]),
            Reason::NotIp,
        ),
        (
            LinkType::Ethernet,
            ethernet(0x8847, &[0; 40]),
            Reason::BadHeader,
        ),
        // Link control.
        (
            LinkType::Ppp,
            vec![0xff, 3, 0xc0, 0x21, 1, 1],
            Reason::NotIp,
        ),
        (LinkType::PppEther, vec![0x21, 0, 0, 1, 0, 0], Reason::NotIp),
        (
            LinkType::LinuxSll,
            [&[0, 0, 3, 0x38][..], &[0; 12]].concat(),
            Reason::NotIp,
        ),
        (
            LinkType::Radiotap,
            vec![1, 0, 8, 0, 0, 0, 0, 0],
            Reason::BadHeader,
        ),
        (
            LinkType::Radiotap,
            vec![0, 0, 7, 0, 0, 0, 0, 0],
            Reason::BadHeader,
        ),
        // Another version; an attribute shorter than its own header; no packet.
        (LinkType::Nflog, vec![2, 1, 0, 0], Reason::BadHeader),
        (
            LinkType::Nflog,
            vec![2, 0, 0, 0, 3, 0, 9, 0],
            Reason::BadHeader,
        ),
        (
            LinkType::Nflog,
            vec![2, 0, 0, 0, 4, 0, 3, 0],
            Reason::BadHeader,
        ),
        (LinkType::Nflog, vec![3, 0, 0, 0, 4, 0, 9, 0], Reason::NotIp),
        (
            LinkType::Nflog,
            [2, 0, 0, 0]
                .into_iter()
                .chain([4, 0, 3, 0].repeat(99))
                .collect(),
            Reason::BadHeader,
        ),
    ] {
        let mut decoder = Decoder::default();
        let came = decoder.decode(&at(0, link, &bytes));
        assert_eq!(came, Decoded::Ignored(reason), "{link:?} {bytes:x?}");
        assert_eq!(decoder.counters().ignored(reason), 1);
    }
}

#[test]
fn a_length_field_ends_the_frame() {
    // The length of PPPoE, of 802.3, and a check sequence told by radiotap: what follows is no packet's.
    let mut ip = v4(&[7; 60]).ip();
    ip[2..4].fill(0);
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &ip].concat();
    let session = [&pppoe(ip.len(), false)[..], &ip, &[0xee; 4]].concat();
    let flags = [
        &[0, 0, 9, 0, 2, 0, 0, 0, 0x10][..],
        &wireless(0x0800),
        &ip,
        &[0xee; 4],
    ]
    .concat();
    let length = snap.len() as u16;
    for (link, bytes) in [
        (LinkType::Ethernet, ethernet(0x8864, &session)),
        (
            LinkType::Ethernet,
            ethernet(length, &[&snap[..], &[0xee; 4]].concat()),
        ),
        (LinkType::Radiotap, flags),
    ] {
        assert_eq!(one(link, &bytes), Ok(Some((vec![7; 60], 60))));
    }
}

#[test]
fn copies_of_a_packet_differ_in_their_place() {
    let ip = v4(b"x").ip();
    let place = |link, bytes: &[u8]| {
        let mut decoder = Decoder::default();
        match decoder.decode(&at(0, link, bytes)) {
            Decoded::Segment(segment) => segment.interface,
            other => panic!("{other:?}"),
        }
    };
    let plain = ethernet(0x0800, &ip);
    let tag = |id: [u8; 2]| ethernet(0x8100, &[&id[..], &plain[12..]].concat());
    let (mut gone, mut other) = (
        frame(LinkType::LinuxSll, &[], &ip),
        frame(LinkType::LinuxSll2, &[], &ip),
    );
    let (come, one) = (gone.clone(), other.clone());
    gone[1] = 4;
    other[7] = 1;
    let places = [
        place(LinkType::Ethernet, &plain),
        place(LinkType::Ethernet, &tag([0, 1])),
        place(LinkType::Ethernet, &tag([0, 2])),
        place(LinkType::LinuxSll, &come),
        place(LinkType::LinuxSll, &gone),
        place(LinkType::LinuxSll2, &one),
        place(LinkType::LinuxSll2, &other),
    ];
    for (n, one) in places.iter().enumerate() {
        assert!(!places[..n].contains(one), "{places:x?}");
    }
    // Without a wrapping it is the interface's own number; a priority is no network.
    assert_eq!(places[0], 0);
    assert_eq!(place(LinkType::Ethernet, &tag([0xe0, 0])), 0);
}
