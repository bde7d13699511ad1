//! Frames of every link type, one after the other through one decoder.
//!
//! No segment has more payload than there are bytes for, every frame counts once, and the same frames
//! give the same.

use std::collections::BTreeMap;

use analyzer::time::Timestamp;
use sniffer::{
    capture::{LinkType, Packet},
    packet::{Decoded, Decoder},
};

use super::words;
use crate::{
    fuzz::{Features, Target, choices::Choices},
    pcap::{self, Link, WRAPPINGS, WRAPPINGS_OF_V6},
    traffic::Traffic,
};

pub(super) const TARGET: Target = Target {
    name: "frames",
    check,
    seeds,
    words: words::CAPTURES,
    longest: 4_096,
    mutations: 40_000,
};

/// Numbers of link types in capture files.
const LINKS: [u16; 15] = [
    1, 101, 113, 276, 0, 108, 228, 229, 9, 50, 51, 104, 105, 127, 239,
];

/// The largest datagram that fragments make up.
const LARGEST_DATAGRAM: usize = 65_535;

fn check(bytes: &[u8]) -> Features {
    let mut features = Features::default();
    let mut decoder = Decoder::default();
    let mut choices = Choices::new(bytes);
    let (mut packets, mut segments, mut fragments) = (0_u64, 0_u64, 0_u64);
    let mut ignored = BTreeMap::new();
    let mut time = 0_i64;
    while !choices.is_empty() {
        let link = choices.byte();
        let step = choices.byte();
        let length = choices.u16();
        let data = choices.bytes(usize::from(length));
        let Some(kind) = LinkType::from_number(LINKS[usize::from(link) % LINKS.len()]) else {
            continue;
        };
        // From a microsecond to some minutes.
        time = time.wrapping_add(1 << (step & 31));
        let cut = usize::from(step >> 5) * 100;
        let packet = Packet {
            time: Timestamp::from_micros(time),
            link: kind,
            data,
            wire_len: (data.len() + cut) as u32,
            interface: u32::from(link),
        };
        packets += 1;
        let was_segments = segments;
        match decoder.decode(&packet) {
            Decoded::Segment(segment) => {
                segments += 1;
                let captured = segment.payload.len();
                assert!(captured <= segment.wire_len as usize, "{segment:?}");
                assert!(captured <= data.len().max(LARGEST_DATAGRAM), "{segment:?}");
                assert_eq!(segment.time, packet.time);
                features.count("payload", captured as u64);
                features.seen(if segment.source.is_ipv4() { "v4" } else { "v6" });
            }
            Decoded::Fragment => fragments += 1,
            Decoded::Ignored(reason) => {
                let entry = ignored.entry(reason.as_str()).or_insert((reason, 0_u64));
                entry.1 += 1;
                features.followed(&format!("{kind:?}"), reason.as_str());
            }
        }
        if segments > was_segments {
            features.followed(&format!("{kind:?}"), "segment");
        }
    }
    let counters = *decoder.counters();
    assert_eq!(counters.packets, packets);
    assert_eq!(counters.segments, segments);
    let refused: u64 = ignored.values().map(|(_, count)| count).sum();
    assert_eq!(packets, segments + fragments + refused, "{counters:?}");
    for (reason, count) in ignored.values() {
        assert!(
            counters.ignored(*reason) >= *count,
            "{reason:?}: {counters:?}"
        );
    }
    assert!(counters.fragments >= fragments, "{counters:?}");
    features.counters(counters.iter());
    features
}

fn seeds() -> Vec<Vec<u8>> {
    let links = [
        Link::Ethernet,
        Link::RawIp,
        Link::LinuxSll,
        Link::LinuxSll2,
        Link::Null,
        Link::Loop,
        Link::Vlan(5),
        Link::QinQ(5, 6),
    ];
    let packets = Traffic::new(5, 1, 1).packets();
    let mut seeds = Vec::new();
    for (number, link) in links.into_iter().enumerate() {
        // VLANs are on Ethernet, the first of the list.
        let kind = if number < 6 { number as u8 } else { 0 };
        let mut bytes = Vec::new();
        for packet in packets.iter().take(4) {
            let data = link.frame(&packet.bytes);
            frame(&mut bytes, kind, 10, &data[..data.len().min(200)]);
        }
        seeds.push(bytes);
    }
    seeds.push(fragments());
    for wrapping in WRAPPINGS.iter().chain(WRAPPINGS_OF_V6) {
        let Some(kind) = LINKS
            .iter()
            .position(|link| *link == wrapping.link.number())
        else {
            continue;
        };
        let mut bytes = Vec::new();
        for packet in packets.iter().take(2) {
            for data in wrapping.frames(&packet.bytes) {
                frame(&mut bytes, kind as u8, 10, &data[..data.len().min(200)]);
            }
        }
        seeds.push(bytes);
    }
    seeds
}

fn frame(bytes: &mut Vec<u8>, link: u8, step: u8, data: &[u8]) {
    bytes.extend([link, step]);
    bytes.extend((data.len() as u16).to_le_bytes());
    bytes.extend(data);
}

/// A datagram in two fragments, of IPv4 and of IPv6.
fn fragments() -> Vec<u8> {
    let mut bytes = Vec::new();
    let addresses = [
        "10.0.0.9:4000",
        "10.0.0.1:80",
        "[fd00::9]:4000",
        "[fd00::1]:80",
    ];
    let parsed: Vec<_> = addresses.iter().flat_map(|text| text.parse()).collect();
    for pair in parsed.chunks(2) {
        let &[client, server] = pair else { continue };
        let mut talk = pcap::Conversation::new(client, server);
        talk.client(0, [7; 60]);
        let Some(packet) = talk.packets().last() else {
            continue;
        };
        let v4 = packet.bytes.first() == Some(&0x45);
        let (header, body) = packet.bytes.split_at(if v4 { 20 } else { 40 });
        for (offset, more, part) in [(0_u16, 1_u16, &body[..48]), (48, 0, &body[48..])] {
            let mut ip = header.to_vec();
            if v4 {
                ip[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
                ip[6..8].copy_from_slice(&((more << 13) | (offset / 8)).to_be_bytes());
            } else {
                ip[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
                ip[6] = 44;
                ip.extend([6, 0]);
                ip.extend((offset | more).to_be_bytes());
                ip.extend([0, 0, 0, 5]);
            }
            ip.extend(part);
            frame(&mut bytes, 1, 10, &ip);
        }
    }
    bytes
}
