//! One call seen on two connections: which rows are the outer legs of which.
//!
//! A relay (a proxy, a gateway, docker's userland proxy) makes of one call two connections, and a
//! translated destination (DNAT) shows one connection under two names. Tapped on both sides, the call has
//! a row each. The one nearer to the model server counts; the other, the outer one, is marked with
//! the key of the inner one. Three nested legs form a chain.
//!
//! Two legs are one call where all of this holds:
//!
//! * Their decoded request bodies are equal, not empty, and were seen whole.
//! * They are different connections to different servers, and not one machine's questions to
//!   two servers.
//! * The inner one begins after the outer one and ends before it, each within [`TOLERANCE`]. Where the
//!   outer one's client left, the inner one may end up to [`ABORT_GRACE`] later, since the relay has
//!   to notice.
//! * Their answers agree in status and in their first bytes. Where the addresses show the relay (the inner
//!   client is where the outer server is), it may have rewritten the answer, and this is not asked.
//! * Where the answers say nothing (there is none, or the inner one's end was not seen), the addresses must
//!   show the relay or both must have ended in one way; and nobody else may claim the inner one.
//!
//! An inner leg belongs to one outer leg at most. Of several that fit (a relay that tried again), an
//! outer leg takes the one whose answer is its own, then the tightest.
//!
//! Rows do not change once they are out, so an outer row must know its inner one when it leaves. As a rule the
//! inner one has ended by then. Where it may not have (the client left first, or two taps are out of order),
//! the outer row waits: for as long as a request with the same body is on its way that may be the inner one,
//! or after a client left for the tolerance, in which one may yet begin; in bounded packet time. All else passes
//! at once.
//!
//! [`Legs`] takes what happened in the order of the packets and reads no clock, so that its marks depend
//! on the packets alone.

mod leg;
mod rank;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use leg::{ANSWER_HEAD, BodyHash, Close, EndedLeg, Leg};

use crate::{call::CallKey, exchange::ExchangeId, time::Timestamp};
use rank::Patience;

/// How far the inner leg's beginning and end may lie outside the outer one's, in microseconds: taps on two
/// interfaces, and two captures merged, are out of step by this much.
pub const TOLERANCE: i64 = 5_000;

/// How long after the client left the outer leg the inner one may end, in microseconds: relays notice at
/// once, or when they next write.
pub const ABORT_GRACE: i64 = 10_000_000;

/// Legs known at a time. A relayed call is two of them, and they are known little longer than they
/// are in flight. At the limit a new one is not matched, and counted.
pub const MAX_LEGS: usize = 1 << 16;

/// Legs with one request body known at a time: a load test with one prompt. Each end looks at all of
/// them, so this bounds the work too. At the limit a new one is not matched, and counted.
pub const MAX_ALIKE: usize = 2_048;

/// Rows that may wait. At the limit a row goes out with what is known, and is counted.
pub const MAX_WAITING: usize = 512;

/// Bytes that waiting rows may hold. At the limit as with [`MAX_WAITING`].
pub const MAX_WAITING_BYTES: usize = 64 << 20;

/// What the matching had no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegCounters {
    /// Legs not matched for want of room.
    pub legs_shed: u64,
    /// Rows that should have waited for their inner leg and did not, for want of room.
    pub waits_cut: u64,
}

impl LegCounters {
    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [("legs_shed", self.legs_shed), ("waits_cut", self.waits_cut)].into_iter()
    }

    /// Adds another's figures.
    pub fn add(&mut self, other: &Self) {
        self.legs_shed = self.legs_shed.saturating_add(other.legs_shed);
        self.waits_cut = self.waits_cut.saturating_add(other.waits_cut);
    }
}

/// A row that has passed the matching, and the key of its inner leg.
pub type Matched<T> = (T, Option<CallKey>);

/// Matches legs; rows of type `T` pass through it.
#[derive(Debug)]
pub struct Legs<T> {
    alike: HashMap<BodyHash, Vec<Known<T>>, foldhash::fast::RandomState>,
    /// How many legs are known.
    known: usize,
    /// Those whose rows wait, in the order of their ends.
    waiting: Vec<(BodyHash, ExchangeId)>,
    waiting_bytes: usize,
    now: Timestamp,
    counters: LegCounters,
}

/// One known leg.
#[derive(Debug)]
struct Known<T> {
    leg: Leg,
    state: State<T>,
    /// The leg that this one is the outer one of.
    inner: Option<ExchangeId>,
    claimed: Claimed,
}

#[derive(Debug)]
enum State<T> {
    /// In flight.
    Open,
    /// Ended; its row waits, and holds so many bytes.
    Waiting(Close, T, usize),
    /// Ended; its row is out.
    Out(Close),
}

/// Whether a leg is the inner one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claimed {
    No,
    Yes,
}

impl<T> Known<T> {
    const fn close(&self) -> Option<&Close> {
        match &self.state {
            State::Open => None,
            State::Waiting(close, ..) | State::Out(close) => Some(close),
        }
    }

    /// Whether its row is not out yet, so that it may claim an inner leg.
    const fn is_unsettled(&self) -> bool {
        !matches!(self.state, State::Out(_))
    }
}

impl<T> Default for Legs<T> {
    fn default() -> Self {
        Self {
            alike: HashMap::default(),
            known: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            now: Timestamp::default(),
            counters: LegCounters::default(),
        }
    }
}

impl<T> Legs<T> {
    /// What there was no room for so far.
    pub const fn counters(&self) -> LegCounters {
        self.counters
    }

