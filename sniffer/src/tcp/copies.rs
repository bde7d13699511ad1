//! The same packet, seen on two interfaces, counts once.
//!
//! A packet that a bridge, a router or a container's network passes on is captured on the way in and on
//! the way out: by the `any` device, by several interfaces in one file, by files read together. Its copy
//! is no retransmission: it tells nothing of the network, and would speed up the rule for holes, which
//! counts packets. Of a packet and its copies the one captured first stands, and so does its time. What
//! is passed on under other addresses (NAT) is another connection, and no copy.

use std::hash::BuildHasher as _;

use analyzer::time::Timestamp;
use foldhash::fast::FixedState;

use super::{
    key::{End, Key},
    seq::SeqNumber,
};
use crate::packet::Segment;

/// How long after a packet its copy may come, or before it where two files' clocks differ: 100 ms.
/// Passing a packet on takes microseconds; what comes later is taken for a retransmission.
const WINDOW_MICROS: u64 = 100_000;

/// Packets that one shard remembers; a new one overwrites the one in its place. 1,024 hold 100 ms of
/// 10,000 packets a second in each of 16 shards; the copy of a packet that was forgotten early counts as
/// a retransmission, which changes no row.
const SLOTS: usize = 1_024;

/// Packets remembered while there is but one interface, as in most captures: then remembering must cost
/// next to nothing. They are what the first packet of another interface can be a copy of.
const RECENT: usize = 16;

/// Remembers the packets of the last moment.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// The last packets in a ring, until there is a second interface.
    recent: Vec<Seen>,
    next: usize,
    /// From then on: each packet at the place that its hash gives.
    slots: Vec<Option<Seen>>,
    hasher: FixedState,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    identity: Identity,
    time: Timestamp,
    interface: u32,
}

/// What a packet and its copies have in common, compared in full: no hash that was made to collide can
/// hide another packet. Where the capture cut one of them shorter they are two packets, and the longer
/// fills up the shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    key: Key,
    is_from_low: bool,
    flags: [bool; 3],
    ip_id: Option<u16>,
    seq: SeqNumber,
    ack: Option<SeqNumber>,
    wire_len: u32,
    captured: u32,
}

impl Seen {
    #[inline]
    fn of(key: &Key, from: End, segment: &Segment<'_>) -> Self {
        let flags = segment.flags;
        Self {
            identity: Identity {
                key: *key,
                is_from_low: from == End::Low,
                flags: [flags.syn, flags.fin, flags.rst],
                ip_id: segment.ip_id,
                seq: segment.seq,
                ack: segment.ack,
                wire_len: segment.wire_len,
                captured: u32::try_from(segment.payload.len()).unwrap_or(u32::MAX),
            },
            time: segment.time,
            interface: segment.interface,
        }
    }
}

impl Copies {
    /// Whether this is a copy of a packet that was seen on another interface just before.
    ///
    /// The same packet on the same interface is a retransmission, and none of this business.
    #[inline]
    pub(super) fn is_copy(&mut self, key: &Key, from: End, segment: &Segment<'_>) -> bool {
        if self.slots.is_empty() {
            let only = self.recent.first();
            if only.is_none_or(|seen| seen.interface == segment.interface) {
                self.note(key, from, segment);
                return false;
            }
            self.spread();
        }
        self.check(Seen::of(key, from, segment))
    }

    /// Remembers a packet of the only interface.
    #[inline]
    fn note(&mut self, key: &Key, from: End, segment: &Segment<'_>) {
        if let Some(oldest) = self.recent.get_mut(self.next) {
            *oldest = Seen::of(key, from, segment);
        } else {
            self.recent.push(Seen::of(key, from, segment));
        }
        self.next = (self.next + 1) % RECENT;
    }

    /// Puts the packets of the only interface so far to their places: there is a second one.
    #[cold]
    fn spread(&mut self) {
        self.slots.resize(SLOTS, None);
        let (newer, older) = self.recent.split_at(self.next);
        for seen in [older, newer].concat() {
            self.check(seen);
        }
        self.recent = Vec::new();
    }

    fn check(&mut self, seen: Seen) -> bool {
        let place = self.hasher.hash_one(seen.identity) as usize % SLOTS;
        let Some(slot) = self.slots.get_mut(place) else {
            return false;
        };
        let is_copy = slot.is_some_and(|first| {
            let apart = seen.time.as_micros().abs_diff(first.time.as_micros());
            first.interface != seen.interface
                && apart <= WINDOW_MICROS
                && first.identity == seen.identity
        });
        if !is_copy {
            *slot = Some(seen);
        }
        is_copy
    }
}
