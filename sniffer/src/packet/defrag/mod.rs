//! Fragments in, datagrams out (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722).

mod parts;

use std::net::IpAddr;

use analyzer::time::Timestamp;

use super::{
    PacketCounters, Reason,
    ip::{self, Datagram, Fragment},
    layer::Place,
};
use parts::{FRAGMENT_OVERHEAD, Fit, Origin, Parts, Piece};

/// The longest datagram: its offset and its length are 16 bits each.
const MAX_DATAGRAM: u32 = 65_535;

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
/// A datagram may be captured in several places, even cut differently there, and its fragments may also
/// come over several interfaces, each captured once. So there is one of each place, which takes in what
/// fits of the other places too, but for a part of its own place gives up what contradicts it. The first
/// that is whole is handed on and kept a while, so that what comes of the copies is known for that.
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
            protocol: datagram.protocol,
            time,
        };
        let uneven = !piece.last && !length.is_multiple_of(8);
        if length == 0 || piece.end > MAX_DATAGRAM || uneven {
            return Err(Reason::FragmentBad);
        }
        let key = key(datagram, fragment);
        if self.pending.iter().any(|of| of.key == key && of.has(piece)) {
            counters.fragments_duplicate += 1;
            return Ok(Outcome::Kept);
        }
        let own = self.find(key, place, time, counters);
        let fit = self.add(own, piece, Origin::Same);
        if fit == Fit::Overlap {
            self.refuse(own, counters);
            return Err(Reason::FragmentOverlap);
        }
        let mut duplicate = fit == Fit::Duplicate;
        for index in 0..self.pending.len() {
            if index != own && self.pending.get(index).is_some_and(|of| of.key == key) {
                duplicate |= self.add(index, piece, Origin::Other) == Fit::Duplicate;
            }
        }
        counters.fragments_duplicate += u64::from(duplicate);
        let whole_one = |of: &Pending| {
            of.key == key && matches!(&of.state, State::Open(parts) if parts.are_whole())
        };
        let outcome = match self.pending.iter().position(whole_one) {
            Some(index) => self.complete(index, whole, counters),
            None => Outcome::Kept,
        };
        while self.bytes > self.limits.bytes && !self.pending.is_empty() {
            self.evict(counters);
        }
        Ok(outcome)
    }

    /// Puts a fragment into a datagram, where it fits.
    fn add(&mut self, index: usize, piece: Piece<'_>, origin: Origin) -> Fit {
        let Some(State::Open(parts)) = self.pending.get_mut(index).map(|of| &mut of.state) else {
            return Fit::Overlap;
        };
        let before = parts.cost();
        let fit = parts.add(piece, origin);
        self.bytes = (self.bytes + parts.cost()).saturating_sub(before);
        fit
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

    /// The open or refused datagram of a place; a new one comes last.
    fn find(
        &mut self,
        key: Key,
        place: Place,
        time: Timestamp,
        counters: &mut PacketCounters,
    ) -> usize {
        let same = |of: &Pending| {
            of.key == key && of.place == place && !matches!(of.state, State::Whole(_))
        };
        if let Some(index) = self.pending.iter().position(same) {
            return index;
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
        self.pending.len() - 1
    }

    fn refuse(&mut self, index: usize, counters: &mut PacketCounters) {
        if let Some(pending) = self.pending.get_mut(index)
            && matches!(pending.state, State::Open(_))
        {
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

    /// Puts a datagram together. What there is of it in other places are copies.
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
            parts.write_to(whole);
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
        counters.datagrams_reassembled += 1;
        outcome
    }
}

impl Pending {
    /// What it spends of the budget.
    fn cost(&self) -> usize {
        match &self.state {
            State::Open(parts) => parts.cost(),
            State::Refused => 0,
            State::Whole(bytes) => bytes.len() + FRAGMENT_OVERHEAD,
        }
    }

    /// Whether it is whole and has this fragment. One that it has not uses its identification once more.
    fn has(&self, piece: Piece<'_>) -> bool {
        let range = piece.offset as usize..piece.end as usize;
        matches!(&self.state, State::Whole(bytes)
            if bytes.get(range) == Some(piece.bytes)
                && piece.last == (piece.end as usize == bytes.len()))
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
