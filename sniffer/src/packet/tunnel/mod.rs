//! Tunnels: packets and frames inside IP.
//!
//! What an IP protocol number names is opened as such. A UDP port proves nothing, so there the header
//! must be as its standard has it, with an inner header that fits; otherwise it is some other datagram.
//!
//! Connections are told apart by their addresses and ports alone, whatever network of a tunnel they were
//! seen in: the two directions of one may come through different ones, and so may two copies of it.

mod ayiya;
mod geneve;
mod gre;
mod gtp;
mod teredo;
mod vxlan;

use super::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
    link,
};

const IPV4: u8 = 4;
const UDP: u8 = 17;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const ETHER_IP: u8 = 97;
const MPLS: u8 = 137;
const ETHERNET: u8 = 143;

/// Octets of a UDP header.
const UDP_HEADER: usize = 8;

/// Whether tunnels are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnels {
    /// They are: a capture file may have been written anywhere.
    Open,
    /// They are counted and left alone: a live tap attaches to the inner interface, and would see what
    /// it carries twice.
    Closed,
}

/// Whether fragments of this protocol can be those of a tunnel.
pub(super) const fn may_be(protocol: u8) -> bool {
    matches!(
        protocol,
        IPV4 | UDP | IPV6 | GRE | ETHER_IP | MPLS | ETHERNET
    )
}

/// Takes a tunnel's header off; `None` where the protocol is none, or the datagram not one of a tunnel.
pub(super) fn open(protocol: u8, payload: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    let via = u32::from(protocol) << 24;
    let inner = match protocol {
        IPV4 | IPV6 => Inner::after(payload, 0, Layer::Ip)?.via(via),
        UDP => return over_udp(payload),
        GRE => gre::open(payload)?,
        // Version 3 and twelve bits of zero (RFC 3378 §2).
        ETHER_IP if payload.u8(0)? == 0x30 => Inner::after(payload, 2, Layer::Ethernet)?.via(via),
        MPLS => link::labels(payload)?,
        ETHERNET => Inner::after(payload, 0, Layer::Ethernet)?.via(via),
        _ => return Ok(None),
    };
    Ok(Some(inner))
}

/// A tunnel over UDP, by its port at either end.
fn over_udp(payload: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    let ports = [payload.u16(2)?, payload.u16(0)?];
    let open = ports
        .into_iter()
        .find_map(at_port)
        .unwrap_or(teredo::between_peers);
    let length = match usize::from(payload.u16(4)?) {
        // As in IP's own header, where the kernel joined segments.
        0 => payload.wire_len,
        length => length.min(payload.wire_len),
    };
    if length < UDP_HEADER {
        return Ok(None);
    }
    let datagram = payload.cut_to(length).after(UDP_HEADER)?;
    match open(datagram) {
        // Too short for the tunnel's header on the wire: it is none. Where the capture cut it, only a port
        // makes a tunnel likely.
        Err(Reason::BadHeader) => Ok(None),
        Err(Reason::Cut) if !ports.into_iter().any(|port| at_port(port).is_some()) => Ok(None),
        other => other,
    }
}

/// What reads a tunnel's header; `None` where it is none.
type Opener = fn(Payload<'_>) -> Result<Option<Inner<'_>>, Reason>;

/// MPLS in UDP (RFC 7510), which has no header of its own: IP behind the labels must prove it.
fn labelled(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    match link::labels(datagram) {
        Ok(inner) if inner.layer == Layer::Ip && !ip::plausible(inner.payload)? => Ok(None),
        Ok(inner) => Ok(Some(inner)),
        Err(Reason::NotIp) => Ok(None),
        Err(reason) => Err(reason),
    }
}

fn at_port(port: u16) -> Option<Opener> {
    match port {
        // The second is that of Linux before there was a number.
        4789 | 8472 => Some(vxlan::open),
        4790 => Some(vxlan::open_generic),
        6635 => Some(labelled),
        6081 => Some(geneve::open),
        3544 => Some(teredo::open),
        2152 => Some(gtp::open),
        5072 => Some(ayiya::open),
        _ => None,
    }
}
