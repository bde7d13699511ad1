//! What the matching of legs needs to know of an exchange, gathered as it passes.

use sha2::{Digest as _, Sha256};

use crate::legs::{ANSWER_HEAD, BodyHash};

/// Reads the request's body into a hash, and keeps the answer's first bytes.
#[derive(Debug, Default)]
pub(super) struct LegReader {
    request: Request,
    answer: Vec<u8>,
    answer_hole: bool,
}

/// The request's body.
#[derive(Debug, Default)]
enum Request {
    /// Not wanted, or damaged.
    #[default]
    Unknown,
    /// Nothing of it came yet.
    Empty,
    /// Some of it came.
    Begun(Box<Sha256>),
    /// All of it came.
    Whole(BodyHash),
}

impl LegReader {
    /// The exchange may be a call.
    pub(super) fn begin(&mut self) {
        self.request = Request::Empty;
    }

    pub(super) fn request(&mut self, bytes: &[u8]) {
        if let Request::Empty = self.request {
            self.request = Request::Begun(Box::default());
        }
        if let Request::Begun(hash) = &mut self.request {
            hash.update(bytes);
        }
    }

    pub(super) fn request_hole(&mut self) {
        self.request = Request::Unknown;
    }

    pub(super) fn request_end(&mut self) {
        self.request = match std::mem::take(&mut self.request) {
            Request::Begun(hash) => {
                let mut key = [0; 16];
                key.iter_mut()
                    .zip(hash.finalize())
                    .for_each(|(to, from)| *to = from);
                Request::Whole(BodyHash(key))
            }
            Request::Unknown | Request::Empty => Request::Unknown,
            whole @ Request::Whole(_) => whole,
        };
    }

    pub(super) fn answer(&mut self, bytes: &[u8]) {
        // An answer may begin before its request's end.
        if !self.answer_hole && !matches!(self.request, Request::Unknown) {
            let room = ANSWER_HEAD.saturating_sub(self.answer.len());
            self.answer.extend(bytes.iter().take(room));
        }
    }

    pub(super) const fn answer_hole(&mut self) {
        self.answer_hole = true;
    }

    /// The hash of the request's body, once all of it was seen.
    pub(super) const fn whole(&self) -> Option<BodyHash> {
        match self.request {
            Request::Whole(hash) => Some(hash),
            _ => None,
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.answer.len()
    }

    /// The answer's first bytes.
    pub(super) fn into_answer(self) -> Vec<u8> {
        self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Option<BodyHash> {
        let mut reader = LegReader::default();
        reader.begin();
        for piece in pieces {
            reader.request(piece);
        }
        reader.request_end();
        reader.whole()
    }

    #[test]
    fn the_hash_is_the_beginning_of_sha256_however_the_body_came() {
        // FIPS 180-2, appendix B.1.
        let abc = BodyHash([
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
            0x22, 0x23,
        ]);
        assert_eq!(read(&[b"abc"]), Some(abc));
        assert_eq!(read(&[b"a", b"b", b"c"]), Some(abc));
        assert_ne!(read(&[b"abd"]), Some(abc));
        assert_eq!(read(&[]), None, "an empty body says nothing");
    }

    #[test]
    fn a_damaged_request_has_none() {
        let mut reader = LegReader::default();
        reader.begin();
        reader.request(b"a");
        reader.request_hole();
        reader.request(b"b");
        reader.request_end();
        assert_eq!(reader.whole(), None);
        let mut unwanted = LegReader::default();
        unwanted.request(b"a");
        unwanted.request_end();
        assert_eq!(unwanted.whole(), None);
    }

    #[test]
    fn an_answer_that_comes_early_is_kept_from_its_beginning() {
        let mut reader = LegReader::default();
        reader.begin();
        reader.answer(b"ab");
        reader.request(b"q");
        reader.answer(b"cd");
        reader.request_end();
        reader.answer(b"ef");
        assert_eq!(reader.into_answer(), b"abcdef");
    }

    #[test]
    fn of_the_answer_the_beginning_is_kept_up_to_a_hole() {
        let answered = |pieces: &[&[u8]]| {
            let mut reader = LegReader::default();
            reader.begin();
            reader.request(b"q");
            reader.request_end();
            for piece in pieces {
                match piece {
                    [] => reader.answer_hole(),
                    bytes => reader.answer(bytes),
                }
            }
            reader.into_answer()
        };
        assert_eq!(answered(&[b"ab", b"cd"]), b"abcd");
        assert_eq!(answered(&[b"ab", b"", b"cd"]), b"ab");
        assert_eq!(answered(&[b"", b"cd"]), b"");
        let long = [7; ANSWER_HEAD + 1];
        assert_eq!(answered(&[&long[..200], &long]), long[..ANSWER_HEAD]);
    }
}
