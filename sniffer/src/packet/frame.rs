//! Builds frames for tests, header by header.

use std::net::{IpAddr, SocketAddr};

use crate::capture::LinkType;

/// Bits of the TCP flags octet.
pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// A TCP packet in the making.
#[derive(Clone, Debug)]
pub(crate) struct TcpPacket {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// TCP options; a whole number of 32-bit words.
    pub(crate) options: Vec<u8>,
    /// IPv4 options, or the IPv6 extension headers (kind and content without its next-header octet).
    pub(crate) ip_options: Vec<u8>,
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

impl TcpPacket {
    pub(crate) fn new(source: &str, destination: &str, payload: &[u8]) -> Self {
        Self {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            seq: 0x0102_0304,
            ack: 0x0506_0708,
            flags: ACK,
            options: Vec::new(),
            ip_options: Vec::new(),
            extensions: Vec::new(),
            payload: payload.to_vec(),
        }
    }

    /// The TCP header and payload; the checksum is left zero, as a card with offload leaves it.
    pub(crate) fn tcp(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.source.port().to_be_bytes());
        bytes.extend(self.destination.port().to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([
            ((5 + self.options.len() / 4) as u8) << 4,
            self.flags,
            2,
            0,
            0,
            0,
            0,
            0,
        ]);
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        bytes
    }

    /// The IP packet.
    pub(crate) fn ip(&self) -> Vec<u8> {
        let (first, rest) = self.chain();
        self.ip_around(first, 0, 0, &rest)
    }

    /// The IP packets of the datagram split at these offsets (multiples of 8).
    pub(crate) fn fragments(&self, id: u32, cuts: &[usize]) -> Vec<Vec<u8>> {
        let (first, rest) = self.chain();
        self.pieces(first, &rest, id, cuts)
    }

    /// The same of a datagram that carries the payload, under this protocol number, in place of TCP.
    pub(crate) fn fragments_of(&self, protocol: u8, id: u32, cuts: &[usize]) -> Vec<Vec<u8>> {
        self.pieces(protocol, &self.payload, id, cuts)
    }

    fn pieces(&self, first: u8, rest: &[u8], id: u32, cuts: &[usize]) -> Vec<Vec<u8>> {
        let ends = cuts.iter().copied().chain([rest.len()]);
        let mut start = 0;
        let mut packets = Vec::new();
        for end in ends {
            let more = u16::from(end < rest.len());
            let place = start as u16;
            packets.push(match self.source.ip() {
                IpAddr::V4(_) => {
                    let field = (place / 8) | (more << 13);
                    self.ip_around(first, id as u16, field, &rest[start..end])
                }
                IpAddr::V6(_) => {
                    let mut body = vec![first, 0];
                    body.extend((place | more).to_be_bytes());
                    body.extend(id.to_be_bytes());
                    body.extend(&rest[start..end]);
                    self.ip_around(44, 0, 0, &body)
                }
            });
            start = end;
        }
        packets
    }

    /// The number of the first header after IP's own, and all from it on.
    fn chain(&self) -> (u8, Vec<u8>) {
        let mut bytes = self.tcp();
        let mut kind = 6;
        for (extension, content) in self.extensions.iter().rev() {
            bytes = [&[kind][..], content, &bytes].concat();
            kind = *extension;
        }
        (kind, bytes)
    }

