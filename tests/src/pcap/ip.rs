//! TCP in IPv4 or IPv6, with right checksums.

use std::net::{IpAddr, SocketAddr};

/// TCP's control bits (RFC 9293 §3.1).
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
}

const TCP: u8 = 6;
/// IPv6's fragment header.
const FRAGMENT: u8 = 44;
const HOP_LIMIT: u8 = 64;
const WINDOW: u16 = 512;

/// What a TCP header says, but for the addresses.
#[derive(Clone, Copy)]
pub(crate) struct Tcp {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
}

/// A whole IP packet. Both addresses must be of one family; a mixed pair is written as IPv6.
pub(crate) fn packet(from: SocketAddr, to: SocketAddr, tcp: Tcp, payload: &[u8]) -> Vec<u8> {
    let segment = segment(from, to, tcp, payload);
    let mut bytes = if let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) {
        let length = 20 + segment.len() as u16;
        let mut header = vec![0x45, 0];
        header.extend(length.to_be_bytes());
        header.extend([0, 0, 0x40, 0, HOP_LIMIT, TCP, 0, 0]);
        header.extend(source.octets());
        header.extend(destination.octets());
        check(&mut header);
        header
    } else {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend((segment.len() as u16).to_be_bytes());
        header.extend([TCP, HOP_LIMIT]);
        header.extend(v6(from).octets());
        header.extend(v6(to).octets());
        header
    };
    bytes.extend(segment);
    bytes
}

/// An IP packet of another protocol than TCP, between the ends of a tunnel.
pub(super) fn carrying(version: u8, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = if version == 4 {
        let length = (20 + body.len() as u16).to_be_bytes();
        let mut header = [
            &[0x45, 0][..],
            &length,
            &[0x12, 0x34, 0, 0, HOP_LIMIT, protocol, 0, 0],
        ]
        .concat();
        header.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        check(&mut header);
        header
    } else {
        let length = (body.len() as u16).to_be_bytes();
        let mut header = [&[0x60, 0, 0, 0][..], &length, &[protocol, HOP_LIMIT]].concat();
        for end in [1, 2] {
            header.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
        header
    };
    bytes.extend(body);
    bytes
}

/// A packet in fragments of at most `most` octets of payload, a multiple of 8; one that fits stays whole.
/// The identification is made of its octets, so that packets that differ have different ones.
pub(super) fn fragments(packet: &[u8], most: usize) -> Vec<Vec<u8>> {
    let header = if is_v4(packet) { 20 } else { 40 };
    let (header, payload) = packet.split_at(header);
    if payload.len() <= most {
        return vec![packet.to_vec()];
    }
    let id = packet.iter().fold(0_u32, |sum, octet| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*octet))
    });
    let pieces = payload.chunks(most).enumerate().map(|(index, piece)| {
        let offset = (index * most) as u16;
        let more = u16::from((index + 1) * most < payload.len());
        let mut bytes = header.to_vec();
        if is_v4(packet) {
            bytes[2..4].copy_from_slice(&(20 + piece.len() as u16).to_be_bytes());
            bytes[4..6].copy_from_slice(&(id as u16).to_be_bytes());
            bytes[6..8].copy_from_slice(&((offset / 8) | (more << 13)).to_be_bytes());
            bytes[10..12].fill(0);
            check(&mut bytes);
        } else {
            bytes[4..6].copy_from_slice(&(8 + piece.len() as u16).to_be_bytes());
            let next = std::mem::replace(&mut bytes[6], FRAGMENT);
            bytes.extend([next, 0]);
            bytes.extend((offset | more).to_be_bytes());
            bytes.extend(id.to_be_bytes());
        }
        bytes.extend(piece);
        bytes
    });
    pieces.collect()
}

/// Sets the checksum of an IPv4 header, which must be zero.
fn check(header: &mut [u8]) {
    let checksum = !ones_sum(0, header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// Whether a packet of [`packet`] is IPv4.
pub(super) fn is_v4(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 4)
}

fn segment(from: SocketAddr, to: SocketAddr, tcp: Tcp, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20 + payload.len());
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes.extend(tcp.seq.to_be_bytes());
    bytes.extend(tcp.ack.to_be_bytes());
    bytes.extend([0x50, tcp.flags]);
    bytes.extend(WINDOW.to_be_bytes());
    bytes.extend([0, 0, 0, 0]);
    bytes.extend(payload);
    let checksum = !ones_sum(pseudo_header(from, to, bytes.len()), &bytes);
    bytes[16..18].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The sum over the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1).
fn pseudo_header(from: SocketAddr, to: SocketAddr, length: usize) -> u16 {
    let mut bytes = Vec::with_capacity(40);
    if let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) {
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
    } else {
        bytes.extend(v6(from).octets());
        bytes.extend(v6(to).octets());
    }
    bytes.extend((length as u32).to_be_bytes());
    bytes.extend([0, 0, 0, TCP]);
    ones_sum(0, &bytes)
}

/// The ones' complement sum of RFC 1071.
fn ones_sum(start: u16, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(start);
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or(0);
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn v6(address: SocketAddr) -> std::net::Ipv6Addr {
    match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
