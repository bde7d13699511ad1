//! Linux's netfilter log (LINKTYPE_NFLOG): a header, then attributes, of which one is the packet.

use crate::packet::{
    Payload, Reason,
    layer::{Inner, Layer},
};

/// Address family, version, resource.
const HEADER: usize = 4;

/// Length and type of an attribute.
const ATTRIBUTE: usize = 4;

/// Attributes looked at; the kernel knows fewer than these.
const MAX_ATTRIBUTES: usize = 64;

const PACKET_HEADER: u16 = 1;
const INTERFACE_IN: u16 = 4;
const INTERFACE_OUT: u16 = 5;
const PAYLOAD: u16 = 9;

/// Finds the packet in a log message.
pub(super) fn message(frame: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let [family, version] = frame.octets(0)?;
    if version != 0 {
        return Err(Reason::BadHeader);
    }
    let mut layer = match family {
        2 | 10 => Some(Layer::Ip),
        _ => None,
    };
    let mut via = 0;
    let mut rest = frame.after(HEADER)?;
    for _ in 0..MAX_ATTRIBUTES {
        let (length, kind) = attribute(rest)?;
        let value = rest.after(ATTRIBUTE)?;
        match kind {
            // Of a bridge's packets the family says nothing: this begins with the EtherType.
            PACKET_HEADER if layer.is_none() => layer = Some(Layer::EtherType(value.u16(0)?)),
            INTERFACE_IN => via = value.u32(0)? << 1,
            INTERFACE_OUT if via == 0 => via = value.u32(0)? << 1 | 1,
            PAYLOAD => {
                let packet = value.cut_to(length - ATTRIBUTE);
                return match layer {
                    Some(layer) => Ok(Inner::after(packet, 0, layer)?.via(via)),
                    None => Err(Reason::NotIp),
                };
            }
            _ => {}
        }
        // Attributes are padded to 32 bits.
        rest = rest.after(length.next_multiple_of(4))?;
    }
    Err(Reason::BadHeader)
}

/// An attribute's length, its own header included, and its type: in the byte order of the host that
/// wrote it. Types are small, so that the order shows.
fn attribute(at: Payload<'_>) -> Result<(usize, u16), Reason> {
    let [a, b, c, d] = at.octets(0)?;
    let (length, kind) = if d == 0 {
        (u16::from_le_bytes([a, b]), u16::from(c))
    } else {
        (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    };
    if usize::from(length) < ATTRIBUTE {
        return Err(Reason::BadHeader);
    }
    Ok((usize::from(length), kind))
}
