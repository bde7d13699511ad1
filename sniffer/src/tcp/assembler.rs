//! Puts the bytes of one direction in order.
//!
//! What arrives at the expected offset while nothing waits is handed on without a copy
//! ([`Assembler::in_order`]). All else is kept in chunks that never overlap. Of bytes that came twice
//! the first stand, as most receivers have it; where the second differ, that is reported, since an
//! overlap with other bytes is how a watcher is deceived.

use std::collections::BTreeMap;

use analyzer::time::Timestamp;

use super::seq::StreamOffset;

/// What a stored chunk costs beside its bytes (tree node, allocation), in octets. It counts towards
/// the budgets, so that a flood of one-byte segments cannot take a hundred times what it brings.
pub(super) const CHUNK_OVERHEAD: usize = 128;

/// Bytes that wait for their turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The bytes, at least one.
    pub(super) bytes: Vec<u8>,
    /// When the packet that brought them was captured.
    pub(super) time: Timestamp,
    /// How much of the other direction their sender had received when it sent them.
    pub(super) ack: StreamOffset,
    /// How many octets follow them that their packet carried and the capture cut off.
    pub(super) cut: u32,
}

/// A segment's payload on its way in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) at: StreamOffset,
    pub(super) bytes: &'a [u8],
    /// As [`Chunk::time`].
    pub(super) time: Timestamp,
    /// As [`Chunk::ack`].
    pub(super) ack: StreamOffset,
    /// As [`Chunk::cut`].
    pub(super) cut: u32,
}

/// What became of the bytes of a segment. The sum of `stored` and `repeated` is its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Octets that are new.
    pub(super) stored: u64,
    /// Octets that were there before, handed on or waiting.
    pub(super) repeated: u64,
    /// Of these, octets that differ from the waiting ones.
    pub(super) conflicting: u64,
}

/// One direction's bytes. Invariant: chunks are not empty, do not overlap, and none starts before
/// `next`; `buffered` is the sum of their costs.
#[derive(Debug)]
pub(super) struct Assembler {
    next: StreamOffset,
    chunks: BTreeMap<StreamOffset, Chunk>,
    buffered: usize,
}

impl Assembler {
    /// An empty one that expects `next`.
    pub(super) const fn new(next: StreamOffset) -> Self {
        Self {
            next,
            chunks: BTreeMap::new(),
            buffered: 0,
        }
    }

