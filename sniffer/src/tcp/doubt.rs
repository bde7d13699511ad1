//! Numbers too far ahead to be believed at once.
//!
//! One octet of a header, damaged on its way into the capture or forged, can put a segment or an
//! acknowledgement up to a gigabyte ahead of its stream; believed, it would make a gap of all that lies
//! between. But where the capture itself lost that much, numbers do leap. So a number further ahead than
//! a generous window waits until another packet speaks of the same place.

use analyzer::time::Timestamp;

use super::{
    assembler::CHUNK_OVERHEAD,
    seq::{SeqNumber, StreamOffset},
};
use crate::packet::{Flags, Segment};

/// How far a number can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credence {
    /// It is of this place.
    Plausible(StreamOffset),
    /// It would be of this place, if another packet speaks of that too.
    Doubtful(StreamOffset),
    /// It is further than TCP can express, ahead or behind.
    Absurd,
}

/// A number of one direction that no other packet has confirmed.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Where it would be.
    pub(super) at: StreamOffset,
    /// What said so.
    pub(super) by: Witness,
}

/// What a doubtful number came from.
#[derive(Debug)]
pub(super) enum Witness {
    /// An acknowledgement of the other end. The rest of its segment was taken.
    Ack,
    /// A segment, which waits whole.
    Segment(Held),
}

/// A segment that waits for its number to be confirmed.
#[derive(Debug)]
pub(super) struct Held {
    time: Timestamp,
    seq: SeqNumber,
    ack: Option<SeqNumber>,
    flags: Flags,
    payload: Vec<u8>,
    wire_len: u32,
}

impl Doubt {
    /// What it costs to keep, in octets.
    pub(super) const fn cost(&self) -> usize {
        match &self.by {
            Witness::Ack => CHUNK_OVERHEAD,
            Witness::Segment(held) => CHUNK_OVERHEAD + held.payload.len(),
        }
    }
}

impl Held {
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        Self {
            time: segment.time,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            payload: segment.payload.to_vec(),
            wire_len: segment.wire_len,
        }
    }

    /// The octets of payload that wait.
    pub(super) const fn len(&self) -> u64 {
        self.payload.len() as u64
    }

    /// The segment again; its ends are those of `like`, whichever way that goes.
    pub(super) fn segment<'a>(&'a self, like: &Segment<'_>) -> Segment<'a> {
        Segment {
            time: self.time,
            source: like.source,
            destination: like.destination,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            payload: &self.payload,
            wire_len: self.wire_len,
            interface: like.interface,
            ip_id: None,
        }
    }
}
