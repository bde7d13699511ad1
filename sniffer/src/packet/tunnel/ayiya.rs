//! AYIYA: a tunnel broker's IPv6 (draft-massar-v6ops-ayiya).

use super::super::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
};

/// Without identity and signature: the last four octets are the time.
const HEADER: usize = 8;

/// Takes the header, the identity and the signature off.
pub(super) fn open(datagram: Payload<'_>) -> Result<Option<Inner<'_>>, Reason> {
    const FORWARD: u8 = 1;
    let [identity, signature, operation, next] = datagram.octets(0)?;
    if operation & 15 != FORWARD || !matches!(next, 4 | 41) {
        return Ok(None);
    }
    let length = HEADER + (1 << (identity >> 4)) + usize::from(signature >> 4) * 4;
    let packet = datagram.after(length)?;
    if !ip::plausible(packet)? {
        return Ok(None);
    }
    Inner::after(packet, 0, Layer::Ip).map(|inner| Some(inner.via(5072 << 16)))
}
