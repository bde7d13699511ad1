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

use super::key::{End, Key};
use crate::packet::Segment;

/// How long after a packet its copy may come, or before it where two files' clocks differ: 100 ms.
/// Passing a packet on takes microseconds; what comes later is taken for a retransmission.
const WINDOW_MICROS: u64 = 100_000;

/// Packets that one shard remembers; a new one overwrites the one in its place. 1,024 hold 100 ms of
/// 10,000 packets a second in each of 16 shards; the copy of a packet that was forgotten early counts as
/// a retransmission, which changes no row.
const SLOTS: usize = 1_024;

/// Remembers the packets of the last moment.
#[derive(Debug, Default)]
pub(super) struct Copies {
    slots: Vec<Slot>,
    hasher: FixedState,
}

/// A packet: the numbers in full, so that no hash that was made to collide hides another packet.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0 where the slot is empty.
    hash: u64,
    time: Timestamp,
    interface: u32,
    seq: u32,
    ack: u32,
    wire_len: u32,
}

impl Copies {
    /// Whether this is a copy of a packet that was seen on another interface just before.
    ///
    /// The same packet on the same interface is a retransmission, and none of this business. Where the
    /// capture cut one of the two shorter, they are two packets: the longer fills up the shorter.
    pub(super) fn is_copy(&mut self, key: &Key, from: End, segment: &Segment<'_>) -> bool {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        let flags = segment.flags;
        let hash = 1 | self.hasher.hash_one((
            (key, from == End::Low),
            (segment.seq, segment.ack, segment.ip_id),
            (segment.wire_len, segment.payload.len()),
            [flags.syn, flags.fin, flags.rst],
        ));
        let Some(slot) = self.slots.get_mut((hash >> 32) as usize % SLOTS) else {
            return false;
        };
        let now = Slot {
            hash,
            time: segment.time,
            interface: segment.interface,
            seq: segment.seq.0,
            ack: segment.ack.map_or(0, |ack| ack.0),
            wire_len: segment.wire_len,
        };
        let apart = now.time.as_micros().abs_diff(slot.time.as_micros());
        let numbers = |slot: &Slot| (slot.hash, slot.seq, slot.ack, slot.wire_len);
        if numbers(slot) == numbers(&now)
            && slot.interface != now.interface
            && apart <= WINDOW_MICROS
        {
            return true;
        }
        *slot = now;
        false
    }
}
