//! From the bytes of a token to its rank.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::pairs::NONE;

/// Tokens by their bytes.
pub(super) struct Ranks {
    bytes: Vec<u8>,
    /// Where each token begins in `bytes`, and the end of the last.
    starts: Vec<u32>,
    table: HashTable<u32>,
    longest: usize,
}

/// The hash of the table. The tokens are known, so that a seed of its own would keep nobody out.
const HASH: FixedState = FixedState::with_seed(0x6c_6c_6d_74_61_70);

impl Ranks {
    /// Of tokens in the order of their ranks. Of equal ones the first holds.
    pub(super) fn new(tokens: &[&[u8]]) -> Self {
        let mut ranks = Self {
            bytes: tokens.concat(),
            starts: vec![0],
            table: HashTable::with_capacity(tokens.len()),
            longest: tokens.iter().map(|token| token.len()).max().unwrap_or(0),
        };
        for (rank, token) in (0..).zip(tokens) {
            let Self {
                bytes,
                starts,
                table,
                ..
            } = &mut ranks;
            let end = starts[rank as usize] + token.len() as u32;
            starts.push(end);
            let known = |known: &u32| slice(bytes, starts, *known) == *token;
            let hash = |rank: &u32| HASH.hash_one(slice(bytes, starts, *rank));
            table
                .entry(HASH.hash_one(token), known, hash)
                .or_insert(rank);
        }
        ranks
    }

    /// The rank of these bytes, [`NONE`] where they are no token.
    #[inline]
    pub(super) fn of(&self, bytes: &[u8]) -> u32 {
        if bytes.len() > self.longest {
            return NONE;
        }
        let known = |rank: &u32| slice(&self.bytes, &self.starts, *rank) == bytes;
        let found = self.table.find(HASH.hash_one(bytes), known);
        found.copied().unwrap_or(NONE)
    }
}

fn slice<'a>(bytes: &'a [u8], starts: &[u32], rank: u32) -> &'a [u8] {
    let rank = rank as usize;
    &bytes[starts[rank] as usize..starts[rank + 1] as usize]
}
