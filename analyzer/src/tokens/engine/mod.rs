//! The counting engine: splits a text, and counts the tokens of each piece.
//!
//! It gives the figures of the reference implementations and nothing else that they give, which is why it is
//! faster: no token is named, nearly every piece is found among those met before (`words.rs`), scripts without
//! spaces are cut into parts that repeat (`seams.rs`), and no regular expression is run (`split/`). Nothing
//! in it takes more than n log n time or keeps more than it began with.

mod merge;
mod ranks;
mod seams;
pub(super) mod split;
mod words;

use std::sync::{Mutex, PoisonError};

use merge::Bench;
use ranks::{NONE, Ranks};
use seams::Seams;
use split::Splitter;
use words::Words;

/// A vocabulary, ready to count.
pub(super) struct Engine {
    splitter: Splitter,
    ranks: Ranks,
    /// `None` where parts of a piece may count otherwise than the piece.
    seams: Option<Seams>,
    /// As many as there are threads that count at a time.
    rooms: Mutex<Vec<Room>>,
}

/// What a thread needs to count.
struct Room {
    words: Words,
    bench: Bench,
}

impl Engine {
    /// Of tokens in the order of their ranks.
    pub(super) fn new<'a>(splitter: Splitter, tokens: impl Iterator<Item = &'a [u8]>) -> Self {
        let ranks = Ranks::new(tokens);
        Self {
            splitter,
            seams: Some(Seams::new(&ranks)),
            ranks,
            rooms: Mutex::default(),
        }
    }

    /// How many tokens of the vocabulary merging does not come to: they are tokens only as whole pieces.
    pub(super) fn unreachable(&self) -> usize {
        let mut bench = Bench::default();
        (0..self.ranks.len() as u32)
            .filter(|rank| bench.count(&self.ranks, self.ranks.token(*rank)) > 1)
            .count()
    }

    /// How many tokens merging makes of a piece.
    #[cfg(test)]
    pub(super) fn merged(&self, piece: &[u8]) -> u64 {
        Bench::default().count(&self.ranks, piece)
    }

    /// The same engine for a vocabulary with such tokens.
    pub(super) fn uncut(self) -> Self {
        Self {
            seams: None,
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
        if end - at <= words::LONGEST {
            return self.word(text, at, end, room);
        }
        self.long(&text[at..end], room)
    }

    #[inline]
    fn word(&self, text: &[u8], at: usize, end: usize, room: &mut Room) -> u64 {
        let Room { words, bench } = room;
        words.count(Words::key(text, at, end), || {
            let word = &text[at..end];
            if self.ranks.of(word) == NONE {
                bench.count(&self.ranks, word)
            } else {
                1
            }
        })
    }

    fn long(&self, piece: &[u8], room: &mut Room) -> u64 {
        if self.ranks.of(piece) != NONE {
            return 1;
        }
        let Some(seams) = self.seams.as_ref().filter(|_| !piece.is_ascii()) else {
            return room.bench.count(&self.ranks, piece);
        };
        let mut sum = 0;
        seams.cut(piece, |part| {
            sum += if part.len() <= words::LONGEST {
                self.word(part, 0, part.len(), room)
            } else if self.ranks.of(part) != NONE {
                1
            } else {
                room.bench.count(&self.ranks, part)
            };
        });
        sum
    }
}
