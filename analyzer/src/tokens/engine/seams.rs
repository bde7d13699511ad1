//! Where a piece may be cut because no token of the vocabulary lies across.
//!
//! Merging makes nothing but tokens. If no token has these two characters side by side, not even with a part
//! of one of them, then no merge crosses the place between them, and both sides are encoded each on its own.
//! Scripts without spaces come in pieces of whole sentences; cut so, they fall into short parts that repeat.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use super::ranks::Ranks;

/// Bits of the filters: some tens of thousands of neighbours are in a vocabulary. A false hit only leaves a
/// cut out.
const BITS: usize = 1 << 20;

const HASH: FixedState = FixedState::with_seed(0x73_65_61_6d);

/// Which characters stand side by side in tokens.
pub(super) struct Seams {
    pairs: Filter,
    /// Characters that a token has with the first bytes of another one after them.
    before_part: Filter,
    /// Characters that a token has with the last bytes of another one before them.
    after_part: Filter,
    /// The last bytes of one character and the first of another, side by side: no cut between such.
    parts: bool,
}

struct Filter(Vec<u64>);

impl Filter {
    fn new() -> Self {
        Self(vec![0; BITS / 64])
    }

    fn insert(&mut self, key: u64) {
        let bit = bit(key);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    #[inline]
    fn has(&self, key: u64) -> bool {
        let bit = bit(key);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
}

#[inline]
fn bit(key: u64) -> usize {
    HASH.hash_one(key) as usize % BITS
}

/// Up to four bytes as a number.
#[inline]
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The length of the character that this byte begins; 0 for one within.
#[inline]
pub(super) const fn character_length(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xc0 => 0,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

impl Seams {
    /// Of all tokens.
    pub(super) fn new(ranks: &Ranks) -> Self {
        let mut seams = Self {
            pairs: Filter::new(),
            before_part: Filter::new(),
            after_part: Filter::new(),
            parts: false,
        };
        for rank in 0..ranks.len() as u32 {
            let token = ranks.token(rank);
            if !token.is_ascii() {
                seams.add(token);
            }
        }
        seams
    }

    fn add(&mut self, token: &[u8]) {
        let whole = |unit: &[u8]| {
            unit.first()
                .is_some_and(|b| character_length(*b) == unit.len())
        };
        let mut previous: Option<&[u8]> = None;
        let mut rest = token;
        while let Some(first) = rest.first() {
            let length = match character_length(*first) {
                0 => rest.iter().take_while(|byte| **byte & 0xc0 == 0x80).count(),
                length => length.min(rest.len()),
            };
            let (unit, after) = rest.split_at(length);
            if let Some(left) = previous {
                match (whole(left), whole(unit)) {
                    (true, true) => self.pairs.insert(number(left) << 32 | number(unit)),
                    (true, false) => self.before_part.insert(number(left)),
                    (false, true) => self.after_part.insert(number(unit)),
                    (false, false) => self.parts = true,
                }
            }
            previous = Some(unit);
            rest = after;
        }
    }

    /// Whether a token may lie across these two characters. Not for two of ASCII, which are never cut.
    #[inline]
    fn joins(&self, left: u64, right: u64) -> bool {
        self.parts
            || self.pairs.has(left << 32 | right)
            || self.before_part.has(left)
            || self.after_part.has(right)
    }

    /// Hands over the parts of a piece of whole characters, in order.
    #[inline]
    pub(super) fn cut<'a>(&self, piece: &'a [u8], mut part: impl FnMut(&'a [u8])) {
        let mut begin = 0;
        let mut at = 0;
        let mut left = 0;
        while at < piece.len() {
            let length = character_length(piece[at]).max(1);
            let end = (at + length).min(piece.len());
            let right = number(&piece[at..end]);
            if at > begin && (left | right) >= 0x80 && !self.joins(left, right) {
                part(&piece[begin..at]);
                begin = at;
            }
            left = right;
            at = end;
        }
        part(&piece[begin..]);
    }
}
