//! Pieces in scripts whose characters have several bytes: cut where no token lies across, and merged from
//! characters on, not from bytes.
//!
//! Merging makes nothing but tokens. If no token has these two characters side by side, not even with a part of
//! one of them, then no merge crosses the place between them, and both sides are encoded each on its own. So
//! the sentences that are one piece in scripts without spaces fall into words.
//!
//! And if no token has a part of a character beside another one, then the bytes of a character merge by
//! themselves, whenever they do. Tokens of more characters rank after those that they are merged of, so that none
//! of them could have come before the character was whole, and it may as well be whole from the beginning.
//! Vocabularies have exceptions to that; characters in these are merged from bytes on (`EARLY`).

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::{merge::Bench, pairs::Pairs, split::wide};

/// Characters that have a place in the table: the basic plane, and after it the pictographs.
const BASIC: usize = 0x1_0000;
const PICTOGRAPHS: std::ops::Range<usize> = 0x1_f000..0x1_fb00;

/// Bits of the filter: some tens of thousands of neighbours are in a vocabulary. A false hit only leaves a
/// cut out.
const BITS: u32 = 20;

/// A place's lowest bits: the token of the character, or how many it has.
const TOKEN: u32 = (1 << 21) - 1;
/// Its bytes become several tokens, not one; a longer token may still have it.
const SEVERAL: u32 = 1 << 21;
/// It has no place in the table.
const UNKNOWN: u32 = 1 << 22;
/// A token that it is merged into ranks before it, or it ranks before a part of it.
const EARLY: u32 = 1 << 23;

/// Above these are four bits for its last 1 to 4 bytes: whether a token has these and a part of a character after
/// them, or all but the first of its bytes and any character after them.
const OPEN_AFTER: u32 = 24;
/// And four for its first 1 to 4 bytes, after another one of which one is not whole.
const OPEN_BEFORE: u32 = 28;

/// Bits of the filter of characters that are not whole: some hundreds to thousands are in a vocabulary.
const OPEN_BITS: u32 = 18;

/// What is known of characters.
pub(super) struct Characters {
    table: Vec<u32>,
    /// Which characters stand side by side in tokens, but for two of ASCII, which are never cut.
    neighbours: Filter<BITS>,
    /// Which bytes of two characters do of which one is not whole.
    open: Filter<OPEN_BITS>,
}

/// A set that takes some for its own that are not.
struct Filter<const BITS: u32>(Vec<u64>);

/// A part of a piece: no token lies across its ends, which are places in the text.
pub(super) enum Part {
    /// One character, which has so many tokens.
    Character(u64),
    /// Two characters of one token each.
    Two(u32, u32),
    /// More. If all are `whole`, merging may begin with their tokens, which [`Characters::tokens`] has; if not, it must
    /// with bytes.
    Several { from: usize, to: usize, whole: bool },
}

/// A character within a text, or what a token has of one.
struct Unit<'a> {
    bytes: &'a [u8],
    whole: Option<char>,
}

/// Bytes of tokens: of fixed seed, since the tokens are known.
type Bytes<'a> = HashSet<&'a [u8], FixedState>;

impl Characters {
    /// Of all tokens, and of what was learned from them. `None` where a part of a character ranks before what
    /// it is merged of, which is not in any vocabulary in use.
    pub(super) fn new(tokens: &[&[u8]], pairs: &Pairs, early: &[[&[u8]; 3]]) -> Option<Self> {
        let mut characters = Self {
            table: vec![UNKNOWN; BASIC + PICTOGRAPHS.len()],
            neighbours: Filter::new(),
            open: Filter::new(),
        };
        // What whole characters, and parts of them, have beside them.
        let mut open_after = Bytes::default();
        let mut open_before = Bytes::default();
        for token in tokens.iter().filter(|token| !token.is_ascii()) {
            let mut previous: Option<Unit<'_>> = None;
            for unit in units(token) {
                if let Some(left) = previous {
                    if let (Some(left), Some(right)) = (left.whole, unit.whole) {
                        characters.add(u32::from(left), u32::from(right));
                    } else {
                        open_after.insert(left.bytes);
                        open_before.insert(unit.bytes);
                        characters.open.add(packed(left.bytes), packed(unit.bytes));
                    }
                }
                previous = Some(unit);
            }
        }
        let mut bench = Bench::default();
        for place in 0..characters.table.len() {
            let number = if place < BASIC {
                place
            } else {
                place - BASIC + PICTOGRAPHS.start
            };
            let Some(character) = char::from_u32(number as u32) else {
                continue;
            };
            let mut room = [0; 4];
            let bytes = character.encode_utf8(&mut room).as_bytes();
            let mut entry = match bench.merge_bytes(pairs, bytes) {
                [token] => *token,
                several => SEVERAL | several.len() as u32,
            };
            for count in 1..=bytes.len() {
                let last = open_after.contains(&bytes[bytes.len() - count..]);
                let first = open_before.contains(&bytes[..count]);
                entry |= u32::from(last) << (OPEN_AFTER + count as u32 - 1);
                entry |= u32::from(first) << (OPEN_BEFORE + count as u32 - 1);
            }
            characters.table[place] = entry;
        }
        for parts in early {
            let mut whole = units(parts[0]);
            if let (Some(Unit { whole: None, .. }), None) = (whole.next(), whole.next()) {
                return None;
            }
            for part in parts {
                let mut units = units(part);
                if let (
                    Some(Unit {
                        whole: Some(one), ..
                    }),
                    None,
                ) = (units.next(), units.next())
                {
                    characters.mark_early(u32::from(one));
                }
            }
        }
        Some(characters)
    }