    /// The legs known at the moment.
    pub const fn known(&self) -> usize {
        self.known
    }

    /// A request was seen whole.
    pub fn asked(&mut self, leg: Leg) {
        let full = self.known >= MAX_LEGS;
        let alike = self.alike.entry(leg.body).or_default();
        if alike.len() >= MAX_ALIKE {
            self.known -= prune(alike, self.now);
        }
        if full || alike.len() >= MAX_ALIKE {
            self.counters.legs_shed = self.counters.legs_shed.saturating_add(1);
            return;
        }
        self.known += 1;
        alike.push(Known {
            leg,
            state: State::Open,
            inner: None,
            claimed: Claimed::No,
        });
    }

    /// An exchange ended whose request was seen whole; `bytes` is what its row holds. The rows
    /// that are due, it or others, go to `out`.
    pub fn ended(
        &mut self,
        ended: EndedLeg,
        row: T,
        bytes: usize,
        out: &mut impl FnMut(Matched<T>),
    ) {
        let (body, id) = (ended.leg.body, ended.leg.id);
        let alike = self.alike.entry(body).or_default();
        let Some(place) = alike.iter().position(|known| known.leg.id == id) else {
            // It was shed.
            return out((row, None));
        };
        if let Some(close) = ended.close {
            if let Some(known) = alike.get_mut(place) {
                known.state = State::Waiting(close, row, bytes);
            }
            self.waiting.push((body, id));
            self.waiting_bytes = self.waiting_bytes.saturating_add(bytes);
            if rank::patience(alike, place) == Patience::Done {
                self.settle(self.waiting.len() - 1, out);
            } else if self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
                self.counters.waits_cut = self.counters.waits_cut.saturating_add(1);
                self.settle(self.waiting.len() - 1, out);
            }
        } else {
            alike.remove(place);
            self.known -= 1;
            out((row, None));
        }
        // What waited for this one.
        self.settle_where(out, |legs, (other, waiting)| {
            other == body && waiting != id && legs.patience(other, waiting) == Patience::Done
        });
    }

    /// Packet time has come this far: rows that waited long enough go to `out`.
    pub fn tick(&mut self, now: Timestamp, out: &mut impl FnMut(Matched<T>)) {
        self.now = now;
        self.settle_where(out, |legs, (body, id)| match legs.patience(body, id) {
            Patience::Done => true,
            Patience::Until(time) => time <= now,
        });
        self.forget();
    }

    /// Nothing more will come: all rows that wait go to `out`.
    pub fn finish(&mut self, out: &mut impl FnMut(Matched<T>)) {
        self.settle_where(out, |_, _| true);
    }

    /// Lets those of the waiting rows out that are due, in the order of their ends.
    fn settle_where(
        &mut self,
        out: &mut impl FnMut(Matched<T>),
        is_due: impl Fn(&Self, (BodyHash, ExchangeId)) -> bool,
    ) {
        let mut place = 0;
        while let Some(waiting) = self.waiting.get(place).copied() {
            if is_due(self, waiting) {
                self.settle(place, out);
            } else {
                place += 1;
            }
        }
    }

    fn patience(&self, body: BodyHash, id: ExchangeId) -> Patience {
        self.alike.get(&body).map_or(Patience::Done, |alike| {
            let place = alike.iter().position(|known| known.leg.id == id);
            place.map_or(Patience::Done, |place| rank::patience(alike, place))
        })
    }

    /// Decides on the row at this place of the waiting list, and lets it out.
    fn settle(&mut self, place: usize, out: &mut impl FnMut(Matched<T>)) {
        let (body, id) = self.waiting.remove(place);
        let Some(alike) = self.alike.get_mut(&body) else {
            return;
        };
        let Some(outer) = alike.iter().position(|known| known.leg.id == id) else {
            return;
        };
        let inner = rank::best(alike, outer);
        let claimed = inner.and_then(|inner| alike.get_mut(inner)).map(|inner| {
            inner.claimed = Claimed::Yes;
            inner.leg
        });
        let Some(known) = alike.get_mut(outer) else {
            return;
        };
        known.inner = claimed.map(|inner| inner.id);
        match std::mem::replace(&mut known.state, State::Open) {
            State::Waiting(close, row, bytes) => {
                known.state = State::Out(close);
                self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
                out((row, claimed.map(|inner| inner.key)));
            }
            other => known.state = other,
        }
    }

    /// Forgets the legs that nobody can claim any more.
    fn forget(&mut self) {
        let now = self.now;
        let mut gone = 0;
        self.alike.retain(|_, alike| {
            gone += prune(alike, now);
            !alike.is_empty()
        });
        self.known -= gone;
    }
}

/// Forgets those of the legs that nobody can claim any more: their rows are out, none in flight or
/// waiting began before them, and the tolerance in which such a one may yet turn up has passed.
fn prune<T>(alike: &mut Vec<Known<T>>, now: Timestamp) -> usize {
    let unsettled = alike.iter().filter(|known| known.is_unsettled());
    let first = unsettled.map(|known| known.leg.start).min();
    let before = alike.len();
    alike.retain(|known| match &known.state {
        State::Open | State::Waiting(..) => true,
        State::Out(close) => {
            let began_inside = |first| known.leg.start.micros_since(first) >= -TOLERANCE;
            first.is_some_and(began_inside) || now.micros_since(close.time) <= TOLERANCE
        }
    });
    before - alike.len()
}
