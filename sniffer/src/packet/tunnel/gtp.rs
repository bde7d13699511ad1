//! GTP-U, the user plane of mobile networks (3GPP TS 29.281 §5).

use super::super::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
};

const HEADER: usize = 8;

/// Extension headers of one packet; the standard has a handful of kinds.
const MAX_EXTENSIONS: usize = 8;

/// Takes the header and its extensions off a user's packet.
pub(super) fn open(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    /// Version 1, GTP and not its charging twin, a bit of zero.
    const VERSION: u8 = 0x30;
    const EXTENSION: u8 = 0x04;
    const OPTIONS: u8 = 0x07;
    const USER_PACKET: u8 = 255;
    let [flags, message] = datagram.octets(0)?;
    let length = usize::from(datagram.u16(2)?);
    let tunnel = datagram.u32(4)?;
    let fits = HEADER + length <= datagram.wire_len;
    if flags & !OPTIONS != VERSION || message != USER_PACKET || !fits {
        return Ok(None);
    }
    let datagram = datagram.cut_to(HEADER + length);
    let mut at = HEADER;
    if flags & OPTIONS != 0 {
        // Sequence and packet number, and the next extension's type. One flag brings all three.
        let mut next = datagram.u8(at + 3)?;
        at += 4;
        if flags & EXTENSION == 0 {
            next = 0;
        }
        for _ in 0..MAX_EXTENSIONS {
            if next == 0 {
                break;
            }
            // In words; the last octet is the type of the one after it.
            let extension = usize::from(datagram.u8(at)?) * 4;
            if extension == 0 {
                return Ok(None);
            }
            next = datagram.u8(at + extension - 1)?;
            at += extension;
        }
        if next != 0 {
            return Ok(None);
        }
    }
    let packet = datagram.after(at)?;
    if !ip::plausible(packet)? {
        return Ok(None);
    }
    Inner::after(packet, 0, Layer::Ip).map(|inner| Some(inner.via(2152 << 16 ^ tunnel)))
}
