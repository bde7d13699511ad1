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
/// A token has this character, or its last bytes, and a part of a character after it.
const OPEN_AFTER: u32 = 1 << 22;
/// A token has this character, or its first bytes, after another one of which one is not whole.
const OPEN_BEFORE: u32 = 1 << 23;
/// It has no place in the table.
const UNKNOWN: u32 = 1 << 24;

/// A token that it is merged into ranks before it, or it ranks before a part of it.
const EARLY: u32 = 1 << 25;

/// What is known of characters.
pub(super) struct Characters {
    table: Vec<u32>,
    /// Which characters stand side by side in tokens, but for two of ASCII, which are never cut.
    neighbours: Vec<u64>,
}

/// A part of a piece: no token lies across its ends.
pub(super) enum Part<'a> {
    /// One character, which has so many tokens.
    Character(u64),
    /// Characters of one token each.
    Tokens(&'a [u8], &'a [u32]),
    /// What must be merged from bytes on.
    Bytes(&'a [u8]),
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
            neighbours: vec![0; 1 << (BITS - 6)],
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
            if (0..bytes.len()).any(|from| open_after.contains(&bytes[from..])) {
                entry |= OPEN_AFTER;
            }
            if (1..=bytes.len()).any(|to| open_before.contains(&bytes[..to])) {
                entry |= OPEN_BEFORE;
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
            let bit = bit(left, right);
            self.neighbours[bit / 64] |= 1 << (bit % 64);
        }
    }

    #[inline]
    fn entry(&self, character: u32) -> u32 {
        self.table.get(place(character)).copied().unwrap_or(UNKNOWN)
    }

    #[inline]
    fn are_neighbours(&self, left: u32, right: u32) -> bool {
        let bit = bit(left, right);
        self.neighbours[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether a token may lie across these two; `None` where they must be merged from bytes on as well.
    #[inline]
    fn join(&self, left: (u32, u32), right: (u32, u32)) -> Option<bool> {
        let either = left.1 | right.1;
        if either & UNKNOWN != 0 || (left.1 & OPEN_AFTER != 0 && right.1 & OPEN_BEFORE != 0) {
            return None;
        }
        let joined = (left.0 | right.0) < 0x80 || self.are_neighbours(left.0, right.0);
        // One that never becomes whole may be in a longer token all the same: its last bytes first merge with
        // what follows, and what is before it with all of these.
        (!joined || either & SEVERAL == 0).then_some(joined)
    }

    /// Hands over the parts of a piece of whole characters, in order. `tokens` is room.
    #[inline]
    pub(super) fn cut(&self, piece: &[u8], tokens: &mut Vec<u32>, mut part: impl FnMut(Part<'_>)) {
        let mut hand_over = |begin: usize, end: usize, tokens: &[u32], whole: bool| {
            let bytes = &piece[begin..end];
            part(match *tokens {
                _ if !whole => Part::Bytes(bytes),
                [entry] if entry & SEVERAL != 0 => Part::Character(u64::from(entry & TOKEN)),
                [_] => Part::Character(1),
                _ => Part::Tokens(bytes, tokens),
            });
        };
        let (mut begin, mut at) = (0, 0);
        let mut left = (0, 0);
        let mut whole = true;
        tokens.clear();
        while at < piece.len() {
            let (character, length) = match piece[at] {
                byte if byte < 0x80 => (u32::from(byte), 1),
                _ => wide(piece, at),
            };
            let right = (character, self.entry(character));
            if at > begin {
                match self.join(left, right) {
                    Some(true) => {}
                    Some(false) => {
                        hand_over(begin, at, tokens, whole);
                        (begin, whole) = (at, true);
                        tokens.clear();
                    }
                    None => whole = false,
                }
            }
            whole &= right.1 & (UNKNOWN | EARLY) == 0;
            tokens.push(right.1 & (TOKEN | SEVERAL));
            left = right;
            at = (at + length).min(piece.len());
        }
        hand_over(begin, at, tokens, whole);
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

#[inline]
const fn bit(left: u32, right: u32) -> usize {
    let key = (left as u64) << 21 | right as u64;
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS)) as usize
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
