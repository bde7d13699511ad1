//! The TCP header (RFC 9293 §3.1).

use std::net::SocketAddr;

use super::{Flags, Payload, Reason, Segment, decoder::Carrier};
use crate::tcp::SeqNumber;

/// The header without options.
const FIXED: usize = 20;

/// Reads a segment. Its options may be cut: with a snapshot length of 54 octets, those of a SYN are.
#[inline]
pub(super) fn segment(carrier: Carrier, packet: Payload<'_>) -> Result<Segment<'_>, Reason> {
    let header: [u8; FIXED] = packet.octets(0)?;
    let [
        s0,
        s1,
        d0,
        d1,
        q0,
        q1,
        q2,
        q3,
        a0,
        a1,
        a2,
        a3,
        offset,
        flags,
        ..,
    ] = header;
    let length = usize::from(offset >> 4) * 4;
    let Some(wire_len) = packet
        .wire_len
        .checked_sub(length)
        .filter(|_| length >= FIXED)
    else {
        return Err(Reason::BadHeader);
    };
    Ok(Segment {
        time: carrier.time,
        source: SocketAddr::new(carrier.source, u16::from_be_bytes([s0, s1])),
        destination: SocketAddr::new(carrier.destination, u16::from_be_bytes([d0, d1])),
        seq: SeqNumber(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: (flags & 0x10 != 0).then(|| SeqNumber(u32::from_be_bytes([a0, a1, a2, a3]))),
        flags: Flags {
            fin: flags & 0x01 != 0,
            syn: flags & 0x02 != 0,
            rst: flags & 0x04 != 0,
        },
        payload: packet.bytes.get(length..).unwrap_or_default(),
        wire_len: u32::try_from(wire_len).unwrap_or(u32::MAX),
        interface: carrier.place.0,
        ip_id: carrier.ip_id,
    })
}
