//! PPP, and PPP over Ethernet.

use super::mpls;
use crate::packet::{
    Payload, Reason,
    layer::{Inner, Layer},
};

/// A PPPoE session's header (RFC 2516 §4): version and type 1, code 0.
const SESSION: [u8; 2] = [0x11, 0];
const SESSION_HEADER: usize = 6;

/// Takes the header of a PPPoE session off.
pub(super) fn session(payload: Payload<'_>) -> Result<Inner<'_>, Reason> {
    if payload.octets(0)? != SESSION {
        return Err(Reason::NotIp);
    }
    let session = u32::from(payload.u16(2)?);
    let length = usize::from(payload.u16(4)?);
    let rest = payload.cut_to(SESSION_HEADER + length);
    Ok(Inner::after(rest, SESSION_HEADER, Layer::Ppp)?.via(0x8864_0000 | session))
}

/// Takes PPP's octets off, those that compression leaves out included (RFC 1661 §6.5, §6.6).
pub(super) fn frame(payload: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let at = match payload.octets(0)? {
        [0xff, 3] => 2,
        // Cisco's framing on the same kind of line (RFC 1547 §4.3.1): the protocol is an EtherType.
        [0x0f | 0x8f, 0] => return Inner::after(payload, 4, Layer::EtherType(payload.u16(2)?)),
        _ => 0,
    };
    // A protocol's last octet is odd, its first one even.
    let (protocol, length) = match payload.u8(at)? {
        short if short & 1 == 1 => (u16::from(short), at + 1),
        _ => (payload.u16(at)?, at + 2),
    };
    match protocol {
        0x0021 | 0x0057 => Inner::after(payload, length, Layer::Ip),
        0x0281 | 0x0283 => mpls::stack(payload.after(length)?),
        _ => Err(Reason::NotIp),
    }
}
