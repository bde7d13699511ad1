//! The classic capture format (draft-ietf-opsawg-pcap).

use analyzer::time::Timestamp;

use super::buffer::{Fill, Order, ReadBuffer};
use super::{Damage, Head, MAX_RECORD, Step, without_fcs};

/// Bytes of the file header.
const FILE_HEADER: usize = 24;

/// Of the field with the link type: that frames end with their check sequence.
const HAS_FCS: u32 = 0x0400_0000;

/// Bytes of a record's header: seconds, ticks, captured length, original length.
const PLAIN: usize = 16;

/// The same, then interface index, protocol and packet type (Alexey Kuznetsov's patched libpcap).
const MODIFIED: usize = 24;

/// A pcap file past its header.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    ticks: Ticks,
    link: u16,
    /// Bytes of the frame check sequence after each frame.
    fcs: u8,
    record_header: usize,
}

/// The unit of a record's second time field.
#[derive(Clone, Copy, Debug)]
enum Ticks {
    Micro,
    Nano,
}

impl Pcap {
    /// Whether a file that begins so is a pcap file.
    pub(super) fn recognises(magic: [u8; 4]) -> bool {
        layout(magic).is_some()
    }

    /// Reads the file header.
    pub(super) fn open(buffer: &mut ReadBuffer) -> Result<Self, Damage> {
        if buffer.fill(FILE_HEADER) == Fill::Short {
            return Err(Damage::Cut);
        }
        let header = buffer.at_hand();
        let (order, ticks, record_header) = header
            .first_chunk()
            .copied()
            .and_then(layout)
            .ok_or(Damage::ByteOrder)?;
        // The upper bits say whether a check sequence follows each frame, and of how many pairs of bytes.
        let field = order.u32(header, 20).ok_or(Damage::Cut)?;
        let link = (field & 0xffff) as u16;
        let fcs = if field & HAS_FCS == 0 {
            0
        } else {
            (field >> 28) as u8 * 2
        };
        buffer.consume_bytes(FILE_HEADER);
        Ok(Self {
            order,
            ticks,
            link,
            fcs,
            record_header,
        })
    }

    /// The next record, left in the buffer.
    pub(super) fn next(&mut self, buffer: &mut ReadBuffer) -> Step {
        if buffer.fill(self.record_header) == Fill::Short {
            return if buffer.at_hand().is_empty() {
                Step::End
            } else {
                Step::Broken(Damage::Cut)
            };
        }
        let (order, header) = (self.order, buffer.at_hand());
        let fields = (|| {
            Some((
                order.u32(header, 0)?,
                order.u32(header, 4)?,
                order.u32(header, 8)?,
                order.u32(header, 12)?,
            ))
        })();
        let Some((seconds, ticks, captured, original)) = fields else {
            return Step::Broken(Damage::Cut);
        };
        if captured > MAX_RECORD {
            return Step::Broken(Damage::Length(u64::from(captured)));
        }
        let total = self.record_header + captured as usize;
        if buffer.fill(total) == Fill::Short {
            return Step::Broken(Damage::Cut);
        }
        // The patched format names the interface, by the system's number.
        let interface = match self.record_header {
            MODIFIED => order.u32(buffer.at_hand(), PLAIN).unwrap_or_default() as u16,
            _ => 0,
        };
        let (captured, wire_len) = without_fcs(captured, original, self.fcs);
        let micros = match self.ticks {
            Ticks::Micro => ticks,
            Ticks::Nano => ticks / 1000,
        };
        Step::Packet(Head {
            time: Timestamp::from_micros(i64::from(seconds) * 1_000_000 + i64::from(micros)),
            link: Some(self.link),
            skip: self.record_header,
            captured,
            total,
            wire_len,
            interface,
        })
    }
}

/// Byte order, time unit and length of the record header, by the first four bytes.
fn layout(magic: [u8; 4]) -> Option<(Order, Ticks, usize)> {
    [
        (Order::Little, u32::from_le_bytes(magic)),
        (Order::Big, u32::from_be_bytes(magic)),
    ]
    .into_iter()
    .find_map(|(order, value)| match value {
        0xa1b2_c3d4 => Some((order, Ticks::Micro, PLAIN)),
        0xa1b2_3c4d => Some((order, Ticks::Nano, PLAIN)),
        0xa1b2_cd34 => Some((order, Ticks::Micro, MODIFIED)),
        _ => None,
    })
}
