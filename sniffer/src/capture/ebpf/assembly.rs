//! Records of the ring -> packets.

use hashbrown::HashMap;
use sniffer_ebpf::record::RecordHeader;

/// Puts the records of a packet together, and owns the bytes of the last whole one.
///
/// Nearly every packet is one record. The records of a longer one come in order, with other CPUs'
/// records between them; where the ring had no room for one of them, the rest never come. So there
/// is at most one unfinished packet a CPU, and the CPU's next packet ends it.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    packet: Vec<u8>,
    unfinished: HashMap<u32, Unfinished>,
    spare: Vec<u8>,
    broken: u64,
}

#[derive(Debug)]
struct Unfinished {
    packet: u64,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Takes a record; gives the last head of the packet that it completes. Its bytes are then
    /// [`Assembler::bytes`].
    pub(super) fn push(&mut self, record: &[u8]) -> Option<RecordHeader> {
        let Some((header, bytes)) = RecordHeader::split(record) else {
            self.broken += 1;
            return None;
        };
        if header.offset == 0 {
            self.drop_unfinished(header.cpu);
            if header.is_last() {
                self.packet.clear();
                self.packet.extend_from_slice(bytes);
                return Some(header);
            }
            let mut start = std::mem::take(&mut self.spare);
            start.clear();
            start.extend_from_slice(bytes);
            let packet = header.packet;
            self.unfinished.insert(
                header.cpu,
                Unfinished {
                    packet,
                    bytes: start,
                },
            );
            return None;
        }
        let fits = self.unfinished.get_mut(&header.cpu).filter(|begun| {
            begun.packet == header.packet && begun.bytes.len() == header.offset as usize
        });
        let Some(begun) = fits else {
            self.broken += 1;
            return None;
        };
        begun.bytes.extend_from_slice(bytes);
        if !header.is_last() {
            return None;
        }
        let whole = self.unfinished.remove(&header.cpu)?;
        self.spare = std::mem::replace(&mut self.packet, whole.bytes);
        Some(header)
    }

    /// The bytes of the packet that was completed last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.packet
    }

    /// Records that fit nowhere: the program writes none, so a number above 0 is a fault.
    pub(super) const fn broken(&self) -> u64 {
        self.broken
    }

    /// The kernel counted this packet as lost for want of room.
    fn drop_unfinished(&mut self, cpu: u32) {
        if !self.unfinished.is_empty()
            && let Some(begun) = self.unfinished.remove(&cpu)
        {
            self.spare = begun.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use sniffer_ebpf::record::{FLAG_LAST, MAX_RECORDS};

    use super::*;

    /// A record, and the packet that it completes.
    type Step = (Vec<u8>, Option<Vec<u8>>);

    fn record(cpu: u32, packet: u64, offset: usize, bytes: &[u8], last: bool) -> Vec<u8> {
        let mut record = vec![0; RecordHeader::SIZE];
        record[8..16].copy_from_slice(&packet.to_ne_bytes());
        record[24..28].copy_from_slice(&(offset as u32).to_ne_bytes());
        record[28..32].copy_from_slice(&(bytes.len() as u32).to_ne_bytes());
        record[32..36].copy_from_slice(&cpu.to_ne_bytes());
        record[42..44].copy_from_slice(&(if last { FLAG_LAST } else { 0 }).to_ne_bytes());
        record.extend_from_slice(bytes);
        // What the size class leaves over has no meaning.
        record.extend_from_slice(&[0xee; 5]);
        record
    }

    #[test]
    fn one_record_is_a_packet() {
        let mut assembler = Assembler::default();
        let header = assembler
            .push(&record(0, 1, 0, b"abc", true))
            .expect("a packet");
        assert_eq!((header.packet, assembler.bytes()), (1, &b"abc"[..]));
    }

    #[test]
    fn records_of_another_cpu_stand_between() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push(&record(0, 1, 0, b"abc", false)), None);
        assert!(assembler.push(&record(1, 1, 0, b"xyz", true)).is_some());
        assert_eq!(assembler.bytes(), b"xyz");
        assert!(assembler.push(&record(0, 1, 3, b"de", true)).is_some());
        assert_eq!(assembler.bytes(), b"abcde");
    }

    #[test]
    fn a_packet_whose_rest_was_lost_is_never_given() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push(&record(0, 1, 0, b"abc", false)), None);
        assert_eq!(
            assembler.push(&record(0, 2, 3, b"de", true)),
            None,
            "another packet's rest"
        );
        assert!(assembler.push(&record(0, 3, 0, b"f", true)).is_some());
        assert_eq!(
            assembler.push(&record(0, 1, 3, b"de", true)),
            None,
            "too late"
        );
        assert_eq!(assembler.broken(), 2);
    }

    proptest! {
        /// Packets of several CPUs, cut into records, some cut off, mixed in any order that the
        /// ring can have: exactly the whole ones come out, as they were.
        #[test]
        fn whole_packets_come_out_as_they_were(
            plan in prop::collection::vec(
                // The CPU, the pieces' lengths, and whether the packet's last record is lost.
                (0..4_u32, prop::collection::vec(1..50_usize, 1..=MAX_RECORDS), any::<bool>()),
                1..40,
            ),
            order in prop::collection::vec(0..4_u32, 0..200),
        ) {
            let mut queues: [VecDeque<Step>; 4] = std::array::from_fn(|_| VecDeque::new());
            for (number, (cpu, pieces, cut)) in plan.iter().enumerate() {
                let mut whole = Vec::new();
                for (index, length) in pieces.iter().enumerate() {
                    let last = index + 1 == pieces.len();
                    let piece: Vec<u8> = (0..*length).map(|at| (at + index + number) as u8).collect();
                    let offset = whole.len();
                    whole.extend_from_slice(&piece);
                    if last && *cut {
                        break;
                    }
                    queues[*cpu as usize].push_back((
                        record(*cpu, number as u64, offset, &piece, last),
                        last.then(|| whole.clone()),
                    ));
                }
            }
            let mut assembler = Assembler::default();
            let rest = (0..4_u32).flat_map(|cpu| std::iter::repeat_n(cpu, 400));
            for cpu in order.into_iter().chain(rest) {
                let Some((record, expected)) = queues[cpu as usize].pop_front() else { continue };
                let got = assembler.push(&record).map(|_| assembler.bytes().to_vec());
                prop_assert_eq!(got, expected);
            }
            prop_assert_eq!(assembler.broken(), 0);
        }

        #[test]
        fn no_record_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut assembler = Assembler::default();
            assembler.push(&bytes);
            assembler.push(&bytes);
        }
    }
}
