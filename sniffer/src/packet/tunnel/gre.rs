//! GRE (RFC 2784, RFC 2890), PPTP's version of it (RFC 2637), and ERSPAN inside it.

use super::super::{
    Payload, Reason,
    layer::{Inner, Layer},
};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const VERSION: u16 = 0x0007;
/// Of version 1: that an acknowledgement number is there.
const ACKNOWLEDGEMENT: u16 = 0x0080;

const PPP: u16 = 0x880b;
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;

/// Takes the header off. What has a source route is refused: RFC 2784 took it out of the protocol.
pub(super) fn open(packet: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let flags = packet.u16(0)?;
    let kind = packet.u16(2)?;
    match flags & VERSION {
        0 if flags & ROUTING == 0 => version_0(packet, flags, kind),
        1 if flags & (CHECKSUM | ROUTING | KEY) == KEY && kind == PPP => version_1(packet, flags),
        _ => Err(Reason::BadHeader),
    }
}

fn version_0(packet: Payload<'_>, flags: u16, kind: u16) -> Result<Inner<'_>, Reason> {
    let mut length = 4;
    if flags & CHECKSUM != 0 {
        length += 4;
    }
    let mut key = 0;
    if flags & KEY != 0 {
        key = packet.u32(length)?;
        length += 4;
    }
    if flags & SEQUENCE != 0 {
        length += 4;
    }
    let rest = packet.after(length)?;
    let via = 47 << 24 ^ key;
    let inner = match kind {
        // Type I has no header of its own, and no sequence number that would tell of one.
        ERSPAN if flags & SEQUENCE == 0 => Inner::after(rest, 0, Layer::Ethernet),
        ERSPAN => mirrored(rest, 1),
        ERSPAN_3 => mirrored(rest, 2),
        // Aruba's access points hand the air's frames on.
        0x8200..=0x8370 | 0x9000 => Inner::after(rest, 0, Layer::Wireless),
        _ => Inner::after(rest, 0, Layer::EtherType(kind)),
    }?;
    Ok(inner.via(via))
}

fn version_1(packet: Payload<'_>, flags: u16) -> Result<Inner<'_>, Reason> {
    let [a, b, c, d] = packet.octets(4)?;
    let length = usize::from(u16::from_be_bytes([a, b]));
    let call = u32::from(u16::from_be_bytes([c, d]));
    let mut header = 8;
    for flag in [SEQUENCE, ACKNOWLEDGEMENT] {
        if flags & flag != 0 {
            header += 4;
        }
    }
    let ppp = packet.after(header)?.cut_to(length);
    // A bare acknowledgement has no packet.
    if length == 0 {
        return Err(Reason::NotIp);
    }
    Ok(Inner::after(ppp, 0, Layer::Ppp)?.via(47 << 24 ^ call))
}

/// A frame mirrored by a switch (draft-foschiano-erspan): type II has version 1, type III version 2.
fn mirrored(rest: Payload<'_>, version: u8) -> Result<Inner<'_>, Reason> {
    if rest.u8(0)? >> 4 != version {
        return Err(Reason::BadHeader);
    }
    if version == 1 {
        return Inner::after(rest, 8, Layer::Ethernet);
    }
    // The frame's type, and whether a subheader of the platform follows.
    let [frame, last] = rest.octets(10)?;
    let length = if last & 1 == 0 { 12 } else { 20 };
    match frame >> 2 & 0x1f {
        0 => Inner::after(rest, length, Layer::Ethernet),
        2 => Inner::after(rest, length, Layer::Ip),
        _ => Err(Reason::NotIp),
    }
}