    fn ip_around(&self, kind: u8, id: u16, fragment: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header = 20 + self.ip_options.len();
                bytes.extend([0x40 | (header / 4) as u8, 0]);
                bytes.extend(((header + body.len()) as u16).to_be_bytes());
                bytes.extend(id.to_be_bytes());
                bytes.extend(fragment.to_be_bytes());
                bytes.extend([64, kind, 0, 0]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                bytes.extend(&self.ip_options);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes.extend([0x60, 0, 0, 0]);
                bytes.extend((body.len() as u16).to_be_bytes());
                bytes.extend([kind, 64]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
            _ => panic!("both addresses of one version"),
        }
        bytes.extend(body);
        bytes
    }
}

/// Puts an IP packet into a frame, with VLAN tags of these types where the link has them.
pub(crate) fn frame(link: LinkType, tags: &[u16], ip: &[u8]) -> Vec<u8> {
    let version_6 = is_v6(ip);
    let mut kinds = tags.iter().copied().chain([ether_type(ip)]);
    let outer = kinds.next().unwrap();
    let tagged: Vec<u8> = kinds
        .flat_map(|kind| [&[0, 42][..], &kind.to_be_bytes()].concat())
        .collect();
    let kind = outer.to_be_bytes();
    let mut bytes = match link {
        LinkType::Ethernet => [&[2; 12][..], &kind].concat(),
        LinkType::LinuxSll => [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &kind].concat(),
        LinkType::LinuxSll2 => [&kind[..], &[0; 18]].concat(),
        LinkType::RawIp => Vec::new(),
        LinkType::Null => u32::to_le_bytes(if version_6 { 30 } else { 2 }).to_vec(),
        LinkType::Loop => u32::to_be_bytes(if version_6 { 24 } else { 2 }).to_vec(),
        LinkType::Ppp => ppp(version_6).to_vec(),
        LinkType::PppEther => pppoe(ip.len(), version_6),
        LinkType::CiscoHdlc => [&[0x0f, 0][..], &kind].concat(),
        LinkType::Wireless => wireless(outer),
        // Eight octets, and no field.
        LinkType::Radiotap => [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wireless(outer)].concat(),
        LinkType::Nflog => {
            // The interface that it came in on, and the packet.
            let length = (ip.len() + 4) as u16;
            let family = if version_6 { 10 } else { 2 };
            let mut header = vec![family, 0, 0, 5, 8, 0, 4, 0, 0, 0, 0, 7];
            header.extend(length.to_le_bytes());
            header.extend([9, 0]);
            header
        }
    };
    bytes.extend(tagged);
    bytes.extend(ip);
    bytes
}

/// An Ethernet frame of this type.
pub(crate) fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &kind.to_be_bytes(), body].concat()
}

/// The EtherType of an IP packet.
pub(crate) fn ether_type(ip: &[u8]) -> u16 {
    if is_v6(ip) { 0x86dd } else { 0x0800 }
}

/// An IP packet of a tunnel that carries this protocol.
pub(crate) fn outer(version: u8, protocol: u8, body: &[u8]) -> Vec<u8> {
    let ends = match version {
        4 => ("203.0.113.1:1", "203.0.113.2:2"),
        _ => ("[2001:db8:ffff::1]:1", "[2001:db8:ffff::2]:2"),
    };
    TcpPacket::new(ends.0, ends.1, b"").ip_around(protocol, 0x7777, 0, body)
}

/// A UDP datagram to this port.
pub(crate) fn udp(port: u16, body: &[u8]) -> Vec<u8> {
    let length = 8 + body.len() as u16;
    let ports = [[0xc0, 1], port.to_be_bytes(), length.to_be_bytes(), [0, 0]];
    [&ports.concat()[..], body].concat()
}

/// A PPP header without what compression leaves out.
pub(crate) fn ppp(version_6: bool) -> [u8; 2] {
    [0, if version_6 { 0x57 } else { 0x21 }]
}

/// A PPPoE session's header and PPP's after it, before so many octets.
pub(crate) fn pppoe(length: usize, version_6: bool) -> Vec<u8> {
    let length = (length + 2) as u16;
    [&[0x11, 0, 0, 9][..], &length.to_be_bytes(), &ppp(version_6)].concat()
}

/// The header of an 802.11 data frame, LLC and SNAP.
pub(crate) fn wireless(kind: u16) -> Vec<u8> {
    let mut header = vec![0x08, 0x02];
    header.resize(24, 0);
    header.extend([0xaa, 0xaa, 3, 0, 0, 0]);
    header.extend(kind.to_be_bytes());
    header
}

pub(crate) fn is_v6(ip: &[u8]) -> bool {
    ip.first().is_some_and(|first| first >> 4 == 6)
}
