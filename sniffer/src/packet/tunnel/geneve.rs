//! GENEVE (RFC 8926).

use super::super::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
    link::{self, Likeness},
};

/// Without options.
const HEADER: usize = 8;

const ETHERNET: u16 = 0x6558;

/// Takes the header and its options off.
pub(super) fn open(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    /// A control message, not a packet of the network.
    const CONTROL: u8 = 0x80;
    let [first, flags] = datagram.octets(0)?;
    let kind = datagram.u16(2)?;
    let network = datagram.u32(4)? >> 8;
    // Version 0; the options' length in words.
    if first >> 6 != 0 || flags & CONTROL != 0 {
        return Ok(None);
    }
    let rest = datagram.after(HEADER + usize::from(first & 0x3f) * 4)?;
    let fits = match kind {
        ETHERNET => link::likeness(rest)? != Likeness::None,
        0x0800 | 0x86dd => ip::plausible(rest)?,
        0x8847 | 0x8848 => true,
        _ => false,
    };
    if !fits {
        return Ok(None);
    }
    let inner = Inner::after(rest, 0, Layer::EtherType(kind))?;
    Ok(Some(inner.via(6081 << 16 ^ network)))
}
