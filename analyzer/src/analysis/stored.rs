//! What is kept of a body for storage: its head and its tail.

use std::collections::VecDeque;

use super::settings::{KeepBodies, Settings};
use crate::call::StoredBody;

/// Bytes of a body's beginning that are stored.
pub const STORED_HEAD: usize = 256 << 10;

/// Bytes of a longer body's end that are stored: usage and finish reasons stand there.
pub const STORED_TAIL: usize = 64 << 10;

/// A body as it comes, cut to what is stored.
#[derive(Debug)]
pub(super) struct Keeper {
    head_cap: usize,
    tail_cap: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    omitted: u64,
    closed: bool,
}

impl Keeper {
    /// For one body; `None` where bodies are not kept.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        (settings.bodies == KeepBodies::Yes).then(|| Self {
            head_cap: settings.stored_head,
            tail_cap: settings.stored_tail,
            head: Vec::new(),
            tail: VecDeque::new(),
            omitted: 0,
            closed: false,
        })
    }

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
        let room = self.head_cap.saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let (passed, rest) = rest.split_at(rest.len().saturating_sub(self.tail_cap));
        let over = (self.tail.len() + rest.len()).saturating_sub(self.tail_cap);
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
        for (head_cap, tail_cap) in [(STORED_HEAD, STORED_TAIL), (1_000, 0), (0, 1_000), (0, 0)] {
            let settings = Settings {
                bodies: KeepBodies::Yes,
                stored_head: head_cap,
                stored_tail: tail_cap,
                ..Settings::default()
            };
            check(&settings);
        }
    }

    fn check(settings: &Settings) {
        let (head_cap, tail_cap) = (settings.stored_head, settings.stored_tail);
        for length in [
            0,
            10,
            head_cap,
            head_cap + 1,
            head_cap + tail_cap,
            head_cap + tail_cap + 1,
            1_000_000,
        ] {
            let body: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            for size in [1_000, 70_000, 1_000_000] {
                let mut keeper = Keeper::new(settings).unwrap();
                body.chunks(size).for_each(|piece| keeper.push(piece));
                let stored = keeper.finish();
                let head = length.min(head_cap);
                let tail = (length - head).min(tail_cap);
                assert_eq!(stored.head, body[..head]);
                assert_eq!(stored.tail, body[length - tail..]);
                assert_eq!(stored.omitted, (length - head - tail) as u64);
            }
        }
    }
}