    fn mark_early(&mut self, character: u32) {
        let place = place(character);
        if let Some(entry) = self.table.get_mut(place).filter(|_| character >= 0x80) {
            *entry |= EARLY;
        }
    }

    fn add(&mut self, left: u32, right: u32) {
        if (left | right) >= 0x80 {
            self.neighbours.add(left, right);
        }
    }

    #[inline]
    fn entry(&self, character: u32) -> u32 {
        self.table.get(place(character)).copied().unwrap_or(UNKNOWN)
    }

    /// Whether a token may lie across this place in the text, which these two stand around; `None` where they must be
    /// merged from bytes on as well.
    #[inline]
    fn join(&self, text: &[u8], at: usize, left: (u32, u32), right: (u32, u32)) -> Option<bool> {
        let either = left.1 | right.1;
        if either & UNKNOWN != 0 || self.is_open(text, at, left.1, right.1) {
            return None;
        }
        let joined = (left.0 | right.0) < 0x80 || self.neighbours.has(left.0, right.0);
        // One that never becomes whole may be in a longer token all the same: its last bytes first merge with
        // what follows, and what is before it with all of these.
        (!joined || either & SEVERAL == 0).then_some(joined)
    }

    /// Whether a token may lie across this place that has no more than a part of one of both.
    #[inline]
    fn is_open(&self, text: &[u8], at: usize, left: u32, right: u32) -> bool {
        let (mut after, before) = (left >> OPEN_AFTER & 15, right >> OPEN_BEFORE);
        if before == 0 {
            return false;
        }
        while after != 0 {
            let last = after.trailing_zeros() as usize + 1;
            let left = packed(&text[at - last..at]);
            let mut before = before;
            while before != 0 {
                let first = before.trailing_zeros() as usize + 1;
                if self.open.has(left, packed(&text[at..at + first])) {
                    return true;
                }
                before &= before - 1;
            }
            after &= after - 1;
        }
        false
    }

    /// Hands over the parts of a piece of whole characters, in order.
    #[inline]
    pub(super) fn cut(&self, text: &[u8], from: usize, to: usize, mut part: impl FnMut(Part)) {
        let mut hand_over = |from, to, count, first: u32, last: u32, whole| {
            part(match count {
                1 if whole && first & SEVERAL != 0 => Part::Character(u64::from(first & TOKEN)),
                1 if whole => Part::Character(1),
                2 if whole => Part::Two(first & TOKEN, last & TOKEN),
                _ => Part::Several { from, to, whole },
            });
        };
        let (mut begin, mut at) = (from, from);
        let (mut first, mut left) = (0, (0, 0));
        let (mut count, mut whole) = (0, true);
        while at < to {
            let (character, length) = character(text, at);
            let right = (character, self.entry(character));
            let joined = if count > 0 {
                self.join(text, at, left, right)
            } else {
                Some(false)
            };
            if joined == Some(false) {
                if count > 0 {
                    hand_over(begin, at, count, first, left.1, whole);
                }
                (begin, first, count, whole) = (at, right.1, 0, true);
            }
            whole &= joined.is_some() && right.1 & (UNKNOWN | EARLY) == 0;
            count += 1;
            left = right;
            at = (at + length).min(to);
        }
        hand_over(begin, at, count, first, left.1, whole);
    }

    /// The tokens of a part's characters.
    pub(super) fn tokens(&self, part: &[u8]) -> impl Iterator<Item = u32> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (character, length) = (at < part.len()).then(|| character(part, at))?;
            at += length;
            Some(self.entry(character) & TOKEN)
        })
    }
}

/// The character at this place, and its length.
#[inline]
fn character(text: &[u8], at: usize) -> (u32, usize) {
    match text[at] {
        byte if byte < 0x80 => (u32::from(byte), 1),
        _ => wide(text, at),
    }
}

/// Where a character is in the table; past its end if it is not.
#[inline]
fn place(character: u32) -> usize {
    let character = character as usize;
    if character < BASIC {
        return character;
    }
    // What is below wraps around, and has no place either.
    let place = character.wrapping_sub(PICTOGRAPHS.start);
    place.min(PICTOGRAPHS.len()) + BASIC
}

/// Up to four bytes as a number.
#[inline]
fn packed(bytes: &[u8]) -> u32 {
    (bytes.iter()).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

impl<const BITS: u32> Filter<BITS> {
    fn new() -> Self {
        Self(vec![0; 1 << (BITS - 6)])
    }

    fn add(&mut self, left: u32, right: u32) {
        let bit = Self::bit(left, right);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    #[inline]
    fn has(&self, left: u32, right: u32) -> bool {
        let bit = Self::bit(left, right);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    #[inline]
    const fn bit(left: u32, right: u32) -> usize {
        let key = (left as u64) << 32 | right as u64;
        let hash = (key ^ key >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> (64 - BITS)) as usize
    }
}

/// The characters of a token, and the parts of some at its ends.
fn units(token: &[u8]) -> impl Iterator<Item = Unit<'_>> {
    let mut rest = token;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let length = match first {
            0..0x80 => 1,
            0x80..0xc0 => rest.len(),
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
        };
        let within = |byte: &&u8| **byte & 0xc0 == 0x80;
        let more = rest[1..].iter().take(length - 1).take_while(within).count();
        let (bytes, after) = rest.split_at(1 + more);
        rest = after;
        let text = str::from_utf8(bytes).ok();
        let whole = text.and_then(|text| text.chars().next());
        Some(Unit { bytes, whole })
    })
}
