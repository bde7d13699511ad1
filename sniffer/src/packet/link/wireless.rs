//! 802.11 frames, alone and behind radiotap.

use crate::packet::{
    Payload, Reason,
    layer::{Inner, Layer},
};

/// Octets of the frame check sequence.
const FCS: usize = 4;

/// Words that say which fields a radiotap header has; a header of more is refused.
const MAX_PRESENT: usize = 16;

/// Whether the header is padded to 32 bits, as some drivers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    None,
    Words,
}

/// Takes radiotap off (<https://www.radiotap.org>), and the 802.11 header after it.
pub(super) fn radiotap(frame: Payload<'_>) -> Result<Inner<'_>, Reason> {
    /// Bits of the first word: a 64-bit clock, the flags, and that another word follows.
    const CLOCK: u32 = 1;
    const FLAGS: u32 = 2;
    const MORE: u32 = 1 << 31;
    let little = |at| frame.octets(at).map(u32::from_le_bytes);
    let [version, _, a, b] = frame.octets(0)?;
    let length = usize::from(u16::from_le_bytes([a, b]));
    if version != 0 || length < 8 {
        return Err(Reason::BadHeader);
    }
    let present = little(4)?;
    let (mut at, mut word) = (8, present);
    for _ in 0..MAX_PRESENT {
        if word & MORE == 0 {
            break;
        }
        word = little(at)?;
        at += 4;
    }
    if present & CLOCK != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = match present & FLAGS {
        0 => 0,
        _ => frame.u8(at)?,
    };
    let mut rest = frame.after(length)?;
    if flags & 0x10 != 0 {
        rest = rest.cut_to(rest.wire_len.saturating_sub(FCS));
    }
    let padding = match flags & 0x20 {
        0 => Padding::None,
        _ => Padding::Words,
    };
    self::frame(rest, padding)
}

/// Takes the header of a data frame off (IEEE 802.11 §9.2.4).
pub(super) fn frame(frame: Payload<'_>, padding: Padding) -> Result<Inner<'_>, Reason> {
    const PROTECTED: u8 = 0x40;
    const MORE_FRAGMENTS: u8 = 0x04;
    const ORDER: u8 = 0x80;
    /// Of the QoS control field: several packets in one frame.
    const AGGREGATE: u8 = 0x80;
    let [control, flags] = frame.octets(0)?;
    let (version, kind, subtype) = (control & 3, control >> 2 & 3, control >> 4);
    // Data frames of the subtypes with that bit have none.
    if version != 0 || kind != 2 || subtype & 4 != 0 {
        return Err(Reason::NotIp);
    }
    let mut length = 24;
    let fragment = frame.u8(22)? & 15;
    // From one access point to another: a fourth address.
    if flags & 3 == 3 {
        length += 6;
    }
    let mut aggregate = false;
    if subtype & 8 != 0 {
        aggregate = frame.u8(length)? & AGGREGATE != 0;
        length += 2;
        if flags & ORDER != 0 {
            length += 4;
        }
    }
    if flags & (PROTECTED | MORE_FRAGMENTS) != 0 || fragment != 0 || aggregate {
        return Err(Reason::Opaque);
    }
    if padding == Padding::Words {
        length = length.next_multiple_of(4);
    }
    Inner::after(frame, length, Layer::Llc)
}
