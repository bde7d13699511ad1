use analyzer::time::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Decoded, Decoder, Flags, Limits, Reason,
    frame::{ACK, FIN, RST, SYN, TcpPacket, frame},
};
use crate::{
    capture::{LinkType, Packet},
    tcp::SeqNumber,
};

const LINKS: [LinkType; 6] = [
    LinkType::Ethernet,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::RawIp,
    LinkType::Null,
    LinkType::Loop,
];

/// A segment's own data: payload and its length on the wire.
type Got = Result<Option<(Vec<u8>, u32)>, Reason>;

#[test]
fn a_segment_of_every_link_type() {
    for link in LINKS {
        for packet in [v4(b"hello"), v6(b"hello")] {
            let bytes = frame(link, &[], &packet.ip());
            let mut decoder = Decoder::default();
            let Decoded::Segment(segment) = decoder.decode(&at(7, link, &bytes)) else {
                panic!("{link:?}");
            };
            assert_eq!(segment.time, Timestamp::from_micros(7));
            assert_eq!(segment.source, packet.source);
            assert_eq!(segment.destination, packet.destination);
            assert_eq!(segment.seq, SeqNumber(0x0102_0304));
            assert_eq!(segment.ack, Some(SeqNumber(0x0506_0708)));
            assert_eq!(segment.flags, Flags::default());
            assert_eq!((segment.payload, segment.wire_len), (&b"hello"[..], 5));
            assert_eq!(decoder.busiest_ports(3), [(8000, 1), (40000, 1)]);
            assert_eq!(decoder.busiest_ports(1), [(8000, 1)]);
        }
    }
}

#[test]
fn vlan_tags_are_taken_off() {
    for link in [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2] {
        for tags in [
            &[0x8100][..],
            &[0x88a8, 0x8100],
            &[0x9100, 0x8100],
            &[0x8100; 4],
        ] {
            let bytes = frame(link, tags, &v6(b"x").ip());
            assert_eq!(
                one(link, &bytes),
                Ok(Some((b"x".to_vec(), 1))),
                "{link:?} {tags:x?}"
            );
        }
        let bytes = frame(link, &[0x8100; 5], &v4(b"x").ip());
        assert_eq!(one(link, &bytes), Err(Reason::NotIp));
    }
}

#[test]
fn flags_and_acknowledgement() {
    for (bits, syn, fin, rst) in [
        (SYN, true, false, false),
        (SYN | ACK, true, false, false),
        (FIN | ACK, false, true, false),
        (RST, false, false, true),
    ] {
        let bytes = TcpPacket {
            flags: bits,
            ..v4(b"")
        }
        .ip();
        let mut decoder = Decoder::default();
        let Decoded::Segment(segment) = decoder.decode(&at(0, LinkType::RawIp, &bytes)) else {
            panic!("{bits}");
        };
        assert_eq!(segment.flags, Flags { syn, fin, rst });
        assert_eq!(segment.ack.is_some(), bits & ACK != 0);
    }
}

#[test]
fn options_and_extension_headers_are_passed_over() {
    let options = TcpPacket {
        options: vec![1; 12],
        ip_options: vec![1; 8],
        ..v4(b"data")
    };
    assert_eq!(raw(&options.ip()), Ok(Some((b"data".to_vec(), 4))));
    let mut extended = v6(b"data");
    extended.extensions = vec![
        (0, vec![0; 7]),
        (60, [&[1][..], &[0; 14]].concat()),
        (43, vec![0; 7]),
        // An atomic fragment.
        (44, vec![0, 0, 0, 0, 0, 0, 9]),
        (51, [&[4][..], &[0; 22]].concat()),
        (135, vec![0; 7]),
    ];
    assert_eq!(raw(&extended.ip()), Ok(Some((b"data".to_vec(), 4))));
    extended.extensions = vec![(60, vec![0; 7]); 8];
    assert_eq!(raw(&extended.ip()), Ok(Some((b"data".to_vec(), 4))));
    extended.extensions = vec![(60, vec![0; 7]); 9];
    assert_eq!(raw(&extended.ip()), Err(Reason::BadHeader));
}

#[test]
fn padding_is_no_payload() {
    let mut bytes = frame(LinkType::Ethernet, &[], &v4(b"").ip());
    bytes.resize(60, 0xee);
    assert_eq!(one(LinkType::Ethernet, &bytes), Ok(Some((Vec::new(), 0))));
}

