//! Teredo: IPv6 through address translators (RFC 4380 §5.1.1).

use super::super::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
};

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
