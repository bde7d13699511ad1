//! A SYN that nothing followed yet.
//!
//! A scan or a flood is nothing but these. So a connection is made of one only when a second packet
//! comes; until then it is a tenth of the size.

use std::net::SocketAddr;

use analyzer::time::Timestamp;

use super::{
    connection::{Connection, Patience},
    key::{End, Key, Pair},
    seq::SeqNumber,
};
use crate::packet::{Flags, Segment};

/// A SYN without data, its repetitions, and where it stands in its table's queues.
#[derive(Debug)]
pub(super) struct LoneSyn {
    pub(super) key: Key,
    pub(super) id: u64,
    pub(super) patience: (Patience, Timestamp),
    from: End,
    seq: SeqNumber,
    first: Timestamp,
    /// When it was seen last.
    pub(super) last: Timestamp,
}

impl LoneSyn {
    /// Whether a segment is a SYN and nothing else.
    pub(super) const fn is_one(segment: &Segment<'_>) -> bool {
        let Flags { syn, fin, rst } = segment.flags;
        syn && !fin && !rst && segment.ack.is_none() && segment.wire_len == 0
    }

    pub(super) const fn new(
        key: Key,
        id: u64,
        from: End,
        segment: &Segment<'_>,
        deadline: Timestamp,
    ) -> Self {
        Self {
            key,
            id,
            patience: (Patience::HalfOpen, deadline),
            from,
            seq: segment.seq,
            first: segment.time,
            last: segment.time,
        }
    }

    /// Takes a repetition; says whether the segment was one.
    pub(super) fn repeat(&mut self, from: End, segment: &Segment<'_>) -> bool {
        let is_same = Self::is_one(segment) && from == self.from && segment.seq == self.seq;
        if is_same {
            self.last = self.last.max(segment.time);
        }
        is_same
    }

    /// The connection that it began, which has yet to take the SYN.
    pub(super) fn connection<S>(&self, ends: Pair<SocketAddr>) -> Connection<S> {
        Connection::new(self.id, ends, self.last)
    }

    /// The SYN, and the end that sent it.
    pub(super) fn segment(&self, ends: &Pair<SocketAddr>) -> (End, Segment<'static>) {
        let (source, destination) = ends.split(self.from);
        let segment = Segment {
            time: self.first,
            source: *source,
            destination: *destination,
            seq: self.seq,
            ack: None,
            flags: Flags {
                syn: true,
                ..Flags::default()
            },
            payload: &[],
            wire_len: 0,
            interface: 0,
            ip_id: None,
        };
        (self.from, segment)
    }
}
