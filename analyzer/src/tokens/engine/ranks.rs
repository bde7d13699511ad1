//! The tokens of a vocabulary and their ranks: which bytes are merged, and which first.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

/// The rank of what is no token.
pub(super) const NONE: u32 = u32::MAX;

/// From the bytes of a token to its rank.
///
/// An open table with linear probing: slots hold a rank and 32 bits of the hash, so that a look-up for what is
/// no token, which most are, seldom touches the tokens' bytes.
pub(super) struct Ranks {
    bytes: Vec<u8>,
    /// Where each token begins in `bytes`, and the end of the last.
    starts: Vec<u32>,
    slots: Vec<Slot>,
    /// The ranks of tokens of two bytes, since all merging begins with these.
    pairs: Vec<u32>,
    longest: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    rank: u32,
    check: u32,
}

/// The hash of the table. The tokens are known, so that a seed of its own would keep nobody out; a chain of
/// slots is short, whatever is looked up.
const HASH: FixedState = FixedState::with_seed(0x6c_6c_6d_74_61_70);

impl Ranks {
    /// Of tokens in the order of their ranks. Of equal ones the first holds.
    pub(super) fn new<'a>(tokens: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut bytes = Vec::new();
        let mut starts = vec![0];
        for token in tokens {
            bytes.extend_from_slice(token);
            starts.push(bytes.len() as u32);
        }
        bytes.shrink_to_fit();
        let count = starts.len() - 1;
        let size = (count * 2).next_power_of_two().max(2);
        let empty = Slot {
            rank: NONE,
            check: 0,
        };
        let mut ranks = Self {
            bytes,
            starts,
            slots: vec![empty; size],
            pairs: vec![NONE; 1 << 16],
            longest: 0,
        };
        for rank in 0..count as u32 {
            ranks.insert(rank);
        }
        ranks
    }

    fn insert(&mut self, rank: u32) {
        let token = self.token(rank);
        if token.is_empty() {
            return;
        }
        let pair = <[u8; 2]>::try_from(token).map(u16::from_le_bytes).ok();
        let length = token.len();
        let (mut at, check) = place(token, self.slots.len());
        while self.slots[at].rank != NONE {
            if self.slots[at].check == check && self.token(self.slots[at].rank) == self.token(rank)
            {
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot { rank, check };
        self.longest = self.longest.max(length);
        if let Some(pair) = pair {
            self.pairs[usize::from(pair)] = rank;
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The bytes of a token.
    pub(super) fn token(&self, rank: u32) -> &[u8] {
        let rank = rank as usize;
        &self.bytes[self.starts[rank] as usize..self.starts[rank + 1] as usize]
    }

    /// The rank of these bytes, [`NONE`] where they are no token.
    #[inline]
    pub(super) fn of(&self, bytes: &[u8]) -> u32 {
        if bytes.len() > self.longest {
            return NONE;
        }
        let (mut at, check) = place(bytes, self.slots.len());
        loop {
            let slot = self.slots[at];
            if slot.rank == NONE || (slot.check == check && self.token(slot.rank) == bytes) {
                return slot.rank;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The rank of two bytes.
    #[inline]
    pub(super) fn of_pair(&self, first: u8, second: u8) -> u32 {
        self.pairs[usize::from(u16::from_le_bytes([first, second]))]
    }
}

#[inline]
fn place(bytes: &[u8], slots: usize) -> (usize, u32) {
    let hash = HASH.hash_one(bytes);
    (hash as usize & (slots - 1), (hash >> 32) as u32)
}
