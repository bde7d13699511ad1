//! VXLAN (RFC 7348), its group policy, and its generic protocol extension.

use super::super::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
    link::{self, Likeness},
};

const HEADER: usize = 8;

/// That the network identifier is valid.
const IDENTIFIER: u8 = 0x08;

/// Takes the header off a VXLAN packet.
pub(super) fn open(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    /// Group policy (draft-smith-vxlan-group-policy), as Cilium and Open vSwitch set it: that there is a
    /// group, and in the second octet "don't learn" and "policy applied".
    const GROUP: u8 = 0x80;
    const POLICY: u8 = 0x48;
    let [flags, policy, group @ ..]: [u8; 4] = datagram.octets(0)?;
    let frame = datagram.after(HEADER)?;
    // A receiver ignores reserved bits, and some switches use them: then the frame must prove it.
    let enough = if flags & !GROUP == IDENTIFIER
        && policy & !POLICY == 0
        && (flags & GROUP != 0 || group == [0; 2])
    {
        Likeness::Length
    } else {
        Likeness::Type
    };
    if flags & IDENTIFIER == 0 || link::likeness(frame)? < enough {
        return Ok(None);
    }
    Inner::after(frame, 0, Layer::Ethernet).map(|inner| Some(inner.via(via(datagram))))
}

/// The same for VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe), which says what it carries.
pub(super) fn open_generic(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    const PROTOCOL: u8 = 0x04;
    /// Version, broadcast; operation and maintenance must not be set.
    const VERSION: u8 = 0x30;
    const OPERATION: u8 = 0x01;
    let [flags, a, b, protocol] = datagram.octets(0)?;
    let generic = flags & (VERSION | OPERATION | IDENTIFIER | PROTOCOL) == IDENTIFIER | PROTOCOL;
    if !generic {
        return open(datagram);
    }
    let rest = datagram.after(HEADER)?;
    let layer = match protocol {
        1 | 2 if ip::plausible(rest)? => Layer::Ip,
        3 if link::likeness(rest)? != Likeness::None => Layer::Ethernet,
        4 if is_service(rest)? => Layer::EtherType(0x894f),
        5 => Layer::EtherType(0x8847),
        _ => return Ok(None),
    };
    if [a, b] != [0; 2] {
        return Ok(None);
    }
    Inner::after(rest, 0, layer).map(|inner| Some(inner.via(via(datagram))))
}

/// Whether a network service header begins here, with what it says behind it.
fn is_service(rest: Payload<'_>) -> Result<bool, Reason> {
    match link::service(rest) {
        Ok(inner) => match inner.layer {
            Layer::Ip => ip::plausible(inner.payload),
            Layer::Ethernet => Ok(link::likeness(inner.payload)? != Likeness::None),
            _ => Ok(true),
        },
        Err(Reason::Cut) => Err(Reason::Cut),
        Err(_) => Ok(false),
    }
}

/// The network's identifier.
fn via(datagram: Payload<'_>) -> u32 {
    4789 << 16 ^ datagram.u32(4).unwrap_or_default() >> 8
}
