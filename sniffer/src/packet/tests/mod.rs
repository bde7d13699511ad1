//! Segments of frames.

mod fragments;
mod links;
mod tunnels;

use analyzer::time::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Decoded, Decoder, Flags, Reason,
    frame::{ACK, FIN, RST, SYN, TcpPacket, ethernet, frame},
};
use crate::{
    capture::{LinkType, Packet},
    tcp::SeqNumber,
};

/// A segment's own data: payload and its length on the wire.
type Got = Result<Option<(Vec<u8>, u32)>, Reason>;

#[test]
fn a_segment_of_every_link_type() {
    for link in LinkType::ALL {
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

proptest! {
    /// The usual frame is read in one step; bare IP goes the long way.
    #[test]
    fn the_short_way_comes_to_what_the_long_one_does(
        payload in vec(any::<u8>(), 0..40),
        options in select(vec![0, 4, 12]),
        changes in vec((0..60_usize, any::<u8>()), 0..4),
        padding in 0..20_usize,
        (kept, lost) in (0..110_usize, 0..3_u32),
    ) {
        let packet = TcpPacket { options: vec![1; options], ..v4(&payload) };
        let mut ip = [packet.ip(), vec![0; padding]].concat();
        for (at, octet) in changes {
            if let Some(place) = ip.get_mut(at) {
                *place = octet;
            }
        }
        let mut ethernet = ethernet(0x0800, &ip);
        let wire_len = ip.len() as u32;
        ip.truncate(kept);
        ethernet.truncate(14 + ip.len());
        let (mut short, mut long) = (Decoder::default(), Decoder::default());
        let frame = |link, data, wire_len| Packet { wire_len: wire_len + lost, ..at(7, link, data) };
        prop_assert_eq!(
            short.decode(&frame(LinkType::Ethernet, &ethernet, wire_len + 14)),
            long.decode(&frame(LinkType::RawIp, &ip, wire_len))
        );
        prop_assert_eq!(short.counters(), long.counters());
        prop_assert_eq!(short.busiest_ports(9), long.busiest_ports(9));
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
    // IPv4 has the authentication header only; what is another in IPv6 is some protocol there.
    let mut signed = v4(b"data");
    signed.extensions = vec![(51, [&[4][..], &[0; 22]].concat())];
    assert_eq!(raw(&signed.ip()), Ok(Some((b"data".to_vec(), 4))));
    for kind in [0, 43, 44, 60, 135] {
        signed.extensions = vec![(kind, vec![0; 7])];
        assert_eq!(raw(&signed.ip()), Err(Reason::NotTcp));
    }
    // Encrypted, nothing next, a host identity: no TCP.
    for kind in [50, 59, 139] {
        extended.extensions = vec![(0, vec![0; 7]), (kind, vec![0; 7])];
        assert_eq!(raw(&extended.ip()), Err(Reason::NotTcp));
    }
}

#[test]
fn a_routing_header_leads_to_the_last_destination() {
    let there: [u8; 16] = "2001:db8::99"
        .parse::<std::net::Ipv6Addr>()
        .unwrap()
        .octets();
    let destination = |routing: Vec<u8>| {
        let mut packet = v6(b"x");
        packet.extensions = vec![(43, routing)];
        let ip = packet.ip();
        let mut decoder = Decoder::default();
        let Decoded::Segment(segment) = decoder.decode(&at(0, LinkType::RawIp, &ip)) else {
            panic!("no segment");
        };
        segment.destination.to_string()
    };
    let list = |kind, left, addresses: [[u8; 16]; 2]| {
        [&[4, kind, left, 0, 0, 0, 0][..], &addresses.concat()].concat()
    };
    assert_eq!(
        destination(list(0, 1, [[1; 16], there])),
        "[2001:db8::99]:8000"
    );
    assert_eq!(
        destination(list(4, 1, [there, [1; 16]])),
        "[2001:db8::99]:8000"
    );
    let home = [&[2, 2, 1, 0, 0, 0, 0][..], &there].concat();
    assert_eq!(destination(home), "[2001:db8::99]:8000");
    // It is there, or the kind is not known, or there is no list.
    for arrived in [
        list(0, 0, [[1; 16]; 2]),
        list(9, 1, [[1; 16]; 2]),
        vec![0, 0, 1, 0, 0, 0, 0],
    ] {
        assert_eq!(destination(arrived), "[2001:db8::2]:8000");
    }
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
    let whole = |got: Got| assert!(got == Ok(Some((payload.clone(), 70_000))));
    let mut big = v4(&payload).ip();
    big[2..4].fill(0);
    whole(raw(&big));
    let mut big = v6(&payload).ip();
    big[4..6].fill(0);
    whole(raw(&big));

    // Cut: the frame's length on the wire tells.
    for ip in [v4(&payload).ip(), v6(&payload).ip()] {
        let mut ip = ip;
        let header = if ip[0] == 0x45 { 2..4 } else { 4..6 };
        ip[header].fill(0);
        let packet = Packet {
            data: &ip[..1000],
            ..at(0, LinkType::RawIp, &ip)
        };
        let headers = ip.len() - 70_000;
        let got = take(Decoder::default().decode(&packet));
        assert!(got == Ok(Some((vec![7; 1000 - headers], 70_000))));
    }
}

#[test]
fn jumbograms_say_their_length_in_an_option() {
    let payload = vec![7; 70_000];
    let mut big = v6(&payload);
    // A padding option of one octet, one of two, and the jumbo payload: header, segment and 20 octets.
    let length = (70_000u32 + 20 + 16).to_be_bytes();
    let option = [&[1, 0, 1, 0, 0xc2, 4][..], &length, &[1, 3, 0, 0, 0]].concat();
    big.extensions = vec![(0, option)];
    let mut ip = big.ip();
    assert_eq!(ip.len(), 40 + 16 + 20 + 70_000);
    ip[4..6].fill(0);
    // What comes after it is padding.
    ip.extend([0xee; 9]);
    assert!(raw(&ip) == Ok(Some((payload, 70_000))));
    for cut in 40..56 {
        let packet = Packet {
            data: &ip[..cut],
            ..at(0, LinkType::RawIp, &ip)
        };
        let got = take(Decoder::default().decode(&packet));
        assert_eq!(got, Err(Reason::Cut), "{cut}");
    }
}

#[test]
fn a_length_of_zero_in_a_short_frame_is_no_segment() {
    // Ethernet pads to 60 octets: what comes after the header would be read as TCP.
    let mut ip = v6(b"").ip();
    ip.truncate(40);
    ip[4..6].fill(0);
    let mut frame = ethernet(0x86dd, &ip);
    frame.resize(60, 0xee);
    assert_eq!(one(LinkType::Ethernet, &frame), Err(Reason::BadHeader));
    // No next header: it has none.
    ip[6] = 59;
    let mut frame = ethernet(0x86dd, &ip);
    frame.resize(60, 0xee);
    assert_eq!(one(LinkType::Ethernet, &frame), Err(Reason::NotTcp));
    let mut ip = v4(b"").ip();
    ip[2..4].fill(0);
    let mut frame = ethernet(0x0800, &ip);
    frame.resize(60, 0xee);
    assert_eq!(one(LinkType::Ethernet, &frame), Err(Reason::BadHeader));
}

#[test]
fn a_length_beyond_the_frame_is_a_cut() {
    for mut ip in [v4(b"0123456789").ip(), v6(b"0123456789").ip()] {
        let at = if ip[0] == 0x45 { 3 } else { 5 };
        ip[at] += 5;
        assert_eq!(raw(&ip), Ok(Some((b"0123456789".to_vec(), 15))));
    }
}

#[test]
fn checksums_are_not_looked_at() {
    for packet in [v4(b"x"), v6(b"x")] {
        for value in [0, 0xffff, 0x1234u16] {
            let mut ip = packet.ip();
            let tcp = ip.len() - 21;
            ip[tcp + 16..tcp + 18].copy_from_slice(&value.to_be_bytes());
            if ip[0] == 0x45 {
                ip[10..12].copy_from_slice(&value.to_be_bytes());
            }
            assert_eq!(raw(&ip), Ok(Some((b"x".to_vec(), 1))));
        }
    }
}

#[test]
fn every_frame_cut_at_every_octet() {
    for (name, link, bytes, payload) in every_wrapping() {
        let headers = bytes.len() - payload.len();
        let mut options = 0;
        for cut in 0..=bytes.len() {
            let mut decoder = Decoder::default();
            let whole = at(0, link, &bytes);
            let came = decoder.decode(&Packet {
                data: &bytes[..cut],
                ..whole
            });
            match came {
                Decoded::Segment(segment) => {
                    assert_eq!(segment.wire_len as usize, payload.len(), "{name} {cut}");
                    let seen = cut.saturating_sub(headers);
                    assert_eq!(segment.payload, &payload[..seen], "{name} {cut}");
                    options += usize::from(cut < headers);
                }
                came => {
                    assert_eq!(came, Decoded::Ignored(Reason::Cut), "{name} {cut}");
                    assert!(cut < headers, "{name} {cut}");
                }
            }
        }
        // The four octets of its options may be missing, and no more.
        assert_eq!(options, 4, "{name}");
    }
}

#[test]
fn a_header_longer_than_its_segment() {
    // Eight octets of options, of which the wire had four.
    let mut packet = v4(b"");
    packet.options = vec![1; 4];
    let mut ip = packet.ip();
    ip[32] = 0x70;
    assert_eq!(raw(&ip), Err(Reason::BadHeader));
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

proptest! {
    #[test]
    fn random_bytes_never_panic(
        link in select(LinkType::ALL.to_vec()),
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
}

/// A segment with options in every wrapping of these tests: its name, link type, frame and payload.
fn every_wrapping() -> Vec<(String, LinkType, Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    let payload = b"0123456789".to_vec();
    for mut packet in [v4(&payload), v6(&payload)] {
        packet.options = vec![1; 4];
        let ip = packet.ip();
        let version = ip[0] >> 4;
        for link in LinkType::ALL {
            let name = format!("{link:?} {version}");
            all.push((name, link, frame(link, &[], &ip), payload.clone()));
        }
        for (name, link, bytes) in links::wrappings(&ip) {
            all.push((format!("{name} {version}"), link, bytes, payload.clone()));
        }
        for outer in [4, 6] {
            for (name, bytes) in tunnels::wrappings(outer, &ip) {
                let name = format!("{name} {version} in {outer}");
                all.push((name, LinkType::RawIp, bytes, payload.clone()));
            }
        }
    }
    all
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
