//! Fragments in, datagrams out (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722).

use std::{collections::BTreeMap, net::IpAddr};

use analyzer::time::Timestamp;

use super::{
    PacketCounters, Reason,
    ip::{Datagram, Fragment, Place, TCP},
};

/// The longest datagram: its offset and its length are 16 bits each.
const MAX_DATAGRAM: u32 = 65_535;

/// What the bookkeeping of a fragment costs, so that many small ones spend the budget too.
const FRAGMENT_OVERHEAD: usize = 64;

/// Bounds of defragmentation. At each of the first two the oldest datagram is given up and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams that wait for fragments.
    pub datagrams: usize,
    /// Bytes of fragments kept.
    pub bytes: usize,
    /// Microseconds of packet time that a datagram waits from its first fragment on.
    pub wait_micros: i64,
}

impl Default for Limits {
    /// TCP is hardly ever fragmented, as it learns the path's MTU: a few datagrams are enough, and few
    /// keep the search short. 30 s is what Linux waits (`ipfrag_time`).
    fn default() -> Self {
        Self {
            datagrams: 256,
            bytes: 4 * 1024 * 1024,
            wait_micros: 30_000_000,
        }
    }
}

/// What a fragment came to.
#[derive(Debug)]
pub(super) enum Outcome<'a> {
    /// Others are missing.
    Kept,
    /// It was the last one missing: the datagram's payload and the protocol that its first fragment names.
    Whole { protocol: u8, bytes: &'a [u8] },
}

/// Keeps fragments until their datagrams are complete.
///
/// Invariant: the parts of a datagram are not empty, do not overlap, and end within its end once that
/// is known. So it is complete when the sum of their lengths is its end.
#[derive(Debug)]
pub(super) struct Defragmenter {
    limits: Limits,
    /// In the order in which they began.
    pending: Vec<Pending>,
    /// Bytes of all parts, bookkeeping included.
    bytes: usize,
    whole: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// Part of the key in IPv4 only, where all fragments carry it.
    protocol: u8,
}

#[derive(Debug)]
struct Pending {
    key: Key,
    begun: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(Parts),
    /// Fragments overlapped: those still to come are refused as well.
    Refused,
}

#[derive(Debug, Default)]
struct Parts {
    /// By offset.
    bytes: BTreeMap<u32, Vec<u8>>,
    /// Sum of their lengths.
    length: u32,
    /// Where the datagram ends; known with its last fragment.
    end: Option<u32>,
    /// What the first fragment carries.
    protocol: u8,
}

/// How a fragment fits into what is there.
enum Fit {
    New,
    Duplicate,
    Overlap,
}

