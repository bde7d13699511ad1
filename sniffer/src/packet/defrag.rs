//! Fragments in, datagrams out (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722).

use std::{collections::BTreeMap, net::IpAddr};

use analyzer::time::Timestamp;

use super::{
    PacketCounters, Reason, ip,
    ip::{Datagram, Fragment},
    layer::Place,
};

/// The longest datagram: its offset and its length are 16 bits each.
const MAX_DATAGRAM: u32 = 65_535;

/// What the bookkeeping of a fragment costs, so that many small ones spend the budget too.
const FRAGMENT_OVERHEAD: usize = 64;

/// Bounds of defragmentation. At each of the first two a datagram is given up: the oldest that is whole
/// already and was kept for its copies only, or else the oldest, which is counted.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Others are missing, or it was there already.
    Kept,
    /// It was the last one missing: the protocol that the first fragment names, and when the latest of
    /// them was captured. All of them are needed for the first byte, so that is the time of every byte.
    Whole { protocol: u8, time: Timestamp },
}

/// Keeps fragments until their datagrams are complete.
///
/// Datagrams are told apart as the receiver does it, wherever their fragments were captured: they may
/// come over several interfaces, or be captured on each of them. A whole one is kept a while, so that
/// copies of its fragments are known for what they are. Copies that were cut differently do not fit
/// into the datagram of another place: they make one of their own.
///
/// Invariant: the parts of an open datagram are not empty, do not overlap, and end within its end once
/// that is known. So it is complete when the sum of their lengths is its end.
#[derive(Debug)]
pub(super) struct Defragmenter {
    limits: Limits,
    /// In the order in which they began.
    pending: Vec<Pending>,
    /// What they spend of the budget.
    bytes: usize,
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
    /// Where its first fragment was captured.
    place: Place,
    begun: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(Parts),
    /// Fragments overlapped: those still to come are refused as well.
    Refused,
    /// It was handed on.
    Whole(Vec<u8>),
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
    /// When the latest part was captured.
    time: Timestamp,
}

/// A fragment's octets and where they belong.
#[derive(Clone, Copy)]
struct Piece<'a> {
    offset: u32,
    end: u32,
    last: bool,
    bytes: &'a [u8],
}

