//! The usual frame, read in one step.

use super::{Payload, Segment, decoder::Carrier, ip, layer::Place, tcp};
use crate::capture::{LinkType, Packet};

/// Ethernet's addresses and type.
const ETHERNET: usize = 14;
/// An IPv4 header without options.
const IPV4: usize = 20;

/// The segment of an IPv4 packet that is whole and without options, right behind Ethernet's header: nearly
/// every frame of most captures. `None` for all else, be it broken or not: that takes the long way.
#[inline]
pub(super) fn segment<'a>(packet: &Packet<'a>) -> Option<Segment<'a>> {
    if packet.link != LinkType::Ethernet {
        return None;
    }
    let headers = packet.data.first_chunk::<{ ETHERNET + IPV4 }>()?;
    let (ethernet, header) = headers.split_first_chunk::<ETHERNET>()?;
    let header: &[u8; IPV4] = header.first_chunk()?;
    let [.., 0x08, 0x00] = ethernet else {
        return None;
    };
    let [0x45, _, l0, l1, i0, i1, f0, f1, _, ip::TCP, _, _, ends @ ..] = *header else {
        return None;
    };
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    // The flag "more fragments" and the offset: none of them is set in a whole datagram.
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 || total < IPV4 {
        return None;
    }
    let [s0, s1, s2, s3, d0, d1, d2, d3] = ends;
    let carrier = Carrier {
        time: packet.time,
        source: [s0, s1, s2, s3].into(),
        destination: [d0, d1, d2, d3].into(),
        ip_id: Some(u16::from_be_bytes([i0, i1])),
        place: Place(packet.interface),
    };
    let frame = Payload::new(packet.data, packet.wire_len as usize);
    let datagram = frame.after(ETHERNET).ok()?.cut_to(total);
    tcp::segment(carrier, datagram.after(IPV4).ok()?).ok()
}
