//! Byte-pair encoding of one piece: of all neighbours that merge, those of the lowest rank do, the leftmost of
//! equals, until none is left.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::pairs::{NONE, Pairs};

/// Tokens up to which looking through all neighbours for the lowest is faster than a heap.
const SHORT: usize = 128;

/// Tokens of a piece up to which the room that it took is kept.
const KEPT: usize = 1 << 14;

/// Room for merging that is used again and again.
#[derive(Default)]
pub(super) struct Bench {
    tokens: Vec<u32>,
    joins: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
    heap: BinaryHeap<Reverse<u64>>,
    /// Entries that were taken from the heap: what a test holds the work on long pieces by.
    #[cfg(test)]
    pub(super) steps: u64,
}

impl Bench {
    /// The tokens of these bytes, in time of n log n.
    pub(super) fn merge_bytes(&mut self, pairs: &Pairs, piece: &[u8]) -> &[u32] {
        self.tokens.clear();
        self.tokens
            .extend(piece.iter().map(|byte| pairs.byte(*byte)));
        self.joins.clear();
        self.joins
            .extend((piece.windows(2)).map(|two| pairs.of_bytes(two[0], two[1])));
        self.merge(pairs)
    }

    /// The same of bytes that are merged in part.
    pub(super) fn merge_tokens(
        &mut self,
        pairs: &Pairs,
        tokens: impl Iterator<Item = u32>,
    ) -> &[u32] {
        let Self {
            tokens: merged,
            joins,
            ..
        } = self;
        merged.clear();
        merged.extend(tokens);
        joins.clear();
        joins.extend((merged.windows(2)).map(|two| pairs.of(two[0], two[1])));
        self.merge(pairs)
    }

    fn merge(&mut self, pairs: &Pairs) -> &[u32] {
        if self.tokens.len() <= SHORT {
            self.merge_short(pairs);
        } else {
            self.merge_long(pairs);
        }
        &self.tokens
    }

    /// Looks through all neighbours for each merge; `joins[i]` is what the tokens i and i + 1 become.
    fn merge_short(&mut self, pairs: &Pairs) {
        let Self { tokens, joins, .. } = self;
        loop {
            let lowest = joins.iter().copied().min().unwrap_or(NONE);
            if lowest == NONE {
                return;
            }
            let at = joins.iter().position(|join| *join == lowest).unwrap_or(0);
            tokens[at] = lowest;
            tokens.remove(at + 1);
            joins.remove(at);
            if at < joins.len() {
                joins[at] = pairs.of(lowest, tokens[at + 1]);
            }
            if at > 0 {
                joins[at - 1] = pairs.of(tokens[at - 1], lowest);
            }
        }
    }

    /// A heap of joins and a list of tokens.
    fn merge_long(&mut self, pairs: &Pairs) {
        let Self {
            tokens,
            joins,
            next,
            previous,
            heap,
            ..
        } = self;
        let length = tokens.len() as u32;
        // By the place that a token began at; `length` is the end, and joins of tokens that are gone are NONE.
        next.clear();
        next.extend(1..=length);
        previous.clear();
        previous.extend((0..length).map(|at| at.wrapping_sub(1)));
        joins.push(NONE);
        let entry = |join: u32, at: usize| Reverse(u64::from(join) << 32 | at as u64);
        let mut entries = std::mem::take(heap).into_vec();
        entries.clear();
        entries.extend(
            (joins.iter().enumerate())
                .filter(|(_, join)| **join != NONE)
                .map(|(at, join)| entry(*join, at)),
        );
        *heap = entries.into();
        while let Some(Reverse(lowest)) = heap.pop() {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            let (join, at) = ((lowest >> 32) as u32, lowest as u32 as usize);
            if joins[at] != join {
                continue;
            }
            let gone = next[at] as usize;
            let after = next[gone];
            joins[gone] = NONE;
            next[at] = after;
            tokens[at] = join;
            if after < length {
                previous[after as usize] = at as u32;
            }
            let before = previous[at];
            for left in [Some(at), (before != u32::MAX).then_some(before as usize)] {
                let Some(left) = left else { continue };
                let right = next[left];
                joins[left] = if right < length {
                    pairs.of(tokens[left], tokens[right as usize])
                } else {
                    NONE
                };
                if joins[left] != NONE {
                    heap.push(entry(joins[left], left));
                }
            }
        }
        let (mut at, mut count) = (0, 0);
        while at < length {
            tokens[count] = tokens[at as usize];
            count += 1;
            at = next[at as usize];
        }
        tokens.truncate(count);
    }

    /// Gives back what one freak of a piece took.
    pub(super) fn shrink(&mut self) {
        if self.tokens.capacity() > KEPT {
            *self = Self {
                #[cfg(test)]
                steps: self.steps,
                ..Self::default()
            };
        }
    }
}
