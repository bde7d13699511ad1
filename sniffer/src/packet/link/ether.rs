//! Ethernet, and what its types name: tags, IP, frames in frames (IEEE 802.3, 802.1Q, 802.2).

use super::{mpls, nsh, ppp};
use crate::packet::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
};

/// Both addresses and the type.
const HEADER: usize = 14;

/// Types from here on are types; below are lengths up to [`MAX_LENGTH`], and nothing between.
const MIN_TYPE: u16 = 0x600;
const MAX_LENGTH: u16 = 1500;

/// What Linux names a rest that is LLC where it has no type, as in its cooked captures.
const ETH_P_802_2: u16 = 4;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const MPLS: [u16; 2] = [0x8847, 0x8848];
const PPPOE: u16 = 0x8864;

const NSH: u16 = 0x894f;

/// IEEE 802.1Q, 802.1ad, and the two that were used for the outer tag before that.
const VLAN: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

/// Takes the addresses off.
#[inline]
pub(super) fn frame(frame: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let kind = frame.u16(HEADER - 2)?;
    // The usual one, in one step.
    if matches!(kind, IPV4 | IPV6) {
        return Inner::after(frame, HEADER, Layer::Ip);
    }
    let inner = Inner::after(frame, HEADER, Layer::EtherType(kind))?;
    Ok(match kind {
        MIN_TYPE.. => inner,
        length => Inner {
            layer: if length <= MAX_LENGTH {
                Layer::Llc
            } else {
                inner.layer
            },
            payload: inner.payload.cut_to(usize::from(length)),
            via: 0,
        },
    })
}

/// Takes off what an EtherType names.
pub(super) fn kind(kind: u16, payload: Payload<'_>) -> Result<Inner<'_>, Reason> {
    match kind {
        IPV4 | IPV6 => Inner::after(payload, 0, Layer::Ip),
        kind if VLAN.contains(&kind) => {
            // A tag with the identifier 0 has a priority only.
            Ok(match u32::from(payload.u16(0)? & 0xfff) {
                0 => tag(payload, 2)?,
                id => tag(payload, 2)?.via(via(VLAN[0], id)),
            })
        }
        kind if MPLS.contains(&kind) => mpls::stack(payload),
        PPPOE => ppp::session(payload),
        0x880b => Inner::after(payload, 0, Layer::Ppp),
        // A whole frame behind: transparent bridging, a provider's backbone (I-TAG with the service's
        // number, IEEE 802.1ah), FabricPath.
        0x6558 => Inner::after(payload, 0, Layer::Ethernet),
        0x88e7 => {
            let service = payload.u32(0)? & 0x00ff_ffff;
            Ok(Inner::after(payload, 4, Layer::Ethernet)?.via(via(kind, service)))
        }
        NSH => nsh::service(payload),
        0x8903 => Inner::after(payload, 2, Layer::Ethernet),
        // VN-tag and E-tag (IEEE 802.1BR): ports of a switch that reaches into the host.
        0x8926 => tag(payload, 4),
        0x893f => tag(payload, 6),
        // MACsec (IEEE 802.1AE).
        0x88e5 => Err(Reason::Opaque),
        ETH_P_802_2 => Inner::after(payload, 0, Layer::Llc),
        _ => Err(Reason::NotIp),
    }
}

/// Takes off LLC, and SNAP where that follows (IEEE 802.2, RFC 1042).
pub(super) fn llc(payload: Payload<'_>) -> Result<Inner<'_>, Reason> {
    match payload.octets(0)? {
        [0xaa, 0xaa, 3] => {
            let organisation: [u8; 3] = payload.octets(3)?;
            let kind = payload.u16(6)?;
            match organisation {
                // Bridges tunnel some types under the second (IEEE 802.1H).
                [0, 0, 0 | 0xf8] => Inner::after(payload, 8, Layer::EtherType(kind)),
                _ => Err(Reason::NotIp),
            }
        }
        // IP's own service access point.
        [6, 6, 3] => Inner::after(payload, 3, Layer::Ip),
        _ => Err(Reason::NotIp),
    }
}

/// How sure it is that an Ethernet frame begins somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// It does not.
    None,
    /// There is a length that fits, as many numbers would.
    Length,
    /// There is the type of IP, or of something that stands before IP or beside it, and IP fits.
    Type,
}

/// Whether an Ethernet frame begins here.
pub(crate) fn likeness(frame: Payload<'_>) -> Result<Likeness, Reason> {
    if frame.wire_len < HEADER {
        return Ok(Likeness::None);
    }
    let kind = frame.u16(HEADER - 2)?;
    let rest = frame.after(HEADER)?;
    let known = match kind {
        IPV4 | IPV6 => ip::plausible(rest)?,
        kind => kind == ARP || kind == PPPOE || VLAN.contains(&kind) || MPLS.contains(&kind),
    };
    Ok(if known {
        Likeness::Type
    } else if kind <= MAX_LENGTH && usize::from(kind) <= rest.wire_len {
        Likeness::Length
    } else {
        Likeness::None
    })
}

/// A tag of so many octets, and the type after it.
fn tag(payload: Payload<'_>, length: usize) -> Result<Inner<'_>, Reason> {
    match payload.u16(length)? {
        // In a tagged frame of 802.3 the length stands where the type would.
        kind if kind <= MAX_LENGTH => {
            let rest = payload.cut_to(length + 2 + usize::from(kind));
            Inner::after(rest, length + 2, Layer::Llc)
        }
        kind => Inner::after(payload, length + 2, Layer::EtherType(kind)),
    }
}

/// What a wrapping says of the way: its type and its number.
pub(super) fn via(kind: u16, number: u32) -> u32 {
    u32::from(kind) << 16 ^ number
}
