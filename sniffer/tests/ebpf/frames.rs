//! Hand-made frames, byte by byte as the RFCs draw them.

/// The port that the tests tap.
pub(crate) const PORT: u16 = 8_000;

pub(crate) const ACK: u8 = 0x10;
pub(crate) const SYN: u8 = 0x02;

/// An Ethernet frame with these VLAN tags' EtherTypes, padded to the 60 bytes that a wire carries.
pub(crate) fn ethernet(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in tags {
        frame.extend_from_slice(&tag.to_be_bytes());
        frame.extend_from_slice(&5_u16.to_be_bytes());
    }
    let ethertype: u16 = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(packet);
    if frame.len() < 60 {
        frame.resize(60, 0);
    }
    frame
}

/// An IPv4 datagram with `options` in its header and this word of flags and fragment offset.
pub(crate) fn ipv4(protocol: u8, options: &[u8], fragment: u16, payload: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let header_len = 20 + options.len();
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0];
    packet.extend_from_slice(&((header_len + payload.len()) as u16).to_be_bytes());
    packet.extend_from_slice(&[0x12, 0x34]);
    packet.extend_from_slice(&fragment.to_be_bytes());
    packet.extend_from_slice(&[64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend_from_slice(options);
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 datagram; `next` is the first header after the fixed one.
pub(crate) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next, 64]);
    packet.extend_from_slice(&[0xfd; 16]);
    packet.extend_from_slice(&[0xfe; 16]);
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 extension header of `units` × 8 bytes and 8 more.
pub(crate) fn extension(next: u8, units: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = vec![next, units];
    header.resize(8 * (usize::from(units) + 1), 0);
    header.extend_from_slice(rest);
    header
}

/// An authentication header of 24 bytes: its length counts in units of four, less two.
pub(crate) fn authentication(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 4];
    header.resize(24, 0);
    header.extend_from_slice(rest);
    header
}

/// An IPv6 fragment header; `offset` in units of 8 bytes.
pub(crate) fn fragment(next: u8, offset: u16, more: bool, rest: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend_from_slice(&(offset << 3 | u16::from(more)).to_be_bytes());
    header.extend_from_slice(&[0, 0, 0, 9]);
    header.extend_from_slice(rest);
    header
}

/// A TCP segment with `options` in its header.
pub(crate) fn tcp(from: u16, to: u16, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let mut segment = Vec::new();
    segment.extend_from_slice(&from.to_be_bytes());
    segment.extend_from_slice(&to.to_be_bytes());
    segment.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
    segment.extend_from_slice(&[
        ((20 + options.len()) / 4 * 16) as u8,
        flags,
        1,
        0,
        0,
        0,
        0,
        0,
    ]);
    segment.extend_from_slice(options);
    segment.extend_from_slice(payload);
    segment
}

/// A segment to the tapped port.
pub(crate) fn to_port(payload: &[u8]) -> Vec<u8> {
    tcp(40_000, PORT, ACK, &[1; 12], payload)
}
