//! The block format (draft-ietf-opsawg-pcapng).

use std::collections::HashSet;

use analyzer::time::Timestamp;

use super::buffer::{Fill, Order, ReadBuffer};
use super::{Damage, Head, MAX_RECORD, Step, without_fcs};

/// Interfaces kept of one section. Captures of whole machines have some hundreds; frames of those past
/// the bound count as of an unsupported link type.
const MAX_INTERFACES: usize = 4096;

/// A packet block: a packet of [`MAX_RECORD`] bytes and as much again as its options can take.
const MAX_BLOCK: u32 = MAX_RECORD + 64 * 1024 + 64;

/// The longest interface or statistics block that is read; the options in them are a few hundred bytes.
const MAX_DESCRIPTION: u32 = 1024 * 1024;

/// Block type and total length.
const BLOCK_HEADER: usize = 8;

/// The total length, repeated.
const BLOCK_TRAILER: usize = 4;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const OPTION_IF_TSRESOL: u16 = 9;
const OPTION_IF_FCSLEN: u16 = 13;
const OPTION_IF_TSOFFSET: u16 = 14;
const OPTION_ISB_IFDROP: u16 = 5;
const OPTION_ISB_OSDROP: u16 = 7;

/// A pcapng file.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// The time of the packet before, for simple packet blocks, which have none.
    last_time: Timestamp,
    /// What the capturing program says that it lost, in the sections before this one.
    lost_before: Lost,
    noted: HashSet<Note>,
}

/// Packets that the capturing program lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// In the interface or its driver.
    pub(super) interface: u64,
    /// In the operating system's ring.
    pub(super) ring: u64,
}

/// What is said once a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Note {
    Untimed,
    UnknownInterface,
    TooManyInterfaces,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    snaplen: u32,
    resolution: Resolution,
    offset_seconds: i64,
    /// Bytes of the frame check sequence after each frame.
    fcs: u8,
    /// The latest of its statistics blocks; they are cumulative.
    lost: Lost,
}

/// Ticks of an interface's clock a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// 10 to this power.
    Decimal(u8),
    /// 2 to this power.
    Binary(u8),
}

impl Pcapng {
    /// Whether a file that begins so is a pcapng file.
    pub(super) fn recognises(magic: [u8; 4]) -> bool {
        u32::from_le_bytes(magic) == SECTION_HEADER
    }

    /// Reads the first section header.
    pub(super) fn open(buffer: &mut ReadBuffer) -> Result<Self, Damage> {
        let mut file = Self {
            order: Order::Little,
            interfaces: Vec::new(),
            last_time: Timestamp::default(),
            lost_before: Lost::default(),
            noted: HashSet::new(),
        };
        file.section(buffer)?;
        Ok(file)
    }

    /// What the file says of packets lost while it was written.
    pub(super) fn lost(&self) -> Lost {
        self.interfaces
            .iter()
            .fold(self.lost_before, |sum, interface| sum.plus(interface.lost))
    }

    /// Reads blocks up to the next packet, which is left in the buffer.
    pub(super) fn next(&mut self, buffer: &mut ReadBuffer) -> Step {
        loop {
            match self.block(buffer) {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(damage) => return Step::Broken(damage),
            }
        }
    }

    /// One block; `None` for those that say nothing to the caller.
    fn block(&mut self, buffer: &mut ReadBuffer) -> Result<Option<Step>, Damage> {
        if buffer.fill(BLOCK_HEADER) == Fill::Short {
            return if buffer.at_hand().is_empty() {
                Ok(Some(Step::End))
            } else {
                Err(Damage::Cut)
            };
        }
        // The section header's type reads the same in both orders; its byte-order magic comes third.
        if Order::Little.u32(buffer.at_hand(), 0) == Some(SECTION_HEADER) {
            return self.section(buffer).map(|()| None);
        }
        let kind = self.order.u32(buffer.at_hand(), 0).ok_or(Damage::Cut)?;
        let total = self.total_length(buffer)?;
        match kind {
            INTERFACE_DESCRIPTION => {
                let body = self.whole_block(buffer, total, MAX_DESCRIPTION)?;
                let interface = describe(self.order, body)?;
                buffer.consume_bytes(total as usize);
                Ok(self.add_interface(interface))
            }
            INTERFACE_STATISTICS => {
                let body = self.whole_block(buffer, total, MAX_DESCRIPTION)?;
                let (id, lost) = statistics(self.order, body)?;
                buffer.consume_bytes(total as usize);
                if let Some(interface) = self.interfaces.get_mut(id) {
                    interface.lost = lost;
                }
                Ok(None)
            }
            ENHANCED_PACKET | OBSOLETE_PACKET | SIMPLE_PACKET => {
                let body = self.whole_block(buffer, total, MAX_BLOCK)?;
                self.packet(kind, body, total as usize).map(Some)
            }
            _ => {
                let rest = u64::from(total) - BLOCK_TRAILER as u64;
                if buffer.skip(rest) == Fill::Short || buffer.fill(BLOCK_TRAILER) == Fill::Short {
                    return Err(Damage::Cut);
                }
                if self.order.u32(buffer.at_hand(), 0) != Some(total) {
                    return Err(Damage::Trailer);
                }
                buffer.consume_bytes(BLOCK_TRAILER);
                Ok(None)
            }
        }
    }

