//! Which two tokens merge into which: one table of pairs instead of look-ups by the bytes of both.
//!
//! A token comes of one pair alone. No merge crosses the ends of the bytes that become it, so that the merges
//! within are those that these bytes alone would have, and the last of those is always the same. So each token
//! is merged once when the vocabulary is loaded, and its last pair is what stands here.

use super::{merge::Bench, ranks::Ranks};

/// The token that two become which do not merge.
pub(super) const NONE: u32 = u32::MAX;

/// Bits of a token's number: three of them are one slot.
const BITS: u32 = 21;

/// The tokens that a vocabulary may have; the largest in use have 262,144.
pub(in crate::tokens) const MOST_TOKENS: usize = (1 << BITS) - 1 - 256;

/// Spreads pairs over the table. Who writes texts may seek pairs that fall together, but only among the tokens
/// that there are, and a chain of slots is short wherever it begins.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

const EMPTY: u64 = u64::MAX;

/// The pairs of a vocabulary. A token's number is its rank: the lowest is merged first.
pub(super) struct Pairs {
    /// An open table with linear probing, half full at most: left, right and joined token, [`BITS`] each.
    slots: Vec<u64>,
    shift: u32,
    /// The token of each byte; one beyond all ranks where the vocabulary has none.
    bytes: [u32; 256],
    /// What two bytes become, since all merging begins with these.
    of_bytes: Vec<u32>,
}

/// What a vocabulary's tokens are made of.
pub(super) struct Learned<'a> {
    pub(super) pairs: Pairs,
    /// Tokens that merging never makes.
    pub(super) unmade: Vec<&'a [u8]>,
    /// Tokens that rank before one that they are merged of, and these two. There are none where a vocabulary
    /// was learned from texts and left as it was.
    pub(super) early: Vec<[&'a [u8]; 3]>,
}

impl Pairs {
    /// Of tokens in the order of their ranks; of equal ones the first holds. `None` for more than [`MOST_TOKENS`].
    pub(super) fn learn<'a>(tokens: &[&'a [u8]]) -> Option<Learned<'a>> {
        if tokens.len() > MOST_TOKENS {
            return None;
        }
        let mut pairs = Self::of_single_bytes(tokens);
        let mut bench = Bench::default();
        let (mut unmade, mut early) = (Vec::new(), Vec::new());
        let mut all = None;
        for (rank, token) in (0..).zip(tokens) {
            if token.len() < 2 {
                continue;
            }
            // The table has the tokens before this one. If these leave two, the last merge is of these two.
            match *bench.merge_bytes(&pairs, token) {
                [_] => continue,
                [left, right] => {
                    pairs.insert(left, right, rank, token);
                    continue;
                }
                _ => {}
            }
            // It is merged of tokens after it, or cannot be made.
            let all = all.get_or_insert_with(|| Ranks::new(tokens));
            let Some(middle) = last_merge(all, token) else {
                unmade.push(*token);
                continue;
            };
            let (left, right) = token.split_at(middle);
            pairs.insert(
                pairs.number(all, left),
                pairs.number(all, right),
                rank,
                token,
            );
            early.push([token, left, right]);
        }
        Some(Learned {
            pairs,
            unmade,
            early,
        })
    }

    fn of_single_bytes(tokens: &[&[u8]]) -> Self {
        let mut bytes = [NONE; 256];
        for (rank, token) in (0..).zip(tokens) {
            if let [byte] = token {
                let slot = &mut bytes[usize::from(*byte)];
                *slot = rank.min(*slot);
            }
        }
        for (number, slot) in (tokens.len() as u32..).zip(&mut bytes) {
            if *slot == NONE {
                *slot = number;
            }
        }
        let size = (tokens.len() * 2).next_power_of_two().max(2);
        Self {
            slots: vec![EMPTY; size],
            shift: 64 - size.trailing_zeros(),
            bytes,
            of_bytes: vec![NONE; 1 << 16],
        }
    }

    fn insert(&mut self, left: u32, right: u32, joined: u32, token: &[u8]) {
        let key = key(left, right);
        let mut at = self.place(key);
        while self.slots[at] != EMPTY {
            if self.slots[at] >> BITS == key {
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = key << BITS | u64::from(joined);
        if let [first, second] = *token {
            self.of_bytes[two(first, second)] = joined;
        }
    }

    /// The number of what a token is merged of.
    fn number(&self, all: &Ranks, part: &[u8]) -> u32 {
        match part {
            [byte] => self.byte(*byte),
            part => all.of(part),
        }
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        (key.wrapping_mul(MULTIPLIER) >> self.shift) as usize
    }

    /// What these two become, [`NONE`] where they do not merge.
    #[inline]
    pub(super) fn of(&self, left: u32, right: u32) -> u32 {
        let key = key(left, right);
        let mut at = self.place(key);
        loop {
            let slot = self.slots[at];
            if slot >> BITS == key {
                return slot as u32 & ((1 << BITS) - 1);
            }
            if slot == EMPTY {
                return NONE;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// What these two bytes become.
    #[inline]
    pub(super) fn of_bytes(&self, first: u8, second: u8) -> u32 {
        self.of_bytes[two(first, second)]
    }

    /// The token of a byte.
    #[inline]
    pub(super) const fn byte(&self, byte: u8) -> u32 {
        self.bytes[byte as usize]
    }
}

#[inline]
const fn key(left: u32, right: u32) -> u64 {
    (left as u64) << BITS | right as u64
}

#[inline]
const fn two(first: u8, second: u8) -> usize {
    (first as usize) << 8 | second as usize
}

/// Where the last merge of a token's bytes is, by all tokens, whatever their rank; `None` where something else
/// remains.
fn last_merge(all: &Ranks, token: &[u8]) -> Option<usize> {
    let mut ends: Vec<usize> = (0..=token.len()).collect();
    loop {
        let joins = ends.windows(3).map(|part| all.of(&token[part[0]..part[2]]));
        // Of equal ones the first, as everywhere.
        let (rank, at) = joins.zip(0usize..).min()?;
        if rank == NONE {
            return None;
        }
        if let [_, middle, _] = ends[..] {
            return Some(middle);
        }
        ends.remove(at + 1);
    }
}