    /// The offset up to which everything was handed on or given up.
    pub(super) const fn next(&self) -> StreamOffset {
        self.next
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many chunks wait.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// What the waiting chunks cost, in octets.
    pub(super) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Where the first waiting chunk starts.
    pub(super) fn first_start(&self) -> Option<StreamOffset> {
        self.chunks.first_key_value().map(|(start, _)| *start)
    }

    /// Where the last waiting chunk ends; `next` where none waits.
    pub(super) fn end(&self) -> StreamOffset {
        self.chunks
            .last_key_value()
            .map_or(self.next, |(start, chunk)| end_of(*start, &chunk.bytes))
    }

    /// The new part of a segment that can be handed on at once: it covers `next`, and nothing waits.
    /// The caller hands it on and then calls [`Assembler::advance`].
    pub(super) fn in_order<'a>(&self, at: StreamOffset, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if !self.chunks.is_empty() || at > self.next {
            return None;
        }
        let known = usize::try_from(self.next.octets_since(at)).ok()?;
        bytes.get(known..).filter(|fresh| !fresh.is_empty())
    }

    /// Moves `next` on by what was handed on without being stored.
    pub(super) fn advance(&mut self, octets: usize) {
        debug_assert!(self.chunks.is_empty(), "waiting chunks are handed on first");
        self.next = self.next.plus(octets as u64);
    }

    /// Stores what is new in a segment. The cost is a step for each chunk that it touches, and logarithmic
    /// for each hole that it fills.
    pub(super) fn insert(&mut self, piece: Piece<'_>) -> Inserted {
        let mut done = Inserted::default();
        let (old, mut rest) = split(piece.bytes, self.next.octets_since(piece.at));
        done.repeated += old.len() as u64;
        let mut at = piece.at.plus(old.len() as u64);

        if let Some((start, chunk)) = self.chunks.range(..at).next_back() {
            let (_, overlapped) = split(&chunk.bytes, at.octets_since(*start));
            let known = compare(overlapped, rest, &mut done);
            rest = split(rest, known).1;
            at = at.plus(known);
        }
        // A later octet was first sent no earlier, so its sender knew no less by then: a smaller
        // acknowledgement there shows that this one belongs to a retransmission.
        let mut filled = Vec::new();
        let end = end_of(at, rest);
        for (start, chunk) in self.chunks.range(at..end) {
            let (fresh, beyond) = split(rest, start.octets_since(at));
            if !fresh.is_empty() {
                filled.push((at, fresh, chunk.ack.min(piece.ack)));
            }
            let known = compare(&chunk.bytes, beyond, &mut done);
            rest = split(beyond, known).1;
            at = start.plus(known);
        }
        for (at, bytes, ack) in filled {
            let cut = 0;
            self.store(
                Piece {
                    at,
                    bytes,
                    ack,
                    cut,
                    ..piece
                },
                &mut done,
            );
        }
        if !rest.is_empty() {
            let follower = self.chunks.range(end..).next();
            let ack = follower.map_or(piece.ack, |(_, chunk)| chunk.ack.min(piece.ack));
            self.store(
                Piece {
                    at,
                    bytes: rest,
                    ack,
                    ..piece
                },
                &mut done,
            );
        }
        done
    }

    /// Stores what fills a hole, or a part of it.
    fn store(&mut self, piece: Piece<'_>, done: &mut Inserted) {
        done.stored += piece.bytes.len() as u64;
        self.buffered += piece.bytes.len() + CHUNK_OVERHEAD;
        let chunk = Chunk {
            bytes: piece.bytes.to_vec(),
            time: piece.time,
            ack: piece.ack,
            cut: piece.cut,
        };
        self.chunks.insert(piece.at, chunk);
    }

    /// The chunk that comes next, if it is there.
    pub(super) fn head(&self) -> Option<&Chunk> {
        let (start, chunk) = self.chunks.first_key_value()?;
        (*start == self.next).then_some(chunk)
    }

    /// Takes the chunk that comes next, if it is there.
    pub(super) fn take_head(&mut self) -> Option<Chunk> {
        let entry = self.chunks.first_entry()?;
        if *entry.key() != self.next {
            return None;
        }
        let chunk = entry.remove();
        self.buffered = self
            .buffered
            .saturating_sub(chunk.bytes.len() + CHUNK_OVERHEAD);
        self.next = end_of(self.next, &chunk.bytes);
        Some(chunk)
    }

    /// Gives up what is missing before `to`, at most up to the first waiting chunk; says how many octets.
    pub(super) fn skip_to(&mut self, to: StreamOffset) -> u64 {
        let to = self.first_start().map_or(to, |start| start.min(to));
        let skipped = to.octets_since(self.next);
        self.next = self.next.plus(skipped);
        skipped
    }

    /// Expects an earlier offset than before. Only right while nothing was handed on.
    pub(super) fn start_earlier(&mut self, at: StreamOffset) {
        self.next = self.next.min(at);
    }
}

/// Counts how the overlap of stored and new bytes agrees; says how many octets it is long.
fn compare(stored: &[u8], new: &[u8], done: &mut Inserted) -> u64 {
    let length = stored.len().min(new.len());
    let (stored, new) = (split(stored, length as u64).0, split(new, length as u64).0);
    done.repeated += length as u64;
    if stored != new {
        done.conflicting += stored.iter().zip(new).filter(|(a, b)| a != b).count() as u64;
    }
    length as u64
}

/// Splits at `at`, or at the end where that is further than the bytes go.
pub(super) fn split(bytes: &[u8], at: u64) -> (&[u8], &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    bytes.split_at(at.min(bytes.len()))
}

