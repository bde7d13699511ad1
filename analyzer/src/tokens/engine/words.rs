//! The counts of short pieces that were met before.
//!
//! Language repeats its words, so that nearly every piece of a text is found here, in one look-up. The table is of
//! fixed size, and each word has two places in it, side by side: what comes anew takes the first, what was there moves
//! to the second, and what was in that is forgotten. It holds words, never texts, and the count of a word does not
//! depend on what else is in it.

/// Places of a table: 1 MiB, which a core's own cache holds.
const PLACES: usize = 1 << 16;

/// The longest piece that is kept, in bytes.
pub(super) const LONGEST: usize = 15;

/// Bits of a place that the piece takes: its bytes, above them a 1 that tells its length, and [`PART`]. The count
/// is in the four bits above.
const KEY_BITS: u32 = 124;

/// What the key of a part has, which is never looked up whole.
const PART: u128 = 1 << 122;

/// By the length of a piece: the bits of its bytes, and the 1 above them.
const LENGTHS: [(u128, u128); LONGEST + 1] = {
    let mut table = [(0, 0); LONGEST + 1];
    let mut length = 0;
    while length <= LONGEST {
        let one = 1 << (8 * length);
        table[length] = (one - 1, one);
        length += 1;
    }
    table
};

/// The table. A place holds a piece and its count; 0 is empty.
pub(super) struct Words(Box<[u128]>);

impl Words {
    pub(super) fn new() -> Self {
        Self(vec![0; PLACES].into_boxed_slice())
    }

    /// What a piece of the text is known by; it has 1 to [`LONGEST`] bytes.
    #[inline]
    pub(super) fn key(text: &[u8], at: usize, end: usize) -> u128 {
        let length = end - at;
        debug_assert!((1..=LONGEST).contains(&length));
        let bytes = if let Some(Ok(bytes)) = text.get(at..at + 16).map(<[u8; 16]>::try_from) {
            u128::from_le_bytes(bytes)
        } else {
            let mut bytes = [0; 16];
            bytes[..length].copy_from_slice(&text[at..end]);
            u128::from_le_bytes(bytes)
        };
        let (below, one) = LENGTHS[length];
        bytes & below | one
    }

    /// The count of a part of a piece, which has 1 to [`LONGEST`] bytes; where it is not known, it is found out and
    /// kept.
    #[inline]
    pub(super) fn part(
        &mut self,
        text: &[u8],
        at: usize,
        end: usize,
        find: impl FnOnce() -> u64,
    ) -> u64 {
        self.count(Self::key(text, at, end) | PART, find)
    }

    /// The count of this piece; where it is not known, it is found out and kept.
    #[inline]
    pub(super) fn count(&mut self, key: u128, find: impl FnOnce() -> u64) -> u64 {
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        let low = key as u64;
        let high = (key >> 64) as u64;
        let hash = (low ^ high.wrapping_mul(MULTIPLIER).rotate_left(29)).wrapping_mul(MULTIPLIER);
        let first = (hash >> 48) as usize % PLACES;
        let second = first ^ 1;
        for place in [self.0[first], self.0[second]] {
            if place & ((1 << KEY_BITS) - 1) == key {
                return (place >> KEY_BITS) as u64;
            }
        }
        let count = find();
        self.0[second] = self.0[first];
        self.0[first] = key | u128::from(count) << KEY_BITS;
        count
    }
}
