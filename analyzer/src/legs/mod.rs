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

use std::collections::{BTreeMap, HashMap};

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
/// them once, so this bounds the work too. At the limit a new one is not matched, and counted.
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
    /// The rows that wait, by their turn: the order of their ends.
    waiting: BTreeMap<u64, Wait>,
    waiting_bytes: usize,
    turns: u64,
    now: Timestamp,
    counters: LegCounters,
}

/// A row that waits.
#[derive(Clone, Copy, Debug)]
struct Wait {
    body: BodyHash,
    id: ExchangeId,
    /// When it is looked at again at the latest.
    due: Timestamp,
    /// A leg in flight that keeps it waiting: only when that one ends may it be done.
    watched: Option<ExchangeId>,
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
    /// Ended; its row waits.
    Waiting(Close, Held<T>),
    /// Ended; its row is out.
    Out(Close),
}

/// A row, the bytes that it holds, and its turn.
#[derive(Debug)]
struct Held<T> {
    row: T,
    bytes: usize,
    turn: u64,
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
            State::Waiting(close, _) | State::Out(close) => Some(close),
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
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            turns: 0,
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
        let Some(close) = ended.close else {
            alike.remove(place);
            self.known -= 1;
            out((row, None));
            return self.settle_watching(body, id, None, out);
        };
        let turn = self.turns;
        self.turns += 1;
        if let Some(known) = alike.get_mut(place) {
            let held = Held { row, bytes, turn };
            known.state = State::Waiting(close, held);
        }
        let patience = rank::patience(alike, place);
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes);
        self.waiting.insert(
            turn,
            Wait {
                body,
                id,
                due: self.now,
                watched: None,
            },
        );
        let full = self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES;
        if full && patience != Patience::Done {
            self.counters.waits_cut = self.counters.waits_cut.saturating_add(1);
        }
        match patience {
            Patience::Until { due, watched } if !full => self.wait(turn, due, watched),
            _ => self.settle(turn, out),
        }
        self.settle_watching(body, id, Some(place), out);
    }

    /// Packet time has come this far: rows that waited long enough go to `out`.
    pub fn tick(&mut self, now: Timestamp, out: &mut impl FnMut(Matched<T>)) {
        self.now = now;
        let due = self.waiting.iter().filter(|(_, wait)| wait.due <= now);
        for turn in due.map(|(turn, _)| *turn).collect::<Vec<_>>() {
            match self.patience(turn) {
                Patience::Until { due, watched } if due > now => self.wait(turn, due, watched),
                _ => self.settle(turn, out),
            }
        }
        self.forget();
    }

    /// Nothing more will come: all rows that wait go to `out`.
    pub fn finish(&mut self, out: &mut impl FnMut(Matched<T>)) {
        for turn in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.settle(turn, out);
        }
    }

    /// A leg ended, which may be what others waited for; `place` is its own.
    fn settle_watching(
        &mut self,
        body: BodyHash,
        id: ExchangeId,
        place: Option<usize>,
        out: &mut impl FnMut(Matched<T>),
    ) {
        let Some(alike) = self.alike.get(&body) else {
            return;
        };
        let ended = place.and_then(|place| alike.get(place));
        let mut watching = Vec::new();
        for known in alike {
            let State::Waiting(_, Held { turn, .. }) = &known.state else {
                continue;
            };
            let Some(wait) = self.waiting.get_mut(turn) else {
                continue;
            };
            if wait.watched == Some(id) {
                watching.push(*turn);
            } else if ended.is_some_and(|ended| rank::is_same_answer(known, ended)) {
                wait.due = wait.due.min(rank::soon(known));
            }
        }
        watching.sort_unstable();
        for turn in watching {
            match self.patience(turn) {
                Patience::Until { due, watched } => self.wait(turn, due, watched),
                Patience::Done => self.settle(turn, out),
            }
        }
    }

    fn wait(&mut self, turn: u64, due: Timestamp, watched: Option<ExchangeId>) {
        if let Some(wait) = self.waiting.get_mut(&turn) {
            (wait.due, wait.watched) = (due, watched);
        }
    }

    fn patience(&self, turn: u64) -> Patience {
        let place = || {
            let wait = self.waiting.get(&turn)?;
            let alike = self.alike.get(&wait.body)?;
            let place = alike.iter().position(|known| known.leg.id == wait.id)?;
            Some((alike, place))
        };
        place().map_or(Patience::Done, |(alike, place)| {
            rank::patience(alike, place)
        })
    }

    /// Decides on the row of this turn, and lets it out.
    fn settle(&mut self, turn: u64, out: &mut impl FnMut(Matched<T>)) {
        let Some(wait) = self.waiting.remove(&turn) else {
            return;
        };
        let Some(alike) = self.alike.get_mut(&wait.body) else {
            return;
        };
        let Some(outer) = alike.iter().position(|known| known.leg.id == wait.id) else {
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
            State::Waiting(close, held) => {
                known.state = State::Out(close);
                self.waiting_bytes = self.waiting_bytes.saturating_sub(held.bytes);
                out((held.row, claimed.map(|inner| inner.key)));
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
