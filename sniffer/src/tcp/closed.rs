//! What is remembered of a connection that ended, so that its stragglers make no new one.

use super::{
    key::{End, Pair},
    seq::SeqNumber,
    settings::PLAUSIBLE_WINDOW,
};
use crate::packet::Segment;

/// A connection that ended: each direction's first octet of data, where it was seen, and its end.
#[derive(Debug)]
pub(super) struct Closed {
    numbers: Pair<(Option<SeqNumber>, Option<SeqNumber>)>,
}

impl Closed {
    pub(super) const fn new(numbers: Pair<(Option<SeqNumber>, Option<SeqNumber>)>) -> Self {
        Self { numbers }
    }

    /// Whether a segment belongs to a new connection of the same ends: a SYN with another number, or
    /// payload far from where the old one ended (the new one's SYN was not captured).
    pub(super) fn is_succeeded_by(&self, from: End, segment: &Segment<'_>) -> bool {
        let (first, end) = *self.numbers.get(from);
        if segment.flags.rst {
            return false;
        }
        if segment.flags.syn {
            return first != Some(segment.seq.plus(1));
        }
        let is_far = |end: SeqNumber| {
            u64::from(segment.seq.offset_from(end).unsigned_abs()) > PLAUSIBLE_WINDOW
        };
        !segment.payload.is_empty() && end.is_some_and(is_far)
    }
}