/// How a fragment fits into what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        }
    }

    /// Takes a fragment in. A datagram that it makes whole replaces what is in `whole`.
    pub(super) fn insert(
        &mut self,
        time: Timestamp,
        place: Place,
        (datagram, fragment): (&Datagram<'_>, Fragment),
        whole: &mut Vec<u8>,
        counters: &mut PacketCounters,
    ) -> Result<Outcome, Reason> {
        self.expire(time, counters);
        let payload = datagram.payload;
        if payload.bytes.len() < payload.wire_len {
            return Err(Reason::Cut);
        }
        let length = u32::try_from(payload.bytes.len()).unwrap_or(u32::MAX);
        let piece = Piece {
            offset: fragment.offset,
            end: fragment.offset.saturating_add(length),
            last: fragment.place == ip::Place::Last,
            bytes: payload.bytes,
        };
        let uneven = !piece.last && !length.is_multiple_of(8);
        if length == 0 || piece.end > MAX_DATAGRAM || uneven {
            return Err(Reason::FragmentBad);
        }
        let key = key(datagram, fragment);
        let (index, fit) = self.find(key, place, piece, time, counters);
        let Some(State::Open(parts)) = self.pending.get_mut(index).map(|p| &mut p.state) else {
            if fit == Fit::Duplicate {
                counters.fragments_duplicate += 1;
                return Ok(Outcome::Kept);
            }
            return Err(Reason::FragmentOverlap);
        };
        match fit {
            Fit::Duplicate => {
                counters.fragments_duplicate += 1;
                return Ok(Outcome::Kept);
            }
            Fit::Overlap => {
                self.refuse(index, counters);
                return Err(Reason::FragmentOverlap);
            }
            Fit::New => {}
        }
        if piece.offset == 0 {
            parts.protocol = datagram.protocol;
        }
        if piece.last {
            parts.end = Some(piece.end);
        }
        parts.bytes.insert(piece.offset, piece.bytes.to_vec());
        parts.length += length;
        parts.time = parts.time.max(time);
        self.bytes += piece.bytes.len() + FRAGMENT_OVERHEAD;
        let outcome = if parts.end == Some(parts.length) {
            counters.datagrams_reassembled += 1;
            self.complete(index, whole, counters)
        } else {
            Outcome::Kept
        };
        while self.bytes > self.limits.bytes && !self.pending.is_empty() {
            self.evict(counters);
        }
        Ok(outcome)
    }

    /// Gives up what waited too long. Packets are nearly in the order of time, so the oldest tells.
    fn expire(&mut self, time: Timestamp, counters: &mut PacketCounters) {
        while let Some(first) = self.pending.first()
            && time.micros_since(first.begun) > self.limits.wait_micros
        {
            counters.datagrams_timed_out += u64::from(matches!(first.state, State::Open(_)));
            self.remove(0);
        }
    }

    /// The datagram that a fragment belongs to, and how it fits in; a new one comes last.
    fn find(
        &mut self,
        key: Key,
        place: Place,
        piece: Piece<'_>,
        time: Timestamp,
        counters: &mut PacketCounters,
    ) -> (usize, Fit) {
        let mut own = None;
        for (index, pending) in self.pending.iter().enumerate() {
            if pending.key != key {
                continue;
            }
            let fit = pending.fit(piece);
            if matches!(pending.state, State::Whole(_)) {
                // What is not in it uses its identification once more.
                if fit == Fit::Duplicate {
                    return (index, fit);
                }
            } else if pending.place == place || (fit != Fit::Overlap && own.is_none()) {
                own = Some((index, fit));
            }
        }
        if let Some(found) = own {
            return found;
        }
        while self.pending.len() >= self.limits.datagrams.max(1) {
            self.evict(counters);
        }
        self.pending.push(Pending {
            key,
            place,
            begun: time,
            state: State::Open(Parts::default()),
        });
        counters.datagrams_begun += 1;
        (self.pending.len() - 1, Fit::New)
    }

    fn refuse(&mut self, index: usize, counters: &mut PacketCounters) {
        if let Some(pending) = self.pending.get_mut(index) {
            let cost = pending.cost();
            pending.state = State::Refused;
            self.bytes = self.bytes.saturating_sub(cost);
            counters.datagrams_refused += 1;
        }
    }

    fn remove(&mut self, index: usize) -> Pending {
        let pending = self.pending.remove(index);
        self.bytes = self.bytes.saturating_sub(pending.cost());
        pending
    }

    /// Makes room: what was handed on or refused goes first.
    fn evict(&mut self, counters: &mut PacketCounters) {
        let done = |pending: &Pending| !matches!(pending.state, State::Open(_));
        if let Some(index) = self.pending.iter().position(done) {
            self.remove(index);
        } else {
            self.remove(0);
            counters.datagrams_evicted += 1;
        }
    }

    /// Puts a datagram together. Open ones of other places that were cut differently are copies of it.
    fn complete(
        &mut self,
        index: usize,
        whole: &mut Vec<u8>,
        counters: &mut PacketCounters,
    ) -> Outcome {
        let mut outcome = Outcome::Kept;
        let Some(pending) = self.pending.get_mut(index) else {
            return outcome;
        };
        let key = pending.key;
        if let State::Open(parts) = &pending.state {
            whole.clear();
            for part in parts.bytes.values() {
                whole.extend_from_slice(part);
            }
            outcome = Outcome::Whole {
                protocol: parts.protocol,
                time: parts.time,
            };
            let cost = pending.cost();
            pending.state = State::Whole(whole.clone());
            self.bytes = (self.bytes + pending.cost()).saturating_sub(cost);
        }
        let copy = |pending: &Pending| {
            pending.key == key
                && matches!(&pending.state, State::Open(parts) if parts.are_in(whole))
        };
        while let Some(index) = self.pending.iter().position(copy) {
            self.remove(index);
            counters.datagrams_duplicate += 1;
        }
        outcome
    }
}

impl Pending {
    /// What it spends of the budget.
    fn cost(&self) -> usize {
        match &self.state {
            State::Open(parts) => parts
                .bytes
                .values()
                .map(|part| part.len() + FRAGMENT_OVERHEAD)
                .sum(),
            State::Refused => 0,
            State::Whole(bytes) => bytes.len() + FRAGMENT_OVERHEAD,
        }
    }

    fn fit(&self, piece: Piece<'_>) -> Fit {
        match &self.state {
            State::Open(parts) => parts.fit(piece),
            State::Refused => Fit::Overlap,
            State::Whole(bytes) if piece.is_in(bytes) => Fit::Duplicate,
            State::Whole(_) => Fit::New,
        }
    }
}

impl Piece<'_> {
    /// Whether a datagram has these octets in this place.
    fn is_in(&self, whole: &[u8]) -> bool {
        let range = self.offset as usize..self.end as usize;
        whole.get(range) == Some(self.bytes) && self.last == (self.end as usize == whole.len())
    }
}

impl Parts {
    fn fit(&self, piece: Piece<'_>) -> Fit {
        let Piece {
            offset, end, last, ..
        } = piece;
        // RFC 8200 §4.5: exact duplicates may be passed over; a capture of two interfaces has many.
        if self
            .bytes
            .get(&offset)
            .is_some_and(|part| part == piece.bytes)
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

    /// Whether a whole datagram has all these octets.
    fn are_in(&self, whole: &[u8]) -> bool {
        self.bytes.iter().all(|(offset, part)| {
            let start = *offset as usize;
            whole.get(start..start + part.len()) == Some(part.as_slice())
        })
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