    /// A section header: byte order anew, no interfaces yet.
    fn section(&mut self, buffer: &mut ReadBuffer) -> Result<(), Damage> {
        if buffer.fill(16) == Fill::Short {
            return Err(Damage::Cut);
        }
        let order = match Order::Little.u32(buffer.at_hand(), 8) {
            Some(0x1a2b_3c4d) => Order::Little,
            Some(0x4d3c_2b1a) => Order::Big,
            _ => return Err(Damage::ByteOrder),
        };
        self.order = order;
        let version = order.u16(buffer.at_hand(), 12).ok_or(Damage::Cut)?;
        if version != 1 {
            return Err(Damage::Version(version));
        }
        let total = self.total_length(buffer)?;
        self.whole_block(buffer, total, MAX_DESCRIPTION)?;
        buffer.consume_bytes(total as usize);
        self.lost_before = self.lost();
        self.interfaces.clear();
        Ok(())
    }

    fn total_length(&self, buffer: &ReadBuffer) -> Result<u32, Damage> {
        let total = self.order.u32(buffer.at_hand(), 4).ok_or(Damage::Cut)?;
        if (total as usize) < BLOCK_HEADER + BLOCK_TRAILER || !total.is_multiple_of(4) {
            return Err(Damage::Length(u64::from(total)));
        }
        Ok(total)
    }

    /// The body of a block of at most `limit` bytes, with its two lengths compared.
    fn whole_block<'b>(
        &self,
        buffer: &'b mut ReadBuffer,
        total: u32,
        limit: u32,
    ) -> Result<&'b [u8], Damage> {
        if total > limit {
            return Err(Damage::Length(u64::from(total)));
        }
        let length = total as usize;
        if buffer.fill(length) == Fill::Short {
            return Err(Damage::Cut);
        }
        let bytes = buffer.at_hand();
        if self.order.u32(bytes, length - BLOCK_TRAILER) != Some(total) {
            return Err(Damage::Trailer);
        }
        bytes
            .get(BLOCK_HEADER..length - BLOCK_TRAILER)
            .ok_or(Damage::Cut)
    }

    fn add_interface(&mut self, interface: Interface) -> Option<Step> {
        if self.interfaces.len() < MAX_INTERFACES {
            self.interfaces.push(interface);
            return None;
        }
        self.note(Note::TooManyInterfaces).then(|| {
            Step::Note(format!(
                "describes more than {MAX_INTERFACES} interfaces in one section: the frames of those past that are left out"
            ))
        })
    }

    /// A packet block: where its packet lies, when it was captured, and on what kind of interface.
    fn packet(&mut self, kind: u32, body: &[u8], total: usize) -> Result<Step, Damage> {
        let order = self.order;
        let number = |at| order.u32(body, at).ok_or(Damage::Block);
        // Captured and original length stand side by side before the packet.
        let (id, lengths_at) = match kind {
            ENHANCED_PACKET => (number(0)?, 12),
            OBSOLETE_PACKET => (u32::from(order.u16(body, 0).ok_or(Damage::Block)?), 12),
            _ => (0, 0),
        };
        let interface = self.interfaces.get(id as usize).copied();
        let (captured, original, skip) = if kind == SIMPLE_PACKET {
            let original = number(0)?;
            let room = body.len().saturating_sub(4) as u32;
            let limit = interface.map_or(u32::MAX, |i| i.snaplen);
            (original.min(room).min(limit), original, 4)
        } else {
            (number(lengths_at)?, number(lengths_at + 4)?, lengths_at + 8)
        };
        if captured > MAX_RECORD || skip + captured as usize > body.len() {
            return Err(Damage::Length(u64::from(captured)));
        }
        if let Some(interface) = interface
            && kind != SIMPLE_PACKET
        {
            let ticks = u64::from(number(4)?) << 32 | u64::from(number(8)?);
            self.last_time = interface.time(ticks);
        }
        if interface.is_none() && self.note(Note::UnknownInterface) {
            return Ok(Step::Note(format!(
                "has frames of interface {id}, which it does not describe: they are left out"
            )));
        }
        if kind == SIMPLE_PACKET && self.note(Note::Untimed) {
            return Ok(Step::Note(
                "has frames without a time of capture: they are given that of the frame before, so durations are wrong".into(),
            ));
        }
        let (captured, wire_len) = without_fcs(
            captured,
            original,
            interface.map_or(0, |interface| interface.fcs),
        );
        Ok(Step::Packet(Head {
            time: self.last_time,
            link: interface.map(|i| i.link),
            skip: BLOCK_HEADER + skip,
            captured,
            total,
            wire_len,
            // Those past the limit are left out, so that the number fits.
            interface: u16::try_from(id).unwrap_or(u16::MAX),
        }))
    }

    /// Whether this is the first time that the note is due.
    fn note(&mut self, note: Note) -> bool {
        self.noted.insert(note)
    }
}

