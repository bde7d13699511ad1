//! The same packet, seen on two interfaces, counts once.
//!
//! A packet that a bridge or a router passes on is seen on the way in and on the way out. TCP would
//! take the second copy for a retransmission, and no byte would count twice; but it costs time, and
//! the packets' number would be wrong.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use sniffer_ebpf::record::RecordHeader;

/// How long after a packet its copy may come, in nanoseconds. Passing a packet on takes
/// microseconds; a copy that comes later is taken for what TCP takes it for, a retransmission.
const WINDOW: u64 = 100_000_000;

/// How many packets are remembered; a new one overwrites the one in its place. 16,384 hold 100 ms
/// of 160,000 packets a second; a packet that is forgotten early makes a retransmission for TCP.
const SLOTS: usize = 16_384;

/// The longest key: addresses 32, identification 4, a TCP header of 60, two lengths.
const KEY_LEN: usize = 128;

/// Remembers the packets of the last moment, by what makes them differ.
#[derive(Debug)]
pub(super) struct Duplicates {
    slots: Vec<Slot>,
    hasher: FixedState,
    found: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u64,
    time: u64,
    place: (u32, u8),
}

impl Default for Duplicates {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            hasher: FixedState::default(),
            found: 0,
        }
    }
}

impl Duplicates {
    /// Whether this is a copy of a packet that was seen at another place just before.
    ///
    /// The same packet at the same place again is a retransmission, and none of this business.
    pub(super) fn is_copy(&mut self, header: &RecordHeader, packet: &[u8]) -> bool {
        let Some((key, length)) = key(header, packet) else {
            return false;
        };
        let hash = self.hasher.hash_one(key.get(..length));
        let index = (hash >> 40) as usize % SLOTS;
        let Some(slot) = self.slots.get_mut(index) else {
            return false;
        };
        let place = (header.ifindex, header.direction);
        let recent = header.time.abs_diff(slot.time) < WINDOW;
        if recent && slot.hash == hash && slot.place != place {
            self.found += 1;
            return true;
        }
        *slot = Slot {
            hash,
            time: header.time,
            place,
        };
        false
    }

    /// How many copies there were.
    pub(super) const fn found(&self) -> u64 {
        self.found
    }
}

/// What makes a packet differ from others and stays the same on its way: not the TTL, the traffic
/// class or a checksum (which offload leaves unfinished on some interfaces).
fn key(header: &RecordHeader, packet: &[u8]) -> Option<([u8; KEY_LEN], usize)> {
    let network = packet.get(usize::from(header.network)..)?;
    let mut key = [0; KEY_LEN];
    let mut length = 0;
    let mut add = |part: &[u8]| {
        if let Some(room) = key.get_mut(length..length + part.len()) {
            room.copy_from_slice(part);
            length += part.len();
        }
    };
    let rest = header
        .total_len
        .checked_sub(u32::from(header.network.max(header.transport)))?;
    match network.first()? >> 4 {
        // Identification and fragment, then the addresses (RFC 791 §3.1).
        4 => {
            add(network.get(4..8)?);
            add(network.get(12..20)?);
        }
        6 => add(network.get(8..40)?),
        _ => return None,
    }
    if header.transport == 0 {
        // A fragment: IPv6 has its place in an extension header, right after the first 40 bytes.
        add(network.get(40..48).unwrap_or_default());
        add(&rest.to_ne_bytes());
    } else {
        let tcp = packet.get(usize::from(header.transport)..)?;
        let header_len = usize::from(*tcp.get(12)? >> 4) * 4;
        add(tcp.get(..16)?);
        add(tcp.get(18..header_len)?);
        // Padding counts not: an interface may add some.
        let end = usize::from(header.transport) + header_len;
        let payload = ip_end(header, network)?.saturating_sub(end);
        add(&(payload as u64).to_ne_bytes());
    }
    Some((key, length))
}

/// Where in the packet the IP datagram ends.
fn ip_end(header: &RecordHeader, network: &[u8]) -> Option<usize> {
    let (at, more) = if network.first()? >> 4 == 4 {
        (2, 0)
    } else {
        (4, 40)
    };
    let length = u16::from_be_bytes(*network.get(at..)?.first_chunk()?);
    // 0 is BIG TCP, as long as the kernel says.
    Some(match length {
        0 => header.total_len as usize,
        length => usize::from(header.network) + usize::from(length) + more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(time: u64, ifindex: u32) -> RecordHeader {
        RecordHeader {
            time,
            packet: 1,
            ifindex,
            total_len: 60,
            offset: 0,
            captured_len: 60,
            cpu: 0,
            vlan_tci: 0,
            ethertype: 0x0800,
            direction: 0,
            link: 0,
            flags: 0,
            network: 14,
            transport: 34,
        }
    }

    fn frame(sequence: u8, ttl: u8, checksum: u8) -> Vec<u8> {
        let mut frame = vec![0; 60];
        frame[14] = 0x45;
        frame[17] = 46;
        frame[22] = ttl;
        frame[41] = sequence;
        frame[46] = 0x50;
        frame[50] = checksum;
        frame
    }

    #[test]
    fn a_packet_passed_on_counts_once_whatever_its_ttl_and_checksum() {
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.is_copy(&header(1_000, 1), &frame(1, 64, 7)));
        assert!(duplicates.is_copy(&header(2_000, 2), &frame(1, 63, 9)));
        assert!(duplicates.is_copy(&header(3_000, 3), &frame(1, 63, 9)));
        assert!(
            !duplicates.is_copy(&header(2_000, 2), &frame(2, 63, 9)),
            "another packet"
        );
        assert_eq!(duplicates.found(), 2);
    }

    #[test]
    fn a_retransmission_passes_and_its_copy_does_not() {
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.is_copy(&header(1_000, 1), &frame(1, 64, 0)));
        assert!(duplicates.is_copy(&header(2_000, 2), &frame(1, 64, 0)));
        assert!(!duplicates.is_copy(&header(90_000, 1), &frame(1, 64, 0)));
        assert!(duplicates.is_copy(&header(91_000, 2), &frame(1, 64, 0)));
    }

    #[test]
    fn past_the_window_it_is_no_copy() {
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.is_copy(&header(1_000, 1), &frame(1, 64, 0)));
        assert!(!duplicates.is_copy(&header(1_000 + WINDOW, 2), &frame(1, 64, 0)));
    }

    proptest::proptest! {
        #[test]
        fn no_packet_is_too_odd(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120),
            network in 0..80_u16,
            transport in 0..80_u16,
        ) {
            let header = RecordHeader { network, transport, ..header(1, 1) };
            Duplicates::default().is_copy(&header, &bytes);
        }
    }
}
