//! Network service headers (RFC 8300): between an overlay and the packet that is led through services.

use super::ether;
use crate::packet::{
    Payload, Reason,
    layer::{Inner, Layer},
};

/// The base header and the service path.
const HEADER: usize = 8;

/// Takes the header and its contexts off.
pub(crate) fn service(payload: Payload<'_>) -> Result<Inner<'_>, Reason> {
    /// Operation and maintenance: what follows is no packet of the network.
    const OAM: u8 = 0x20;
    let [first, second, _, next] = payload.octets(0)?;
    let length = usize::from(second & 0x3f) * 4;
    // Version 0; the length is in words, and counts the whole header.
    if first >> 6 != 0 || length < HEADER {
        return Err(Reason::BadHeader);
    }
    if first & OAM != 0 {
        return Err(Reason::NotIp);
    }
    let layer = match next {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        4 => Layer::EtherType(0x894f),
        5 => Layer::EtherType(0x8847),
        _ => return Err(Reason::NotIp),
    };
    let path = payload.u32(4)? >> 8;
    Ok(Inner::after(payload, length, layer)?.via(ether::via(0x894f, path)))
}
