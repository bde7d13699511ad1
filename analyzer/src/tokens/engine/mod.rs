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
    seams: Seams,
    /// Whether a piece that is a token is looked up before anything is merged, as tiktoken does. Merging comes to
    /// nearly every token by itself.
    whole: bool,
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
            seams: Seams::new(&ranks),
            whole: true,
            ranks,
            rooms: Mutex::default(),
        }
    }

    /// The same engine without looking pieces up: merging alone makes tokens.
    pub(super) fn merging_alone(self) -> Self {
        Self {
            whole: false,
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
        if end - at > words::LONGEST {
            return self.long(&text[at..end], room);
        }
        let Room { words, bench } = room;
        words.count(Words::key(text, at, end), || {
            let piece = &text[at..end];
            if self.is_token(piece) {
                1
            } else {
                bench.count(&self.ranks, piece)
            }
        })
    }

    fn long(&self, piece: &[u8], room: &mut Room) -> u64 {
        if self.is_token(piece) {
            return 1;
        }
        let Room { words, bench } = room;
        if piece.is_ascii() {
            return bench.count(&self.ranks, piece);
        }
        let mut sum = 0;
        self.seams.cut(piece, |part| {
            sum += if part.len() <= words::LONGEST {
                let key = Words::key(part, 0, part.len());
                words.count(key | words::PART, || bench.count(&self.ranks, part))
            } else {
                bench.count(&self.ranks, part)
            };
        });
        sum
    }

    fn is_token(&self, piece: &[u8]) -> bool {
        self.whole && self.ranks.of(piece) != NONE
    }
}
