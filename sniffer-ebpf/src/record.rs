//! One record in the ring: a fixed head, then captured bytes.
//!
//! A packet makes one record, or several where it is longer than the largest size class. The
//! records of one packet come from one run of the program on one CPU: they are in order, but
//! records of other CPUs' packets may stand between them.

/// The bytes of a packet that a record can hold, a size class each.
///
/// The ring hands out room of a size that is fixed when the program is verified, so a packet takes
/// the smallest class that it fits in. 128 holds every packet without payload (Ethernet 14, two
/// VLAN tags 8, IPv6 40, TCP 60), 2,048 a packet of an MTU of 1,500, 16,384 one of a jumbo frame
/// or a few merged by GRO, and the last a whole GSO packet (65,535 and its link header).
pub const SIZE_CLASSES: [usize; 5] = [128, 512, 2_048, 16_384, 66_000];

/// The largest size class; what is longer goes out as several records.
pub const LARGEST_CLASS: usize = SIZE_CLASSES[SIZE_CLASSES.len() - 1];

/// The most records that one packet may take.
///
/// 8 records hold 528,000 bytes. The kernel's own limit for a packet is 8 × 65,535 bytes and its
/// headers (`GSO_MAX_SIZE`, BIG TCP). A longer one would be counted as not copied.
pub const MAX_RECORDS: usize = 8;

/// What stands before the captured bytes of each record; all integers in the host's byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// When the program saw the packet: nanoseconds of `CLOCK_MONOTONIC`. The same in all records
    /// of a packet.
    pub time: u64,
    /// The packet's number among those that this CPU matched, from 1 on. With `cpu` it names the
    /// packet that a record is part of.
    pub packet: u64,
    /// The interface's index in its network namespace.
    pub ifindex: u32,
    /// The packet's length, its link header included, as the kernel has it. A GSO or GRO packet
    /// counts as the one packet that it is here.
    pub total_len: u32,
    /// Where in the packet this record's bytes begin.
    pub offset: u32,
    /// How many bytes of the packet follow this head. What the record holds beyond them has no
    /// meaning.
    pub captured_len: u32,
    /// The CPU that the program ran on.
    pub cpu: u32,
    /// The VLAN tag (TCI) that the kernel keeps beside the packet; it stands not in its bytes.
    /// It has a meaning with [`FLAG_VLAN`] only.
    pub vlan_tci: u16,
    /// The EtherType of the network layer, VLAN tags skipped: 0x0800 or 0x86dd.
    pub ethertype: u16,
    /// [`DIRECTION_INGRESS`] or [`DIRECTION_EGRESS`], as the interface sees it.
    pub direction: u8,
    /// The outermost header: [`LINK_ETHERNET`] or [`LINK_RAW_IP`].
    pub link: u8,
    /// [`FLAG_LAST`], [`FLAG_HEADERS_ONLY`], [`FLAG_VLAN`].
    pub flags: u16,
    /// Where in the packet the IP header begins.
    pub network: u16,
    /// Where the TCP header begins; 0 in a fragment that is not the first of its datagram.
    pub transport: u16,
}

/// The packet comes into the host (on `lo`: it is the only hook that is used).
pub const DIRECTION_INGRESS: u8 = 0;
/// The packet leaves the host.
pub const DIRECTION_EGRESS: u8 = 1;

/// The packet begins with an Ethernet header.
pub const LINK_ETHERNET: u8 = 0;
/// The packet begins with its IP header (tun, WireGuard, IP tunnels).
pub const LINK_RAW_IP: u8 = 1;

/// The packet's last record: no more of its bytes follow.
pub const FLAG_LAST: u16 = 1;
/// The packet has no payload, and only its headers were copied.
pub const FLAG_HEADERS_ONLY: u16 = 2;
/// The kernel keeps a VLAN tag beside the packet, see [`RecordHeader::vlan_tci`].
pub const FLAG_VLAN: u16 = 4;

impl RecordHeader {
    /// Its length in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// Splits a record into its head and the captured bytes after it.
    ///
    /// `None` where the record is shorter than it says, which no record of the program is.
    pub fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let header = Self {
            time: u64_at(record, 0)?,
            packet: u64_at(record, 8)?,
            ifindex: u32_at(record, 16)?,
            total_len: u32_at(record, 20)?,
            offset: u32_at(record, 24)?,
            captured_len: u32_at(record, 28)?,
            cpu: u32_at(record, 32)?,
            vlan_tci: u16_at(record, 36)?,
            ethertype: u16_at(record, 38)?,
            direction: *record.get(40)?,
            link: *record.get(41)?,
            flags: u16_at(record, 42)?,
            network: u16_at(record, 44)?,
            transport: u16_at(record, 46)?,
        };
        let captured = record
            .get(Self::SIZE..)?
            .get(..header.captured_len as usize)?;
        Some((header, captured))
    }

    /// Whether no more records of this packet follow.
    pub const fn is_last(&self) -> bool {
        self.flags & FLAG_LAST != 0
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    /// The offsets that `split` reads at are those that the compiler lays the struct out with.
    #[test]
    fn split_reads_where_the_fields_lie() {
        assert_eq!(RecordHeader::SIZE, 48);
        assert_eq!(align_of::<RecordHeader>(), 8);
        assert_eq!(offset_of!(RecordHeader, time), 0);
        assert_eq!(offset_of!(RecordHeader, packet), 8);
        assert_eq!(offset_of!(RecordHeader, ifindex), 16);
        assert_eq!(offset_of!(RecordHeader, total_len), 20);
        assert_eq!(offset_of!(RecordHeader, offset), 24);
        assert_eq!(offset_of!(RecordHeader, captured_len), 28);
        assert_eq!(offset_of!(RecordHeader, cpu), 32);
        assert_eq!(offset_of!(RecordHeader, vlan_tci), 36);
        assert_eq!(offset_of!(RecordHeader, ethertype), 38);
        assert_eq!(offset_of!(RecordHeader, direction), 40);
        assert_eq!(offset_of!(RecordHeader, link), 41);
        assert_eq!(offset_of!(RecordHeader, flags), 42);
        assert_eq!(offset_of!(RecordHeader, network), 44);
        assert_eq!(offset_of!(RecordHeader, transport), 46);
    }

    #[test]
    fn a_record_splits_into_head_and_bytes_and_never_past_its_end() {
        let mut record = vec![0; RecordHeader::SIZE];
        record[0..8].copy_from_slice(&7_u64.to_ne_bytes());
        record[28..32].copy_from_slice(&3_u32.to_ne_bytes());
        record[42..44].copy_from_slice(&FLAG_LAST.to_ne_bytes());
        record.extend_from_slice(b"abcXX");

        let (header, captured) = RecordHeader::split(&record).expect("a whole record");
        assert_eq!((header.time, captured), (7, &b"abc"[..]));
        assert!(header.is_last());
        for cut in 0..RecordHeader::SIZE + 3 {
            assert_eq!(RecordHeader::split(&record[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn every_class_is_a_whole_number_of_ring_slots() {
        for class in SIZE_CLASSES {
            assert_eq!((RecordHeader::SIZE + class) % 8, 0, "{class}");
        }
        const { assert!(MAX_RECORDS * LARGEST_CLASS > 8 * 65_535 + 64) };
    }
}
