//! The counting engine: splits a text, and counts the tokens of each piece.
//!
//! It gives the figures of the reference implementations and nothing else that they give, which is why it is
//! faster: nearly every piece is found among those met before (`words.rs`), tokens are merged by one table of
//! pairs (`pairs.rs`), scripts of many characters are cut into words and merged from characters on
//! (`characters.rs`), and no regular expression is run (`split/`). Nothing in it takes more than n log n time or
//! keeps more than it began with.

mod characters;
mod merge;
mod pairs;
mod ranks;
pub(super) mod split;
mod words;

use std::sync::{Mutex, PoisonError};

use characters::{Characters, Part};
use merge::Bench;
pub(super) use pairs::MOST_TOKENS;
use pairs::{Learned, NONE, Pairs};
use ranks::Ranks;
use split::Splitter;
use words::Words;

/// A vocabulary, ready to count.
pub(super) struct Engine {
    splitter: Splitter,
    pairs: Pairs,
    /// `None` where merges within characters may have to wait for others.
    characters: Option<Characters>,
    /// Tokens that merging never makes. A piece that is a token is one all the same, as tiktoken has it: it looks
    /// pieces up before it merges.
    unmade: Ranks,
    /// Tokens that are too long for `words.rs`, as runs of white space are: found sooner than merged.
    long: Ranks,
    /// As many as there are threads that count at a time.
    rooms: Mutex<Vec<Room>>,
}

/// What a thread needs to count.
struct Room {
    words: Words,
    bench: Bench,
}

impl Engine {
    /// Of tokens in the order of their ranks. `None` for more than [`MOST_TOKENS`].
    pub(super) fn new(splitter: Splitter, tokens: &[&[u8]]) -> Option<Self> {
        let Learned {
            pairs,
            unmade,
            early,
        } = Pairs::learn(tokens)?;
        let characters = Characters::new(tokens, &pairs, &early);
        let long = |token: &&&[u8]| token.len() > words::LONGEST && !unmade.contains(token);
        let long: Vec<&[u8]> = tokens.iter().filter(long).copied().collect();
        Some(Self {
            splitter,
            pairs,
            characters,
            unmade: Ranks::new(&unmade),
            long: Ranks::new(&long),
            rooms: Mutex::default(),
        })
    }

    /// The same engine without looking pieces up: merging alone makes tokens.
    pub(super) fn merging_alone(self) -> Self {
        Self {
            unmade: Ranks::new(&[]),
            ..self
        }
    }

    /// How many tokens this text has, special tokens read as plain text.
    pub(super) fn count(&self, text: &str) -> u64 {
        let rooms = || self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms().pop();
        let mut room = room.unwrap_or_else(|| Room {
            words: Words::new(),
            bench: Bench::default(),
        });
        let bytes = text.as_bytes();
        let mut sum = 0;
        self.splitter
            .split(text, |at, end| sum += self.piece(bytes, at, end, &mut room));
        rooms().push(room);
        sum
    }

    #[inline]
    fn piece(&self, text: &[u8], at: usize, end: usize, room: &mut Room) -> u64 {
        // Characters of three bytes seldom repeat as whole pieces, but as parts of them.
        if end - at > words::LONGEST || text[at] >= 0xe0 {
            return self.long(text, at, end, room);
        }
        let Room { words, bench } = room;
        words.count(Words::key(text, at, end), || {
            self.short(&text[at..end], bench)
        })
    }

    #[cold]
    fn short(&self, piece: &[u8], bench: &mut Bench) -> u64 {
        if self.is_unmade(piece) {
            1
        } else {
            self.bytes(piece, bench)
        }
    }

    #[inline(never)]
    fn long(&self, text: &[u8], at: usize, end: usize, room: &mut Room) -> u64 {
        let piece = &text[at..end];
        if self.is_unmade(piece) {
            return 1;
        }
        let Room { words, bench } = room;
        let characters = match &self.characters {
            Some(characters) if !piece.is_ascii() => characters,
            _ if self.long.of(piece) != NONE => return 1,
            _ => {
                let count = self.bytes(piece, bench);
                bench.shrink();
                return count;
            }
        };
        let mut sum = 0;
        characters.cut(text, at, end, |part| {
            sum += match part {
                Part::Character(count) => count,
                Part::Two(left, right) => 1 + u64::from(self.pairs.of(left, right) == NONE),
                Part::Several { from, to, whole } => {
                    let mut merge = || {
                        let part = &text[from..to];
                        if whole {
                            let tokens = characters.tokens(part);
                            bench.merge_tokens(&self.pairs, tokens).len() as u64
                        } else {
                            self.bytes(part, bench)
                        }
                    };
                    if to - from > words::LONGEST {
                        merge()
                    } else {
                        words.part(text, from, to, merge)
                    }
                }
            };
        });
        bench.shrink();
        sum
    }

    fn bytes(&self, bytes: &[u8], bench: &mut Bench) -> u64 {
        bench.merge_bytes(&self.pairs, bytes).len() as u64
    }

    #[inline]
    fn is_unmade(&self, piece: &[u8]) -> bool {
        self.unmade.of(piece) != NONE
    }
}

#[cfg(test)]
mod tests;
