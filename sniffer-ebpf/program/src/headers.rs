//! What a packet is, by its headers: one of a tapped port, and how much of it is worth copying.
//!
//! Headers are read with `bpf_skb_load_bytes`: it reads past the linear part of a packet, and,
//! unlike `bpf_skb_pull_data`, it changes nothing.

use aya_ebpf::programs::TcContext;
use sniffer_ebpf::record::LINK_ETHERNET;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and the older number for stacked tags.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

const ETHERNET_LEN: u32 = 14;
/// Where the EtherType stands in an Ethernet header.
const ETHERTYPE_AT: u32 = 12;
const VLAN_TAG_LEN: u32 = 4;
/// More tags than two are seen nowhere but in attacks; one more can be beside the packet.
const MAX_VLAN_TAGS: usize = 2;

const PROTOCOL_TCP: u8 = 6;
const IPV4_MIN_LEN: u32 = 20;
const IPV6_LEN: u32 = 40;
/// The most IPv6 extension headers that are skipped. RFC 8200 §4.1 recommends at most one of each
/// kind (two of one kind): with a routing header, fragment and authentication that is six.
const MAX_EXTENSIONS: usize = 6;
const FRAGMENT_OFFSET_V4: u16 = 0x1fff;
const FRAGMENT_OFFSET_V6: u16 = 0xfff8;

const TCP_MIN_LEN: u32 = 20;
const TCP_DATA_OFFSET_AT: u32 = 12;

/// A packet that is wanted.
pub struct Tapped {
    /// The network layer's EtherType.
    pub ethertype: u16,
    /// Where the IP header begins.
    pub network: u32,
    /// What lies in it.
    pub content: Content,
}

/// What lies in a packet. Plain numbers: where an enum leaves a field unset, the compiler may copy
/// it all the same, and the verifier refuses to read what was never written.
#[derive(Clone, Copy)]
pub struct Content {
    /// Where the TCP header begins; 0 where there is none.
    pub transport: u32,
    /// The length of all headers of a packet without payload: what follows them is padding. 0
    /// where there is, or may be, a payload.
    pub headers: u32,
}

impl Content {
    /// A fragment that is not the first of its datagram.
    const FRAGMENT: Self = Self {
        transport: 0,
        headers: 0,
    };
}

/// Tells whether the packet is TCP of a tapped port, or a TCP fragment that carries no port.
#[inline(always)]
pub fn tapped(ctx: &TcContext, link: u8) -> Option<Tapped> {
    let (ethertype, network) = if link == LINK_ETHERNET {
        ethernet(ctx)?
    } else {
        raw_ip(ctx)?
    };
    let content = match ethertype {
        ETHERTYPE_IPV4 => ipv4(ctx, network)?,
        ETHERTYPE_IPV6 => ipv6(ctx, network)?,
        _ => return None,
    };
    Some(Tapped {
        ethertype,
        network,
        content,
    })
}

/// The network layer's EtherType and where its header begins.
#[inline(always)]
fn ethernet(ctx: &TcContext) -> Option<(u16, u32)> {
    let mut ethertype = load_u16(ctx, ETHERTYPE_AT)?;
    let mut network = ETHERNET_LEN;
    for _ in 0..MAX_VLAN_TAGS {
        if !ETHERTYPES_VLAN.contains(&ethertype) {
            break;
        }
        // A tag: two bytes of TCI, then the EtherType of what follows.
        ethertype = load_u16(ctx, network + 2)?;
        network += VLAN_TAG_LEN;
    }
    Some((ethertype, network))
}

#[inline(always)]
fn raw_ip(ctx: &TcContext) -> Option<(u16, u32)> {
    let first: u8 = ctx.load(0).ok()?;
    match first >> 4 {
        4 => Some((ETHERTYPE_IPV4, 0)),
        6 => Some((ETHERTYPE_IPV6, 0)),
        _ => None,
    }
}

#[inline(always)]
fn ipv4(ctx: &TcContext, at: u32) -> Option<Content> {
    let header: [u8; IPV4_MIN_LEN as usize] = ctx.load(at as usize).ok()?;
    let header_len = u32::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < IPV4_MIN_LEN || header[9] != PROTOCOL_TCP {
        return None;
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if fragment & FRAGMENT_OFFSET_V4 != 0 {
        return Some(Content::FRAGMENT);
    }
    let total_len = u32::from(u16::from_be_bytes([header[2], header[3]]));
    // A length of 0 is that of a BIG TCP packet: the kernel's own length holds.
    let end = if total_len == 0 {
        ctx.len()
    } else {
        at + total_len
    };
    tcp(ctx, at + header_len, end)
}

#[inline(always)]
fn ipv6(ctx: &TcContext, at: u32) -> Option<Content> {
    let header: [u8; 8] = ctx.load(at as usize).ok()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let payload_len = u32::from(u16::from_be_bytes([header[4], header[5]]));
    // 0: a jumbogram (RFC 2675) or BIG TCP.
    let end = if payload_len == 0 {
        ctx.len()
    } else {
        at + IPV6_LEN + payload_len
    };
    let mut next = header[6];
    let mut at = at + IPV6_LEN;
    for _ in 0..=MAX_EXTENSIONS {
        match next {
            PROTOCOL_TCP => return tcp(ctx, at, end),
            // Hop-by-hop, routing, destination options, mobility, HIP, Shim6: length in units of
            // 8 bytes, the first not counted.
            0 | 43 | 60 | 135 | 139 | 140 => {
                let [following, units]: [u8; 2] = ctx.load(at as usize).ok()?;
                next = following;
                at += (u32::from(units) + 1) * 8;
            }
            // Authentication: in units of 4 bytes, less 2 (RFC 4302 §2.2).
            51 => {
                let [following, units]: [u8; 2] = ctx.load(at as usize).ok()?;
                next = following;
                at += (u32::from(units) + 2) * 4;
            }
            44 => {
                let [following, _, high, low]: [u8; 4] = ctx.load(at as usize).ok()?;
                if u16::from_be_bytes([high, low]) & FRAGMENT_OFFSET_V6 != 0 {
                    // The first fragment alone says what follows its own extension headers.
                    return matches!(following, PROTOCOL_TCP | 51 | 60)
                        .then_some(Content::FRAGMENT);
                }
                next = following;
                at += 8;
            }
            _ => return None,
        }
    }
    None
}

/// `end` is where the IP packet ends; what follows is padding.
#[inline(always)]
fn tcp(ctx: &TcContext, at: u32, end: u32) -> Option<Content> {
    let ports: [u8; 4] = ctx.load(at as usize).ok()?;
    let source = u16::from_be_bytes([ports[0], ports[1]]);
    let destination = u16::from_be_bytes([ports[2], ports[3]]);
    if !crate::is_tapped(destination) && !crate::is_tapped(source) {
        return None;
    }
    let mut content = Content {
        transport: at,
        headers: 0,
    };
    if let Ok(offset) = ctx.load::<u8>((at + TCP_DATA_OFFSET_AT) as usize) {
        let header_len = u32::from(offset >> 4) * 4;
        let headers = at + header_len;
        if header_len >= TCP_MIN_LEN && headers == end && headers <= ctx.len() {
            content.headers = headers;
        }
    }
    Some(content)
}

#[inline(always)]
fn load_u16(ctx: &TcContext, at: u32) -> Option<u16> {
    Some(u16::from_be_bytes(ctx.load(at as usize).ok()?))
}
