//! Teredo: IPv6 through address translators (RFC 4380 §5.1.1).

use super::super::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
};

/// The addresses of its clients, 2001::/32.
const PREFIX: [u8; 4] = [0x20, 1, 0, 0];

/// A packet between clients and relays, which have ports of their own and put nothing before it. One end
/// is a client, and the packet fills the datagram.
pub(super) fn between_peers(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    let fills = datagram.wire_len >= 40
        && datagram.u8(0)? >> 4 == 6
        && usize::from(datagram.u16(4)?) + 40 == datagram.wire_len;
    if fills && [datagram.octets(8)?, datagram.octets(24)?].contains(&PREFIX) {
        return open(datagram);
    }
    Ok(None)
}

/// Takes off what may stand before the IPv6 packet.
pub(super) fn open(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    let mut packet = datagram;
    if packet.octets(0)? == [0, 1] {
        // Authentication: an identifier and a value of these lengths, a nonce, a confirmation.
        let [identifier, value] = packet.octets(2)?;
        packet = packet.after(4 + usize::from(identifier) + usize::from(value) + 9)?;
    }
    if packet.octets(0)? == [0, 0] {
        // The origin's port and address.
        packet = packet.after(8)?;
    }
    if packet.u8(0)? >> 4 != 6 || !ip::plausible(packet)? {
        return Ok(None);
    }
    Inner::after(packet, 0, Layer::Ip).map(|inner| Some(inner.via(3544 << 16)))
}
