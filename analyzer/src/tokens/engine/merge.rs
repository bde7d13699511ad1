//! Byte-pair encoding of one piece: of all neighbours whose join is a token, the one of lowest rank is joined,
//! the leftmost of equals, until none is left. Only the number of tokens is wanted.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::ranks::{NONE, Ranks};

/// Bytes up to which looking through all neighbours for the lowest is faster than a heap.
const SHORT: usize = 128;

/// Room for merging that is used again and again.
#[derive(Default)]
pub(super) struct Bench {
    ranks: Vec<u32>,
    starts: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
    heap: BinaryHeap<Reverse<u64>>,
}

impl Bench {
    /// How many tokens these bytes have, in time of n log n.
    pub(super) fn count(&mut self, ranks: &Ranks, piece: &[u8]) -> u64 {
        match piece.len() {
            0 | 1 => piece.len() as u64,
            2..=SHORT => self.count_short(ranks, piece),
            _ => self.count_long(ranks, piece),
        }
    }

    /// Looks through all neighbours for each join.
    fn count_short(&mut self, ranks: &Ranks, piece: &[u8]) -> u64 {
        let Self {
            ranks: joins,
            starts,
            ..
        } = self;
        // Part i begins at starts[i] and ends at starts[i + 1]; joins[i] is the rank of it and the next.
        starts.clear();
        starts.extend(0..=piece.len() as u32);
        joins.clear();
        joins.extend(piece.windows(2).map(|pair| ranks.of_pair(pair[0], pair[1])));
        let join = |starts: &[u32], part: usize| {
            starts.get(part + 2).map_or(NONE, |end| {
                ranks.of(&piece[starts[part] as usize..*end as usize])
            })
        };
        loop {
            let lowest = joins.iter().copied().min().unwrap_or(NONE);
            if lowest == NONE {
                return starts.len() as u64 - 1;
            }
            let part = joins.iter().position(|rank| *rank == lowest).unwrap_or(0);
            starts.remove(part + 1);
            joins.remove(part);
            if part < joins.len() {
                joins[part] = join(starts, part);
            }
            if part > 0 {
                joins[part - 1] = join(starts, part - 1);
            }
        }
    }

    /// A heap of joins and a list of parts.
    fn count_long(&mut self, ranks: &Ranks, piece: &[u8]) -> u64 {
        let Self {
            ranks: joins,
            next,
            previous,
            heap,
            ..
        } = self;
        let length = piece.len() as u32;
        // By the byte that a part begins with; `length` is the end, and joins of parts that are gone are NONE.
        next.clear();
        next.extend(1..=length);
        previous.clear();
        previous.extend((0..length).map(|at| at.wrapping_sub(1)));
        joins.clear();
        joins.extend(piece.windows(2).map(|pair| ranks.of_pair(pair[0], pair[1])));
        joins.push(NONE);
        let entry = |rank: u32, at: usize| Reverse(u64::from(rank) << 32 | at as u64);
        let mut entries = std::mem::take(heap).into_vec();
        entries.clear();
        entries.extend(
            (joins.iter().enumerate())
                .filter(|(_, rank)| **rank != NONE)
                .map(|(at, rank)| entry(*rank, at)),
        );
        *heap = entries.into();
        let mut parts = u64::from(length);
        while let Some(Reverse(lowest)) = heap.pop() {
            let (rank, at) = ((lowest >> 32) as u32, lowest as u32 as usize);
            if joins[at] != rank {
                continue;
            }
            let gone = next[at] as usize;
            let after = next[gone];
            joins[gone] = NONE;
            next[at] = after;
            if after < length {
                previous[after as usize] = at as u32;
            }
            parts -= 1;
            let before = previous[at];
            for part in [Some(at), (before != u32::MAX).then_some(before as usize)] {
                let Some(part) = part else { continue };
                let second = next[part];
                joins[part] = if second < length {
                    ranks.of(&piece[part..next[second as usize] as usize])
                } else {
                    NONE
                };
                if joins[part] != NONE {
                    heap.push(entry(joins[part], part));
                }
            }
        }
        self.shrink();
        parts
    }

    /// Gives back what one freak of a piece took.
    fn shrink(&mut self) {
        const KEPT: usize = 1 << 14;
        if self.next.capacity() > KEPT {
            *self = Self::default();
        }
    }
}