fn end_of(start: StreamOffset, bytes: &[u8]) -> StreamOffset {
    start.plus(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn piece(at: StreamOffset, bytes: &[u8], ack: StreamOffset) -> Piece<'_> {
        Piece {
            at,
            bytes,
            time: Timestamp::from_micros(0),
            ack,
            cut: 0,
        }
    }

    /// The slow twin: a map from octet to byte and the time of the first packet that brought it.
    #[derive(Default)]
    struct Twin {
        next: u64,
        has_moved: bool,
        bytes: BTreeMap<u64, (u8, i64)>,
    }

    impl Twin {
        fn insert(&mut self, at: u64, bytes: &[u8], time: i64) -> Inserted {
            let mut done = Inserted::default();
            for (place, byte) in (at..).zip(bytes) {
                if place < self.next {
                    done.repeated += 1;
                } else if let Some((first, _)) = self.bytes.get(&place) {
                    done.repeated += 1;
                    done.conflicting += u64::from(first != byte);
                } else {
                    done.stored += 1;
                    self.bytes.insert(place, (*byte, time));
                }
            }
            done
        }

        fn take(&mut self) -> Vec<(u8, i64)> {
            let mut taken = Vec::new();
            while let Some(byte) = self.bytes.remove(&self.next) {
                taken.push(byte);
                self.next += 1;
                self.has_moved = true;
            }
            taken
        }

        fn skip_to(&mut self, to: u64) -> u64 {
            let to = self.bytes.keys().next().map_or(to, |first| to.min(*first));
            let skipped = to.saturating_sub(self.next);
            self.next += skipped;
            self.has_moved |= skipped > 0;
            skipped
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Segment(u64, Vec<u8>),
        Take,
        Skip(u64),
        Relieve,
        StartEarlier(u64),
    }

    /// The twin begins here, so that there is something before it.
    const BEGIN: u64 = 24;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0u64..120, prop::collection::vec(0u8..3, 0..24)).prop_map(|(at, bytes)| Step::Segment(at, bytes)),
            2 => Just(Step::Take),
            1 => (0u64..120).prop_map(Step::Skip),
            1 => Just(Step::Relieve),
            1 => (0..BEGIN).prop_map(Step::StartEarlier),
        ]
    }

    fn place(at: u64) -> StreamOffset {
        StreamOffset::ORIGIN.plus(at)
    }

    fn take(real: &mut Assembler) -> Vec<(u8, i64)> {
        let mut taken = Vec::new();
        while let Some(chunk) = real.take_head() {
            let time = chunk.time.as_micros();
            taken.extend(chunk.bytes.into_iter().map(|byte| (byte, time)));
        }
        taken
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]
        #[test]
        fn the_same_as_a_map_of_bytes(steps in prop::collection::vec(step(), 0..60)) {
            let mut real = Assembler::new(place(BEGIN));
            let mut twin = Twin { next: BEGIN, ..Twin::default() };
            for (time, step) in (0..).zip(steps) {
                match step {
                    Step::Segment(at, bytes) => {
                        if let Some(fresh) = real.in_order(place(at), &bytes) {
                            let length = fresh.len();
                            prop_assert_eq!(twin.insert(at, &bytes, time).stored, length as u64);
                            let fresh: Vec<_> = fresh.iter().map(|byte| (*byte, time)).collect();
                            prop_assert_eq!(twin.take(), fresh);
                            real.advance(length);
                        } else {
                            let piece = Piece {
                                time: Timestamp::from_micros(time),
                                ..piece(place(at), &bytes, StreamOffset::NOTHING)
                            };
                            prop_assert_eq!(real.insert(piece), twin.insert(at, &bytes, time));
                        }
                    }
                    Step::Take => prop_assert_eq!(take(&mut real), twin.take()),
                    Step::Skip(to) => {
                        if real.head().is_none() {
                            prop_assert_eq!(real.skip_to(place(to)), twin.skip_to(to));
                        }
                    }
                    // A budget is spent: everything goes, with what is missing between.
                    Step::Relieve => {
                        while let Some(first) = real.first_start() {
                            let skipped = real.skip_to(first);
                            prop_assert_eq!(skipped, twin.skip_to(u64::MAX));
                            prop_assert_eq!(take(&mut real), twin.take());
                        }
                        prop_assert!(real.is_empty() && real.buffered() == 0);
                    }
                    Step::StartEarlier(at) => {
                        if !twin.has_moved {
                            real.start_earlier(place(at));
                            twin.next = twin.next.min(at);
                        }
                    }
                }
                let cost: usize = real.chunks.values().map(|c| c.bytes.len() + CHUNK_OVERHEAD).sum();
                prop_assert_eq!(real.buffered(), cost);
                prop_assert_eq!(real.next(), place(twin.next));
                prop_assert_eq!(real.end(), place(twin.bytes.keys().next_back().map_or(twin.next, |b| b + 1)));
                prop_assert_eq!(real.first_start(), twin.bytes.keys().next().map(|b| place(*b)));
            }
        }
    }

    #[test]
    fn a_chunk_knows_no_more_than_those_after_it() {
        let at = |octets| StreamOffset::ORIGIN.plus(octets);
        let mut assembler = Assembler::new(at(0));
        assembler.insert(piece(at(4), b"later", at(10)));
        assembler.insert(piece(at(0), b"sent", at(90)));
        assert_eq!(assembler.head().map(|chunk| chunk.ack), Some(at(10)));
    }
}