#[test]
fn a_length_of_zero_means_the_frames_own() {
    let payload = vec![7; 70_000];
    let mut big = v4(&payload).ip();
    big[2..4].fill(0);
    assert_eq!(raw(&big), Ok(Some((payload.clone(), 70_000))));
    let mut big = v6(&payload);
    // A hop-by-hop header with the jumbo payload option.
    big.extensions = vec![(0, vec![0, 0xc2, 4, 0, 1, 0, 0])];
    let mut bytes = big.ip();
    bytes[4..6].fill(0);
    assert_eq!(raw(&bytes), Ok(Some((payload, 70_000))));
}

#[test]
fn a_cut_frame_says_what_was_on_the_wire() {
    for packet in [v4(b"0123456789"), v6(b"0123456789")] {
        for link in LINKS {
            let bytes = frame(link, &[], &packet.ip());
            let headers = bytes.len() - 10;
            for cut in 0..bytes.len() {
                let mut decoder = Decoder::default();
                let whole = at(0, link, &bytes);
                let came = decoder.decode(&Packet {
                    data: &bytes[..cut],
                    ..whole
                });
                match came {
                    Decoded::Segment(segment) => {
                        assert!(cut >= headers);
                        assert_eq!(segment.payload, &bytes[headers..cut]);
                        assert_eq!(segment.wire_len, 10);
                    }
                    came => {
                        assert_eq!(came, Decoded::Ignored(Reason::Cut));
                        assert!(cut < headers, "{link:?} {cut}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_not_tcp_is_named() {
    let mut arp = frame(LinkType::Ethernet, &[], &v4(b"").ip());
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(one(LinkType::Ethernet, &arp), Err(Reason::NotIp));
    assert_eq!(one(LinkType::Null, &[7, 0, 0, 0, 1]), Err(Reason::NotIp));

    let mut decoder = Decoder::default();
    for protocol in [17, 1, 58, 132] {
        let mut bytes = v4(b"").ip();
        bytes[9] = protocol;
        let came = decoder.decode(&at(0, LinkType::RawIp, &bytes));
        assert_eq!(came, Decoded::Ignored(Reason::NotTcp));
    }
    let counters = decoder.counters();
    assert_eq!((counters.udp, counters.icmp, counters.other_ip), (1, 2, 1));
    assert_eq!(counters.ignored(Reason::NotTcp), 4);
    assert_eq!(
        counters.iter().find(|(name, _)| *name == "packets"),
        Some(("packets", 4))
    );
}

#[test]
fn headers_that_contradict_themselves() {
    let edits: [fn(&mut Vec<u8>); 6] = [
        |ip| ip[0] = 0x54,
        |ip| ip[0] = 0x44,
        |ip| ip[3] = 19,
        |ip| ip[3] = 30,
        |ip| ip[32] = 0x40,
        |ip| ip[32] = 0xf0,
    ];
    for edit in edits {
        let mut ip = v4(b"").ip();
        edit(&mut ip);
        assert_eq!(raw(&ip), Err(Reason::BadHeader));
    }
    let mut ip = v6(b"").ip();
    ip[5] = 10;
    assert_eq!(raw(&ip), Err(Reason::BadHeader));
}

#[test]
fn fragments_in_every_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let mut extended = v6(&[9; 100]);
    extended.extensions = vec![(60, vec![0; 7])];
    for packet in [v4(&[9; 100]), v6(&[9; 100]), extended] {
        for order in orders {
            let fragments = packet.fragments(77, &[8, 48]);
            let mut decoder = Decoder::default();
            for (n, index) in order.into_iter().enumerate() {
                let came = decoder.decode(&at(n as i64, LinkType::RawIp, &fragments[index]));
                match (n, came) {
                    (0 | 1, Decoded::Fragment) => {}
                    (2, Decoded::Segment(segment)) => {
                        assert_eq!(segment.time.as_micros(), 2);
                        assert_eq!(
                            (segment.source, segment.destination),
                            (packet.source, packet.destination)
                        );
                        assert_eq!((segment.payload, segment.wire_len), (&[9; 100][..], 100));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(decoder.counters().datagrams_reassembled, 1);
        }
    }
}

#[test]
fn duplicates_pass_and_overlaps_refuse_the_datagram() {
    let packet = v4(&[9; 100]);
    let fragments = packet.fragments(1, &[40, 80]);
    let mut decoder = Decoder::default();
    let given =
        [0, 0, 2, 2, 1].map(|i| take(decoder.decode(&at(0, LinkType::RawIp, &fragments[i]))));
    assert_eq!(given[..4], [Ok(None), Ok(None), Ok(None), Ok(None)]);
    assert_eq!(given[4], Ok(Some((vec![9; 100], 100))));
    assert_eq!(decoder.counters().fragments_duplicate, 2);

    let others = packet.fragments(1, &[32, 48]);
    let mut decoder = Decoder::default();
    let mut give = |bytes: &[u8]| take(decoder.decode(&at(0, LinkType::RawIp, bytes)));
    assert_eq!(give(&fragments[0]), Ok(None));
    assert_eq!(give(&others[1]), Err(Reason::FragmentOverlap));
    assert_eq!(give(&fragments[1]), Err(Reason::FragmentOverlap));
    assert_eq!(give(&fragments[2]), Err(Reason::FragmentOverlap));
    assert_eq!(decoder.counters().fragment_overlap, 3);
}

#[test]
fn two_ends_of_one_datagram_are_an_overlap() {
    let long = v4(&[9; 100]).fragments(1, &[40, 80]);
    let short = v4(&[9; 30]).fragments(1, &[40]);
    for order in [[&short[1], &long[2]], [&long[2], &short[1]]] {
        let mut decoder = Decoder::default();
        let given = order.map(|bytes| take(decoder.decode(&at(0, LinkType::RawIp, bytes))));
        assert_eq!(given, [Ok(None), Err(Reason::FragmentOverlap)]);
    }
}

#[test]
fn fragments_that_no_datagram_can_have() {
    let packet = v4(&[9; 100]);
    for (field, length) in [
        // In the middle, but not in units of 8; past the end; empty.
        (0x2001u16, 12),
        (0x1fff, 16),
        (0x0001, 0),
    ] {
        let mut bytes = packet.ip();
        bytes.truncate(20 + length);
        bytes[2..4].copy_from_slice(&(20 + length as u16).to_be_bytes());
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        assert_eq!(raw(&bytes), Err(Reason::FragmentBad), "{field:x}");
    }
    let cut = &packet.fragments(1, &[40])[1];
    let mut decoder = Decoder::default();
    let whole = at(0, LinkType::RawIp, cut);
    let came = decoder.decode(&Packet {
        data: &cut[..cut.len() - 1],
        ..whole
    });
    assert_eq!(came, Decoded::Ignored(Reason::Cut));
}

#[test]
fn datagrams_are_kept_within_bounds() {
    let packet = v4(&[9; 100]);
    let limits = Limits {
        datagrams: 2,
        bytes: 4096,
        wait_micros: 30_000_000,
    };
    let mut decoder = Decoder::new(limits);
    let mut give = |time, id, index: usize| {
        let bytes = &packet.fragments(id, &[40])[index];
        take(decoder.decode(&at(time, LinkType::RawIp, bytes)))
    };
    for id in [1, 2, 3] {
        assert_eq!(give(0, id, 0), Ok(None));
    }
    // The oldest was given up, the others wait for 30 s and no longer.
    assert_eq!(give(0, 1, 1), Ok(None));
    assert!(matches!(give(30_000_000, 3, 1), Ok(Some(_))));
    assert_eq!(give(30_000_001, 1, 0), Ok(None));
    assert_eq!(decoder.counters().datagrams_evicted, 2);
    assert_eq!(decoder.counters().datagrams_timed_out, 1);

    let mut decoder = Decoder::new(Limits {
        bytes: 300,
        ..limits
    });
    let mut give = |id, index: usize| {
        let bytes = &packet.fragments(id, &[80])[index];
        take(decoder.decode(&at(0, LinkType::RawIp, bytes)))
    };
    assert_eq!((give(1, 0), give(2, 0)), (Ok(None), Ok(None)));
    assert!(matches!(give(1, 1), Ok(Some(_))));
    assert_eq!(decoder.counters().datagrams_evicted, 0);
    let mut decoder = Decoder::new(Limits {
        bytes: 200,
        ..limits
    });
    let mut give = |id, index: usize| {
        let bytes = &packet.fragments(id, &[80])[index];
        take(decoder.decode(&at(0, LinkType::RawIp, bytes)))
    };
    assert_eq!(
        (give(1, 0), give(2, 0), give(1, 1)),
        (Ok(None), Ok(None), Ok(None))
    );
    assert_eq!(decoder.counters().datagrams_evicted, 2);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        link in select(LINKS.to_vec()),
        start in select(vec![
            vec![], vec![0x45], vec![0x60, 0, 0, 0],
            [&[0; 12][..], &[8, 0, 0x45]].concat(), [&[0; 12][..], &[0x86, 0xdd, 0x60]].concat(),
        ]),
        bytes in vec(any::<u8>(), 0..120),
        wire_len in any::<u32>(),
    ) {
        let data = [start, bytes].concat();
        let mut decoder = Decoder::default();
        for time in 0..2 {
            let packet = Packet { wire_len, ..at(time, link, &data) };
            if let Decoded::Segment(segment) = decoder.decode(&packet) {
                prop_assert!(segment.payload.len() <= data.len());
                prop_assert!(segment.payload.len() <= segment.wire_len as usize);
            }
        }
    }

    #[test]
    fn damaged_frames_never_panic(
        flips in vec((0usize..100, any::<u8>()), 1..6),
        cut in 0usize..200,
        version in select(vec![4, 6]),
    ) {
        let mut bytes = if version == 4 { v4(&[1; 60]).ip() } else {
            let mut packet = v6(&[1; 60]);
            packet.extensions = vec![(0, vec![0; 7]), (44, vec![0; 7]), (60, vec![0; 7])];
            packet.ip()
        };
        for (index, value) in flips {
            let length = bytes.len();
            bytes[index % length] = value;
        }
        bytes.truncate(cut);
        let got = raw(&bytes);
        if let Ok(Some((payload, _))) = got {
            prop_assert!(payload.len() + 40 <= bytes.len());
        }
    }

    /// Any split of a datagram, in any order, with duplicates in between, gives the payload back.
    #[test]
    fn any_fragmentation_gives_the_datagram(
        payload in vec(any::<u8>(), 1..300),
        cuts in vec(1usize..36, 1..8),
        shuffle in vec(any::<u32>(), 20),
        version in select(vec![4, 6]),
    ) {
        let packet = if version == 4 { v4(&payload) } else { v6(&payload) };
        let length = packet.tcp().len();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut * 8).filter(|cut| *cut < length).collect();
        cuts.sort_unstable();
        cuts.dedup();
        prop_assume!(!cuts.is_empty());
        let fragments = packet.fragments(5, &cuts);
        // Each twice, but for the one that completes the datagram: its twin would begin another.
        let mut order: Vec<_> = (0..fragments.len()).collect();
        order.sort_by_key(|index| shuffle[*index]);
        let last = order.pop().unwrap();
        let mut twice: Vec<_> = order.iter().chain(&order).copied().collect();
        twice.sort_by_key(|index| shuffle[*index + 8]);
        let mut decoder = Decoder::default();
        for index in twice {
            let came = take(decoder.decode(&at(0, LinkType::RawIp, &fragments[index])));
            prop_assert_eq!(came, Ok(None));
        }
        let came = take(decoder.decode(&at(0, LinkType::RawIp, &fragments[last])));
        prop_assert_eq!(came, Ok(Some((payload.clone(), payload.len() as u32))));
    }
}

fn v4(payload: &[u8]) -> TcpPacket {
    TcpPacket::new("192.0.2.1:40000", "192.0.2.2:8000", payload)
}

fn v6(payload: &[u8]) -> TcpPacket {
    TcpPacket::new("[2001:db8::1]:40000", "[2001:db8::2]:8000", payload)
}

fn at(micros: i64, link: LinkType, data: &[u8]) -> Packet<'_> {
    Packet {
        time: Timestamp::from_micros(micros),
        link,
        data,
        wire_len: data.len() as u32,
        interface: 0,
    }
}

fn raw(ip: &[u8]) -> Got {
    one(LinkType::RawIp, ip)
}

fn one(link: LinkType, bytes: &[u8]) -> Got {
    take(Decoder::default().decode(&at(0, link, bytes)))
}

fn take(came: Decoded<'_>) -> Got {
    match came {
        Decoded::Segment(segment) => Ok(Some((segment.payload.to_vec(), segment.wire_len))),
        Decoded::Fragment => Ok(None),
        Decoded::Ignored(reason) => Err(reason),
    }
}
