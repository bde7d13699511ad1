//! What is remembered of a connection that ended, so that its stragglers make no new one.

use super::{
    half::Bounds,
    key::{End, Pair},
    seq::SeqNumber,
    settings::{LATE_WINDOW, PLAUSIBLE_WINDOW},
};
use crate::packet::Segment;

/// A connection that ended.
#[derive(Debug)]
pub(super) struct Closed {
    bounds: Pair<Bounds>,
}

impl Closed {
    pub(super) const fn new(bounds: Pair<Bounds>) -> Self {
        Self { bounds }
    }

    /// Whether a segment belongs to a new connection of the same ends: a SYN with another number, or
    /// payload that the old one cannot have had (the new one's SYN was not captured).
    ///
    /// An end that opens anew begins beyond its old numbers as a rule (RFC 6528: a hash of the ends and
    /// a clock). So payload is the new one's where it lies far from the old end; or where both its
    /// numbers lie behind FINs, as nothing of the old connection can.
    pub(super) fn is_succeeded_by(&self, from: End, segment: &Segment<'_>) -> bool {
        let (own, peer) = self.bounds.split(from);
        if segment.flags.rst {
            return false;
        }
        if segment.flags.syn {
            let answers_old = segment.ack.is_some() && peer.is_certain && segment.ack == peer.first;
            return !answers_old && !own.may_begin_at(segment.seq.plus(1));
        }
        !segment.payload.is_empty()
            && (own.is_far(segment.seq)
                || (own.is_passed_by(segment.seq)
                    && segment.ack.is_some_and(|ack| peer.is_passed_by(ack))))
    }
}

impl Bounds {
    fn is_far(&self, seq: SeqNumber) -> bool {
        let distance = |end| u64::from(seq.offset_from(end).unsigned_abs());
        self.end.is_some_and(|end| distance(end) > PLAUSIBLE_WINDOW)
    }

    /// Whether a SYN before this octet can be the one that it began with.
    fn may_begin_at(&self, first: SeqNumber) -> bool {
        let Some(known) = self.first else {
            return false;
        };
        let earlier = known.offset_from(first);
        earlier == 0 || (!self.is_certain && earlier > 0 && earlier as u64 <= LATE_WINDOW)
    }

    fn is_passed_by(&self, seq: SeqNumber) -> bool {
        self.is_finished && self.end.is_some_and(|end| seq.offset_from(end) > 0)
    }
}
