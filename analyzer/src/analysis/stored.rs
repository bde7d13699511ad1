//! What is kept of a body for storage: its head and its tail.

use std::collections::VecDeque;

use crate::call::StoredBody;

/// Bytes of a body's beginning that are stored.
pub const STORED_HEAD: usize = 256 << 10;

/// Bytes of a longer body's end that are stored: usage and finish reasons stand there.
pub const STORED_TAIL: usize = 64 << 10;

/// A body as it comes, cut to what is stored.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    omitted: u64,
    closed: bool,
}

impl Keeper {
    /// Bytes kept so far.
    pub(super) fn held(&self) -> usize {
        self.head.len().saturating_add(self.tail.len())
    }

    /// Keeps nothing more; what comes is omitted.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.closed {
            self.omitted = self.omitted.saturating_add(bytes.len() as u64);
            return;
        }
        let room = STORED_HEAD.saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let (passed, rest) = rest.split_at(rest.len().saturating_sub(STORED_TAIL));
        let over = (self.tail.len() + rest.len()).saturating_sub(STORED_TAIL);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend(rest);
        self.omitted = self.omitted.saturating_add((passed.len() + over) as u64);
    }

    pub(super) fn finish(self) -> StoredBody {
        StoredBody {
            head: self.head,
            tail: self.tail.into(),
            omitted: self.omitted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_those_of_the_whole_body() {
        for length in [
            0,
            10,
            STORED_HEAD,
            STORED_HEAD + 1,
            STORED_HEAD + STORED_TAIL,
            STORED_HEAD + STORED_TAIL + 1,
            1_000_000,
        ] {
            let body: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            for size in [1_000, 70_000, 1_000_000] {
                let mut keeper = Keeper::default();
                body.chunks(size).for_each(|piece| keeper.push(piece));
                let stored = keeper.finish();
                let head = length.min(STORED_HEAD);
                let tail = (length - head).min(STORED_TAIL);
                assert_eq!(stored.head, body[..head]);
                assert_eq!(stored.tail, body[length - tail..]);
                assert_eq!(stored.omitted, (length - head - tail) as u64);
            }
        }
    }
}