impl Defragmenter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: Vec::new(),
            bytes: 0,
            whole: Vec::new(),
        }
    }

    /// Takes a fragment in.
    pub(super) fn insert(
        &mut self,
        time: Timestamp,
        datagram: &Datagram<'_>,
        fragment: Fragment,
        counters: &mut PacketCounters,
    ) -> Result<Outcome<'_>, Reason> {
        self.expire(time, counters);
        let payload = datagram.payload;
        if payload.bytes.len() < payload.wire_len {
            return Err(Reason::Cut);
        }
        let length = u32::try_from(payload.bytes.len()).unwrap_or(u32::MAX);
        let end = fragment.offset.saturating_add(length);
        let uneven = fragment.place == Place::Before && !length.is_multiple_of(8);
        if length == 0 || end > MAX_DATAGRAM || uneven {
            return Err(Reason::FragmentBad);
        }
        let index = self.find(key(datagram, fragment), time, counters);
        let Some(State::Open(parts)) = self.pending.get_mut(index).map(|p| &mut p.state) else {
            return Err(Reason::FragmentOverlap);
        };
        match parts.fit(fragment, end, payload.bytes) {
            Fit::Duplicate => {
                counters.fragments_duplicate += 1;
                return Ok(Outcome::Kept);
            }
            Fit::Overlap => {
                self.refuse(index);
                return Err(Reason::FragmentOverlap);
            }
            Fit::New => {}
        }
        if fragment.offset == 0 {
            parts.protocol = datagram.protocol;
        }
        if fragment.place == Place::Last {
            parts.end = Some(end);
        }
        if parts.end == Some(parts.length + length) {
            parts.bytes.insert(fragment.offset, payload.bytes.to_vec());
            counters.datagrams_reassembled += 1;
            return Ok(self.complete(index, payload.bytes.len()));
        }
        parts.bytes.insert(fragment.offset, payload.bytes.to_vec());
        parts.length += length;
        self.bytes += payload.bytes.len() + FRAGMENT_OVERHEAD;
        while self.bytes > self.limits.bytes && !self.pending.is_empty() {
            self.remove(0);
            counters.datagrams_evicted += 1;
        }
        Ok(Outcome::Kept)
    }

    /// Gives up what waited too long. Packets are nearly in the order of time, so the oldest tells.
    fn expire(&mut self, time: Timestamp, counters: &mut PacketCounters) {
        while let Some(first) = self.pending.first()
            && time.micros_since(first.begun) > self.limits.wait_micros
        {
            // A refused one was counted when it was.
            counters.datagrams_timed_out += u64::from(matches!(first.state, State::Open(_)));
            self.remove(0);
        }
    }

    /// The place of a datagram among the pending ones; a new one comes last.
    fn find(&mut self, key: Key, time: Timestamp, counters: &mut PacketCounters) -> usize {
        if let Some(index) = self.pending.iter().position(|pending| pending.key == key) {
            return index;
        }
        while self.pending.len() >= self.limits.datagrams.max(1) {
            self.remove(0);
            counters.datagrams_evicted += 1;
        }
        self.pending.push(Pending {
            key,
            begun: time,
            state: State::Open(Parts::default()),
        });
        self.pending.len() - 1
    }

    fn refuse(&mut self, index: usize) {
        if let Some(pending) = self.pending.get_mut(index) {
            let cost = pending.cost();
            pending.state = State::Refused;
            self.bytes = self.bytes.saturating_sub(cost);
        }
    }

    fn remove(&mut self, index: usize) -> Pending {
        let pending = self.pending.remove(index);
        self.bytes = self.bytes.saturating_sub(pending.cost());
        pending
    }

    /// Puts a datagram together; the part of `uncounted` bytes is not in the budget.
    fn complete(&mut self, index: usize, uncounted: usize) -> Outcome<'_> {
        self.bytes += uncounted + FRAGMENT_OVERHEAD;
        let pending = self.remove(index);
        self.whole.clear();
        let mut protocol = TCP;
        if let State::Open(parts) = pending.state {
            protocol = parts.protocol;
            parts
                .bytes
                .values()
                .for_each(|part| self.whole.extend_from_slice(part));
        }
        Outcome::Whole {
            protocol,
            bytes: &self.whole,
        }
    }
}

impl Pending {
    /// What its parts spend of the budget.
    fn cost(&self) -> usize {
        match &self.state {
            State::Open(parts) => parts
                .bytes
                .values()
                .map(|p| p.len() + FRAGMENT_OVERHEAD)
                .sum(),
            State::Refused => 0,
        }
    }
}

impl Parts {
    fn fit(&self, fragment: Fragment, end: u32, bytes: &[u8]) -> Fit {
        let offset = fragment.offset;
        let last = fragment.place == Place::Last;
        // RFC 8200 §4.5: exact duplicates may be passed over; a capture of two interfaces has many.
        if self.bytes.get(&offset).is_some_and(|part| part == bytes)
            && last == (self.end == Some(end))
        {
            return Fit::Duplicate;
        }
        let part_end = |(at, part): (&u32, &Vec<u8>)| at + part.len() as u32;
        let before = self.bytes.range(..=offset).next_back().map(part_end);
        let after = self.bytes.range(offset..).next().map(|(at, _)| *at);
        let furthest = self.bytes.iter().next_back().map_or(0, part_end);
        let wrong_end = match (self.end, last) {
            (Some(known), true) => known != end,
            (Some(known), false) => end > known,
            (None, true) => furthest > end,
            (None, false) => false,
        };
        if before.is_some_and(|before| before > offset)
            || after.is_some_and(|after| after < end)
            || wrong_end
        {
            return Fit::Overlap;
        }
        Fit::New
    }
}

fn key(datagram: &Datagram<'_>, fragment: Fragment) -> Key {
    Key {
        source: datagram.source,
        destination: datagram.destination,
        id: fragment.id,
        protocol: if datagram.source.is_ipv4() {
            datagram.protocol
        } else {
            0
        },
    }
}