impl Lost {
    fn plus(self, other: Self) -> Self {
        Self {
            interface: self.interface.saturating_add(other.interface),
            ring: self.ring.saturating_add(other.ring),
        }
    }
}

impl Interface {
    /// The time of so many ticks, cut to microseconds.
    fn time(&self, ticks: u64) -> Timestamp {
        let wide = u128::from(ticks) * 1_000_000;
        let micros = match self.resolution {
            Resolution::Decimal(6) => u128::from(ticks),
            Resolution::Decimal(9) => u128::from(ticks / 1000),
            Resolution::Decimal(power) => {
                // Past 10³⁸ a whole second is more ticks than 64 bits hold.
                10u128
                    .checked_pow(u32::from(power))
                    .map_or(0, |second| wide / second)
            }
            Resolution::Binary(power) => wide >> power.min(127),
        };
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Timestamp::from_micros(micros).plus_micros(self.offset_seconds.saturating_mul(1_000_000))
    }
}

/// An interface description block.
fn describe(order: Order, body: &[u8]) -> Result<Interface, Damage> {
    let link = order.u16(body, 0).ok_or(Damage::Block)?;
    let snaplen = order.u32(body, 4).ok_or(Damage::Block)?;
    let mut interface = Interface {
        link,
        snaplen: if snaplen == 0 { u32::MAX } else { snaplen },
        resolution: Resolution::Decimal(6),
        offset_seconds: 0,
        fcs: 0,
        lost: Lost::default(),
    };
    for (code, value) in options(order, body, 8) {
        match (code, value) {
            (OPTION_IF_TSRESOL, [power]) if power & 0x80 == 0 => {
                interface.resolution = Resolution::Decimal(*power);
            }
            (OPTION_IF_TSRESOL, [power]) => interface.resolution = Resolution::Binary(power & 0x7f),
            // In bits by the standard; some count bytes, and none is shorter than a byte.
            (OPTION_IF_FCSLEN, [length @ 0..8]) => interface.fcs = *length,
            (OPTION_IF_FCSLEN, [bits]) => interface.fcs = bits / 8,
            (OPTION_IF_TSOFFSET, value) => {
                interface.offset_seconds = order.u64(value, 0).unwrap_or(0) as i64;
            }
            _ => {}
        }
    }
    Ok(interface)
}

/// An interface statistics block: the interface's number, and what was lost on it.
fn statistics(order: Order, body: &[u8]) -> Result<(usize, Lost), Damage> {
    let id = order.u32(body, 0).ok_or(Damage::Block)? as usize;
    let mut lost = Lost::default();
    for (code, value) in options(order, body, 12) {
        match code {
            OPTION_ISB_IFDROP => lost.interface = order.u64(value, 0).unwrap_or(0),
            OPTION_ISB_OSDROP => lost.ring = order.u64(value, 0).unwrap_or(0),
            _ => {}
        }
    }
    Ok((id, lost))
}

/// The options from `at` on: code and value. Ends at the first that does not fit.
fn options(order: Order, body: &[u8], at: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(at..).unwrap_or_default();
    std::iter::from_fn(move || {
        let code = order.u16(rest, 0).filter(|code| *code != 0)?;
        let length = usize::from(order.u16(rest, 2)?);
        let value = rest.get(4..4 + length)?;
        rest = rest
            .get(4 + length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some((code, value))
    })
}
